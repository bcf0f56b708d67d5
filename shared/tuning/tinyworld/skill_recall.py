"""Recall: facts of the world, as its own questions ask for them and in many other ways."""

from shared.tinyworld.grammar import capital
from shared.tinyworld.rng import Rng

from .kind import Kind, Made, wordings
from .world_facts import asked


def _fact(rng: Rng, split: str) -> Made:
    one = rng.choose(asked())
    question = rng.choose(one.fact.questions)
    fills = {"q": question, "it": one.phrase, "It": capital(one.phrase), "kind": one.fact.kind}
    return Made(f"recall {one.phrase}", fills, one.fact.answer, one.chance, also=one.also)


_WORDINGS = wordings(
    """
    {q}
    What is {it}?
    Tell me {it}.
    Please answer: {q}
    I would like to know {it}.
    I have a question. {q}
    {It}, please.
    Do you know {it}?
    Somebody asked me this: {q}
    Say what {it} is.
    {It} is what?
    Can you tell me {it}?
    My question is about {it}. What is it?
    Answer in a few words. {q}
    {q} Please tell me.
    Write down {it}.
    In Applebrook they ask: {q}
    I forgot {it}. Help me.
    Do you remember {it}? Then say it.
    Think well, and then answer. {q}
    {It} is something that you know. What is it?
    If I ask for {it}, what do you say?
    Give me {it}.
    {q} Only the answer, please.
    Say {it}.
    Answer this: {q}
    May I ask you something? {q}
    Which is {it}?
    I am asked for {it}. What is right?
    Let me hear {it}.
    People say that you know {it}. What is it?
    Think of {it}. What is it?
    I cannot remember {it}. Please tell me.
    Somebody in Applebrook should know this: {q}
    A friend wants to know {it}.
    What is {it}, please?
    Could you tell me {it}?
    Everyone in Applebrook knows {it}. Say it.
    {q} I really want to know.
    {q} Say it in a word or two.
    Here is a question for you: {q}
    It is about {it} that I ask. What is it?
    The answer that I need is {it}.
    If you know {it}, tell me.
    Write the answer. {q}
    We speak of {it}. What is it?
    """,
    """
    Complete this: {it} is
    Could you help me with one thing? {q}
    What would you answer if I wanted to know {it}?
    Just for me, name {it}.
    I must find out {it}.
    The next question goes like this. {q}
    """,
    """
    {It}?
    Hey you, I just cannot think of it, I mean {it}, so what was that again?
    quick answer, {it}
    What they all say {it} is, that I seek.
    So, you who know everything in this place, {it} would be what?
    """,
)

KINDS = (Kind("fact", _fact, _WORDINGS),)
