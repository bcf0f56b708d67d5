"""Skills over what was read: facts of the world, something said long before, a story's state, yes or no."""

import re
from functools import cache

from .facts import Fact, all_facts
from .grammar import article
from .people import CHILDREN
from .questions import questions
from .rng import Rng
from .splits import in_split
from .stories import story
from .sums import addends
from .words import CATEGORIES, OPPOSITES

Made = tuple[str, str, int | None]

_SENTENCE = re.compile(r"(?<=[.!?])[ \n]|(?<=[.!?]\")[ \n](?=[A-Z\"])")
_WORDS = tuple(w for kind in ("bird", "fruit", "tool", "instrument", "vehicle", "flower", "tree", "metal")
               for w in CATEGORIES[kind])  # fmt: skip
# Each: what is told, how it is asked for, and where the answer comes from.
_SECRETS = (
    ("The secret word of {n} is {x}.", ("What is the secret word of {n}?", "Which secret word does {n} "
        "have?"), "word"),
    ("{n}'s locker has the number {x}.", ("Which number does {n}'s locker have?", "What is the number of "
        "{n}'s locker?"), "number"),
    ("The parcel for {n} is in room {x}.", ("In which room is the parcel for {n}?", "Which room has the "
        "parcel for {n}?"), "number"),
    ("{n}'s ticket says {x}.", ("What does {n}'s ticket say?", "What stands on {n}'s ticket?"), "word"),
    ("Tonight {n} will dress up as a {x}.", ("What will {n} dress up as tonight?", "As what will {n} dress "
        "up?"), "job"),
    ("{n} has seat {x} on the bus.", ("Which seat does {n} have on the bus?", "What is {n}'s seat on the "
        "bus?"), "number"),
    ("{n}'s umbrella is {x}.", ("What colour is {n}'s umbrella?", "Which colour does {n}'s umbrella have?"),
    "colour"),
    ("The code for {n}'s box is {x}.", ("What is the code for {n}'s box?", "Which code opens {n}'s box?"),
    "number"),
)  # fmt: skip
_JOBS = tuple(job for job in CATEGORIES["job"] if article(job) == "a")


def words_of(text: str) -> list[str]:
    """The words of a text, lower-cased, without the punctuation around them: what distances are counted in."""
    return [word.strip(".,!?'\":;-").lower() for word in text.split()]


def distance_to(answer: str, text: str) -> int:
    """Words after the last place in the text where the answer's last word stands."""
    words, last = words_of(text), words_of(answer)[-1]
    for back, word in enumerate(reversed(words)):
        if word in (last, last + "'s"):
            return back
    return len(words)


def recall(rng: Rng, split: str) -> Made:
    """A fact of the world."""
    del split
    fact = rng.choose(all_facts())
    return rng.choose(fact.questions), fact.answer, None


def _secret(rng: Rng, source: str) -> str:
    if source == "number":
        return str(rng.integer(2, 99))
    return rng.choose({"word": _WORDS, "job": _JOBS, "colour": CATEGORIES["colour"]}[source])


def retrieval(rng: Rng, split: str) -> Made:
    """Something said 50 to 400 words before the question, with a story in between."""
    size = rng.integer(44, 380)
    filler = _filler(rng, split, size)
    while True:
        prompt, answer, distance = _hidden(rng, filler)
        if 50 <= distance <= 400 and in_split(prompt, split):
            return prompt, answer, distance


def _filler(rng: Rng, split: str, size: int) -> str:
    """Sentences of stories, of about `size` words but not more."""
    out: list[str] = []
    count = 0
    while True:
        for sentence in _SENTENCE.split(story(rng, split).text):
            words = len(sentence.split())
            if count + words > size:
                # Too short a filler would leave the answer too near: then a later sentence may fit.
                if count >= 44:
                    return " ".join(out)
                continue
            out.append(sentence)
            count += words


