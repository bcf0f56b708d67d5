"""Dialogues: a user and an assistant about the world, or two children. Consistent with the world's facts."""

from collections.abc import Iterator
from dataclasses import dataclass

from . import people
from .facts import Fact, all_facts
from .grammar import capital, with_article
from .people import Person
from .places import VILLAGE_PLACES
from .rng import Rng
from .splits import check_split, in_split
from .sums import addends
from .things import pick
from .words import CATEGORIES, OPPOSITES

Turn = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Turns of (role, content). Roles are "user" and "assistant", or the names of those who speak."""

    messages: tuple[Turn, ...]
    split: str

    @property
    def text(self) -> str:
        """One line a turn: "User: ...", "Mia: ..."."""
        return "\n".join(f"{capital(role)}: {content}" for role, content in self.messages)


def dialogue(index: int, split: str = "train", seed: int = 0) -> Dialogue:
    """Dialogue number `index` of a split and seed."""
    return draw_dialogue(Rng("dialogue", seed, split, index), split)


def dialogues(split: str = "train", seed: int = 0) -> Iterator[Dialogue]:
    """Endless dialogues of a split. Raises ValueError if there is no such split."""
    check_split(split)

    def stream() -> Iterator[Dialogue]:
        index = 0
        while True:
            yield dialogue(index, split, seed)
            index += 1

    return stream()


def draw_dialogue(rng: Rng, split: str) -> Dialogue:
    """A dialogue that belongs to the split: draws until one does."""
    while True:
        turns = _assistant(rng) if rng.chance(0.5) else _children(rng)
        made = Dialogue(tuple(turns), split)
        if in_split(made.text, split):
            return made


def _options(rng: Rng, *options: str) -> str:
    return rng.choose(options)


def _assistant(rng: Rng) -> list[Turn]:
    """A user asks, an assistant answers: two to four exchanges."""
    turns: list[Turn] = []
    if rng.chance(0.3):
        turns.append(("user", _options(rng, "Hello!", "Good morning.", "Hi there!", "Good evening.")))
        turns.append(("assistant", _options(rng, "Hello! What can I do for you?", "Good to see you. How can I help?",
                                            "Hello! What would you like to know?")))  # fmt: skip
    for number in range(rng.integer(2, 4)):
        make = rng.choose(
            (_about_somebody, _about_somebody, _about_nature, _sum, _opposite, _correction, _sort)
        )
        turns.extend(make(rng, number > 0))
    if rng.chance(0.5):
        turns.append(
            (
                "user",
                _options(rng, "Thank you.", "Thanks a lot!", "That helps, thank you.", "Very good, thanks."),
            )
        )
        turns.append(("assistant", _options(rng, "You are welcome.", "I am glad that I could help.", "Gladly.",
                                            "You are welcome. Come back soon!")))  # fmt: skip
    return turns


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
    if rng.chance(0.5):
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
        ("user", _lead(rng, later, f"Please sort these words: {', '.join(words)}.")),
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
        ("user", _lead(rng, later, _options(rng, f"Is this right? {said}", f"Somebody told me this: {said} Is it true?",
                                            f"I think I know this one. {said}"))),
        ("assistant", _options(rng, f"No, that is not quite right. {statement}", f"I am afraid not. {statement}",
                               f"Not quite. {statement}")),
    ]  # fmt: skip


def _children(rng: Rng) -> list[Turn]:
    """Two children talk: a greeting, one or two matters, a farewell."""
    a, b = rng.sample(people.CHILDREN, 2)
    turns: list[Turn] = []
    if rng.chance(0.7):
        turns.append((a.name, _options(rng, f"Hello, {b.name}!", f"Good morning, {b.name}.", f"Hey, {b.name}!",
                                       f"{b.name}, wait for me!", f"There you are, {b.name}!")))  # fmt: skip
        turns.append((b.name, _options(rng, f"Hello, {a.name}! How are you?", f"Oh, hello, {a.name}!", "Hello! Nice to see you.",
                                       f"{a.name}! I was just looking for you.")))  # fmt: skip
    for make in rng.sample(
        (_where_to, _borrow, _likes, _seen, _invite, _fear, _pets, _dreams, _help, _guess), rng.integer(1, 3)
    ):
        turns.extend(make(rng, a, b))
    if rng.chance(0.6):
        turns.append((a.name, _options(rng, "I have to go now. Goodbye!", "See you tomorrow!", "My mother is calling. Goodbye!"
                                       if a.name != "Zoe" else "I must go home. Goodbye!", "Until later!")))  # fmt: skip
        turns.append(
            (
                b.name,
                _options(rng, f"Goodbye, {a.name}!", "See you soon!", "Take care!", f"Until then, {a.name}."),
            )
        )
    return turns


def _where_to(rng: Rng, a: Person, b: Person) -> list[Turn]:
    place = rng.choose(VILLAGE_PLACES)
    thing = pick(rng, rng.choose(("toy", "tool", "book", "clothing")), [])
    verb = "are" if thing.plural else "is"
    return [
        (a.name, _options(rng, "Where are you going?", "Where are you off to?", "What are you doing today?")),
        (b.name, f"I am going {place.to}. My {thing.label} {verb} still there."),
        (a.name, _options(rng, "May I come with you?", "Shall I help you carry?", "Wait, I will come too.")),
        (
            b.name,
            _options(
                rng, "Of course, come along!", "Gladly. Let us go.", "Yes, please. Two are better than one."
            ),
        ),
    ]


def _borrow(rng: Rng, a: Person, b: Person) -> list[Turn]:
    thing = pick(rng, rng.choose(("tool", "toy", "book")), [])
    day = _options(rng, "tomorrow", "on Friday", "on Sunday", "tonight", "next week")
    it = "them" if thing.plural else "it"
    return [
        (
            a.name,
            _options(
                rng, f"May I borrow your {thing.label}?", f"Could you lend me your {thing.label}, please?"
            ),
        ),
        (b.name, _options(rng, f"Yes, but bring {it} back {day}.", f"Of course. I need {it} back {day}.")),
        (
            a.name,
            _options(
                rng,
                f"I promise. {capital(day)} you will have {it} again.",
                f"Thank you! I will be careful with {it}.",
            ),
        ),
    ]


def _likes(rng: Rng, a: Person, b: Person) -> list[Turn]:
    ask, mine, yours = rng.choose((
        ("What do you like to eat best?", a.food, b.food), ("What is your favourite colour?", a.colour, b.colour),
        ("What do you like to do?", a.hobby, b.hobby),
    ))  # fmt: skip
    return [
        (a.name, ask),
        (b.name, _options(rng, f"{capital(yours)}! And you?", f"{capital(yours)}, of course. What about you?")),
        (a.name, _options(rng, f"I like {mine} best.", f"For me it is {mine}.", f"Nothing is better than {mine}.")
         if mine != yours else "The same as you!"),
    ]  # fmt: skip


def _seen(rng: Rng, a: Person, b: Person) -> list[Turn]:
    thing = pick(rng, rng.choose(("toy", "clothing", "treasure")), [])
    spot = rng.choose(rng.choose(VILLAGE_PLACES).spots)
    it, they, verb = ("them", "they", "are") if thing.plural else ("it", "it", "is")
    return [
        (a.name, _options(rng, f"Have you seen my {thing.label}?", f"I cannot find my {thing.label}.")),
        (
            b.name,
            _options(rng, f"Yes, {they} {verb} {spot}.", f"I saw {it} {spot}.", f"Have you looked {spot}?"),
        ),
        (
            a.name,
            _options(
                rng,
                "You are right! Thank you.",
                f"There {they} {verb}! What would I do without you?",
                "What luck! Thanks.",
            ),
        ),
    ]


def _invite(rng: Rng, a: Person, b: Person) -> list[Turn]:
    n = rng.integer(2, 9)
    what = _options(
        rng, "my birthday party", "the puppet show", "supper", "a picnic", "the bonfire", "the concert"
    )
    return [
        (a.name, f"Would you like to come to {what}?"),
        (b.name, _options(rng, "Yes, please! When does it begin?", "I would love to. At what time?")),
        (a.name, f"At {n} o'clock. " + _options(rng, f"Bring some {b.food}." if b.food != "fish" else "Bring a cake.",
                                               "Come hungry!", "Do not be late!")),
        (b.name, f"At {n} o'clock. " + _options(rng, "I will be there.", "Good, I will not forget.")),
    ]  # fmt: skip


def _fear(rng: Rng, a: Person, b: Person) -> list[Turn]:
    return [
        (
            a.name,
            _options(
                rng,
                "Are you ever afraid?",
                "What are you afraid of?",
                "Is there anything that frightens you?",
            ),
        ),
        (
            b.name,
            f"{_options(rng, 'Only of', 'Yes, of', 'A little, of')} {b.fear}. "
            + _options(rng, "And you?", "Do not laugh!"),
        ),
        (
            a.name,
            _options(
                rng,
                f"I am afraid of {a.fear}.",
                f"With me it is {a.fear}.",
                f"I do not laugh. I am afraid of {a.fear}.",
            ),
        ),
    ]


def _pets(rng: Rng, a: Person, b: Person) -> list[Turn]:
    pet = people.EVERYONE[b.pet]
    he = capital(pet.pronoun)
    return [
        (a.name, _options(rng, f"How is {pet.name}?", f"What is {pet.name} doing?", f"Is {pet.name} well?")),
        (b.name, f"{he} is fine. {he} likes {pet.hobby}." if rng.chance(0.5) else f"Very well. {he} is in {pet.home}."
         if "perch" not in pet.home else f"Very well. {he} is on {pet.home}."),
        (a.name, _options(rng, f"What a good {pet.species}!", f"I would like {with_article(pet.species)} too.",
                          f"Give {pet.name} my love.")),
    ]  # fmt: skip


def _dreams(rng: Rng, a: Person, b: Person) -> list[Turn]:
    return [
        (a.name, _options(rng, "What do you want to be one day?", "What would you like to become?")),
        (
            b.name,
            f"{capital(with_article(b.dream))}. " + _options(rng, "And you?", "What do you want to be?"),
        ),
        (
            a.name,
            _options(
                rng, f"I want to be {with_article(a.dream)}.", f"For me, it must be {with_article(a.dream)}."
            ),
        ),
    ]


def _help(rng: Rng, a: Person, b: Person) -> list[Turn]:
    work = _options(rng, "carry the wood", "wash the windows", "sweep the yard", "pick the beans", "clean the boat", "find the cat",
                    "peel the potatoes", "water the flowers", "hang up the washing", "paint the gate", "stack the chairs")  # fmt: skip
    return [
        (
            a.name,
            _options(rng, f"Can you help me to {work}?", f"I have to {work}. Will you help me, please?"),
        ),
        (
            b.name,
            _options(
                rng,
                "Of course. What shall I do first?",
                "Gladly! Where do we begin?",
                "Sorry, not today. Perhaps tomorrow.",
            ),
        ),
        (a.name, _options(rng, "That is kind of you.", "Thank you for saying so.", "You are a good friend.")),
    ]


def _guess(rng: Rng, a: Person, b: Person) -> list[Turn]:
    n = rng.integer(2, 20)
    low, high = n - rng.integer(1, 4), n + rng.integer(1, 5)
    return [
        (a.name, _options(rng, "Guess my number!", "I am thinking of a number. What is it?")),
        (b.name, f"Is it {low}?"),
        (a.name, "No, it is bigger."),
        (b.name, f"Is it {high}?"),
        (a.name, "No, it is smaller than that."),
        (b.name, f"Then it is {n}!"),
        (a.name, _options(rng, "Right!", "Yes! How did you know?", "That is it!")),
    ]
