"""Episodes between friends: quarrels and peace, promises, secrets, errands, and things planted that grow."""

from . import people
from .grammar import NUMBERS
from .places import BAKERY, FARM, GARDEN, KITCHEN, LIBRARY, PARK, PLAYGROUND, SHOP, SQUARE
from .story import Schema, Story


def quarrel_over_toy(s: Story) -> None:
    x = s.carried("toy", s.a)
    s.feel(s.b, "angry")
    s.say(
        "{a} was playing with {x}. <[Is it my turn now|May I have {x.it} now|May I try]?> asked {b}. "
        "<No,> said {a}. <{x.they} {x.is} mine!> [They pulled from both sides.|{a} held {x.the} tight.|] "
        "{b} was angry [and stamped {b.his} foot|and said an unkind word|and would not say a word].|{b} "
        "wanted to play with {x} too, but {a} would not let go. <You never share!> [shouted|cried] {b}. "
        "<And you always grab!> said {a}. {b} was angry and turned [away|round].",
        x=x,
    )
    s.thread["quarrel"] = (s.a, s.b)


def quarrel_over_game(s: Story) -> None:
    game = s.rng.choose(
        (
            ("tag", "hide and seek"),
            ("hopscotch", "leapfrog"),
            ("pirates", "farmers"),
            ("kings and queens", "robbers"),
            ("catch", "follow the leader"),
            ("tag", "statues"),
        )
    )
    s.feel(s.a, "angry")
    s.say(
        "{a} wanted to play {one}, but {b} wanted to play {two}. <{One} is [boring|silly|for babies],> "
        "said {b}. {A} was angry. <Then play alone!> {a} said.|What should they play? <{One}!> said {a}. "
        "<{Two}!> said {b}. <{One}!> <{Two}!> [It went on and on|Nobody would give in]. In the end {a} "
        "was angry[ and sat down with crossed arms| and walked away|].",
        one=game[0],
        two=game[1],
    )
    s.thread["quarrel"] = (s.b, s.a)


def peace_with_a_gift(s: Story) -> None:
    a, b = s.thread.pop("quarrel")
    s.cast(a, b)
    y = s.thing("flower") if s.place.outdoors and s.weather != "snowy" else s.thing("snack")
    s.take(a, y)
    s.feel(a, "sorry")
    s.give(a, y, b)
    s.say(
        "[It is no fun to be alone.|After a while the anger was gone.|It grew very quiet.] {a} was "
        "sorry[ about the quarrel|]. {A.he} [looked round|thought hard], found {y}, and gave {y.it} to "
        "{b}. <[Please forgive me|I am sorry|Let us be friends again],> {a} said.",
        y=y,
    )
    s.feel(b, "happy")
    s.say(
        "{b} [smiled|took a deep breath and smiled|could not stay angry]. <[I am sorry too|It is all "
        "right|Friends again],> {b} said, and {b.he} was happy.",
    )
    s.morals.append("peace")


def peace_by_turns(s: Story) -> None:
    a, b = s.thread.pop("quarrel")
    s.cast(a, b)
    c = s.parent(s.hero) if s.indoors() else s.rng.choose(people.ADULTS[:16])
    s.say(
        "{c} [heard the noise|had heard every word|came by] and [sat down with them|shook {c.his} head]. "
        "<What is the matter?> {c} asked. They both talked at once. <[One after the other|Take turns|You "
        "can share],> said {c}. <First {one.name}, then {two.name}.>",
        c=c,
        one=b,
        two=a,
    )
    s.feel(a, "calm")
    s.feel(b, "calm")
    s.say(
        "So they took turns, and [it worked|nobody was angry any more|it was twice as much fun]. "
        "[Soon|Before long] {ab} were calm again.",
    )
    s.morals.append("share")


_JOBS_IN_SNOW = (
    "feed the hens",
    "sweep the yard",
    "clean the windows",
    "tidy the shed",
    "stack the wood",
    "mend the sledge",
    "shovel the snow",
    "fill the lamps",
)
_JOBS = (
    *(
        "feed the hens",
        "water the roses",
        "sweep the yard",
        "paint the fence",
        "pick the cherries",
        "wash the cart",
    ),
    *(
        "clean the windows",
        "tidy the shed",
        "stack the wood",
        "rake the leaves",
        "pull up the weeds",
        "carry the water",
    ),
)


