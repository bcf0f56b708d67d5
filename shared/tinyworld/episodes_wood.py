"""Episodes among the animals of the wood, who talk with one another."""

from . import people
from .grammar import NUMBERS
from .places import BERRIES, CLEARING, DEN, POND
from .story import Schema, Story


def shares_the_food(s: Story) -> None:
    y = s.thing("wildfood")
    s.find(s.a, y, s.a_spot())
    s.feel(s.b, "hungry")
    s.say(
        "{a} found {y} {spot}. <[What a feast|That is for me|Lucky me]!> said {a}. But {b} was hungry[ and had eaten nothing "
        "all day| and looked at it with big eyes|].",
        y=y, spot=s.events[-2][3],
    )  # fmt: skip
    s.use_up(y)
    s.feel(s.b, "grateful")
    s.say(
        "{a} [thought for a moment|looked at {b}] and [broke|split] {y.the} in two. <[One half for you, one for me|There is "
        "enough for both of us|Eat with me],> said {a}. {b} was grateful.",
        y=y,
    )
    s.morals.append("share")


def hides_the_food(s: Story) -> None:
    y = s.thing("wildfood")
    spot = s.a_spot()
    s.have(s.a, y)
    s.put(s.a, y, spot)
    s.feel(s.a, "worried")
    s.say(
        "{a} had {y} and wanted nobody to see {y.it}. So {a} hid {y.it} {spot}. [Later|When {a} came back], {a} could not "
        "remember where {y.they} {y.was}, and was worried.",
        y=y, spot=spot,
    )  # fmt: skip
    s.take(s.b, y)
    s.say("<What are you looking for?> asked {b}. [At first {a} would not say it.|] Together they looked, and {b} [smelled|saw] "
          "{y.it} {spot}.", y=y, spot=spot)  # fmt: skip
    s.give(s.b, y, s.a)
    s.feel(s.a, "ashamed")
    s.say("{b} gave {y.the} to {a}. {a} was ashamed of having kept {y.it} secret.", y=y)
    s.morals.append("share")


def stuck_in_the_mud(s: Story) -> None:
    s.feel(s.b, "afraid")
    s.say(
        "{b} [took one step too far|did not look where to step], and sank into the mud. <[Help|I am stuck|I cannot move]!> "
        "[called|cried] {b.name}, who was afraid. {A} pulled, but the mud [would not let go|held fast]."
    )
    c = s.other()
    s.go(c, s.place)
    s.feel(s.b, "relieved")
    s.say(
        "[Luckily|Just then] {c} came along. {C} held {a}, and {a} held {b}. They pulled [once, twice, three times|with all "
        "their strength], and plop! {b} was free, [dirty|brown from top to toe] but relieved.",
        c=c,
    )  # fmt: skip
    s.morals.append("together")


def trick_of_the_proud(s: Story) -> None:
    skill = s.rng.choose(("jump over the brook", "run round the hill", "dive to the bottom", "climb the pine", "balance on "
                          "a log", "stay awake all night", "count all the stars", "whistle with a full mouth"))  # fmt: skip
    s.note("boast", s.a.name, skill)
    s.feel(s.a, "proud")
    s.say(
        "{a} was proud. <Nobody but me can {x},> said {a}. <[I am the best|You could never do that|Watch me]!> {B} [yawned|"
        "said nothing|only smiled]. {A} [took a run|tried it] and [fell flat|failed], [right|] in front of everybody.",
        x=skill,
    )  # fmt: skip
    s.feel(s.a, "ashamed")
    s.say("{a} was ashamed, but {b} did not laugh. <[Try again without boasting|It happens to all of us],> said "
          "{b}.")  # fmt: skip
    s.morals.append("boast")


def gets_ready_for_winter(s: Story) -> None:
    n, m = s.rng.integer(3, 12), s.rng.integer(2, 11)
    s.count(f"nuts did {s.a.name} carry in", n)
    s.count(f"nuts did {s.b.name} carry in", m)
    s.feel(s.b, "tired")
    s.say(
        "Winter was [not far|coming], and there was much to do. {a} carried in {n} nuts, and {b} carried in {m}. <[That is not "
        "enough|We need more|The winter is long],> said {a}. [They went on until dark|They did not rest]. {b} was tired, but "
        "the [store was full|pile was high].",
        n=NUMBERS[n], m=NUMBERS[m],
    )  # fmt: skip
    s.morals.append("work")


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
        "They met {o}, who knew many riddles. <{r}> [asked|said] {o}. {b} was curious[ and thought hard|]. <[A ghost|A snake|The "
        "wind|A stone]?> {b} guessed. <No,> said {o}.",
        o=owl, r=riddle,
    )  # fmt: skip
    s.feel(s.a, "glad")
    s.say("[Then {a} had an idea.|{a} looked at the sky.|It was quiet for a while.] <I know: {x}!> said {a}. {O} nodded[ "
          "slowly|], and {a} was glad.", x=answer, o=owl)  # fmt: skip


