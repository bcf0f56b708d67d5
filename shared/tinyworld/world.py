"""The state of a story's world and its rules. An act that breaks a rule raises RuleError; each is logged.

The log (`events`, tuples of plain strings) is what questions about a story are answered from. Its forms:

    go NAME PLACE            have NAME THING           take NAME THING          put NAME THING SPOT
    give NAME THING NAME     lose NAME THING           find NAME THING SPOT     make NAME THING
    break NAME THING         mend NAME THING           soak THING               dry THING
    eat NAME THING           open NAME THING           feel NAME FEELING        promise NAME NAME WHAT
    keep NAME NAME WHAT      count WHAT NUMBER         weather KIND             use_up THING
"""

from .people import Person
from .places import Place
from .things import Thing

FEELINGS = (
    "happy", "sad", "proud", "afraid", "angry", "tired", "lonely", "surprised", "jealous", "worried", "excited",
    "grateful", "curious", "ashamed", "calm", "bored", "hungry", "thirsty", "cold", "brave", "sorry", "glad",
    "nervous", "relieved", "disappointed",
)  # fmt: skip


class RuleError(ValueError):
    """An act that the rules of the world do not allow."""


class World:
    """Who is where, who holds what, where things lie, what is broken, wet, open, felt and promised."""

    def __init__(self) -> None:
        self.where: dict[Person, Place] = {}
        self.holder: dict[Thing, Person] = {}
        self.spot: dict[Thing, str] = {}
        self.opened: dict[Thing, bool] = {}
        self.promised: list[tuple[str, str, str]] = []
        self.events: list[tuple[str, ...]] = []

    def _need(self, fine: bool, why: str) -> None:
        if not fine:
            raise RuleError(why)

    def _need_held(self, who: Person, thing: Thing) -> None:
        self._need(self.holder.get(thing) is who, f"{who.name} does not hold the {thing.label}")

    def go(self, who: Person, place: Place) -> None:
        """Somebody goes to a place; what they hold comes along."""
        self.where[who] = place
        self.events.append(("go", who.name, place.name))

    def have(self, who: Person, thing: Thing) -> None:
        """Somebody has had a thing all along."""
        self._need(
            thing not in self.holder and thing not in self.spot, f"the {thing.label} is elsewhere already"
        )
        self.holder[thing] = who
        self.events.append(("have", who.name, thing.label))

    def take(self, who: Person, thing: Thing) -> None:
        """Somebody takes a thing that nobody holds."""
        self._need(thing not in self.holder, f"the {thing.label} is held already")
        self.spot.pop(thing, None)
        self.holder[thing] = who
        self.events.append(("take", who.name, thing.label))

    def put(self, who: Person, thing: Thing, spot: str, inside: Thing | None = None) -> None:
        """Somebody puts down a thing; `inside` is the open box, if it goes into one."""
        self._need_held(who, thing)
        self._need(inside is None or self.opened.get(inside, False), "a closed box must be opened first")
        del self.holder[thing]
        self.spot[thing] = spot
        self.events.append(("put", who.name, thing.label, spot))

    def give(self, who: Person, thing: Thing, to: Person) -> None:
        """Somebody gives a thing they hold."""
        self._need_held(who, thing)
        self.holder[thing] = to
        self.events.append(("give", who.name, thing.label, to.name))

    def lose(self, who: Person, thing: Thing) -> None:
        """Somebody loses a thing they hold; nobody knows where it lies until it is found."""
        self._need_held(who, thing)
        del self.holder[thing]
        self.events.append(("lose", who.name, thing.label))

    def find(self, who: Person, thing: Thing, spot: str) -> None:
        """Somebody finds a thing at a spot and takes it."""
        self._need(thing not in self.holder, f"the {thing.label} is held already")
        self._need(self.spot.get(thing, spot) == spot, f"the {thing.label} is not {spot}")
        self.spot.pop(thing, None)
        self.holder[thing] = who
        self.events.append(("find", who.name, thing.label, spot))

    def make(self, who: Person, thing: Thing) -> None:
        """Somebody makes a thing and holds it."""
        self._need(thing not in self.holder and thing not in self.spot, f"the {thing.label} exists already")
        self.holder[thing] = who
        self.events.append(("make", who.name, thing.label))

    def use_up(self, thing: Thing) -> None:
        """A thing is gone: shared out and eaten, blown away, sold."""
        self.holder.pop(thing, None)
        self.spot.pop(thing, None)
        self.events.append(("use_up", thing.label))

    def breaks(self, who: Person, thing: Thing) -> None:
        """A whole thing breaks in somebody's hands."""
        self._need(not thing.broken, f"the {thing.label} is broken already")
        thing.broken = True
        self.events.append(("break", who.name, thing.label))

    def mend(self, who: Person, thing: Thing) -> None:
        """Somebody mends a broken thing."""
        self._need(thing.broken, f"the {thing.label} is not broken")
        thing.broken = False
        self.events.append(("mend", who.name, thing.label))

    def soak(self, thing: Thing) -> None:
        """A thing gets wet."""
        thing.wet = True
        self.events.append(("soak", thing.label))

    def dry(self, thing: Thing) -> None:
        """A wet thing gets dry."""
        self._need(thing.wet, f"the {thing.label} is not wet")
        thing.wet = False
        self.events.append(("dry", thing.label))

    def eat(self, who: Person, thing: Thing) -> None:
        """Somebody eats what they hold."""
        self._need_held(who, thing)
        del self.holder[thing]
        self.events.append(("eat", who.name, thing.label))

    def open(self, who: Person, thing: Thing) -> None:
        """Somebody opens a box, a bag, a chest."""
        self.opened[thing] = True
        self.events.append(("open", who.name, thing.label))

    def feel(self, who: Person, feeling: str) -> None:
        """Somebody feels something from now on."""
        self._need(feeling in FEELINGS, f"{feeling!r} is not one of the feelings")
        self.events.append(("feel", who.name, feeling))

    def promise(self, who: Person, to: Person, what: str) -> None:
        """Somebody promises somebody to do something."""
        self.promised.append((who.name, to.name, what))
        self.events.append(("promise", who.name, to.name, what))

    def keep(self, who: Person, to: Person, what: str) -> None:
        """Somebody keeps a promise."""
        self._need((who.name, to.name, what) in self.promised, f"{who.name} never promised {what!r}")
        self.promised.remove((who.name, to.name, what))
        self.events.append(("keep", who.name, to.name, what))

    def note(self, *event: str) -> None:
        """Logs what the story says and a question can ask for, but which changes nothing in the world."""
        self.events.append(event)

    def count(self, what: str, number: int) -> None:
        """There are so many of something."""
        self.events.append(("count", what, str(number)))
