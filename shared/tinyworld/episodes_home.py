"""Episodes at home, each whole in itself."""

from . import people
from .grammar import NUMBERS
from .places import ATTIC, BARN, BEDROOM, GARDEN, KITCHEN, LIBRARY
from .story import Schema, Story
from .things import Thing

_HIDING_PLACES = {
    ATTIC: (
        "behind the chimney",
        "under a blanket",
        "in the big trunk",
        "behind the mirror",
        "under the table",
    ),
    BEDROOM: ("under the bed", "behind the curtain", "in the wardrobe", "under the quilt", "behind the door"),
    BARN: ("in the hay", "behind the cart", "under the ladder", "in an empty barrel", "behind the sacks"),
    LIBRARY: (
        "behind a shelf",
        "under the desk",
        "behind the globe",
        "behind the curtain",
        "under the stairs",
    ),
}


def chest_in_the_attic(s: Story) -> None:
    box, x = s.thing("container"), s.thing("treasure")
    s.open(s.a, box)
    s.find(s.a, x, f"in the {box.label}")
    s.say(
        "[In the dust|In a dark corner|Behind some planks] stood {box} that nobody had opened for "
        "[years|a long time]. [The lid was stuck.|It was hard to open.|<Shall we?> asked {b}.] At last "
        "{a} opened {box.the}. In {box.the} {a} found {x}.",
        box=box,
        x=x,
    )
    s.feel(s.b, "curious")
    s.say(
        "{b} was curious. <[Whose {x.was} {x.they}|Who put {x.it} there|How old {x.is} {x.they}]?> {b} "
        "asked. [Nobody knew.|Only the owls might know.|{a} rubbed {x.it} clean.] {a} kept {x.it} and "
        "closed {box.the}.",
        box=box,
        x=x,
    )


def bakes_a_cake(s: Story) -> None:
    c = s.parent(s.a)
    y = s.rng.choose(
        ("an apple cake", "a plum pie", "a honey cake", "a cherry tart", "gingerbread", "a nut loaf")
    )
    n = s.rng.integer(2, 6)
    s.count("eggs did they use", n)
    s.feel(s.a, "proud")
    s.say(
        "They baked {y} with {c}. {a} [weighed|sifted] the flour, {b} broke {n} eggs into the bowl, and "
        "{c} [stirred|lit the oven]. [There was flour everywhere|{b} had batter on {b.his} nose|They "
        "licked the spoon].|<Who will help me bake {y}?> asked {c}. {A} mixed butter and sugar. {b} took "
        "{n} eggs[ and did not drop one|].",
        y=y,
        c=c,
        n=NUMBERS[n],
    )
    s.say(
        "[Then they waited|It had to bake for an hour], and the smell [filled|went through] the whole "
        "house. {a} was proud when it came out of the oven[, golden and high|].",
    )


def burnt_soup(s: Story) -> None:
    c = s.parent(s.a)
    s.feel(s.a, "ashamed")
    s.say(
        "<[Stir the soup|Watch the soup] for me,> said {c}[ and went out|]. {a} [stirred for a "
        "while|stood by the stove]. But then {b} told such a good story that {a} forgot the pot. [Smoke "
        "rose|There was a bad smell]. The soup was burnt, and {a} was ashamed.",
        c=c,
    )
    s.feel(s.a, "relieved")
    s.say(
        "[{a} did not hide it.|<It was my fault,> said {a}.|{a} told {c} the truth.] {C} [hugged "
        "{a.o}|laughed]. <[It can happen to anyone|Then we shall have bread and cheese|I once burnt a "
        "whole dinner],> {c} said, and {a} was relieved.",
        c=c,
    )
    s.morals.append("truth")


def broken_cup(s: Story) -> None:
    c = s.parent(s.a)
    x = Thing(s.rng.choose(("cup", "plate", "vase", "bowl", "jug", "teapot")), s.rng.choose(("blue",
    "white", "old",
              "pretty", "yellow", "green")), kind="dish")  # fmt: skip
    if x.noun in s.nouns:
        x.noun = "saucer"
    s.nouns.append(x.noun)
    s.take(s.a, x)
    s.breaks(s.a, x)
    s.feel(s.a, "worried")
    s.say(
        "{a} [took {x} from the shelf|wanted to help and picked up {x}|carried {x} across the room], but "
        "it slipped and broke into [many|a hundred|three] pieces. {a} was worried. <[We could say that "
        "the cat did it|Nobody saw it|We could hide the pieces],> whispered {b}.",
        x=x,
    )
    s.feel(s.a, "glad")
    s.say(
        "But {a} [shook {a's} head|took a deep breath] and went to {c}. <I broke {x.the},> {a} said. <I "
        "am sorry.> {C} was quiet for a moment. <[Thank you for telling me|It can be replaced|I am glad "
        "that you are not hurt],> {c} said, and {a} was glad [to have told the truth|].",
        x=x,
        c=c,
    )
    s.morals.append("truth")


