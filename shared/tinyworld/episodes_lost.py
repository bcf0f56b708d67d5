"""Episodes in which something is lost, and those in which it is found."""

from . import people
from .story import Schema, Story

_PASSERS_BY = ("postman", "mayor", "shepherd", "doctor", "vet", "bus driver", "florist", "fisher", "painter")
_ON_THE_WAY = (
    "on the bridge",
    "in front of the church",
    "at the bus stop",
    "on the stairs",
    "beside the fountain",
    "in the middle of the road",
    "on a bench",
    "outside the mill",
)


def lost_on_the_way(s: Story) -> None:
    x = s.carried("toy", s.a)
    s.say(
        "{a} had {x} [in one hand|along that day|under one arm]. [All at once|After a while|Suddenly] "
        "{a} stopped. <[Oh no|Wait|Oh dear]! My {x.noun} {x.is} gone!> {a} [cried|said|called].|{a} "
        "[loved|was very fond of] {x}, and took {x.it} everywhere. [But|That day, however,] {a.he} "
        "looked [down|round] and {a's} hands were empty. {X} {x.was} gone!",
        x=x,
    )
    s.lose(s.a, x)
    s.feel(s.a, "sad")
    s.say(
        "{a} was sad[.| and did not want to play any more.| and sat down on the ground.] [<Do not cry,> "
        "said {b}. <We will look for {x.it} together.>|{b} put an arm round {a.o}. <It cannot be far,> "
        "said {b}.|<When did you see {x.it} last?> asked {b}. {A} [did not know|could not say].]",
        x=x,
    )
    s.thread["lost"] = (s.a, x)


def the_wind_takes_it(s: Story) -> None:
    x = s.carried("light", s.a)
    s.say(
        "[The wind blew harder and harder|A sudden gust of wind came up|Then the wind began to play "
        "tricks]. It [pulled|tugged] at {x} that {a} had with {a.him}, and[ then| before anyone could "
        "move,| whoosh!] it carried {x.it} [away over the roofs|high into the air|out of sight].",
        x=x,
    )
    s.lose(s.a, x)
    s.feel(s.a, "worried")
    s.say(
        "<[Come back|Stop|Catch it]!> [shouted|cried] {a}, [but the wind does not listen to anybody|but "
        "it was too late]. {A} was worried[, because {x} {x.was} a present from {g}|].|{a} and {b} ran "
        "after {x.it}, but the wind was faster. {a} was worried.",
        x=x,
        g=s.rng.choose(("Grandma", "an aunt", "an uncle", "a cousin")),
    )
    s.thread["lost"] = (s.a, x)


def left_behind(s: Story) -> None:
    x = s.carried("treasure", s.a)
    s.say(
        "{a} showed {b} {x}. <[I found it on my birthday|It brings me luck|I always carry it with me]!> "
        "{a} said.|{a} always carried {x} in {a's} pocket, and now {a.he} wanted to show {x.it} to "
        "{b}.|<Guess what I have,> said {a}, and held up {x}. {B} [clapped|nodded|was amazed].",
        x=x,
    )
    s.lose(s.a, x)
    s.feel(s.a, "sad")
    s.say(
        "Then they [played tag|played hide and seek|ran a race|turned cartwheels], and when {a} [felt "
        "in|reached into] {a's} pocket again, {x} was not there. [There was only a hole|The pocket was "
        "empty]. {a} was sad.",
        x=x,
    )
    s.thread["lost"] = (s.a, x)


