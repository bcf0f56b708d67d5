"""Episodes under the open sky, each whole in itself."""

from .grammar import NUMBERS
from .places import BEACH, FARM, GARDEN, HILL, MEADOW, PARK, PLAYGROUND, RIVER, SQUARE, WOOD
from .story import Schema, Story


def kite_in_the_tree(s: Story) -> None:
    x = s.carried("flyer", s.a)
    tree = s.rng.choose(("a pine", "a tall birch", "the oak", "an old elm"))
    s.put(s.a, x, f"in {tree}")
    s.say(
        "{a} threw {x} [too high|up into the air|as high as {a.he} could], and {x.they} got stuck in "
        "{tree}. [{b} shook the trunk|{b} jumped up and down|{b} poked with a stick], but {x.the} would "
        "not come down.",
        x=x,
        tree=tree,
    )
    helper = s.b
    s.take(helper, x)
    s.say(
        "[<Hold me,> said {b}.|<I can climb,> said {b}.|<Stand still,> said {b}.] {B} climbed [onto "
        "{a's} shoulders|from branch to branch|up carefully] and took {x.the} down.",
        x=x,
    )
    s.give(s.b, x, s.a)
    s.feel(s.b, "proud")
    s.say(
        "{b} gave {x.it} back to {a}[ and climbed down|]. {b} was proud[ to be so high up| of that climb|].",
        x=x,
    )
    s.morals.append("help")


def builds_a_castle(s: Story) -> None:
    n = s.rng.integer(2, 7)
    s.count("towers did the castle have", n)
    s.say(
        "{ab} built a castle of [wet |]sand. It had {n} towers[ and a gate| and a moat| and a bridge of "
        "sticks|]. {a} put a [leaf|feather|flag of paper] on [top|the highest tower].|They dug and "
        "patted and piled up sand. [Soon|Before long] there was a castle with {n} towers. <[I am the "
        "king|Here lives a dragon|Nobody may come in]!> said {a}.",
        n=NUMBERS[n],
    )
    s.feel(s.a, "sad")
    s.feel(s.b, "brave")
    s.say(
        "[Then a [big |]wave came|Then a dog ran right through it|Then it slid down on one side], and "
        "the castle was gone. {a} was sad. But {b} was brave and [rolled up {b.his} sleeves|took the "
        "bucket again]. <[We will build a better one|Let us begin again|Next time it will be stronger]!> "
        "said {b}.",
    )
    s.morals.append("try")


def race(s: Story) -> None:
    goal = s.rng.choose(
        ("to the gate", "to the big tree", "to the fence and back", "round the hedge", "to the wall")
    )
    s.say(
        "<[Let us race|I bet I am faster than you|Catch me if you can],> said {a}. <{goal}!> [One, two, "
        "three, and off they went|They lined up, and {b} counted to three|They ran as fast as they "
        "could].",
        goal=goal.capitalize(),
    )
    if s.chance(0.5):
        s.feel(s.b, "proud")
        s.say(
            "[At first {a} was in front, but near the end {b} was faster|{b} ran like the wind]. {b} won "
            "the race and was proud[, and {a} shook {b.his} hand|]. <Next time I will win,> said {a}.",
        )
    else:
        s.feel(s.b, "grateful")
        s.say(
            "[Halfway|Near the end] {b} [fell|tripped] and hurt a knee. {a} was [far ahead|in front], "
            "but {a.he} stopped and ran back. <[Does it hurt|Are you all right]?> asked {a}. Nobody won "
            "the race, and {b} was grateful.",
        )
        s.morals.append("kind")


def picks_fruit(s: Story) -> None:
    fruit = s.rng.choose(("apples", "pears", "plums", "cherries", "peaches"))
    box = s.thing("carrier")
    n, m = s.rng.integer(3, 9), s.rng.integer(2, 8)
    s.have(s.a, box)
    s.count(f"{fruit} did {s.a.name} pick", n)
    s.count(f"{fruit} did {s.b.name} pick", m)
    s.say(
        "The {f} were ripe. {a} [had brought|carried] {x} to put them in. {a} picked {n} {f}, and {b} "
        "picked {m}.|<The {f} are ripe!> said {b}. {A} [fetched|got] {x}. {a} picked {n} {f}[ from the "
        "low branches|], and {b} picked {m}[ from the ladder|].",
        f=fruit,
        x=box,
        n=NUMBERS[n],
        m=NUMBERS[m],
    )
    more = s.a if n > m else s.b if m > n else None
    if more:
        s.feel(more, "proud")
        s.say(
            "{m} had [the most|more] and was proud. [They ate until their hands were sticky.|The juice "
            "ran down their chins.|They were the sweetest {f} of the year.]",
            m=more,
            f=fruit,
        )
    else:
        s.say(
            "[Each had the same|So nobody had more], and that was good. [They ate until their hands were "
            "sticky.|]",
        )


def picnic(s: Story) -> None:
    y = s.carried("snack", s.a)
    s.say(
        "[They were hungry now|Running makes hungry|It was time to eat], so {ab} spread a blanket [in "
        "the shade|on the grass]. {a} had {y}, but {b} had [nothing|forgotten to bring anything].",
        y=y,
    )
    s.eat(s.a, y)
    s.feel(s.b, "grateful")
    s.say(
        "{a} [broke|cut] {y.the} in two and gave {b.o} half. <[Half is enough for me|It tastes better "
        "together|We will share],> {a} said. They ate [every crumb|slowly|with good appetite], and {b} "
        "was grateful.",
        y=y,
    )
    s.morals.append("share")