def house_is_too_small(s: Story) -> None:
    s.feel(s.b, "cold")
    s.say(
        "{b's} home had [been blown away|filled with water|fallen down] in the night. Now {b} was cold and had nowhere to "
        "[sleep|go]. <[Come in|Stay with me|You can live with me],> said {a}. <[It is small, but warm|There is room for two|"
        "We will make room].>"
    )
    s.feel(s.b, "happy")
    s.say("They [lay close together|made a bed of moss|hung up a curtain of leaves], and {b} was happy. [The next day they "
          "began to build a new home.|It was the best night for a long time.]")  # fmt: skip
    s.morals.append("kind")


def makes_music(s: Story) -> None:
    one, two = s.rng.sample(("a hollow log", "a blade of grass", "two nutshells", "a string", "a row of reeds", "an empty pot",
                             "a dry gourd"), 2)  # fmt: skip
    s.note("play", s.a.name, one)
    s.note("play", s.b.name, two)
    s.feel(s.a, "happy")
    s.say(
        "{a} [began to play|made music] on {one}, and {b} [joined in|played] on {two}. [At first it sounded terrible|It was "
        "very loud|It did not fit at all], but [soon|little by little] they found the beat. [Everybody came to listen|Even the "
        "crickets fell silent|The birds sang along]. {a} was happy.",
        one=one, two=two,
    )  # fmt: skip


def shiny_thing(s: Story) -> None:
    x = s.thing("woodthing")
    spot = s.a_spot()
    s.find(s.a, x, spot)
    s.feel(s.b, "jealous")
    s.say(
        "Something glittered {spot}. {a} found {x} there. <[Look what I have found|How lovely {x.they} {x.is}|I shall keep "
        "{x.it}]!> said {a}. {b} was jealous "
        "and wanted {x.it} too.",
        x=x, spot=spot,
    )  # fmt: skip
    s.give(s.a, x, s.b)
    s.feel(s.b, "surprised")
    s.say(
        "{a} saw {b.his} face. <[You can have {x.it}|I have enough already|Take {x.it}, we are friends],> said {a}, and gave {b} "
        "{x.the}. {b} was surprised. <[Nobody has ever given me anything|That is very kind|I will take good care of "
        "{x.it}],> said {b}.",
        x=x,
    )  # fmt: skip
    s.morals.append("give")


def lost_in_the_wood(s: Story) -> None:
    x = s.carried("woodthing", s.a)
    s.say("{a} had {x} [for luck|and was proud of {x.it}]. But [while jumping over a root|in the thick grass], {a} lost {x.it}.", x=x)  # fmt: skip
    s.lose(s.a, x)
    s.feel(s.a, "sad")
    s.say(
        "{a} was sad[ and hung {a's} head|]. <[Do not give up|I will help you|Four eyes see more than two],> said {b}."
    )
    s.thread["lost"] = (s.a, x)


def crow_has_it(s: Story) -> None:
    a, x = s.thread.pop("lost")
    s.cast(a, s.friend if a is s.hero else s.hero)
    jet = people.EVERYONE["Jet"]
    if jet in (s.hero, s.friend):
        jet = people.EVERYONE["Pip"]
    spot = "in a nest" if jet.name == "Jet" else "in a hole"
    s.find(jet, x, spot)
    s.say(
        "They asked {j}, who [collected|loved] [bright|such] things. <[Have you seen {x.the}|Did you take {x.the}]?> asked {b}. "
        "{J} [looked away|coughed]. There, {spot}, lay {x.the}! <[I found {x.it}|I thought nobody wanted {x.it}],> said {j.name}.",
        j=jet, x=x, spot=spot,
    )  # fmt: skip
    s.give(jet, x, a)
    s.feel(a, "glad")
    s.say("{j} gave {x.it} back to {a}, and {a} was glad.", j=jet, x=x)
    s.morals.append("honest")