def found_by_looking(s: Story) -> None:
    a, x = s.thread.pop("lost")
    s.cast(a, s.friend if a is s.hero else s.hero)
    spot = s.a_spot()
    finder = s.rng.choose((s.a, s.b))
    s.say(
        "{ab} looked for {x} everywhere. They looked {one}. They looked {two}. [Nothing!|It was no "
        "use.|No luck!]|<Let us look for {x},> said {b}. <You look {one}, and I will look {two}.>|So the "
        "search for {x} began. {A} looked {one}, while {b} looked {two}.",
        x=x,
        one=s.rng.choose([p for p in s.place.spots if p != spot][:2]),
        two=s.rng.choose([p for p in s.place.spots if p != spot][2:]),
    )
    s.find(finder, x, spot)
    s.say(
        "[At last|In the end|Finally] {f} found {x} {spot}. [<Here {x.they} {x.is}!> {f.he} "
        "shouted.|Hurray!|]|Then {f} saw something {spot}. There {x.was} {x.the}!",
        f=finder,
        x=x,
        spot=spot,
    )
    if finder is s.b:
        s.give(finder, x, s.a)
        s.say(
            "{b} gave {x.it} [back |]to {a.o}.",
            x=x,
        )
    s.feel(s.a, "happy")
    s.say(
        "{a} was [so happy that {a.he} jumped up and down|happy again|happy and laughed].[ <Thank you "
        "for helping me,> {a} said.|]",
    )
    s.morals.append("look")


def found_by_pet(s: Story) -> None:
    a, x = s.thread.pop("lost")
    s.cast(a, s.friend if a is s.hero else s.hero)
    # A tortoise or a pony finds nothing: then it is the dog of the red house.
    pet = people.EVERYONE[s.a.pet if s.a.pet in ("Pepper", "Kiwi") else "Biscuit"]
    spot = s.a_spot()
    s.say(
        "[Just then|At that moment|Suddenly] {pet} came running [along|after them|up to them]. "
        "{Pet} [sniffed here and there|ran round and round|put {pet.his} nose to the ground] and began to "
        "bark."
        if pet.species == "dog"
        else "[Just then|At that moment|Suddenly] they saw {pet}. {Pet} [sat still and |]was staring at "
        "something {spot}.",
        pet=pet,
        spot=spot,
    )
    s.find(s.a, x, spot)
    s.feel(s.a, "grateful")
    s.say(
        "[What was that?|{a} went to see.|<What have you got there?> asked {a}.] {X} lay there, {spot}! "
        "{a} picked {x.it} up. <[Clever|Good|Dear] {pet.name}!> said {b}.",
        x=x,
        pet=pet,
        spot=spot,
    )
    s.say(
        "{a} was grateful[ and stroked {pet}| and gave {pet} a treat|].",
        pet=pet,
    )


def brought_back(s: Story) -> None:
    a, x = s.thread.pop("lost")
    s.cast(a, s.friend if a is s.hero else s.hero)
    c = people.adult(s.rng.choose(_PASSERS_BY))
    spot = s.rng.choose(_ON_THE_WAY)
    s.find(c, x, spot)
    s.say(
        "[Just then|Before long|Luckily], {c} came [by|along the road|past]. <[Is this yours|Does this "
        "belong to you|Who has lost something]?> {c} asked[ with a smile|]. <I found {x.it} "
        "{spot}.>|They asked everyone they met. [At last|Luckily] they met {c}. <I found something "
        "{spot},> said {c}. <[Is it yours|Did you lose it]?>",
        c=c,
        x=x,
        spot=spot,
    )
    s.give(c, x, s.a)
    s.feel(s.a, "relieved")
    s.say(
        "There {x.was} {x.the}! {c} gave {x.it} to {a}. {a} was relieved. <Thank you[ so much|], "
        "{c.name}!> {a} said.",
        c=c,
        x=x,
    )
    s.morals.append("honest")


SCHEMAS = (
    Schema(lost_on_the_way, opens="lost"),
    Schema(the_wind_takes_it, weather="windy", outdoors=True, opens="lost"),
    Schema(left_behind, outdoors=True, opens="lost"),
    Schema(found_by_looking, closes="lost", realm="both"),
    Schema(found_by_pet, closes="lost"),
    Schema(brought_back, closes="lost"),
)
