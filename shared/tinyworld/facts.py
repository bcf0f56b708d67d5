"""Facts of the world: how each is stated, how it can be asked for, and the answer."""

from dataclasses import dataclass
from functools import cache

from . import people
from .fact_tables import NATURE
from .grammar import capital, listed, number_word, with_article
from .people import Person
from .rng import Rng


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact. `kind` groups facts whose answers could be mistaken for each other."""

    subject: str
    kind: str
    statements: tuple[str, ...]
    questions: tuple[str, ...]
    answer: str


def _options(template: str, **refs: str) -> tuple[str, ...]:
    return tuple(capital(line.strip().format(**refs)) for line in template.split("|"))


def _fact(who: str, kind: str, answer: str, statements: str, questions: str, **refs: str) -> Fact:
    refs = {"n": who, "x": answer, **refs}
    return Fact(who, kind, _options(statements, **refs), _options(questions, **refs), answer)


def _child(p: Person) -> list[Fact]:
    mother, father = ("grandmother", "grandfather") if p.name == "Zoe" else ("mother", "father")
    kin = {"he": "brother", "she": "sister"}
    sibling = people.sibling(p)
    his = {"he": "his", "she": "her"}[p.pronoun]
    pet = people.EVERYONE[p.pet]
    make = [
        _fact(p.name, "age", number_word(p.age), "{n} is {x} years old.|{n} is {x}.",
              "How old is {n}?|What is the age of {n}?|How many years old is {n}?|What is {n}'s age?"),
        _fact(p.name, "home", p.home, "{n} lives in {x}.|{n}'s home is {x}.|The home of {n} is {x}.",
              "Where does {n} live?|Which house is {n}'s home?|In which house does {n} live?|What is {n}'s "
              "home?"),
        _fact(p.name, "relative", p.family[0], "{n}'s {k} is called {x}.|{x} is {n}'s {k}.|The name of "
            "{n}'s {k} is {x}.",
              "Who is {n}'s {k}?|What is the name of {n}'s {k}?|What is {n}'s {k} called?", k=mother),
        _fact(p.name, "relative", p.family[1], "{n}'s {k} is called {x}.|{x} is {n}'s {k}.|The name of "
            "{n}'s {k} is {x}.",
              "Who is {n}'s {k}?|What is the name of {n}'s {k}?|What is {n}'s {k} called?", k=father),
        _fact(p.name, "pet", p.pet, "{n}'s pet is called {x}.|{n} has {s} named {x}.|{n} and {h} {t} {x} "
            "are good friends.",
              "What is the name of {n}'s pet?|What is {n}'s pet called?|Which pet does {n} have?", h=his,
              s=with_article(pet.species), t=pet.species),
        _fact(p.name, "food", p.food, "{n}'s favourite food is {x}.|{n} likes to eat {x} best of all.|{n} "
            "loves {x}.",
              "What is {n}'s favourite food?|What does {n} like to eat best?|Which food does {n} love?"),
        _fact(p.name, "colour", p.colour, "{n}'s favourite colour is {x}.|{n} likes the colour {x} best.",
              "What is {n}'s favourite colour?|Which colour does {n} like best?|What colour does {n} like "
              "best?"),
        _fact(p.name, "hobby", p.hobby, "{n}'s hobby is {x}.|{n} likes {x} more than anything.|{n} spends "
            "every free hour {x}.",
              "What is {n}'s hobby?|What does {n} like to do?|Which hobby does {n} have?"),
        _fact(p.name, "fear", p.fear, "{n} is afraid of {x}.|{x} frighten {n}.|What {n} fears most is {x}."
              if p.fear.endswith("s") and p.fear != "high places" else "{n} is afraid of {x}.|What {n} "
                  "fears most is {x}.",
              "What is {n} afraid of?|What frightens {n}?|What does {n} fear?"),
        _fact(p.name, "dream", with_article(p.dream), "{n} wants to be {x}.|One day {n} will be {x}.|{n} "
            "dreams of being {x}.",
              "What does {n} want to be?|What does {n} dream of being?|What would {n} like to become?"),
        _fact(p.name, "month", p.month, "{n}'s birthday is in {x}.|{n} was born in {x}.",
              "When is {n}'s birthday?|In which month was {n} born?|In which month is {n}'s birthday?"),
    ]  # fmt: skip
    if sibling:
        make.append(
            _fact(p.name, "relative", sibling.name, "{n}'s {k} is called {x}.|{x} is {n}'s {k}.",
                  "Who is {n}'s {k}?|What is the name of {n}'s {k}?|What is {n}'s {k} called?", k=kin[sibling.pronoun])
        )  # fmt: skip
    return make


def _adult(p: Person) -> list[Fact]:
    return [
        _fact(p.job, "name", p.name, "The {n} of Applebrook is called {x}.|{x} is the {n}.|The name of the "
            "{n} is {x}.",
              "Who is the {n}?|What is the name of the {n}?|What is the {n} of Applebrook called?"),
        _fact(p.name, "job", p.job, "{n} works as {y}.|{n} is the {x} of Applebrook.|The work of {n} is "
            "that of {y}.",
              "What is {n}'s job?|What does {n} work as?|Which job does {n} have?", y=with_article(p.job)),
        _fact(p.name, "workplace", p.work, "{n} works {x}.|You can find {n} {x}.|By day {n} is {x}.",
              "Where does {n} work?|Where can you find {n} at work?|Where is {n} by day?"),
        _fact(p.name, "home", p.home, "{n} lives in {x}.|{n}'s home is {x}.",
              "Where does {n} live?|What is {n}'s home?|In which house does {n} live?"),
        _fact(p.name, "drink" if p.food == "tea" else "food", p.food,
              "{n} likes to eat {x} best of all.|{n}'s favourite food is {x}."
              if p.food != "tea" else "{n} likes nothing better than {x}.|{n} drinks {x} all day.",
              "What is {n}'s favourite food?|What does {n} like to eat best?|Which food does {n} love?" if p.food !=
              "tea"
              else "What does {n} drink all day?|What is {n}'s favourite drink?"),
        _fact(p.name, "hobby", p.hobby, "{n}'s hobby is {x}.|In the evening {n} enjoys {x}."
              if p.hobby != "model ships" else "{n}'s hobby is {x}.|In the evening {n} works on {x}.",
              "What is {n}'s hobby?|What does {n} enjoy in the evening?|Which hobby does {n} have?"),
    ]  # fmt: skip


def _pet(p: Person) -> list[Fact]:
    owners = [child.name for child in people.CHILDREN if child.pet == p.name]
    return [
        _fact(p.name, "species", p.species, "{n} is {y}.|The {x} named {n} lives in Applebrook.",
              "What kind of animal is {n}?|What animal is {n}?|Which animal is {n}?", y=with_article(p.species)),
        _fact(p.name, "owner", listed(owners), "{n} belongs to {x}.|The {s} {n} is the pet of {x}.",
              "Whose pet is {n}?|Who does {n} belong to?|Who has a pet named {n}?", s=p.species),
        _fact(p.name, "bed", p.home, "{n} sleeps in {x}." if "perch" not in p.home else "{n} sleeps on {x}.",
              "Where does {n} sleep?|Where is {n}'s bed?|Where does {n} spend the night?"),
        _fact(p.name, "habit", p.hobby, "{n} likes {x}.|{n} loves {x}.", "What does {n} like?|What does {n} "
            "love to do?"
              "|What does {n} enjoy?"),
    ]  # fmt: skip


def _creature(p: Person) -> list[Fact]:
    return [
        _fact(p.name, "species", p.species, "{n} is {y}.|In the wood lives {y} named {n}.",
              "What kind of animal is {n}?|What animal is {n}?|Which animal is {n}?", y=with_article(p.species)),
        _fact(p.name, "lair", p.home, "{n}'s home is {x}.|The {s} {n} has {x} for a home.",
              "What is {n}'s home?|Which place is the home of {n}?|What does {n} have for a home?", s=p.species),
        _fact(p.name, "prey", p.food, "{n} eats {x}.|{n}'s favourite food is {x}.",
              "What does {n} eat?|What is {n}'s favourite food?|Which food does {n} love?"),
        _fact(p.name, "pastime", p.hobby, "{n} likes {x}.|{n}'s favourite pastime is {x}.",
              "What does {n} like?|What is {n}'s favourite pastime?|What does {n} enjoy?"),
    ]  # fmt: skip


@cache
def all_facts() -> tuple[Fact, ...]:
    """Every fact of the world, in a fixed order."""
    out: list[Fact] = []
    for group, make in (
        (people.CHILDREN, _child), (people.ADULTS, _adult), (people.PETS, _pet), (people.CREATURES, _creature)
    ):  # fmt: skip
        for person in group:
            out.extend(make(person))
    for table in NATURE:
        for row in table.rows:
            subject, answer = row[0], row[-1]
            refs = {"a": with_article(subject), "s": subject, "x": answer, "m": row[1]}
            out.append(
                Fact(
                    subject,
                    table.kind,
                    _options(table.statements, **refs),
                    _options(table.questions, **refs),
                    answer,
                )
            )
    return tuple(out)


@cache
def _by_subject() -> dict[str, tuple[Fact, ...]]:
    groups: dict[str, list[Fact]] = {}
    for fact in all_facts():
        groups.setdefault(fact.subject, []).append(fact)
    return {subject: tuple(facts) for subject, facts in groups.items()}


@cache
def _nature_by_kind() -> tuple[tuple[Fact, ...], ...]:
    kinds = {table.kind for table in NATURE}
    return tuple(tuple(f for f in all_facts() if f.kind == kind) for kind in sorted(kinds))


def facts_text(rng: Rng) -> str:
    """A paragraph or two of facts: portraits of people, or facts of one kind about the world."""
    lines = []
    for _ in range(rng.integer(2, 3)):
        if rng.chance(0.6):
            lines.append(_portrait(rng))
        else:
            group = rng.choose(_nature_by_kind())
            lines.append(
                " ".join(rng.choose(fact.statements) for fact in rng.sample(group, rng.integer(5, 8)))
            )
    return "\n".join(lines)


def _portrait(rng: Rng) -> str:
    """Somebody's facts, with "he" or "she" for the name in some sentences."""
    person = rng.choose(people.CHILDREN + people.ADULTS + people.CREATURES + people.PETS)
    facts = rng.shuffled(_by_subject()[person.name])[:8]
    sentences: list[str] = []
    clear = False
    for number, fact in enumerate(facts):
        sentence = rng.choose(fact.statements)
        # "She" needs a sentence before it that began with the same person.
        if number and clear and rng.chance(0.6):
            sentence = _with_pronoun(sentence, person)
        clear = sentence.startswith((person.name, "He ", "She ", "His ", "Her "))
        sentences.append(sentence)
    if person.role == "adult":
        sentences.insert(0, rng.choose(_by_subject()[person.job][0].statements))
    return " ".join(sentences)


def _with_pronoun(sentence: str, person: Person) -> str:
    """The sentence with a pronoun for the name it begins with, if it does."""
    name, he = person.name, capital(person.pronoun)
    his = {"he": "His", "she": "Her"}[person.pronoun]
    if sentence.startswith(f"{name}'s "):
        return his + sentence[len(name) + 2 :]
    if sentence.startswith(f"{name} and "):
        return sentence
    if sentence.startswith(f"{name} "):
        return he + sentence[len(name) :]
    return sentence
