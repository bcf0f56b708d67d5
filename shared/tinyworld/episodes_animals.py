"""Episodes with animals that do not talk, each whole in itself."""

from . import people
from .grammar import NUMBERS
from .places import FARM, GARDEN, HARBOUR, MEADOW, PARK, RIVER, WOOD
from .story import Schema, Story


def feeds_the_animals(s: Story) -> None:
    kinds = (("hens", "corn"), ("ducks", "oats"), ("goats", "hay"), ("pigs", "potatoes"), ("sheep", "hay"),
             ("rabbits", "carrots"), ("cows", "grass"), ("geese", "barley"), ("lambs", "milk"))  # fmt: skip
    animal, food = s.rng.choose(kinds)
    n = s.rng.integer(2, 9)
    s.count(f"{animal} did they feed", n)
    s.feel(s.a, "happy")
    s.say(
        "Walter the farmer [waved to them|was busy|called them over]. <[Will you|Can you] feed the {x} "
        "for me?> he asked. There were {n} {x}. {a} [gave them|brought] {f}[, and {b} brought water|]. "
        "[They ate and ate.|They were very hungry.|One of them ate out of {a's} hand.] {a} was happy.|It "
        "was time to feed the {x}. {a} carried a bucket of {f}, and {b} opened the gate. {N} {x} came "
        "running. <[Slowly|Wait your turn|There is enough for all]!> [laughed|said] {a}, and {a.he} was "
        "happy.",
        x=animal,
        f=food,
        n=NUMBERS[n],
    )


def finds_a_chick(s: Story) -> None:
    y = s.rng.choose(
        ("a young robin", "a little sparrow", "a baby thrush", "a young swallow", "a small blackbird")
    )
    s.feel(s.a, "worried")
    s.say(
        "[Peep, peep!|What was that?|There was a thin little cry.] {y} had fallen out of its nest. [It "
        "opened its beak wide|It could not fly yet|It trembled], and {a} was worried. <[Poor "
        "thing!|Where is its mother?|We must help it,]> {a} said.",
        y=y,
    )
    s.feel(s.a, "relieved")
    s.say(
        "{b} found the nest in a [hedge|bush|tree] close by. [Very gently|With great care], {a} put the "
        "bird back. [They hid and kept still|They waited behind the wall]. Soon the mother came with a "
        "[fat |]worm, and {a} was relieved.",
    )
    s.morals.append("gentle")


def ants_carry(s: Story) -> None:
    n = s.rng.integer(4, 12)
    s.count("ants did they see", n)
    s.feel(s.a, "curious")
    s.say(
        "{a} lay [down |]in the grass and watched the ants. {N} ants were carrying [a crumb|a dead fly|a "
        "seed][ that was bigger than any of them|]. {a} was curious. <Where do they take it?> [asked "
        "{a}|{a.he} asked]. {b} [followed them to|showed {a.o}|pointed to] a little hill of earth. "
        "<[That is their house|They live down there, thousands of them],> said {b}. <Alone an ant is "
        "weak, but together they are strong.>",
        n=NUMBERS[n],
    )
    s.morals.append("together")


def helps_a_snail(s: Story) -> None:
    animal = s.rng.choose(("snail", "beetle", "toad", "caterpillar", "hedgehog", "worm", "turtle"))
    s.feel(s.b, "proud")
    s.say(
        "A [little |small ]{x} sat in the middle of the path. <[Careful|Stop|Watch out]!> said {b}. "
        "<Somebody could step on it.> [{a} would have gone on|{a} had not seen it|{a} was in a hurry], "
        "but {b} picked it up [gently |]and carried it to the other side. [It crept under a leaf|It was "
        "gone in a moment|It did not say thank you, but {b} did not mind]. {b} was proud.",
        x=animal,
    )
    s.morals.append("gentle")


def goes_fishing(s: Story) -> None:
    junk = s.rng.choose(("an old boot", "a rusty tin", "a bunch of weed", "a broken umbrella", "a wet hat"))
    s.feel(s.a, "excited")
    s.say(
        "They sat down to fish. {a} [held the rod|waited and waited|kept very still]. Then the line "
        "[jerked|moved]! <[I have one|It is a big one|Help me pull]!> [cried|shouted] {a.name}, who was "
        "excited. They pulled and pulled, and out came {y}.",
        y=junk,
    )
    s.feel(s.a, "disappointed")
    s.say(
        "{a} was disappointed, but {b} laughed[ until {b.he} could hardly breathe|]. <[A fine catch|What "
        "a fish|Now we need only a pan]!> said {b}. [In the end {a} had to laugh too.|]",
    )


def rides_the_pony(s: Story) -> None:
    lucy = people.EVERYONE["Nutmeg"]
    s.feel(s.a, "nervous")
    s.say(
        "{n} stood by the fence. <[Would you like a ride|Do you dare]?> asked {b}. {a} was nervous, for "
        "the pony looked very [tall|big]. {B} showed {a.o} how to [sit|hold the reins] and led the pony "
        "[slowly |]round the yard.",
        n=lucy,
    )
    s.feel(s.a, "brave")
    s.say(
        "After [one round|three rounds|a while] {a} felt brave. <[Faster|Once more|Look at me]!> {a} "
        "called. [Afterwards Nutmeg got a carrot.|Nutmeg snorted and shook her mane.]",
    )
    s.morals.append("brave")


SCHEMAS = (
    Schema(feeds_the_animals, where=(FARM,)),
    Schema(finds_a_chick, where=(GARDEN, WOOD, PARK, MEADOW), weather="sunny cloudy windy"),
    Schema(ants_carry, where=(GARDEN, MEADOW, WOOD, PARK), weather="sunny cloudy"),
    Schema(helps_a_snail, where=(GARDEN, WOOD, PARK, MEADOW), weather="rainy sunny cloudy"),
    Schema(goes_fishing, where=(RIVER, HARBOUR), weather="sunny cloudy windy foggy"),
    Schema(rides_the_pony, where=(FARM,)),
)
