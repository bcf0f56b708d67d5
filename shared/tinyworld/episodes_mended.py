"""Episodes in which something breaks or gets wet, and those in which it is mended or dry again."""

from . import people
from .places import BEACH, GARDEN, HILL, KITCHEN, MEADOW, PARK, RIVER, SQUARE, WORKSHOP
from .story import Schema, Story


def it_broke(s: Story) -> None:
    x = s.carried("breakable", s.a)
    under = "[a mat|a stool|the doorstep]" if s.indoors() else "[a root|a stone|a branch]"
    s.say(
        "{a} was carrying {x}. [Then|Suddenly|On the way] {a.he} [tripped|stumbled] over "
        + under
        + " and fell. Crack! {X} {x.was} broken.|"
        "{b} wanted to try {x} that {a} had brought. [But {b} pulled too hard|But {b} let go too soon], and "
        "{x} "
        "[fell to the ground and |]broke.",
        x=x,
    )
    s.breaks(s.a, x)
    s.feel(s.a, "sad")
    s.say(
        "{a} was sad. <[Now {x.they} {x.is} no good|What shall I do now|How silly of me]!> {a.he} "
        "[sobbed|sighed|said].|{a} looked at the pieces and was sad. [<It was an accident,> said {b}.|A "
        "tear ran down {a's} cheek.]",
        x=x,
    )
    s.thread["broken"] = (s.a, x)


def stepped_on(s: Story) -> None:
    x = s.carried("breakable", s.a)
    s.put(s.a, x, "on the ground" if s.place.outdoors else "on the floor")
    s.say(
        "{a} put {x} down {spot}. {b} did not [see|notice] {x.it}, [walked backwards|turned round], and "
        "stepped right on {x.it}. [Crunch!|Snap!|Something cracked.] {X} {x.was} broken.",
        x=x,
        spot=s.spot[x],
    )
    s.take(s.b, x)
    s.breaks(s.b, x)
    s.feel(s.b, "sorry")
    s.feel(s.a, "angry")
    s.say(
        "{b} picked {x.it} up[ with care|]. {b} was [very |]sorry, but {a} was angry[ and turned away|]. "
        "<I did not mean to,> said {b}. <[We can get {x.it} mended|Let me make {x.it} good again|I will "
        "help you mend {x.it}].>",
        x=x,
    )
    s.thread["broken"] = (s.a, x)


def mended_by_peter(s: Story) -> None:
    a, x = s.thread.pop("broken")
    s.cast(a, s.friend if a is s.hero else s.hero)
    c = people.adult("carpenter")
    holder = s.holder[x]
    s.give(holder, x, c)
    s.mend(c, x)
    s.say(
        "{c} [was in the workshop|was sawing a plank|looked up from the workbench]. {h} gave {c.o} "
        "{x.the}. <[Hm|Well|Let me see],> said {c}. <[A little glue and two nails will do|I can mend "
        "that|That is quickly done].>|{h} gave {x.the} to {c} and told {c.o} what had happened. {C} "
        "nodded and took [a hammer|some glue|a screwdriver] from the shelf.",
        c=c,
        h=holder,
        x=x,
    )
    s.give(c, x, a)
    s.feel(a, "glad")
    s.say(
        "[Tap, tap, tap!|He worked for a while.|He hummed as he worked.] [Soon|Before long] {c.he} had "
        "mended {x}, and [{c} |]gave {x.it} to {a}. <[As good as new|There you are|Be careful with it]!> "
        "{c} said. {A} was glad.",
        c=c,
        x=x,
    )


def mended_together(s: Story) -> None:
    a, x = s.thread.pop("broken")
    s.cast(a, s.friend if a is s.hero else s.hero)
    holder = s.holder[x]
    with_ = s.rng.choose(("glue", "string", "tape", "wire"))
    s.say(
        "<I have an idea,> said {b}. <We can mend {x.the} ourselves!> {B} [fetched|found|borrowed] some "
        "{w} [and a brush|], and they set to work. {a} held the pieces together[ with both hands|] and "
        "{b} [did the rest|used the {w}].|They sat down [side by side|close together] to mend {x.the} "
        "with {w}. [At first it would not hold|It was hard at first|It took a long time], but [they did "
        "not give up|they tried again|{b} kept calm].",
        x=x,
        w=with_,
    )
    s.mend(s.b, x)
    if holder is not a:
        s.give(holder, x, a)
    s.feel(a, "proud")
    given = "" if holder is a else ", and {b} gave {x.it} to {a}"
    s.say(f"[At last|In the end] {{b}} had mended {{x.the}}{given}.", x=x)
    s.say(
        "{a} was proud of [the work|what they had done].",
    )
    s.morals.append("try")


