"""The facts of tinyworld as things to ask for: "the favourite food of Mia", and which answers are right."""

from dataclasses import dataclass
from functools import cache

from shared.tinyworld.facts import Fact, all_facts
from shared.tinyworld.grammar import article, number_word, with_article

# {s} is whom or what the fact is about, {a} the same with its article, {k} the kin, {m} what somebody does.
_PHRASES = {
    "age": "the age of {s}", "home": "the home of {s}", "relative": "the name of {s}'s {k}",
    "pet": "the name of {s}'s pet", "food": "the favourite food of {s}", "drink": "the favourite drink of {s}",
    "colour": "the favourite colour of {s}", "hobby": "the hobby of {s}", "fear": "the fear of {s}",
    "dream": "the dream of {s}", "month": "the birthday month of {s}", "name": "the name of the {s}",
    "job": "the job of {s}", "workplace": "the place where {s} works", "species": "the kind of animal that {s} is",
    "owner": "the owner of {s}", "bed": "the bed of {s}", "habit": "what {s} likes to do", "lair": "the home of {s}",
    "prey": "the favourite food of {s}", "pastime": "the favourite pastime of {s}",
    "baby animal": "the name of a young {s}", "animal home": "the home of {a}", "animal sound": "the sound of {a}",
    "legs": "the number of legs of {a}", "when it sleeps": "the time when {a} sleeps",
    "what it gives": "what {a} gives us", "made of": "what {s} is made from", "use": "the use of {a}",
    "colour of it": "the colour of {s}", "where it is sold": "the place where {s} is sold",
    "season": "the season when {s}", "who does it": "the name of somebody who {m}", "number": "the number of {s}",
    "shape": "the shape of {a}", "feel": "the feel of {s}",
}  # fmt: skip
_NUMBERS = {number_word(n): str(n) for n in range(101)}
# Kinds of facts for which another's answer is plainly wrong.
_CLEAR = (
    "age", "home", "relative", "pet", "food", "colour", "month", "name", "owner", "baby animal", "animal sound",
    "colour of it", "number", "hobby", "fear", "dream", "workplace", "prey", "lair",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """A fact, the phrase for what it tells, how often a guess is right, and other ways to write the answer."""

    fact: Fact
    phrase: str
    chance: float
    also: tuple[str, ...]


@cache
def asked() -> tuple[Asked, ...]:
    """Every fact of the world as something to ask for, in a fixed order."""
    answers: dict[str, set[str]] = {}
    for fact in all_facts():
        answers.setdefault(fact.kind, set()).add(fact.answer)
    return tuple(Asked(fact, _phrase(fact), 1 / len(answers[fact.kind]), _also(fact)) for fact in all_facts())


def _phrase(fact: Fact) -> str:
    first = fact.questions[0].removesuffix("?")
    kin = first.rsplit("'s ", 1)[-1] if fact.kind == "relative" else ""
    does = first.removeprefix("Who ") if fact.kind == "who does it" else ""
    return _PHRASES[fact.kind].format(s=fact.subject, a=with_article(fact.subject), k=kin, m=does)


def _also(fact: Fact) -> tuple[str, ...]:
    answer = fact.answer
    if answer in _NUMBERS:
        return (_NUMBERS[answer],)
    if fact.kind == "owner" and " and " in answer:
        one, two = answer.split(" and ")
        return (f"{two} and {one}",)
    if answer == "no":
        return ("none", "zero", "0")
    for start in ("a ", "an ", "the ", "in ", "on ", "at "):
        if answer.startswith(start):
            return (answer.removeprefix(start),)
    return ()


@cache
def wrong_answers(fact: Fact) -> tuple[str, ...]:
    """Answers to the same question about others that are wrong here and take the same article."""
    return tuple(
        sorted(
            {
                other.answer
                for other in all_facts()
                if other.kind == fact.kind
                and other.subject != fact.subject
                and other.answer not in (fact.answer, fact.subject)
                and article(other.answer) == article(fact.answer)
            }
        )
    )


@cache
def clear_facts() -> tuple[Asked, ...]:
    """Facts that can be stated wrongly: another's answer fits into the sentence, and is plainly false."""
    return tuple(
        one for one in asked()
        if one.fact.kind in _CLEAR and wrong_answers(one.fact) and _statements(one.fact)
    )  # fmt: skip


@cache
def _statements(fact: Fact) -> tuple[str, ...]:
    return tuple(line for line in fact.statements if line.count(fact.answer) == 1)


def stated(fact: Fact, number: int, answer: str) -> str:
    """One of the statements of a fact, with this answer in place of the right one."""
    lines = _statements(fact)
    return lines[number % len(lines)].replace(fact.answer, answer)