def dark_noise(s: Story) -> None:
    cause = s.rng.choose(("a branch that knocked on the window", "the cat behind the curtain",
    "a loose shutter",
                          "a moth in the lamp", "an apple that had rolled off the shelf", "the old clock"))  # fmt: skip
    s.feel(s.b, "afraid")
    s.say(
        "[Knock, knock!|Creak!|Tap, tap, tap!] [What was that?|Something was there.] {b} was afraid and "
        "hid [under a blanket|behind {a}]. <[It is a ghost|It is a monster|There is somebody],> {b} "
        "whispered.",
    )
    s.feel(s.a, "brave")
    s.say(
        "{a} was brave, took [a lamp|a candle|a torch], and went to look. It was only {y}! [They both "
        "laughed|How they laughed|Then even {b} had to laugh].",
        y=cause,
    )
    s.morals.append("brave")


def hide_and_seek(s: Story) -> None:
    spot, one, two = s.rng.sample(_HIDING_PLACES[s.place], 3)
    s.say(
        "They played hide and seek. {a} [closed {a's} eyes and counted|counted slowly] to ten, and {b} "
        "hid {spot}. <[I am coming|Ready or not]!> called {a}. {A} looked {one} and {two}, but [{b} was "
        "not there|there was no sign of {b}].",
        spot=spot,
        one=one,
        two=two,
    )
    s.note("hide", s.b.name, spot)
    s.feel(s.a, "happy")
    s.say(
        "Then {b} [sneezed|giggled|coughed], and {a} [ran|went straight] to the place. <Found you!> {a} "
        "said[ happily|]. {A} was happy to have won.",
    )


def reads_aloud(s: Story) -> None:
    x = s.thing("book")
    about = s.rng.choose(("a dragon who could not fly", "a king with no crown", "a giant who loved flowers",
                          "the moon and a fisherman", "a mouse who went to sea", "a girl who spoke with "
                          "birds",
                          "two brothers and a golden fish", "a wizard who forgot his spells"))  # fmt: skip
    if x.noun in (
        "map",
        "atlas",
        "picture",
        "postcard",
        "drawing",
        "cookbook",
        "songbook",
        "comic",
        "letter",
        "diary",
    ):
        x.noun = "storybook"
    s.take(s.a, x)
    s.note("about", x.label, about)
    s.feel(s.b, "calm")
    s.say(
        "{a} took {x} [from a shelf|from a pile] and began to read aloud. It was [the tale of|about] "
        "{about}. {b} [leaned back|listened with open mouth|forgot everything else] and was calm. <[And "
        "then?|Go on,|Do not stop!]> said {b} [whenever {a} stopped|at every page].",
        x=x,
        about=about,
    )
    s.put(s.a, x, "on the table")
    s.say(
        "When the book was finished, {a} put {x.it} on the table. [<The end,> {a} said.|It had been a "
        "good one.|<Again!> said {b}.]",
        x=x,
    )


def sick_in_bed(s: Story) -> None:
    rosa = people.adult("doctor")
    if s.a.family[0] == "Rosa":
        s.cast(s.b, s.a)
    s.feel(s.a, "tired")
    s.say(
        "{a} [had a sore throat|had a cough|felt hot] and was tired, so {a.he} lay down on the bed. {c} "
        "came and looked at {a's} tongue. <[Drink tea with honey|Stay warm|Sleep a lot], and tomorrow "
        "you will be better,> [she said|said {c}].",
        c=rosa,
    )
    s.feel(s.a, "grateful")
    s.say(
        "{b} stayed [and told {a.o} jokes|and read to {a.o}|and fed {a.o} soup|and drew funny faces]. "
        "{a} was grateful. <[You are the best medicine|I feel better already],> {a} said.",
    )
    s.morals.append("kind")
    s.home = True  # nobody walks home from a sickbed


def pet_is_hungry(s: Story) -> None:
    pet = s.pet
    assert pet is not None
    food = {"dog": "a bone", "cat": "some fish", "parrot": "some seeds", "rabbit": "some parsley", "pony":
    "some hay",
            "duck": "some oats", "tortoise": "some lettuce", "hamster": "some grain"}[pet.species]  # fmt: skip
    s.note("fed", pet.name, food)
    s.feel(s.hero, "sorry")
    s.say(
        "{pet} [looked|seemed] [very |]unhappy. [The bowl was empty.|Nobody had fed {pet.him}.] <[Oh "
        "dear|Oh no], I forgot to feed you,> said {hero}, and {hero.he} was sorry. {Hero} [ran and "
        "|]fetched {food}, and {friend} brought fresh water. {Pet} ate [everything up|greedily|with "
        "great joy].",
        food=food,
    )
    s.morals.append("care")


SCHEMAS = (
    Schema(chest_in_the_attic, where=(ATTIC, BARN)),
    Schema(bakes_a_cake, where=(KITCHEN,)),
    Schema(burnt_soup, where=(KITCHEN,)),
    Schema(broken_cup, where=(KITCHEN,)),
    Schema(dark_noise, where=(ATTIC, BEDROOM)),
    Schema(hide_and_seek, where=(ATTIC, BEDROOM, BARN, LIBRARY)),
    Schema(reads_aloud, where=(ATTIC, BEDROOM, KITCHEN, BARN)),
    Schema(sick_in_bed, where=(BEDROOM,)),
    Schema(pet_is_hungry, where=(GARDEN,), pet=True),
)
