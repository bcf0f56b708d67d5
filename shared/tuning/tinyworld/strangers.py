"""What Applebrook does not hold: people who do not live there, the wide world, yesterday's dinner."""

from shared.tinyworld.people import ADULTS, CHILDREN, EVERYONE
from shared.tinyworld.rng import Rng
from shared.tinyworld.splits import in_split

# Names that users and their friends have. Nobody in Applebrook is called so.
_NAMES = (
    "Tom Emma Paul Anna David Laura Simon Maria Alice Henry Rose Daniel Julia Martin Sophie Adam Eva Robert Helen Mark "
    "Nelly Thomas Frank Grace George Ruth Philip Betty Andrew Susan Noah Emily Luke Hannah Eric Irma Hans Linda Oliver "
    "Stella Ralph Vera Arthur Marta Edgar Paula Kim Toby Wendy Alan Flora Ned Molly Rita Gus Polly Iris Ken Dora Ron "
    "Gina Ted Nancy Bill Tessa Fred Lola Ray Ines Sven Mona Igor Sara Basil Judy Karen Colin Sally Bert Celia Dennis "
    "Fiona Gary Heidi Jonas Kate Leonard Miriam Norman Odette Percy Quentin Rachel Steven Tina Ursula Vincent Xenia"
)  # fmt: skip

FAMILIAR = tuple(_NAMES.split())

# Of so few names each would be learnt by heart, and one of them said where a user's own has to be copied. So there
# are many more, put together of syllables: a beginning and an end ("Belon"), or a middle between ("Tomira").
_CLOSED = (
    "Bel Kast Torv Malv Vend Darn Silv Pelm Rov Gand Lums Fenn Jorb Nald Tavr Zelk Hult Brim Corv Wend Dovr Yarn Ostr "
    "Ulm"
)
_CLOSED_ENDS = "on i ara eno ika umo ilo eth ora ano iva obi ulan ino eda uri"
_OPEN = "To Be Ka Lu Mi Ne Ra So Ti Va De Fi Go Ja Pe Ri Sa Yo Zu Ha"
_MIDDLES = "mi lo ri sa ne vu da ko"
_OPEN_ENDS = "ra lo ta ni ma ven ko del"


def _composed() -> tuple[str, ...]:
    """All names that the syllables make; no syllable comes twice in a row, and nobody known has one of them."""
    short = [f"{begin}{end}" for begin in _CLOSED.split() for end in _CLOSED_ENDS.split()]
    long = [
        f"{begin}{middle}{end}"
        for begin in _OPEN.split() for middle in _MIDDLES.split() for end in _OPEN_ENDS.split()
        if middle not in (begin.lower(), end)
    ]  # fmt: skip
    made = dict.fromkeys((*short, *long))
    return tuple(name for name in made if name not in EVERYONE and name not in FAMILIAR)


COMPOSED = _composed()
NAMES = FAMILIAR + COMPOSED

# The one sentence in which the assistant says so, and what it must have in it.
DOES_NOT_KNOW = "I do not know that. I only know Applebrook."
KNOWS_NOT = "do not know"