def swims_across(s: Story) -> None:
    s.feel(s.b, "nervous")
    s.say(
        "[The water lay between them and home|A leaf floated by|They wanted to cross the water]. {b} was nervous. <I am not a "
        "good swimmer,> said {b}. <[Then we will sail|I know a way],> said {a}. They pushed [a big piece of bark|a log] into the "
        "water[, and {a} held it still|]."
    )
    s.feel(s.b, "brave")
    s.say("[They paddled with a stick|The wind pushed them along|A fish swam beside them]. In the middle {b} felt brave enough "
          "to [look down|stand up|sing]. [<Land!> called {a}.|Soon they bumped against the other side.]")  # fmt: skip
    s.morals.append("brave")


def party_in_the_moonlight(s: Story) -> None:
    c = s.other()
    n = s.rng.integer(5, 12)
    s.go(c, s.place)
    s.count("guests came to the party", n)
    s.feel(s.a, "excited")
    s.say(
        "<[There will be a party|The moon will be full|Tonight we dance],> said {a.name}, who was excited. They hung [glowworms|"
        "berries|garlands] in the branches and [set out|brought] [nuts and honey|mushroom pie|cool spring water]. {N} guests "
        "came to the party. {c} [told a story|sang three songs|danced with everyone].",
        n=NUMBERS[n], c=c,
    )  # fmt: skip


def thorn_in_the_paw(s: Story) -> None:
    s.feel(s.b, "sad")
    s.say(
        "{b} [limped|sat on a stone and cried]. <[What is the matter|Are you hurt]?> asked {a}. <A thorn,> said {b.name}, who was sad. "
        "<[It hurts when I walk|I cannot get it out|I stepped on it this morning].>"
    )
    s.feel(s.b, "grateful")
    s.say("<[Look at the sky|Think of something nice|Count to three],> said {a}, and pulled it out. <[Was that all|Is it out "
          "already]?> asked {b.name}, who was grateful.")  # fmt: skip
    s.morals.append("gentle")


def flood(s: Story) -> None:
    c = s.other()
    s.go(c, s.place)
    s.feel(c, "worried")
    s.say(
        "It had rained for [days|a week], and the water rose higher and higher. {c} was worried about {c.his} [home|store of "
        "food|bed]. <[We must do something|Bring stones and branches|We need a wall],> said {a}. {a} [rolled|carried] stones, and "
        "{b} filled the holes with [mud|clay|moss].",
        c=c,
    )  # fmt: skip
    s.feel(c, "relieved")
    s.say("[At dawn|In the end] the water stopped at the wall[ and turned aside|]. {c} was relieved.", c=c)
    s.morals.append("together")


def who_ate_the_berries(s: Story) -> None:
    n = s.rng.integer(5, 12)
    m = s.rng.integer(1, n - 2)
    s.count(f"berries did {s.a.name} pick", n)
    s.count("berries were left", n - m)
    s.feel(s.a, "angry")
    s.say(
        "{a} picked {n} berries and laid them on a leaf. [Then {a} fell asleep|{a} turned round for a moment]. When {a} counted "
        "again, only {left} were left! {a} was angry. <Who ate my berries?>",
        n=NUMBERS[n], left=NUMBERS[n - m],
    )  # fmt: skip
    s.feel(s.b, "sorry")
    s.say("{b} had a blue [mouth|tongue]. <[It was me|I did],> said {b.name}, who was sorry. <[They smelled so good|I was so "
          "hungry].> So {b} picked new ones, [one by one|more than before], and they ate them together.")  # fmt: skip
    s.morals.append("truth")


SCHEMAS = (
    Schema(shares_the_food, "wood"),
    Schema(hides_the_food, "wood"),
    Schema(stuck_in_the_mud, "wood", where=(POND, CLEARING), unfit="Hoot Jet Willow Otis"),
    Schema(trick_of_the_proud, "wood"),
    Schema(gets_ready_for_winter, "wood", weather="cloudy windy sunny foggy", unfit="Maple Willow"),
    Schema(asks_the_owl, "wood"),
    Schema(house_is_too_small, "wood", where=(DEN, CLEARING)),
    Schema(makes_music, "wood", where=(CLEARING, POND)),
    Schema(shiny_thing, "wood"),
    Schema(lost_in_the_wood, "wood", opens="lost"),
    Schema(crow_has_it, "wood", closes="lost"),
    Schema(swims_across, "wood", where=(POND,), weather="sunny cloudy windy", unfit="Hoot Jet Willow Otis"),
    Schema(party_in_the_moonlight, "wood", where=(CLEARING,), weather="sunny cloudy"),
    Schema(thorn_in_the_paw, "wood", where=(BERRIES, CLEARING), unfit="Hoot Jet Willow"),
    Schema(flood, "wood", where=(POND, DEN), weather="rainy"),
    Schema(who_ate_the_berries, "wood", where=(BERRIES,), weather="sunny cloudy windy"),
)