def thunderstorm(s: Story) -> None:
    s.feel(s.a, "afraid")
    s.say(
        "[Black clouds came up.|The sky turned dark.|A drop fell, and then another.] [There was a flash, "
        "and then thunder rolled|Lightning flashed over the roofs]. {a} was afraid[ and held {b's} hand| "
        "and began to tremble|]. <[Let us count|Count with me],> said {b}. <The more seconds we can "
        "count between flash and thunder, the farther away it is.>",
    )
    n = s.rng.integer(3, 12)
    s.count("seconds did they count between flash and thunder", n)
    s.feel(s.a, "calm")
    s.say(
        "They [ran to a shelter|stood under a roof] and counted {n} seconds. <It is going away,> said "
        "{b}. [Soon the rain stopped|Little by little it grew lighter], and {a} was calm.",
        n=NUMBERS[n],
    )
    s.morals.append("brave")


def builds_a_snowman(s: Story) -> None:
    x = s.carried("clothing", s.a)
    s.say(
        "The snow was deep and [soft|white|good for building]. {ab} rolled a big ball, a smaller one, "
        "and a very small one for the head. [A carrot was the nose|Two stones were the eyes|They gave it "
        "arms of twigs].",
    )
    s.put(s.a, x, "on the snowman")
    s.feel(s.b, "happy")
    s.say(
        "<[He looks cold|Something is missing],> said {b}. So {a} put {x} on the snowman. [Now he was "
        "[fine|warm].|It suited him well.] {b} was happy [and danced round him|and threw snow into the "
        "air|].",
        x=x,
    )
    s.feel(s.a, "cold")
    s.say(
        "[Without {x.it}|By then], {a} was cold, [but {a.he} did not mind|and they warmed their hands in "
        "their pockets|so they jumped up and down].",
        x=x,
    )


def lost_in_the_fog(s: Story) -> None:
    s.feel(s.b, "afraid")
    s.say(
        "The fog grew so thick that they could not see [the path|their own feet|the next tree]. <Which "
        "way is [home|right]?> asked {b.name}, who was afraid. [Everything was white and silent.|They "
        "walked in a circle.|]",
    )
    s.feel(s.b, "relieved")
    s.say(
        "{a} stood still and listened. <[Hush|Listen],> {a} said. <I can hear [the bells of the "
        "church|the river|the horn of the lighthouse]. [We must go that way|That is where the village "
        "is].> They held hands and followed the sound[, step by step|]. [Soon|At last] they saw [a "
        "light|the first house], and {b} was relieved.",
    )
    s.morals.append("calm")


def boats_race(s: Story) -> None:
    x = s.rng.choose(("bark", "paper", "a walnut shell", "a piece of wood", "reeds"))
    winner, loser = s.rng.shuffled((s.a, s.b))
    s.feel(winner, "happy")
    s.say(
        "{ab} made little boats of {x}[, with leaves for sails|] and set them on the water. "
        "<[Ready|Steady], go!> The boats [danced|turned|bobbed] over the waves. {l's} boat [got caught "
        "in the reeds|tipped over|hit a stone], and {w's} boat won. {w} was happy. <[Well sailed, "
        "captain|Yours was better|Again],> said {l}.",
        x=x,
        w=winner,
        l=loser,
    )


def market_day(s: Story) -> None:
    n, price = s.rng.integer(6, 12), s.rng.integer(2, 5)
    y = s.thing("snack")
    s.count(f"coins did {s.a.name} pay", price)
    s.take(s.a, y)
    s.say(
        "{a} had {n} coins to spend. [There were so many good things to choose from|{A} looked at "
        "everything twice]. In the end {a} bought {y} and paid {m} coins.|{a} [counted the coins in "
        "{a's} hand|opened {a's} purse]: {n}. {A} walked from stall to stall, and then bought {y} for "
        "{m} coins.",
        y=y,
        n=NUMBERS[n],
        m=NUMBERS[price],
    )
    s.feel(s.b, "hungry")
    s.eat(s.a, y)
    s.say(
        "{b} was hungry, so {a} shared {y.the} with {b.o}, and [not a crumb was left|they ate it at once].",
        y=y,
    )
    s.morals.append("share")


SCHEMAS = (
    Schema(kite_in_the_tree, where=(PARK, WOOD, MEADOW, GARDEN)),
    Schema(builds_a_castle, where=(BEACH, PLAYGROUND), weather="sunny cloudy windy"),
    Schema(race, where=(PARK, MEADOW, HILL, FARM), weather="sunny cloudy windy foggy"),
    Schema(picks_fruit, where=(GARDEN, FARM), weather="sunny cloudy windy"),
    Schema(picnic, where=(PARK, MEADOW, HILL, BEACH, RIVER), weather="sunny cloudy"),
    Schema(thunderstorm, outdoors=True, weather="rainy"),
    Schema(builds_a_snowman, where=(PARK, GARDEN, HILL, PLAYGROUND, SQUARE), weather="snowy"),
    Schema(lost_in_the_fog, where=(HILL, WOOD, MEADOW), weather="foggy"),
    Schema(boats_race, where=(RIVER, PARK), weather="sunny cloudy windy"),
    Schema(market_day, where=(SQUARE,), weather="sunny cloudy windy"),
)
