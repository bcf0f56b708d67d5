"""How stories begin and end."""

from . import people
from .grammar import NUMBERS
from .places import KITCHEN, Place
from .story import Schema, Story

_WEATHER = {
    "sunny": "[The sun was shining|It was sunny and warm|There was not a cloud in the sky|The day was sunny "
    "and bright]",
    "windy": "[It was windy|The wind blew from the sea|It was a windy day|The wind rattled the shutters]",
    "rainy": "[It was raining|Rain fell on the roofs|It was a rainy day|The rain would not stop]",
    "cloudy": "[It was cloudy|Grey clouds hung over the hill|It was a cloudy day|The sky was cloudy but dry]",
    "foggy": "[It was foggy|Fog lay over the village|It was a foggy day|The fog was as thick as milk]",
    "snowy": "[It was snowing|Snow lay on the roofs|It was a snowy day|Everything was white with snow]",
}
_WOOD_WEATHER = {
    "windy": "[It was windy|The wind shook the branches|It was a windy day|The tall pines swayed in the "
    "wind]",
    "rainy": "[It was raining|Rain dripped from the leaves|It was a rainy day|The rain would not stop]",
    "cloudy": "[It was cloudy|Grey clouds hung over the trees|It was a cloudy day|The sky was cloudy but "
    "dry]",
    "foggy": "[It was foggy|Fog lay between the trees|It was a foggy day|The fog was as thick as milk]",
    "snowy": "[It was snowing|Snow lay on the branches|It was a snowy day|Everything was white with snow]",
}
_SKY = {
    "sunny": "[sunny|bright|warm]", "windy": "[windy|stormy]", "rainy": "[rainy|wet]", "cloudy":
    "[cloudy|grey]",
    "foggy": "[foggy|misty]", "snowy": "[snowy|cold|white]",
}  # fmt: skip

# Where a child is when it has gone home.
_HOMES = {child.home: Place(child.home, "in", False, (), ()) for child in people.CHILDREN}

_MORALS = {
    "look": "[Those who look long enough will find.|Two find more than one.|It is good to have help when "
    "something is lost.]",
    "honest": "[What we find belongs to the one who lost it.|It is good to give back what is not ours.]",
    "try": "[Whoever tries again gets there in the end.|It is no shame to begin again.|What is hard today "
    "is easy tomorrow.]",
    "peace": "[It takes courage to say sorry.|A quarrel ends when somebody begins to be kind.]",
    "share": "[What is shared tastes twice as good.|Sharing makes two people happy.|There is always enough "
    "for two.]",
    "promise": "[A promise is a promise.|Those who keep their word have many friends.]",
    "give": "[Giving is as nice as getting.|A present makes two people happy.]",
    "wait": "[Good things take time.|Those who can wait see wonders.]",
    "help": "[Many hands make light work.|A friend who helps is worth more than gold.]",
    "kind": "[A kind word costs nothing.|A good friend makes bad days short.|Kindness comes back.]",
    "gentle": "[Even the smallest deserve our care.|The strong should be gentle.]",
    "together": "[Together they were strong.|What one cannot do, many can.]",
    "brave": "[Being brave means being afraid and going on.|Courage grows when we use it.]",
    "calm": "[Those who keep calm find the way.|It helps to stop and think.]",
    "truth": "[The truth is easier to carry than a lie.|It is better to tell the truth at once.]",
    "boast": "[Those who boast fall the hardest.|Doing is better than talking.]",
    "work": "[Good work brings its reward.|First the work, then the rest.]",
    "care": "[Those who have a pet must care for it.|Animals cannot ask, so we must think of them.]",
}


def _sight(s: Story) -> str:
    """ " and what one notices there", for a place and weather where that can be."""
    if s.indoors() or s.weather in ("sunny", "cloudy", "windy"):
        return "[.|, and {sight}.]"
    return "."


def open_story(s: Story, first: Schema) -> None:
    """Tells who, where, when and what the weather is, in one paragraph."""
    choices = first.where or (tuple(p for p in s.places if p.outdoors) if first.outdoors else s.places)
    place = s.rng.choose(choices)
    s.note("weather", s.weather)
    s.arrive(place)
    weather = (_WOOD_WEATHER if s.realm == "wood" else {}).get(s.weather) or _WEATHER[s.weather]
    if s.realm == "wood":
        _wood_opening(s, weather)
    else:
        _village_opening(s, weather)
    if first.pet:
        s.say(
            "{pet} was there too.|{pet} was in the garden as well.|And of course {pet} was with them.",
        )


