"""A story: an opening, one to three episodes that fit together, and an ending, over one tracked world."""

from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from . import people, things
from .people import Group, Person
from .places import VILLAGE_PLACES, WOOD_PLACES, Place
from .rng import Rng
from .telling import Teller
from .things import Thing
from .world import World

WEATHERS = (("sunny", 5), ("windy", 2), ("rainy", 2), ("cloudy", 2), ("foggy", 1), ("snowy", 1.5))
TIMES = ("morning", "afternoon", "evening")


@dataclass(frozen=True, slots=True)
class Schema:
    """An episode and when it can happen."""

    tell: FunctionType  # takes the Story, and tells the episode
    realm: str = "village"  # "village", "wood" or "both"
    where: tuple[Place, ...] = ()  # places it can happen in; none named means anywhere
    weather: str = ""  # weathers it can happen in, separated by spaces; none named means any
    outdoors: bool = False  # whether it needs the sky above
    opens: str = ""  # the thread it leaves open: "lost", "broken", ...
    closes: str = ""  # the thread it needs, and closes
    pet: bool = False  # whether the hero's pet comes along
    unfit: str = ""  # names of animals to whom it cannot happen: no crow gets stuck in the mud

    @property
    def name(self) -> str:
        """The schema's name: that of its function."""
        return self.tell.__name__


class Story(World):
    """The story being told: its world, its cast, and the teller."""

    def __init__(self, rng: Rng, realm: str) -> None:
        super().__init__()
        self.rng = rng
        self.realm = realm
        self.teller = Teller(rng)
        self.places = WOOD_PLACES if realm == "wood" else VILLAGE_PLACES
        self.weather = rng.weighted(WEATHERS)
        self.hours = rng.weighted(((0, 6), (1, 3), (2, 0.0)))
        self.nouns: list[str] = []  # nouns in use, so that "the kite" is never two kites
        self.thread: dict[str, Any] = {}  # what an open thread hands to its closing episode
        self.morals: list[str] = []
        self.schemas: list[str] = []
        self.home = False  # whether the children are at home already
        self.hero, self.friend = self._cast()
        self.both = Group((self.hero, self.friend))
        self.pet = people.EVERYONE[self.hero.pet] if realm == "village" else None
        self.place = self.places[0]
        self.refs: dict[str, Any] = {
            "hero": self.hero,
            "friend": self.friend,
            "ab": self.both,
            "pet": self.pet,
        }
        self.cast(self.hero, self.friend)

    def _cast(self) -> tuple[Person, Person]:
        pool = people.CREATURES if self.realm == "wood" else people.CHILDREN
        hero = self.rng.choose(pool)
        # Two of one gender need their names again and again: rarer, so that pronouns are common.
        while True:
            friend = self.rng.choose(pool)
            if friend is not hero and (friend.pronoun != hero.pronoun or self.rng.chance(0.25)):
                return hero, friend

    @property
    def time(self) -> str:
        """Morning, afternoon or evening."""
        return TIMES[self.hours]

    @property
    def a(self) -> Person:
        """The one whom this episode is about."""
        return self.refs["a"]

    @property
    def b(self) -> Person:
        """The other one."""
        return self.refs["b"]

    def cast(self, a: Person, b: Person) -> None:
        """Says who is `a` and who is `b` in the templates that follow."""
        self.refs["a"], self.refs["b"] = a, b

    def say(self, template: str, **refs: Any) -> None:
        """Tells sentences; see `telling` for the template language."""
        self.teller.tell(template, **{**self.refs, **refs})

    def paragraph(self) -> None:
        """Begins a new paragraph."""
        self.teller.paragraph()

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.rng.chance(probability)

    def thing(self, kind: str) -> Thing:
        """A new thing of a kind, with a noun that this story has not used."""
        thing = things.pick(self.rng, kind, self.nouns)
        self.nouns.append(thing.noun)
        return thing

    def carried(self, kind: str, who: Person) -> Thing:
        """Something of this kind that `who` holds already, or else a new thing that they have with them."""
        for thing, holder in self.holder.items():
            if holder is who and thing.kind == kind and not thing.broken and not thing.wet:
                return thing
        thing = self.thing(kind)
        self.have(who, thing)
        return thing

    def a_spot(self) -> str:
        """A spot of the place where the story is."""
        return self.rng.choose(self.place.spots)

    def other(self) -> Person:
        """Somebody of the same kind who is neither hero nor friend."""
        pool = people.CREATURES if self.realm == "wood" else people.CHILDREN
        while True:
            person = self.rng.choose(pool)
            if person is not self.hero and person is not self.friend:
                return person

    def parent(self, child: Person) -> Person:
        """The child's mother or father (Zoe's grandmother or grandfather)."""
        parent = self.rng.choose(people.parents(child))
        kin = ("grand" if child.name == "Zoe" else "") + ("mother" if parent.pronoun == "she" else "father")
        self.teller.kin[parent] = (child, kin)
        return parent

    def arrive(self, place: Place) -> None:
        """Hero and friend are at the place from now on."""
        self.place = place
        self.refs["p"] = place
        self.go(self.hero, place)
        self.go(self.friend, place)

    def travel(self, place: Place) -> None:
        """Hero and friend go to another place together, and the reader is told."""
        self.arrive(place)
        self.say(
            "[After that|Then|A little later|Soon|Next|When that was done], {ab} "
            "[went|walked|set off|wandered|hurried] [together |]{p.to}.|"
            "[The way {p.to} was not long|It was not far {p.to}], and [soon |]{ab} were there.|"
            "<Let us go {p.to},> said {b}[ then| next|], and off they went."
        )
        if self.chance(0.5) and (self.weather in ("sunny", "cloudy", "windy") or self.indoors()):
            self.say("[There, |]{sight}.", sight=self.rng.choose(place.sights))

    def indoors(self) -> bool:
        """Whether there is a roof above."""
        return not self.place.outdoors


@dataclass(frozen=True, slots=True)
class Told:
    """A finished story: its text, the schemas it used, the log of its events and the cast."""

    text: str
    schemas: tuple[str, ...]
    events: tuple[tuple[str, ...], ...]
    cast: tuple[str, ...] = field(default=())
