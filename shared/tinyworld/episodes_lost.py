"""Episodes in which something is lost, broken or wet, and those in which it is found, mended or dry again."""

from . import people
from .places import BEACH, GARDEN, HILL, KITCHEN, MEADOW, PARK, RIVER, SQUARE, WORKSHOP
from .story import Schema, Story


def lost_on_the_way(s: Story) -> None:
    x = s.carried("toy", s.a)
    s.say(
        "{a} had {x} [in one hand|along that day|under one arm]. [All at once|After a while|Suddenly] {a} stopped. "
        "<[Oh no|Wait|Oh dear]! My {x.noun} {x.is} gone!> {a} [cried|said|called].|"
        "{a} [loved|was very fond of] {x}, and took {x.it} everywhere. [But|That day, however,] "
        "{a.he} looked [down|round] and {a's} hands were empty. {X} {x.was} gone!",
        x=x,
    )
    s.lose(s.a, x)
    s.feel(s.a, "sad")
    s.say(
        "{a} was sad[.| and did not want to play any more.| and sat down on the ground.] "
        "[<Do not cry,> said {b}. <We will look for {x.it} together.>|"
        "{b} put an arm round {a.o}. <It cannot be far,> said {b}.|"
        "<When did you see {x.it} last?> asked {b}. {A} [did not know|could not say].]",
        x=x,
    )
    s.thread["lost"] = (s.a, x)


def the_wind_takes_it(s: Story) -> None:
    x = s.carried("clothing", s.a)
    s.say(
        "[The wind blew harder and harder|A sudden gust of wind came up|Then the wind began to play tricks]. "
        "It [pulled|tugged] at {x} that {a} [wore|was carrying], and[ then| before anyone could move,| whoosh!] "
        "it carried {x.it} [away over the roofs|high into the air|out of sight].",
        x=x,
    )
    s.lose(s.a, x)
    s.feel(s.a, "worried")
    s.say(
        "<[Come back|Stop|Catch it]!> [shouted|cried] {a}, [but the wind does not listen to anybody|"
        "but it was too late]. {A} was worried[, because {x} {x.was} a present from {g}|].|"
        "{a} and {b} ran after {x.it}, but the wind was faster. {a} was worried.",
        x=x,
        g=s.rng.choose(("Grandma", "an aunt", "an uncle", "a cousin")),
    )
    s.thread["lost"] = (s.a, x)


def left_behind(s: Story) -> None:
    x = s.carried("treasure", s.a)
    s.say(
        "{a} showed {b} {x}. <[I found it on my birthday|It brings me luck|I always carry it with me]!> {a} said.|"
        "{a} always carried {x} in {a's} pocket, and now {a.he} wanted to show {x.it} to {b}.|"
        "<Guess what I have,> said {a}, and held up {x}. {B} [clapped|nodded|was amazed].",
        x=x,
    )
    s.lose(s.a, x)
    s.feel(s.a, "sad")
    s.say(
        "Then they [played tag|played hide and seek|ran a race|turned cartwheels], and when {a} [felt in|reached into] "
        "{a's} pocket again, {x} was not there. [There was only a hole|The pocket was empty]. {a} was sad.",
        x=x,
    )
    s.thread["lost"] = (s.a, x)


