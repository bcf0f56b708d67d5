"""Episodes in school, shops and workshops, each whole in itself."""

from . import people
from .grammar import NUMBERS
from .places import BAKERY, BARN, BEDROOM, KITCHEN, LIBRARY, SCHOOL, SHOP, WORKSHOP
from .story import Schema, Story
from .things import Thing


def librarian_helps(s: Story) -> None:
    jane = people.adult("librarian")
    topic = s.rng.choose(("whales", "stars", "trains", "bees", "castles", "volcanoes", "dinosaurs",
    "pirates", "magic",
                          "knots", "birds", "planets", "spiders", "islands", "kings", "bridges"))  # fmt: skip
    n = s.rng.integer(2, 6)
    s.count(f"books about {topic} did {s.a.name} borrow", n)
    s.feel(s.a, "excited")
    s.say(
        "{jane} [looked up from her desk|put a finger to her lips|smiled at them]. <[What can I do for "
        "you|What are you looking for]?> she [whispered|asked softly]. <Something about {t},> said {a}. "
        "{Jane} climbed [up |]the ladder and came down with {n} books about {t}. {a} borrowed them all "
        "and was excited. <[Bring them back in two weeks|Do not fold the pages],> said {jane.name}.",
        jane=jane,
        t=topic,
        n=NUMBERS[n],
    )


def sum_at_school(s: Story) -> None:
    clara = people.adult("teacher")
    n, m = s.rng.integer(2, 6), s.rng.integer(2, 6)
    s.feel(s.a, "nervous")
    s.say(
        "{c} wrote a sum on the blackboard. <How much is {n} and {m}?> she asked. <{a.name}?> {A} was "
        "nervous. [{A} had been looking out of the window.|{A} did not know it at once.] {A} counted on "
        "{a.his} fingers[ under the desk|].",
        c=clara,
        n=NUMBERS[n],
        m=NUMBERS[m],
    )
    s.note("sum", NUMBERS[n], NUMBERS[m], NUMBERS[n + m])
    s.feel(s.a, "proud")
    s.say(
        "<{x},> said {a} [slowly|softly]. <[That is right|Quite right|Correct],> said {c.name}, and {a} "
        "was proud.",
        x=NUMBERS[n + m],
        c=clara,
    )
    s.morals.append("try")


def paints_a_picture(s: Story) -> None:
    subject = s.rng.choose(("a ship", "a castle", "a horse", "the sea", "a rainbow", "a lion", "the moon",
    "a tiger",
                            "a parrot", "an elephant", "a garden", "a mountain", "a train"))  # fmt: skip
    s.note("paint", s.a.name, subject)
    s.feel(s.b, "sad")
    s.say(
        "There [was paper|were paints and brushes] on the table. {a} painted {x}[ in bright colours|]. "
        "{b} tried to paint {x} too, but [the paint ran|it looked like a potato|it was only a blot], and "
        "{b} was sad. <I cannot paint,> said {b}.",
        x=subject,
    )
    s.feel(s.b, "surprised")
    s.say(
        "<Wait,> said {a}. {A} turned the paper [round|upside down], [added two dots|drew one line], and "
        "there was [a cat|a whale|an owl|a mouse]! {b} was surprised. <[Every blot is something|It was "
        "there all along],> said {a}.",
    )
    s.morals.append("kind")


def chick_hatches(s: Story) -> None:
    n = s.rng.integer(2, 8)
    s.count("chicks came out", n)
    s.feel(s.a, "excited")
    s.say(
        "[In the hay|In a warm corner] sat a [speckled|brown|white] hen, and she did not move. "
        "<[Hush|Come softly],> said {b}. There was a tiny tap, and then a crack in an egg. {N} chicks "
        "came out[, one after the other|], [wet|yellow] and [small|wobbly]. {a} was excited[ and hardly "
        "dared to breathe|].",
        n=NUMBERS[n],
    )


def toy_in_the_shop(s: Story) -> None:
    greta = people.adult("toymaker")
    x = s.thing("toy")
    price, have = s.rng.integer(5, 12), s.rng.integer(2, 4)
    s.count(f"coins did the {x.noun} cost", price)
    s.feel(s.a, "disappointed")
    s.say(
        "{a} saw {x} [on a shelf|behind the glass]. <How much {x.is} {x.they}?> {a} asked. <{n} coins,> "
        "said {greta}. {a} had only {m}, and was disappointed.",
        x=x,
        n=NUMBERS[price],
        m=NUMBERS[have],
        greta=greta,
    )
    s.take(greta, x)
    s.give(greta, x, s.a)
    s.feel(s.a, "happy")
    s.say(
        "<[You could sweep the floor for me|You could paint three puppets for me|You could sort these "
        "buttons|You could wash the window],> said {greta}. {A} worked [hard |]until it was done[, and "
        "{b} helped|]. Then {greta} gave {a} {x.the}. {a} was happy.",
        x=x,
        greta=greta,
    )
    s.morals.append("work")


def helps_the_baker(s: Story) -> None:
    otto = people.adult("baker")
    n = s.rng.integer(3, 12)
    y = s.rng.choose(("rolls", "buns", "pretzels", "loaves", "muffins"))
    s.count(f"{y} did they shape", n)
    s.feel(s.b, "tired")
    s.say(
        "{otto} [was alone that day|had too much to do|had hurt his hand]. <We can help,> said {a}. They "
        "[washed their hands|put on white aprons] and [rolled|kneaded] the dough. They shaped {n} {y}, "
        "and {otto} pushed them into the oven. {b} was tired [afterwards|from the work], but [it had "
        "been fun|the smell was worth it].",
        otto=otto,
        n=NUMBERS[n],
        y=y,
    )
    s.morals.append("help")


def learns_to_saw(s: Story) -> None:
    peter = people.adult("carpenter")
    x = s.rng.choose(("birdhouse", "stool", "shelf", "whirligig", "footstool", "rabbit hutch"))
    if x in s.nouns:
        x = "bookrack"
    s.nouns.append(x)
    thing = Thing(x, s.rng.choose(("little", "sturdy", "plain", "fine")), kind="made")
    s.make(s.a, thing)
    s.feel(s.a, "proud")
    s.say(
        "{c} showed them how to [use a saw|drive in a nail|smooth a plank]. [<Slowly,> he said.|{b} held "
        "the wood.|The first nail went in crooked.] After [an hour|much work], {a} had made {x}. {a} was "
        "proud. <[That is good work|I could not have done it better|You have clever hands],> said {c}.",
        c=peter,
        x=thing,
    )
    s.morals.append("try")


SCHEMAS = (
    Schema(librarian_helps, where=(LIBRARY,)),
    Schema(sum_at_school, where=(SCHOOL,)),
    Schema(paints_a_picture, where=(SCHOOL, KITCHEN, BEDROOM)),
    Schema(chick_hatches, where=(BARN,)),
    Schema(toy_in_the_shop, where=(SHOP,)),
    Schema(helps_the_baker, where=(BAKERY,)),
    Schema(learns_to_saw, where=(WORKSHOP,)),
)