def promise_to_help(s: Story) -> None:
    what = s.rng.choose(_JOBS_IN_SNOW if s.weather == "snowy" else _JOBS)
    s.promise(s.a, s.b, f"to {what}")
    s.feel(s.b, "glad")
    s.say(
        "<I have so much to do today,> [sighed|said] {b}. <[I still have to|I must] {what}.> <I will "
        "help you to {what},> said {a}. <[I promise|You have my word|That is a promise].> {B} was "
        "glad.|{a} promised {b.o} to {what} [that day|before dark|later]. <[Really|Do you mean it]?> "
        "asked {b}. <[A promise is a promise|Of course],> said {a}, and {b} was glad.",
        what=what,
    )
    s.thread["promise"] = (s.a, s.b, what)


def promise_kept(s: Story) -> None:
    a, b, what = s.thread.pop("promise")
    s.cast(a, b)
    s.keep(a, b, f"to {what}")
    s.feel(b, "grateful")
    s.say(
        "[Then|Now] {a} remembered {a's} promise. [The others were still playing, but|It was late, "
        "but|{A} would rather have played, but] a promise is a promise. {A} [rolled up {a.his} "
        "sleeves|called {b.o}|went to work] and helped {b} to {what}. It took [a long time|an hour|until "
        "the bells rang].|{a} had not forgotten what {a.he} had promised. {A} helped {b} to {what}, [and "
        "they sang as they worked|and with two it was quickly done|until their arms ached].",
        what=what,
    )
    s.say(
        "{b} was grateful. <[I knew that you would come|You kept your promise|With you it was easy]!> "
        "{b} said.",
    )
    s.morals.append("promise")


def promise_nearly_forgotten(s: Story) -> None:
    a, b, what = s.thread.pop("promise")
    s.cast(a, b)
    s.feel(a, "ashamed")
    s.keep(a, b, f"to {what}")
    s.feel(b, "happy")
    s.say(
        "[The day went by|They played and played], and {a} [quite |nearly |]forgot {a's} promise. [Then "
        "{a} saw {b} all alone, already at work.|Then {b} said, <And what about your promise?>] {A} was "
        "ashamed. <I am sorry! [Better late than never|I will start at once],> said {a}, and {a.he} "
        "helped to {what}.",
        what=what,
    )
    s.say(
        "{b} was happy [after all|in the end|that {a.he} had come].",
    )
    s.morals.append("promise")


def plan_a_surprise(s: Story) -> None:
    c = s.other()
    x = s.thing("gift")
    s.say(
        "{c} had a birthday [that day|the next day|the week after]. <[Let us make a surprise|We need a "
        "present|We must give {c.him} something],> [whispered|said] {a}. <[Do not tell anyone|It must be "
        "a secret]!> They [thought and thought|put their coins together], and got {x} for {c.o}. {A} hid "
        "{x.it} under {a's} coat.",
        c=c,
        x=x,
    )
    s.take(s.a, x)
    s.feel(s.b, "excited")
    s.say(
        "{b} was so excited that {b.he} [giggled|could not stand still|nearly told everybody].",
    )
    s.thread["surprise"] = (s.a, c, x)


def the_surprise(s: Story) -> None:
    a, c, x = s.thread.pop("surprise")
    s.cast(a, s.friend if a is s.hero else s.hero)
    s.give(a, x, c)
    s.go(c, s.place)
    s.feel(c, "surprised")
    s.say(
        "[Then|At last] {c} came [round the corner|in|along]. <Happy birthday!> {ab} "
        "[shouted|called|sang]. {a} held out {x}. {c} was surprised[ and blushed| and laughed|]. <[For "
        "me|Is that really for me]?> {c} asked, and took {x.the}.|{ab} hid and waited for {c}. When {c} "
        "came, they jumped out. <Surprise!> they shouted, and {a} gave {c} {x}. {c} was surprised. <[I "
        "have always wanted that|What a lovely present|Thank you, thank you]!> {c} said.",
        c=c,
        x=x,
    )
    s.morals.append("give")