def found_by_looking(s: Story) -> None:
    a, x = s.thread.pop("lost")
    s.cast(a, s.friend if a is s.hero else s.hero)
    spot = s.a_spot()
    finder = s.rng.choose((s.a, s.b))
    s.say(
        "{ab} looked for {x} everywhere. They looked {one}. They looked {two}. [Nothing!|It was no use.|No luck!]|"
        "<Let us look for {x},> said {b}. <You look {one}, and I will look {two}.>|"
        "So the search for {x} began. {A} looked {one}, while {b} looked {two}.",
        x=x, one=s.rng.choose([p for p in s.place.spots if p != spot][:2]),
        two=s.rng.choose([p for p in s.place.spots if p != spot][2:]),
    )  # fmt: skip
    s.find(finder, x, spot)
    s.say(
        "[At last|In the end|Finally] {f} found {x} {spot}. [<Here {x.they} {x.is}!> {f.he} shouted.|Hurray!|]|"
        "Then {f} saw something {spot}. There {x.was} {x.the}!",
        f=finder, x=x, spot=spot,
    )  # fmt: skip
    if finder is s.b:
        s.give(finder, x, s.a)
        s.say("{b} gave {x.it} [back |]to {a.o}.", x=x)
    s.feel(s.a, "happy")
    s.say(
        "{a} was [so happy that {a.he} jumped up and down|happy again|happy and laughed]."
        "[ <Thank you for helping me,> {a} said.|]"
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
        "{Pet} [sniffed here and there|ran round and round|put {pet.his} nose to the ground] and began to bark."
        if pet.species == "dog"
        else "[Just then|At that moment|Suddenly] they saw {pet}. {Pet} [sat still and |]was staring at something {spot}.",
        pet=pet,
        spot=spot,
    )
    s.find(s.a, x, spot)
    s.feel(s.a, "grateful")
    s.say(
        "[What was that?|{a} went to see.|<What have you got there?> asked {a}.] {X} lay there, {spot}! "
        "{a} picked {x.it} up. <[Clever|Good|Dear] {pet.name}!> said {b}.",
        x=x, pet=pet, spot=spot,
    )  # fmt: skip
    s.say("{a} was grateful[ and stroked {pet}| and gave {pet} a treat|].", pet=pet)


def brought_back(s: Story) -> None:
    a, x = s.thread.pop("lost")
    s.cast(a, s.friend if a is s.hero else s.hero)
    c = s.rng.choose([people.adult(job) for job in ("postman", "mayor", "gardener", "shepherd", "doctor", "vet",
                                                    "bus driver", "florist", "fisher") if job != "gardener"])  # fmt: skip
    spot = s.rng.choose(("on the bridge", "in front of the church", "at the bus stop", "on the stairs",
                         "beside the fountain", "in the middle of the road", "on a bench", "outside the mill"))  # fmt: skip
    s.find(c, x, spot)
    s.say(
        "[Just then|Before long|Luckily], {c} came [by|along the road|past]. <[Is this yours|Does this belong to "
        "you|Who has lost something]?> {c} asked[ with a smile|]. <I found {x.it} {spot}.>|"
        "They asked everyone they met. [At last|Luckily] they met {c}. <I found something {spot},> said {c}. "
        "<[Is it yours|Did you lose it]?>",
        c=c, x=x, spot=spot,
    )  # fmt: skip
    s.give(c, x, s.a)
    s.feel(s.a, "relieved")
    s.say(
        "There {x.was} {x.the}! {c} gave {x.it} to {a}. {a} was relieved. <Thank you[ so much|], {c.name}!> {a} said.",
        c=c, x=x,
    )  # fmt: skip
    s.morals.append("honest")


def it_broke(s: Story) -> None:
    x = s.carried("breakable", s.a)
    under = "[a mat|a stool|the doorstep]" if s.indoors() else "[a root|a stone|a branch]"
    s.say(
        "{a} was carrying {x}. [Then|Suddenly|On the way] {a.he} [tripped|stumbled] over "
        + under
        + " and fell. Crack! {X} {x.was} broken.|"
        "{b} wanted to try {x} that {a} had brought. [But {b} pulled too hard|But {b} let go too soon], and {x} "
        "[fell to the ground and |]broke.",
        x=x,
    )
    s.breaks(s.a, x)
    s.feel(s.a, "sad")
    s.say(
        "{a} was sad. <[Now {x.they} {x.is} no good|What shall I do now|How silly of me]!> {a.he} [sobbed|sighed|said].|"
        "{a} looked at the pieces and was sad. [<It was an accident,> said {b}.|A tear ran down {a's} cheek.]",
        x=x,
    )
    s.thread["broken"] = (s.a, x)