def fell_in_water(s: Story) -> None:
    x = s.carried("clothing", s.a)
    water = {"the river": "the river", "the beach": "the sea"}.get(s.place.name, "a big puddle")
    s.say(
        "{a} [jumped from stone to stone|ran too fast|walked on a thin branch], slipped, and "
        "[splash|plop]! {A} fell into {w}. {A.his} {x.n} {x.was} soaking wet[.| and dripped all over the "
        "ground.]|{a} leaned over to look at [a frog|a fish|a water beetle] and fell into {w}. Now "
        "{a.his} {x.n} {x.was} wet [through and through|and heavy].",
        x=x,
        w=water,
    )
    s.soak(x)
    s.feel(s.a, "cold")
    s.say(
        "{a} was cold and [shivered|sneezed|{a's} teeth chattered]. [{b} helped {a.o} up.|<Take my "
        "hand,> said {b}.]",
    )
    s.thread["wet"] = (s.a, x)


def splashed(s: Story) -> None:
    x = s.carried("clothing", s.a)
    c = s.rng.choose((people.adult("bus driver"), people.adult("farmer"), people.adult("postman")))
    vehicle = {"bus driver": "bus", "farmer": "tractor", "postman": "bicycle"}[c.job]
    s.say(
        "[A {v} came down the road.|There was a deep puddle in the road.] It was {c} on {c's} {v}. [The "
        "wheels went right through|He did not see] [a|the] puddle, and the water splashed over {a}. "
        "{A.his} {x.n} {x.was} wet.",
        c=c,
        v=vehicle,
        x=x,
    )
    s.soak(x)
    s.feel(s.a, "angry")
    s.say(
        "{a} was angry at first. <[I am so sorry|Forgive me]!> called {c}. [{b} tried not to laugh.|]",
        c=c,
    )
    s.thread["wet"] = (s.a, x)


def dried_in_the_sun(s: Story) -> None:
    a, x = s.thread.pop("wet")
    s.cast(a, s.friend if a is s.hero else s.hero)
    spot = s.rng.choose(("on a branch", "over the fence", "on a warm stone", "on a line", "over a bush"))
    s.put(s.a, x, spot)
    s.dry(x)
    s.say(
        "The sun was warm, so {a} hung {x.the} {spot}. [They lay in the grass and watched the "
        "clouds.|Meanwhile they told each other riddles.|They played a game of guessing while they "
        "waited.|Then they waited and counted birds.] [After an hour|Before long|When the sun was high], "
        "{x.they} {x.was} dry.",
        x=x,
        spot=spot,
    )
    s.take(s.a, x)
    s.feel(s.a, "happy")
    s.say(
        "{a} took {x.the} down and put {x.it} on. <Warm and dry!> {a} said, and {a.he} was happy.",
        x=x,
    )


def dried_by_the_stove(s: Story) -> None:
    a, x = s.thread.pop("wet")
    s.cast(a, s.friend if a is s.hero else s.hero)
    c = s.parent(s.a)
    s.put(s.a, x, "over a chair")
    s.dry(x)
    s.say(
        "{c} [shook {c.his} head|laughed] when they came in. <You are dripping!> {C} [put more wood "
        "in|lit] the stove, and {a} hung {x.the} over a chair.[ There was hot [cocoa|tea|soup] for "
        "everyone.|] [Steam rose from {x.the}.|] [In the warm room|Next to the stove], {x.they} {x.was} "
        "soon dry.",
        c=c,
        x=x,
    )
    s.take(s.a, x)
    s.feel(s.a, "calm")
    s.say(
        "{a} put {x.it} on again, warm and soft, and felt calm[ and sleepy|].",
        x=x,
    )


SCHEMAS = (
    Schema(it_broke, opens="broken"),
    Schema(stepped_on, opens="broken"),
    Schema(mended_by_peter, closes="broken", where=(WORKSHOP,)),
    Schema(mended_together, closes="broken"),
    Schema(fell_in_water, where=(RIVER, BEACH), weather="sunny cloudy windy", opens="wet"),
    Schema(splashed, where=(SQUARE, PARK), weather="rainy cloudy sunny", opens="wet"),
    Schema(dried_in_the_sun, weather="sunny", where=(GARDEN, MEADOW, HILL, PARK), closes="wet"),
    Schema(dried_by_the_stove, where=(KITCHEN,), closes="wet"),
)
