"""Episodes among the animals of the wood, who talk with one another."""

from . import people
from .grammar import NUMBERS
from .places import BERRIES, CLEARING, DEN, POND
from .story import Schema, Story


def stuck_in_the_mud(s: Story) -> None:
    s.feel(s.b, "afraid")
    s.say(
        "{b} [took one step too far|did not look where to step], and sank into the mud. <[Help|I am "
        "stuck|I cannot move]!> [called|cried] {b.name}, who was afraid. {A} pulled, but the mud [would "
        "not let go|held fast].",
    )
    c = s.other()
    s.go(c, s.place)
    s.feel(s.b, "relieved")
    s.say(
        "[Luckily|Just then] {c} came along. {C} held {a}, and {a} held {b}. They pulled [once, twice, "
        "three times|with all their strength], and plop! {b} was free, [dirty|brown from top to toe] but "
        "relieved.",
        c=c,
    )
    s.morals.append("together")


def trick_of_the_proud(s: Story) -> None:
    skill = s.rng.choose(("jump over the brook", "run round the hill", "dive to the bottom", "climb the "
        "pine", "balance on "
                          "a log", "stay awake all night", "count all the stars", "whistle with a full "
                          "mouth"))  # fmt: skip
    s.note("boast", s.a.name, skill)
    s.feel(s.a, "proud")
    s.say(
        "{a} was proud. <Nobody but me can {x},> said {a}. <[I am the best|You could never do that|Watch "
        "me]!> {B} [yawned|said nothing|only smiled]. {A} [took a run|tried it] and [fell flat|failed], "
        "[right|] in front of everybody.",
        x=skill,
    )
    s.feel(s.a, "ashamed")
    s.say(
        "{a} was ashamed, but {b} did not laugh. <[Try again without boasting|It happens to all of us],> "
        "said {b}.",
    )
    s.morals.append("boast")


def asks_the_owl(s: Story) -> None:
    owl = people.EVERYONE["Hoot"]
    if owl in (s.hero, s.friend):
        owl = people.EVERYONE["Bruno"]
        if owl in (s.hero, s.friend):
            owl = people.EVERYONE["Maple"]
    riddle, answer = s.rng.choose((
        ("What has teeth but cannot bite?", "a comb"), ("What runs but has no legs?", "the river"),
        ("What grows shorter as it burns?", "a candle"), ("What has hands but cannot clap?", "a clock"),
        ("What falls but is never hurt?", "the rain"), ("What is full of holes but holds water?", "a sponge"),
        ("What gets wet while it dries you?", "a towel"), ("What goes up and never comes down?", "your age"),
        ("What has a neck but no head?", "a bottle"), ("What has an eye but cannot see?", "a needle"),
        ("What follows you all day and is gone at night?", "your shadow"),
    ))  # fmt: skip
    s.note("riddle", owl.name, answer)
    s.feel(s.b, "curious")
    s.say(
        "They met {o}, who knew many riddles. <{r}> [asked|said] {o}. {b} was curious[ and thought "
        "hard|]. <[A ghost|A snake|The wind|A stone]?> {b} guessed. <No,> said {o}.",
        o=owl,
        r=riddle,
    )
    s.feel(s.a, "glad")
    s.say(
        "[Then {a} had an idea.|{a} looked at the sky.|It was quiet for a while.] <I know: {x}!> said "
        "{a}. {O} nodded[ slowly|], and {a} was glad.",
        x=answer,
        o=owl,
    )


def house_is_too_small(s: Story) -> None:
    s.feel(s.b, "cold")
    s.say(
        "{b's} home had [been blown away|filled with water|fallen down] in the night. Now {b} was cold "
        "and had nowhere to [sleep|go]. <[Come in|Stay with me|You can live with me],> said {a}. <[It is "
        "small, but warm|There is room for two|We will make room].>",
    )
    s.feel(s.b, "happy")
    s.say(
        "They [lay close together|made a bed of moss|hung up a curtain of leaves], and {b} was happy. "
        "[The next day they began to build a new home.|It was the best night for a long time.]",
    )
    s.morals.append("kind")