def stepped_on(s: Story) -> None:
    x = s.carried("breakable", s.a)
    s.put(s.a, x, "on the ground" if s.place.outdoors else "on the floor")
    s.say(
        "{a} put {x} down {spot}. {b} did not [see|notice] {x.it}, [walked backwards|turned round], and "
        "stepped right on {x.it}. [Crunch!|Snap!|Something cracked.] {X} {x.was} broken.",
        x=x, spot=s.spot[x],
    )  # fmt: skip
    s.take(s.b, x)
    s.breaks(s.b, x)
    s.feel(s.b, "sorry")
    s.feel(s.a, "angry")
    s.say(
        "{b} picked {x.it} up[ with care|]. {b} was [very |]sorry, but {a} was angry[ and turned away|]. "
        "<I did not mean to,> said {b}. <[We can get {x.it} mended|Let me make {x.it} good again|I will help you mend {x.it}].>",
        x=x,
    )  # fmt: skip
    s.thread["broken"] = (s.a, x)


def mended_by_peter(s: Story) -> None:
    a, x = s.thread.pop("broken")
    s.cast(a, s.friend if a is s.hero else s.hero)
    c = people.adult("carpenter")
    holder = s.holder[x]
    s.give(holder, x, c)
    s.mend(c, x)
    s.say(
        "{c} [was in the workshop|was sawing a plank|looked up from the workbench]. {h} gave {c.o} {x.the}. "
        "<[Hm|Well|Let me see],> said {c}. <[A little glue and two nails will do|I can mend that|That is quickly "
        "done].>|"
        "{h} gave {x.the} to {c} and told {c.o} what had happened. {C} nodded and took [a hammer|some glue|a "
        "screwdriver] from the shelf.",
        c=c, h=holder, x=x,
    )  # fmt: skip
    s.give(c, x, a)
    s.feel(a, "glad")
    s.say(
        "[Tap, tap, tap!|He worked for a while.|He hummed as he worked.] [Soon|Before long] {c.he} had mended {x}, "
        "and [{c} |]gave {x.it} to {a}. <[As good as new|There you are|Be careful with it]!> {c} said. {A} was glad.",
        c=c, x=x,
    )  # fmt: skip


def mended_together(s: Story) -> None:
    a, x = s.thread.pop("broken")
    s.cast(a, s.friend if a is s.hero else s.hero)
    holder = s.holder[x]
    with_ = s.rng.choose(("glue", "string", "tape", "wire"))
    s.say(
        "<I have an idea,> said {b}. <We can mend {x.the} ourselves!> {B} [fetched|found|borrowed] some {w} "
        "[and a brush|], and they set to work. {a} held the pieces together[ with both hands|] and {b} [did the "
        "rest|used the {w}].|"
        "They sat down [side by side|close together] to mend {x.the} with {w}. [At first it would not "
        "hold|It was hard at first|It took a long time], but [they did not give up|they tried again|{b} kept calm].",
        x=x, w=with_,
    )  # fmt: skip
    s.mend(s.b, x)
    if holder is not a:
        s.give(holder, x, a)
    s.feel(a, "proud")
    given = "" if holder is a else ", and {b} gave {x.it} to {a}"
    s.say(f"[At last|In the end] {{b}} had mended {{x.the}}{given}.", x=x)
    s.say("{a} was proud of [the work|what they had done].")
    s.morals.append("try")


def fell_in_water(s: Story) -> None:
    x = s.carried("clothing", s.a)
    water = {"the river": "the river", "the beach": "the sea"}.get(s.place.name, "a big puddle")
    s.say(
        "{a} [jumped from stone to stone|ran too fast|walked on a thin branch], slipped, and [splash|plop]! "
        "{A} fell into {w}. {A.his} {x.n} {x.was} soaking wet[.| and dripped all over the ground.]|"
        "{a} leaned over to look at [a frog|a fish|a water beetle] and fell into {w}. Now {a.his} {x.n} "
        "{x.was} wet [through and through|and heavy].",
        x=x, w=water,
    )  # fmt: skip
    s.soak(x)
    s.feel(s.a, "cold")
    s.say(
        "{a} was cold and [shivered|sneezed|{a's} teeth chattered]. [{b} helped {a.o} up.|<Take my hand,> said {b}.]"
    )
    s.thread["wet"] = (s.a, x)


