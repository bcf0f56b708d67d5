"""Opposites: the word that means the opposite of another."""

from shared.tinyworld.rng import Rng
from shared.tinyworld.words import OPPOSITES

from .kind import Kind, Made, wordings

# How often a guess is right that takes any word that has an opposite.
_CHANCE = 1 / (2 * len(OPPOSITES))


def _opposite(rng: Rng, split: str) -> Made:
    word, answer = rng.shuffled(rng.choose(OPPOSITES))
    return Made(f"opposite {word}", {"x": word}, answer, _CHANCE)


_WORDINGS = wordings(
    """
    What is the opposite of {x}?
    Give the opposite of {x}.
    Not {x}, but the opposite:
    Which word means the opposite of {x}?
    Name the word that is the opposite of {x}.
    The opposite of {x} is what?
    What do we call the opposite of {x}?
    Tell me the opposite of {x}.
    {x}: what is its opposite?
    I say {x}. You say the opposite.
    Find the opposite of the word {x}.
    Please say the opposite of {x}.
    Do you know the opposite of {x}?
    If I mean the opposite of {x}, which word do I need?
    Turn {x} into its opposite.
    A word is {x}. What is the word for the opposite?
    The words are opposites. One is {x}. What is the other?
    One side is {x}. What do we call the other side?
    {x} and its opposite: name the opposite.
    Answer with the opposite of this word: {x}.
    Say the opposite of this word: {x}.
    Which word is the opposite of {x}?
    Write a word that means the opposite of {x}.
    Fill the gap: the opposite of {x} is ...
    Could you name the opposite of {x}?
    If it is not {x} but the opposite, which word is right?
    My teacher wants the opposite of {x}. What do I say?
    What word has just the opposite meaning of {x}?
    I need a word that means the opposite of {x}.
    {x} has an opposite. Which word is it?
    Make the opposite out of {x}.
    In a list of opposites, what is written beside {x}?
    Two words make a pair of opposites. {x} is one of them. Give the other.
    The opposite is wanted. The word is {x}.
    When one says {x} and the other the opposite, what does the other say?
    Look at {x} and write down its opposite.
    My question is what the opposite of {x} is.
    Change {x} into the word that means the opposite.
    How do you say the opposite of {x}?
    Somebody says {x}, but the opposite is right. Which word is right?
    Do not say {x}, say the opposite.
    One word only: the opposite of {x}.
    Swap {x} for its opposite.
    """,
    """
    Say the word that is as far from {x} as it can be.
    Which word stands on the other side of {x}?
    I am looking for the opposite of {x}. Can you help?
    What must you say in place of {x} to mean just the opposite?
    Of two opposites I know {x}. Which word do I not know?
    """,
    """
    {x}, opposite?
    My sister always says the opposite of me, so what does she say when I say {x}?
    Opposite word: {x}
    Against {x} stands, as its opposite, which word?
    """,
)

KINDS = (Kind("opposite", _opposite, _WORDINGS),)
