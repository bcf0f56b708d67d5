"""State: a story, and a question about how things went or how they stand at its end."""

import re

from shared.tinyworld.grammar import NUMBERS, past
from shared.tinyworld.people import EVERYONE
from shared.tinyworld.questions import Question, questions
from shared.tinyworld.rng import Rng
from shared.tinyworld.stories import story
from shared.tinyworld.world import FEELINGS

from .kind import Kind, Made, wordings
from .reading import sentences

_LONGEST = 300  # words of a story, so that it fits into the context of a small model
_LONGEST_SENTENCE = 25
_DID = re.compile(r"(What|Where|How) did (.+?) (\w+)((?: .*)?)\?")
_HOW_MANY = re.compile(r"How many (.+) did (\w+|the \w+) (\w+)((?: in)?)\?")
_WAS = re.compile(r"(What|Where) was (.+?)( like| about| at the end)\?")
_RIDDLE = re.compile(r"What was (the answer to .+)\?")
_WORD = re.compile(r"\w+")


def clause(question: str) -> str:
    """The question inside another sentence: "where Mia found the kite"; "" where it cannot be turned."""
    if match := _HOW_MANY.fullmatch(question):
        return f"how many {match[1]} {match[2]} {past(match[3])}{match[4]}"
    if match := _DID.fullmatch(question):
        return f"{match[1].lower()} {match[2]} {past(match[3])}{match[4]}"
    if match := _RIDDLE.fullmatch(question):
        return f"what {match[1]} was"
    if match := _WAS.fullmatch(question):
        return f"{match[1].lower()} {match[2]} was{match[3]}"
    if question.startswith(("Who ", "What broke", "What got", "How many")):
        return question[0].lower() + question[1:].removesuffix("?")
    return ""


def sort_of(question: str) -> str:
    """The sort of a question: who, where, feeling, number, weather or thing."""
    for start, sort in (("Who ", "who"), ("Where ", "where"), ("How many", "number"), ("How did", "feeling")):
        if question.startswith(start):
            return sort
    return "weather" if "weather" in question else "thing"


def telling(question: Question, text: str) -> str:
    """The sentence of a story that tells the answer: it has the answer and what the question names; "" if none is."""
    answer = question.answer.split()[-1].lower()
    named = {word.lower() for word in _WORD.findall(question.text)[1:]} - _COMMON
    best, most = "", 0
    for sentence in sentences(text):
        words = {word.lower() for word in _WORD.findall(sentence)}
        if answer in words and len(sentence.split()) <= _LONGEST_SENTENCE:
            shared = len(named & words) or ("weather" in named)
            if shared and shared >= most:
                best, most = sentence, shared
    return best


_COMMON = frozenset(
    "did was the what where who how many a to of at end had has have feel go last find found gave give like about in "
    "were they it on get got eat and is".split()
)


def _state(rng: Rng, split: str) -> Made:
    while True:
        told = story(rng, split)
        if len(told.text.split()) > _LONGEST:
            continue
        for question in rng.shuffled(questions(told.events, told.text)):
            ask, tells = clause(question.text), telling(question, told.text)
            if ask and tells:
                sort = sort_of(question.text)
                fills = {"story": told.text, "q": question.text, "ask": ask, "kind": sort}
                # The opening is in this split, and with it all that is asked about the story.
                key = told.text.split("\n", 1)[0]
                chance = 1 / max(1, _candidates(sort, told.text, told.events))
                return Made(key, fills, question.answer, chance, tells.rstrip(".!?"), _also(question.answer))


def _candidates(sort: str, text: str, events: tuple[tuple[str, ...], ...]) -> int:
    """Among how many answers of the right sort a reader would guess who did not understand the story."""
    words = set(_WORD.findall(text))
    match sort:
        case "who":
            return sum(name in words for name in EVERYONE)
        case "feeling":
            return sum(feeling in words for feeling in FEELINGS)
        case "number":
            return sum(number in {word.lower() for word in words} for number in NUMBERS[1:])
        case "weather":
            return 6
        case _:
            return len(
                {part for event in events for part in event[1:] if part not in EVERYONE and part in text}
            )


def _also(answer: str) -> tuple[str, ...]:
    """Other ways to write the answer: with another article or none, in digits."""
    if answer in NUMBERS:
        return (str(NUMBERS.index(answer)),)
    if answer.startswith("the "):
        bare = answer.removeprefix("the ")
        noun = bare.split()[-1]
        return (bare, f"a {bare}", f"an {bare}", f"some {bare}", noun, f"the {noun}")
    return (answer.removeprefix("to "), answer.removeprefix("to the ")) if answer.startswith("to ") else ()


_WORDINGS = wordings(
    """
    {story}/{q}
    {story}/Now a question. {q}
    Read this story./{story}/{q}
    {story}/Tell me {ask}.
    Here is a story./{story}/Do you know {ask}?
    {story}/What does the story tell? {q}
    Read the story and answer the question. {q}/{story}
    {story}/I want to know {ask}.
    Somebody told me this./{story}/{q}
    {story}/Please say {ask}.
    The question is: {q} The story is this./{story}
    {story}/Did you read it well? {q}
    Listen to this story, and then tell me {ask}./{story}
    {story}/From the story, say {ask}.
    A story:/{story}/A question:/{q}
    {story}/Can you tell me {ask}?
    I have read this./{story}/Now I ask you {ask}.
    Look for the answer in this story. {q}/{story}/{q}
    {story}/Answer in a few words. {q}
    In this story, find out {ask}./{story}
    """,
    """
    {story}/That is the whole story. Now say {ask}.
    When you have read what follows, answer this. {q}/{story}
    {story}/Somebody who listened can say {ask}.
    This is what happened./{story}/What I need to know is {ask}.
    Take this story:/{story}/It answers one question. {q}
    """,
    """
    {story}/So, {ask}?
    Ah, a story! {story}/I was asleep half of the time, so remind me, {ask}?
    Wanted: {ask}/{story}
    {story}/And {ask}, that you shall now say.
    """,
)

KINDS = (Kind("story", _state, _WORDINGS),)