def splashed(s: Story) -> None:
    x = s.carried("clothing", s.a)
    c = s.rng.choose((people.adult("bus driver"), people.adult("farmer"), people.adult("postman")))
    vehicle = {"bus driver": "bus", "farmer": "tractor", "postman": "bicycle"}[c.job]
    s.say(
        "[A {v} came down the road.|There was a deep puddle in the road.] It was {c} on {c's} {v}. "
        "[The wheels went right through|He did not see] [a|the] puddle, and the water splashed over {a}. "
        "{A.his} {x.n} {x.was} wet.",
        c=c, v=vehicle, x=x,
    )  # fmt: skip
    s.soak(x)
    s.feel(s.a, "angry")
    s.say("{a} was angry at first. <[I am so sorry|Forgive me]!> called {c}. [{b} tried not to laugh.|]", c=c)
    s.thread["wet"] = (s.a, x)


def dried_in_the_sun(s: Story) -> None:
    a, x = s.thread.pop("wet")
    s.cast(a, s.friend if a is s.hero else s.hero)
    spot = s.rng.choose(("on a branch", "over the fence", "on a warm stone", "on a line", "over a bush"))
    s.put(s.a, x, spot)
    s.dry(x)
    s.say(
        "The sun was warm, so {a} hung {x.the} {spot}. [They lay in the grass and watched the clouds.|Meanwhile they "
        "told each other riddles.|They played a game of guessing while they waited.|Then they waited and "
        "counted birds.] [After an hour|Before long|When the sun was high], {x.they} {x.was} dry.",
        x=x, spot=spot,
    )  # fmt: skip
    s.take(s.a, x)
    s.feel(s.a, "happy")
    s.say("{a} took {x.the} down and put {x.it} on. <Warm and dry!> {a} said, and {a.he} was happy.", x=x)


def dried_by_the_stove(s: Story) -> None:
    a, x = s.thread.pop("wet")
    s.cast(a, s.friend if a is s.hero else s.hero)
    c = s.parent(s.a)
    s.put(s.a, x, "over a chair")
    s.dry(x)
    s.say(
        "{c} [shook {c.his} head|laughed] when they came in. <You are dripping!> {C} [put more wood in|lit] the "
        "stove, and {a} hung {x.the} over a chair.[ There was hot [cocoa|tea|soup] for everyone.|] "
        "[Steam rose from {x.the}.|] [In the warm room|Next to the stove], {x.they} {x.was} soon dry.",
        c=c, x=x,
    )  # fmt: skip
    s.take(s.a, x)
    s.feel(s.a, "calm")
    s.say("{a} put {x.it} on again, warm and soft, and felt calm[ and sleepy|].", x=x)


SCHEMAS = (
    Schema(lost_on_the_way, opens="lost"),
    Schema(the_wind_takes_it, weather="windy", outdoors=True, opens="lost"),
    Schema(left_behind, outdoors=True, opens="lost"),
    Schema(found_by_looking, closes="lost", realm="both"),
    Schema(found_by_pet, closes="lost"),
    Schema(brought_back, closes="lost"),
    Schema(it_broke, opens="broken"),
    Schema(stepped_on, opens="broken"),
    Schema(mended_by_peter, closes="broken", where=(WORKSHOP,)),
    Schema(mended_together, closes="broken"),
    Schema(fell_in_water, where=(RIVER, BEACH), weather="sunny cloudy windy", opens="wet"),
    Schema(splashed, where=(SQUARE, PARK), weather="rainy cloudy sunny", opens="wet"),
    Schema(dried_in_the_sun, weather="sunny", where=(GARDEN, MEADOW, HILL, PARK), closes="wet"),
    Schema(dried_by_the_stove, where=(KITCHEN,), closes="wet"),
)