def sent_for_bread(s: Story) -> None:
    c = s.parent(s.a)
    n = s.rng.integer(2, 6)
    s.thread["errand"] = (s.a, c, "bread", n)
    s.say(
        "<{a.name}, [dear|please], go and buy {n} [fresh |]rolls from Otto,> said {c}, and gave {a} [a "
        "coin|some money]. <[And hurry|Do not dawdle|Be back in time]!> [{b} went along.|{b} wanted to "
        "come too.]|{c} gave {a} some money. <We need {n} rolls from the bakery,> {c} said. <[Will you "
        "get them|Can you go]?> <I will!> said {a}, and {b} went along.",
        c=c,
        n=NUMBERS[n],
    )


def the_rolls_are_bought(s: Story) -> None:
    a, c, _, n = s.thread.pop("errand")
    s.cast(a, s.friend if a is s.hero else s.hero)
    otto = people.adult("baker")
    s.count("rolls did Otto put into the bag", n)
    s.say(
        "{otto} stood behind the counter[, white with flour| and whistled|]. <Good {time}! What would "
        "you like?> he asked. <{N} rolls, please,> said {a}. {otto} put {n} [warm |]rolls into a bag.[ "
        "He gave each of them a [pretzel|cookie] as well.|] <Thank you!> said {a} and {b}.|It was warm "
        "in the bakery. {a} asked for {n} rolls, and {otto} put {n} rolls into a bag. [The smell was "
        "wonderful.|{b} sniffed the good smell.|They were still hot.]",
        otto=otto,
        n=NUMBERS[n],
        time=s.time,
    )
    s.feel(c, "happy")
    s.say(
        "[At home|Back home] {c} counted the rolls and was happy. <[Well done|Thank you, {a.name}]!> {c} "
        "said.",
        c=c,
    )
    s.refs["p"] = None
    s.home = True


def plants_a_seed(s: Story) -> None:
    x = s.thing("seedling")
    s.say(
        "{b} [had a seed in {b.his} pocket|had found a seed|held out a seed]. [<What will it be?> asked "
        "{a}.|] <[It is|This will be] {x.a},> said {b}. They dug a hole [in the soft earth|beside the "
        "fence|with a spoon], put the seed in, and watered it.|{ab} planted {x} {spot}. {a} dug the "
        "hole, and {b} [pressed the earth down|brought the water|put up a stick].",
        x=x,
        spot=s.rng.choose(("by the wall", "beside the fence", "in the corner of the bed")),
    )
    s.feel(s.a, "curious")
    s.say(
        "[Every day|Each morning] they came and looked, [but nothing happened|but there was only earth]. "
        "{a} was curious. <When will it come up?> {a} asked.",
    )
    s.thread["seed"] = (s.a, s.b, x)


def the_seed_grows(s: Story) -> None:
    a, b, x = s.thread.pop("seed")
    s.cast(a, b)
    s.feel(b, "proud")
    s.say(
        "[Then the rain came, and after it the sun.|The sun shone, and the rain fell.|Days went by, and "
        "weeks went by.] [One morning|At last] a [tiny |]green tip [pushed|peeped] out of the earth. [It "
        "grew a little every day.|First there were two leaves, then four, then many.] [In the end|By the "
        "end of summer] {x.the} stood there, {how}. {b} was proud. <[We did that|We only had to "
        "wait|Look how it has grown]!> {b} said.",
        x=x,
        how=s.rng.choose(
            ("strong and green", "bigger than any other in the garden", "full of life", "bright in the sun")
        ),
    )
    s.morals.append("wait")


SCHEMAS = (
    Schema(quarrel_over_toy, opens="quarrel"),
    Schema(quarrel_over_game, outdoors=True, opens="quarrel"),
    Schema(peace_with_a_gift, closes="quarrel"),
    Schema(peace_by_turns, closes="quarrel"),
    Schema(promise_to_help, opens="promise"),
    Schema(promise_kept, where=(FARM, GARDEN), closes="promise"),
    Schema(promise_nearly_forgotten, where=(FARM, GARDEN), closes="promise"),
    Schema(plan_a_surprise, where=(SHOP, SQUARE), opens="surprise"),
    Schema(the_surprise, where=(PARK, PLAYGROUND, SQUARE, LIBRARY), closes="surprise"),
    Schema(sent_for_bread, where=(KITCHEN,), opens="errand"),
    Schema(the_rolls_are_bought, where=(BAKERY,), closes="errand"),
    Schema(plants_a_seed, where=(GARDEN,), weather="sunny cloudy windy", opens="seed"),
    Schema(the_seed_grows, where=(GARDEN,), closes="seed"),
)
