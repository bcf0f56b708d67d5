"""Episodes among the animals of the wood, about food and treasures."""

from . import people
from .grammar import NUMBERS
from .places import BERRIES
from .story import Schema, Story


def shares_the_food(s: Story) -> None:
    y = s.thing("wildfood")
    s.find(s.a, y, s.a_spot())
    s.feel(s.b, "hungry")
    s.say(
        "{a} found {y} {spot}. <[What a feast|That is for me|Lucky me]!> said {a}. But {b} was hungry[ "
        "and had eaten nothing all day| and looked at it with big eyes|].",
        y=y,
        spot=s.events[-2][3],
    )
    s.use_up(y)
    s.feel(s.b, "grateful")
    s.say(
        "{a} [thought for a moment|looked at {b}] and [broke|split] {y.the} in two. <[One half for you, "
        "one for me|There is enough for both of us|Eat with me],> said {a}. {b} was grateful.",
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
        "{a} had {y} and wanted nobody to see {y.it}. So {a} hid {y.it} {spot}. [Later|When {a} came "
        "back], {a} could not remember where {y.they} {y.was}, and was worried.",
        y=y,
        spot=spot,
    )
    s.take(s.b, y)
    s.say(
        "<What are you looking for?> asked {b}. [At first {a} would not say it.|] Together they looked, "
        "and {b} [smelled|saw] {y.it} {spot}.",
        y=y,
        spot=spot,
    )
    s.give(s.b, y, s.a)
    s.feel(s.a, "ashamed")
    s.say(
        "{b} gave {y.the} to {a}. {a} was ashamed of having kept {y.it} secret.",
        y=y,
    )
    s.morals.append("share")


def gets_ready_for_winter(s: Story) -> None:
    n, m = s.rng.integer(3, 12), s.rng.integer(2, 11)
    s.count(f"nuts did {s.a.name} carry in", n)
    s.count(f"nuts did {s.b.name} carry in", m)
    s.feel(s.b, "tired")
    s.say(
        "Winter was [not far|coming], and there was much to do. {a} carried in {n} nuts, and {b} carried "
        "in {m}. <[That is not enough|We need more|The winter is long],> said {a}. [They went on until "
        "dark|They did not rest]. {b} was tired, but the [store was full|pile was high].",
        n=NUMBERS[n],
        m=NUMBERS[m],
    )
    s.morals.append("work")


def shiny_thing(s: Story) -> None:
    x = s.thing("woodthing")
    spot = s.a_spot()
    s.find(s.a, x, spot)
    s.feel(s.b, "jealous")
    s.say(
        "Something glittered {spot}. {a} found {x} there. <[Look what I have found|How lovely {x.they} "
        "{x.is}|I shall keep {x.it}]!> said {a}. {b} was jealous and wanted {x.it} too.",
        x=x,
        spot=spot,
    )
    s.give(s.a, x, s.b)
    s.feel(s.b, "surprised")
    s.say(
        "{a} saw {b.his} face. <[You can have {x.it}|I have enough already|Take {x.it}, we are "
        "friends],> said {a}, and gave {b} {x.the}. {b} was surprised. <[Nobody has ever given me "
        "anything|That is very kind|I will take good care of {x.it}],> said {b}.",
        x=x,
    )
    s.morals.append("give")


def lost_in_the_wood(s: Story) -> None:
    x = s.carried("woodthing", s.a)
    s.say(
        "{a} had {x} [for luck|and was proud of {x.it}]. But [while jumping over a root|in the thick "
        "grass], {a} lost {x.it}.",
        x=x,
    )
    s.lose(s.a, x)
    s.feel(s.a, "sad")
    s.say(
        "{a} was sad[ and hung {a's} head|]. <[Do not give up|I will help you|Four eyes see more than "
        "two],> said {b}.",
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
        "They asked {j}, who [collected|loved] [bright|such] things. <[Have you seen {x.the}|Did you "
        "take {x.the}]?> asked {b}. {J} [looked away|coughed]. There, {spot}, lay {x.the}! <[I found "
        "{x.it}|I thought nobody wanted {x.it}],> said {j.name}.",
        j=jet,
        x=x,
        spot=spot,
    )
    s.give(jet, x, a)
    s.feel(a, "glad")
    s.say(
        "{j} gave {x.it} back to {a}, and {a} was glad.",
        j=jet,
        x=x,
    )
    s.morals.append("honest")


def who_ate_the_berries(s: Story) -> None:
    n = s.rng.integer(5, 12)
    m = s.rng.integer(1, n - 2)
    s.count(f"berries did {s.a.name} pick", n)
    s.count("berries were left", n - m)
    s.feel(s.a, "angry")
    s.say(
        "{a} picked {n} berries and laid them on a leaf. [Then {a} fell asleep|{a} turned round for a "
        "moment]. When {a} counted again, only {left} were left! {a} was angry. <Who ate my berries?>",
        n=NUMBERS[n],
        left=NUMBERS[n - m],
    )
    s.feel(s.b, "sorry")
    s.say(
        "{b} had a blue [mouth|tongue]. <[It was me|I did],> said {b.name}, who was sorry. <[They "
        "smelled so good|I was so hungry].> So {b} picked new ones, [one by one|more than before], and "
        "they ate them together.",
    )
    s.morals.append("truth")


SCHEMAS = (
    Schema(shares_the_food, "wood"),
    Schema(hides_the_food, "wood"),
    Schema(gets_ready_for_winter, "wood", weather="cloudy windy sunny foggy", unfit="Maple Willow"),
    Schema(shiny_thing, "wood"),
    Schema(lost_in_the_wood, "wood", opens="lost"),
    Schema(crow_has_it, "wood", closes="lost"),
    Schema(who_ate_the_berries, "wood", where=(BERRIES,), weather="sunny cloudy windy"),
)