def makes_music(s: Story) -> None:
    one, two = s.rng.sample(("a hollow log", "a blade of grass", "two nutshells", "a string", "a row of "
        "reeds", "an empty pot",
                             "a dry gourd"), 2)  # fmt: skip
    s.note("play", s.a.name, one)
    s.note("play", s.b.name, two)
    s.feel(s.a, "happy")
    s.say(
        "{a} [began to play|made music] on {one}, and {b} [joined in|played] on {two}. [At first it "
        "sounded terrible|It was very loud|It did not fit at all], but [soon|little by little] they "
        "found the beat. [Everybody came to listen|Even the crickets fell silent|The birds sang along]. "
        "{a} was happy.",
        one=one,
        two=two,
    )


def swims_across(s: Story) -> None:
    s.feel(s.b, "nervous")
    s.say(
        "[The water lay between them and home|A leaf floated by|They wanted to cross the water]. {b} was "
        "nervous. <I am not a good swimmer,> said {b}. <[Then we will sail|I know a way],> said {a}. "
        "They pushed [a big piece of bark|a log] into the water[, and {a} held it still|].",
    )
    s.feel(s.b, "brave")
    s.say(
        "[They paddled with a stick|The wind pushed them along|A fish swam beside them]. In the middle "
        "{b} felt brave enough to [look down|stand up|sing]. [<Land!> called {a}.|Soon they bumped "
        "against the other side.]",
    )
    s.morals.append("brave")


def party_in_the_moonlight(s: Story) -> None:
    c = s.other()
    n = s.rng.integer(5, 12)
    s.go(c, s.place)
    s.count("guests came to the party", n)
    s.feel(s.a, "excited")
    s.say(
        "<[There will be a party|The moon will be full|Tonight we dance],> said {a.name}, who was "
        "excited. They hung [glowworms|berries|garlands] in the branches and [set out|brought] [nuts and "
        "honey|mushroom pie|cool spring water]. {N} guests came to the party. {c} [told a story|sang "
        "three songs|danced with everyone].",
        n=NUMBERS[n],
        c=c,
    )


def thorn_in_the_paw(s: Story) -> None:
    s.feel(s.b, "sad")
    s.say(
        "{b} [limped|sat on a stone and cried]. <[What is the matter|Are you hurt]?> asked {a}. <A "
        "thorn,> said {b.name}, who was sad. <[It hurts when I walk|I cannot get it out|I stepped on it "
        "this morning].>",
    )
    s.feel(s.b, "grateful")
    s.say(
        "<[Look at the sky|Think of something nice|Count to three],> said {a}, and pulled it out. <[Was "
        "that all|Is it out already]?> asked {b.name}, who was grateful.",
    )
    s.morals.append("gentle")


def flood(s: Story) -> None:
    c = s.other()
    s.go(c, s.place)
    s.feel(c, "worried")
    s.say(
        "It had rained for [days|a week], and the water rose higher and higher. {c} was worried about "
        "{c.his} [home|store of food|bed]. <[We must do something|Bring stones and branches|We need a "
        "wall],> said {a}. {a} [rolled|carried] stones, and {b} filled the holes with [mud|clay|moss].",
        c=c,
    )
    s.feel(c, "relieved")
    s.say(
        "[At dawn|In the end] the water stopped at the wall[ and turned aside|]. {c} was relieved.",
        c=c,
    )
    s.morals.append("together")


SCHEMAS = (
    Schema(stuck_in_the_mud, "wood", where=(POND, CLEARING), unfit="Hoot Jet Willow Otis"),
    Schema(trick_of_the_proud, "wood"),
    Schema(asks_the_owl, "wood"),
    Schema(house_is_too_small, "wood", where=(DEN, CLEARING)),
    Schema(makes_music, "wood", where=(CLEARING, POND)),
    Schema(swims_across, "wood", where=(POND,), weather="sunny cloudy windy", unfit="Hoot Jet Willow Otis"),
    Schema(party_in_the_moonlight, "wood", where=(CLEARING,), weather="sunny cloudy"),
    Schema(thorn_in_the_paw, "wood", where=(BERRIES, CLEARING), unfit="Hoot Jet Willow"),
    Schema(flood, "wood", where=(POND, DEN), weather="rainy"),
)