def _hidden(rng: Rng, filler: str) -> tuple[str, str, int]:
    """A secret told before the filler, and asked for after it."""
    told, asks, source = rng.choose(_SECRETS)
    a, b = rng.sample(CHILDREN, 2)
    answer = _secret(rng, source)
    before, after = told.format(n=a.name, x="\0").split("\0")
    head, tail = f"Remember: {before}", f"{after}"
    if rng.chance(0.5):
        # Somebody else's, which must not be taken for it.
        other = _secret(rng, source)
        if other == answer:
            return _hidden(rng, filler)
        decoy = told.format(n=b.name, x=other)
        if rng.chance(0.5):
            head = f"Remember: {decoy} {before}"
        else:
            tail = f"{after} {decoy}"
    question = rng.choose(asks).format(n=a.name)
    rest = f"{tail}\n{filler}\n{question}"
    # What follows the answer without a space, its full stop, is no word of its own.
    return f"{head}{answer}{rest}", answer, len(rest.split()) - (not rest[0].isspace())


def state(rng: Rng, split: str) -> Made:
    """A story, and a question about how things stand in it."""
    while True:
        told = story(rng, split)
        for question in rng.shuffled(questions(told.events, told.text)):
            prompt = f"{told.text}\n{question.text}"
            if in_split(prompt, split):
                return prompt, question.answer, distance_to(question.answer, prompt)


# Kinds of facts for which another's answer is plainly wrong.
_CLEAR = ("age", "home", "relative", "pet", "food", "colour", "month", "name", "owner", "baby animal",
"animal sound",
          "colour of it", "number", "hobby", "fear", "dream", "workplace", "prey", "lair")  # fmt: skip


def yes_no(rng: Rng, split: str) -> Made:
    """Whether a statement holds: about the world, a sum, who has a thing, or opposites."""
    del split
    right = rng.chance(0.5)
    answer = "yes" if right else "no"
    kind = rng.integer(0, 4)
    if kind <= 1:
        statement = _statement(rng, right)
        ask = rng.choose(
            ("Is this true? {}", "Yes or no: {}", "True or not, yes or no? {}", "Is that so? {}")
        )
        return ask.format(statement), answer, None
    if kind == 2:
        n, m = addends(rng)
        total = n + m if right else n + m + rng.choose((-2, -1, 1, 2))
        ask = rng.choose(
            ("Is {} plus {} equal to {}?", "Do {} and {} make {}?", "Yes or no: {} plus {} is {}.")
        )
        return ask.format(n, m, total), answer, None
    if kind == 3:
        word, opposite = rng.choose(OPPOSITES)
        if not right:
            opposite = rng.choose([pair for pair in OPPOSITES if word not in pair])[1]
        ask = rng.choose(("Is {} the opposite of {}?", "Are {} and {} opposites?"))
        return ask.format(opposite, word), answer, None
    a, b = rng.sample(CHILDREN, 2)
    thing = rng.choose(CATEGORIES["fruit"] + CATEGORIES["tool"][:6])
    who = b if right else a
    ask = rng.choose(("{a} has the {t} and gives it to {b}. Does {w} have the {t} now?",
                      "{b} takes the {t} from {a}. Has {w} got the {t}?",
                      "First {a} held the {t}, then {b} got it. Does {w} have it now?"))  # fmt: skip
    return ask.format(a=a.name, b=b.name, t=thing, w=who.name), answer, None


def _statement(rng: Rng, right: bool) -> str:
    """A statement of a fact, or the same with another fact's answer in it."""
    while True:
        fact = rng.choose(all_facts())
        statement = rng.choose(fact.statements)
        if fact.kind not in _CLEAR or statement.count(fact.answer) != 1:
            continue
        if right:
            return statement
        others = _others(fact)
        if others:
            return statement.replace(fact.answer, rng.choose(others))


@cache
def _others(fact: Fact) -> tuple[str, ...]:
    """Answers of the same kind that are wrong here, and take the same article."""
    return tuple(
        other.answer
        for other in all_facts()
        if other.kind == fact.kind
        and other.subject != fact.subject
        and other.answer not in (fact.answer, fact.subject)
        and article(other.answer) == article(fact.answer)
    )