def _village_opening(s: Story, weather: str) -> None:
    hero, friend = s.hero, s.friend
    refs = {
        "age": NUMBERS[hero.age], "home": hero.home, "time": s.time, "hobby": hero.hobby, "food": hero.food,
        "dream": hero.dream, "colour": hero.colour, "fear": hero.fear, "month": hero.month,
        "kin": "brother" if friend.pronoun == "he" else "sister",
        "child": "boy" if hero.pronoun == "he" else "girl", "species": s.pet.species if s.pet else "",
        "sight": s.rng.choose(s.place.sights),
    }  # fmt: skip
    style = s.rng.integer(0, 5)
    about = (
        "{hero} was {age} years old and lived in {home}.|{hero} lived in {home}.|"
        "{hero} was a {child} of {age} who [loved|liked] {hobby}.|{hero} lived in {home} with {hero.his} "
        "{species} {pet.name}.|"
        "{hero} wanted to be {dream} one day.|{hero's} favourite colour was {colour}.|"
        "Nobody liked {food} more than {hero.name}.|{hero} was not afraid of much, only of {fear}.|"
        "{hero} loved {hobby} [more than anything|best of all].|{hero's} birthday was in {month}."
    )
    refs["dream"] = f"an {hero.dream}" if hero.dream[0] in "aeiou" else f"a {hero.dream}"
    meets = (
        "[That {time}|One {time}], {hero} was {p.at} with {hero.his} {kin} {friend}."
        if people.sibling(hero) is friend
        else "[One {time}|That {time}], {hero} was {p.at} with {hero.his} friend {friend}.|"
        "[One {time}|That {time}], {hero} met {friend} {p.at}."
    )
    if style == 0:
        s.say(about, **refs)
        s.say(meets, **refs)
        s.say(weather + _sight(s), **refs)
    elif style == 1:
        s.say(
            "It was a {sky} {time} in [Applebrook|the village of Applebrook]. {hero} and {friend} were "
            "{p.at}.",
            **refs,
            sky=s.rng.choose(_SKY[s.weather].strip("[]").split("|")),
        )
        s.say(about, **refs)
    elif style == 2:
        s.say(
            "[Once|Once upon a time] there was a {child} named {hero}. ",
            **refs,
        )
        s.teller.paragraphs[-1][-1] = s.teller.paragraphs[-1][-1].strip()
        s.say(
            "{hero} [was {age} years old|lived in {home}|loved {hobby}|liked {food} best of all].",
            **refs,
        )
        s.say("One {time} {hero} was {p.at} with {friend}. " + weather + ".", **refs)
    elif style == 3:
        s.say(weather + ". {ab} were {p.at}" + _sight(s), **refs)  # fmt: skip
        s.say(about, **refs)
    elif style == 4:
        s.say(
            "<[What shall we do today|What can we do now|Where shall we go]?> asked {hero}. <[Let us go "
            "{p.to}|Come with me "
            "{p.to}],> said {friend}. [So they went.|So off they went.|And so they did.] " + weather + ".",
            **refs,
        )  # fmt: skip
        s.say(about, **refs)
    else:
        s.say(about, **refs)
        other = "{friend} lived in {home2}." if friend.home != hero.home else ""
        s.say(
            (other or "{friend} was {hero.his} {kin}.") + " [One|That] {time} {ab} were {p.at}. " + weather +
            ".",
            **refs, home2=friend.home,
        )  # fmt: skip


def _wood_opening(s: Story, weather: str) -> None:
    hero, friend = s.hero, s.friend
    refs = {
        "home": hero.home, "food": hero.food, "hobby": hero.hobby, "home2": friend.home, "time": s.time,
        "sight": s.rng.choose(s.place.sights), "hobby2": friend.hobby,
    }  # fmt: skip
    s.say(
        "[Deep in the wood|In the wood near Applebrook|Long ago, in the wood], there lived {hero}. "
        "{Hero's} home was {home}. [One|That] {time} {hero} met {friend} {p.at}.|{hero} [liked|loved] "
        "{hobby}, and {friend} [liked|loved] {hobby2}. [One|That] {time} they met {p.at}.|{hero} ate "
        "{food} for breakfast, as always. Then {hero} went {p.to}, where {friend} was "
        "waiting.|[One|That] {time}, {friend} and {hero} were {p.at}. {Hero.name} loved {hobby} best of "
        "all.",
        **refs,
    )
    s.say(weather + _sight(s), **refs)


def end_story(s: Story) -> None:
    """Takes the children home, or the animals to bed, perhaps with a feeling and what was learned."""
    if not s.home and s.realm == "village" and s.place is not KITCHEN and s.chance(0.6):
        s.refs["home"] = s.hero.home
        s.say(
            "[When the church bell rang|When it got dark|In the evening|At last|When the lamps were lit], "
            "{hero} [went|walked] home "
            "to {home}.[ {friend} waved until {hero} was out of sight.|]"
            if s.friend.home != s.hero.home
            else "[When the church bell rang|When it got dark|In the evening|At last|When the lamps were "
            "lit], {ab} [went|walked] "
            "home to {home}."
        )
        s.go(s.hero, _HOMES[s.hero.home])
        if s.friend.home == s.hero.home:
            s.go(s.friend, _HOMES[s.hero.home])
    closing = (
        "[It had been a good day.|What a day it had been!|That night {hero} slept "
        "[well|soundly|deeply].|They talked "
        "about it for a long time.|Tomorrow they would meet again.|And they were better friends than before.|"
        "{hero} told everyone about it.|<See you [tomorrow|soon],> said {friend}.|{hero} smiled in "
        "{hero.his} sleep.|"
        "Even years later they laughed about it.|{hero} never forgot that {time}.|And that is the end of "
        "the story.|"
        "[The stars came out|The moon rose], and all was quiet [in Applebrook|over the hill].|"
        "{hero} could hardly wait for the next day.|So the {time} ended well after all.]"
    )
    if s.morals and s.chance(0.4):
        s.say(_MORALS[s.rng.choose(s.morals)])
    else:
        s.say(closing, time=s.time)
