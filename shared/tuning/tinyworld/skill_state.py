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


def _past(verb: str) -> str:
    return {"pay": "paid", "cost": "cost"}.get(verb) or past(verb)


def clause(question: str) -> str:
    """The question inside another sentence: "where Mia found the kite"; "" where it cannot be turned."""
    if match := _HOW_MANY.fullmatch(question):
        return f"how many {match[1]} {match[2]} {_past(match[3])}{match[4]}"
    if match := _DID.fullmatch(question):
        return f"{match[1].lower()} {match[2]} {_past(match[3])}{match[4]}"
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
    """The sentence of a story that tells the answer: it has the answer and what the question names; "" if none is.

    How a thing ends is told where it is last spoken of: if the answer is not in that sentence, none tells it.
    """
    answer = question.answer.split()[-1].lower()
    named = set(_words(clause(question.text))) - _COMMON
    of_thing = re.search(r"(\w+) at the end", question.text)
    last = of_thing[1].lower() if of_thing and question.text.startswith(("Who had", "Where was")) else ""
    best, most = "", 0
    for sentence in sentences(text):
        words = set(_words(sentence))
        if answer in words and len(sentence.split()) <= _LONGEST_SENTENCE:
            shared = len(named & words) or int("weather" in named)
            if shared and shared >= most:
                best, most = sentence, shared
        if last and last in words and (answer not in words or sentence != best):
            best, most = "", 0
    return best


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


_COMMON_WORDS = "what where who how many a to of at the end had was felt went last like about in it on"
_COMMON = frozenset(_COMMON_WORDS.split())


def _state(rng: Rng, split: str) -> Made:
    while True:
        told = story(rng, split)
        if len(told.text.split()) > _LONGEST:
            continue
        asked = rng.shuffled(questions(told.events, told.text))
        # A story has more feelings than anything else: a sort is chosen first, and then a question of that sort.
        first = rng.shuffled(sorted({sort_of(question.text) for question in asked}))
        for question in sorted(asked, key=lambda one: first.index(sort_of(one.text))):
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
    {story}/Answer this: {q}
    {story}/Say {ask}.
    This story was told in the evening./{story}/Now somebody asks you: {q}
    {story}/If you have read it, tell me {ask}.
    Read first, answer then./{story}/{q}
    {story}/My question about the story: {q}
    I will ask you {ask}. Here is the story./{story}
    Find out {ask}. Read this./{story}
    {story}/The story tells {ask}. Say it.
    {story}/One question about that. {q}
    Once you have read this, you will know {ask}. Tell me./{story}
    {story}/Do you remember {ask}?
    Here a story begins./{story}/Here it ends. {q}
    {q} You find the answer here./{story}
    {story}/I did not understand one thing. {q}
    {story}/Could you tell me {ask}?
    Somebody wants to know {ask}. The story tells it./{story}
    {story}/Think about the story. {q}
    Please read the story slowly./{story}/Please tell me {ask}.
    {story}/The teacher asks the class: {q}
    {story}/With one or two words, say {ask}.
    Keep this question in mind: {q}/{story}/Now answer it.
    From a book:/{story}/{q}
    {story}/I would like to hear {ask}.
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
