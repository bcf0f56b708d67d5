"""What a user asks an assistant: each function gives some turns of their talk."""

from . import people
from .facts import Fact, all_facts
from .grammar import capital
from .people import Person
from .rng import Rng
from .sums import addends
from .words import CATEGORIES, OPPOSITES

Turn = tuple[str, str]


def _options(rng: Rng, *options: str) -> str:
    return rng.choose(options)


def _lead(rng: Rng, later: bool, question: str) -> str:
    if not later:
        return _options(
            rng, question, question, f"I have a question. {question}", f"Tell me, please. {question}"
        )
    return _options(
        rng, question, question, f"One more thing. {question}", f"I see. {question}", f"Good. {question}"
    )


def _about_somebody(rng: Rng, later: bool) -> list[Turn]:
    person = rng.choose(people.CHILDREN + people.ADULTS + people.CREATURES)
    facts = rng.sample([f for f in all_facts() if f.subject == person.name], 2)
    turns = [
        ("user", _lead(rng, later, rng.choose(facts[0].questions))),
        ("assistant", rng.choose(facts[0].statements)),
    ]
    # After a pet or a relative, "she" could be either.
    if facts[0].kind not in ("pet", "relative") and rng.chance(0.5):
        question = rng.choose(facts[1].questions)
        turns += [("user", _follow(question, person)), ("assistant", rng.choose(facts[1].statements))]
    return turns


def _follow(question: str, person: Person) -> str:
    """The question as one that follows: "And what is her hobby?"."""
    his = {"he": "his", "she": "her"}[person.pronoun]
    changed = question.replace(f"{person.name}'s", his)
    if changed == question and f" of {person.name}" not in question:
        him = {"he": "him", "she": "her"}[person.pronoun]
        is_object = question.startswith(("What frightens", "Where can you find"))
        changed = question.replace(person.name, him if is_object else person.pronoun)
    return "And " + changed[0].lower() + changed[1:]


def _about_nature(rng: Rng, later: bool) -> list[Turn]:
    fact = rng.choose([f for f in all_facts() if f.subject not in people.EVERYONE])
    return [
        ("user", _lead(rng, later, rng.choose(fact.questions))),
        ("assistant", rng.choose(fact.statements)),
    ]


def _sum(rng: Rng, later: bool) -> list[Turn]:
    n, m = addends(rng)
    if rng.chance(0.5):
        ask, told = f"How much is {n} plus {m}?", f"{n} plus {m} is {n + m}."
    else:
        ask, told = f"How much is {n + m} minus {m}?", f"{n + m} minus {m} is {n}."
    return [("user", _lead(rng, later, ask)), ("assistant", told)]


def _opposite(rng: Rng, later: bool) -> list[Turn]:
    one, two = rng.shuffled(rng.choose(OPPOSITES))
    return [
        ("user", _lead(rng, later, f"What is the opposite of {one}?")),
        ("assistant", _options(rng, f"The opposite of {one} is {two}.", f"It is {two}.", f"{capital(two)}.")),
    ]


def _sort(rng: Rng, later: bool) -> list[Turn]:
    words = rng.sample(rng.choose(tuple(CATEGORIES.values())), 3)
    return [
        ("user", _lead(rng, later, f"Can you sort these words: {', '.join(words)}?")),
        ("assistant", f"In order they are {', '.join(sorted(words))}."),
    ]


def _correction(rng: Rng, later: bool) -> list[Turn]:
    """The user has something wrong, and is told so politely."""
    fact: Fact = rng.choose(
        [f for f in all_facts() if f.kind in ("food", "colour", "month", "home", "hobby")]
    )
    wrong = rng.choose([f for f in all_facts() if f.kind == fact.kind and f.answer != fact.answer])
    statement = rng.choose([s for s in fact.statements if fact.answer in s])
    said = statement.replace(fact.answer, wrong.answer)
    return [
        ("user", _lead(rng, later, _options(rng, f"Is this right? {said}", f"Somebody told me this: {said} "
            f"Is it true?",
                                            f"I think I know this one. {said}"))),
        ("assistant", _options(rng, f"No, that is not quite right. {statement}", f"I am afraid not. "
            f"{statement}",
                               f"Not quite. {statement}")),
    ]  # fmt: skip


TOPICS = (_about_somebody, _about_somebody, _about_nature, _sum, _opposite, _correction, _sort)
