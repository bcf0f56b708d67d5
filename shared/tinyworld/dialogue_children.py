"""What two children talk about: each function gives some turns of their talk."""

from . import people
from .grammar import capital, with_article
from .people import Person
from .places import VILLAGE_PLACES
from .rng import Rng
from .things import pick

Turn = tuple[str, str]


def _options(rng: Rng, *options: str) -> str:
    return rng.choose(options)


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
        (b.name, _options(rng, f"{capital(yours)}! And you?", f"{capital(yours)}, of course. What about "
            f"you?")),
        (a.name, _options(rng, f"I like {mine} best.", f"For me it is {mine}.", f"Nothing is better than "
            f"{mine}.")
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
        (a.name, f"At {n} o'clock. " + _options(rng, f"Bring some {b.food}." if b.food != "fish" else
        "Bring a cake.",
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
        (b.name, f"{he} is fine. {he} likes {pet.hobby}." if rng.chance(0.5) else f"Very well. {he} is in "
            f"{pet.home}."
         if "perch" not in pet.home else f"Very well. {he} is on {pet.home}."),
        (a.name, _options(rng, f"What a good {pet.species}!", f"I would like {with_article(pet.species)} "
            f"too.",
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
    work = _options(rng, "carry the wood", "wash the windows", "sweep the yard", "pick the beans",
    "clean the boat", "find the cat",
                    "peel the potatoes", "water the flowers", "hang up the washing", "paint the gate",
                    "stack the chairs")  # fmt: skip
    ask = (
        a.name,
        _options(rng, f"Can you help me to {work}?", f"I have to {work}. Will you help me, please?"),
    )
    if rng.chance(0.3):
        return [
            ask,
            (b.name, _options(rng, "Sorry, not today. Perhaps tomorrow.", "I cannot. I must go home.")),
            (
                a.name,
                _options(rng, "Never mind.", "Then I will ask somebody else.", "All right, tomorrow then."),
            ),
        ]
    return [
        ask,
        (
            b.name,
            _options(
                rng, "Of course. What shall I do first?", "Gladly! Where do we begin?", "With pleasure."
            ),
        ),
        (a.name, _options(rng, "That is kind of you.", "Thank you so much.", "You are a good friend.")),
    ]


def _guess(rng: Rng, a: Person, b: Person) -> list[Turn]:
    n = rng.integer(6, 30)
    low, high = n - rng.integer(1, 5), n + rng.integer(1, 5)
    return [
        (a.name, _options(rng, "Guess my number!", "I am thinking of a number. What is it?")),
        (b.name, f"Is it {low}?"),
        (a.name, "No, it is bigger."),
        (b.name, f"Is it {high}?"),
        (a.name, "No, it is smaller than that."),
        (b.name, f"Then it is {n}!"),
        (a.name, _options(rng, "Right!", "Yes! How did you know?", "That is it!")),
    ]


TOPICS = (_where_to, _borrow, _likes, _seen, _invite, _fear, _pets, _dreams, _help, _guess)