_LANDS = (
    "France Spain Italy Norway Poland Greece India China Japan Egypt Kenya Brazil Peru Chile Canada Mexico Turkey "
    "Iceland Sweden Ireland Scotland Portugal Austria Denmark Cuba Russia Finland Hungary Nepal Iran"
)
_TOWNS = (
    "Paris London Rome Berlin Madrid Oslo Vienna Athens Cairo Tokyo Delhi Moscow Boston Chicago Lisbon Prague Warsaw "
    "Dublin Geneva Milan Munich Lyon Porto Seville Naples Bergen"
)
_THINGS = (
    "a computer, a telephone, an engine, a lightning rod, a battery, a camera, a radio, a fridge, a microscope, "
    "an atom, a volcano, a black hole, a vaccine, a bank loan, a satellite, a submarine, a robot arm, a glacier"
)
_OF_PEOPLE = (
    "How tall is {p}?", "What did {p} eat yesterday?", "What is the shoe size of {p}?",
    "Where was {p} last night?",
    "What did {p} dream of last night?", "How many books does {p} own?", "What will {p} do next year?",
    "Which song does {p} like best?", "How much does {p} weigh?", "What is the telephone number of {p}?",
    "How much money has {p}?", "What did {p} get for the birthday last year?", "Whom will {p} marry?",
    "What is {p} thinking of now?", "Which film did {p} see last?", "What did {p} say this morning?",
)  # fmt: skip
_OF_STRANGERS = (
    "Where does {n} live?", "How old is {n}?", "What is the favourite food of {n}?", "What is {n}'s hobby?",
    "Who is {n}?", "When is {n}'s birthday?", "What is the name of {n}'s dog?", "What does {n} work as?",
    "What is {n} afraid of?", "What is the favourite colour of {n}?", "Who is {n}'s mother?",
    "Where can I find {n}?",
)  # fmt: skip
_OF_LANDS = (
    "What is the capital of {l}?", "Who rules {l}?", "How big is {l}?", "How many people live in {l}?",
    "What do they eat in {l}?", "Which language do they speak in {l}?", "How warm is it in {l}?",
    "Which is the longest river of {l}?",
)  # fmt: skip
_OF_TOWNS = (
    "How far is it to {t}?", "When does the train to {t} leave?", "What can one see in {t}?",
    "How old is {t}?",
    "Who is the mayor of {t}?", "What is the weather like in {t}?",
)  # fmt: skip
_OF_THINGS = ("How does {x} work?", "Who invented {x}?", "What does {x} cost?", "How do I build {x}?")
_OTHER = (
    "What time is it?", "Will it rain tomorrow?", "Who won the last election?",
    "What happened in the news today?",
    "Which day is today?", "How old am I?", "What is the name of my dog?", "Where do I live?",
    "Where did I put my keys?",
    "What is the meaning of life?", "How fast is light?", "Who wrote the longest poem of all?",
    "What does my father do?",
    "How many stars are in the sky?", "What comes after death?", "Who will win the race tomorrow?",
    "What is my sister's name?", "Which number will win the lottery?", "What did I do yesterday?",
    "How deep is the deepest sea?", "What is the best phone to buy?", "How do I cure a fever?",
)  # fmt: skip


def question(rng: Rng, split: str) -> str:
    """A question whose answer nobody in Applebrook could give; each belongs to one split, and so does a name in it."""
    while True:
        match rng.integer(0, 9):
            case 0 | 1 | 2:
                asked = rng.choose(_OF_STRANGERS).format(n=name(rng, split))
            case 3 | 4 | 5:
                asked = rng.choose(_OF_PEOPLE).format(p=rng.choose(CHILDREN + ADULTS).name)
            case 6:
                asked = rng.choose(_OF_LANDS).format(l=rng.choose(_LANDS.split()))
            case 7:
                asked = rng.choose(_OF_TOWNS).format(t=rng.choose(_TOWNS.split()))
            case 8:
                asked = rng.choose(_OF_THINGS).format(x=rng.choose(_THINGS.split(", ")))
            case _:
                asked = rng.choose(_OTHER)
        if in_split(f"unknown {asked}", split):
            return asked


def any_name(rng: Rng) -> str:
    """A name that a user may have, of any split: as often a familiar one as one of the many others."""
    return rng.choose(FAMILIAR if rng.chance(0.5) else COMPOSED)


def name(rng: Rng, split: str) -> str:
    """A name that a user may have; each belongs to one split. Half are familiar ones, in every split."""
    return _of_split(rng, FAMILIAR if rng.chance(0.5) else COMPOSED, split)


def word(rng: Rng, split: str) -> str:
    """A word without a meaning, as a secret may be: a composed name of the split, in small letters."""
    return _of_split(rng, COMPOSED, split).lower()


def _of_split(rng: Rng, names: tuple[str, ...], split: str) -> str:
    while True:
        chosen = rng.choose(names)
        if in_split(f"name {chosen}", split):
            return chosen
