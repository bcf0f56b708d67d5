"""Parts of a talk: pairs of what the user says and what the assistant answers, some of which need the pair before."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.tinyworld.grammar import capital, number_word
from shared.tinyworld.people import EVERYONE
from shared.tinyworld.rng import Rng
from shared.tinyworld.splits import in_split

from . import strangers
from .arithmetic import add_steps, subtract_steps
from .lists import some_words
from .skill_sequence import RINGS
from .world_facts import Asked, asked


@dataclass(frozen=True, slots=True)
class Pair:
    """What the user says, what the assistant answers, what the answer needs, and of what sort it is."""

    user: str
    assistant: str
    knows: str
    sort: str


_GREETINGS = (
    "Hello!", "Good morning.", "Hi there!", "Good evening.", "Hello, assistant.", "Hey!", "Good day to you.",
    "Hello, are you there?", "Hi! Can you help me?", "Good afternoon!", "Hello there, how are you?",
    "A good morning to you!",
)  # fmt: skip
_WELCOMES = ("Hello! How can I help you?", "Hello! What would you like to know?")
_TELLS_NAME = (
    "My name is {n}.", "I am {n}.", "Hello, I am {n}.", "Hi, my name is {n}!", "They call me {n}.",
    "Good morning, this is {n}.", "You can call me {n}.", "Hey, it is me, {n}.", "Hello! {n} is my name.",
    "I would like to say hello, I am {n}.", "Before I ask, my name is {n}.", "{n} here, hello!",
    "You should know that my name is {n}.", "We have not met. I am {n}.", "At home they call me {n}.",
    "Good evening! This is {n}, and I have some questions.", "Please remember that my name is {n}.",
    "Hello there, you can call me {n}.", "I am new here, and {n} is my name.",
)  # fmt: skip
_ASKS_NAME = (
    "What is my name?", "Do you remember my name?", "Who am I?", "What am I called?", "Tell me my name.",
    "How do my friends call me?", "Can you say my name?", "Which name did I tell you?",
    "I told you my name. What is it?",
    "Do you still know who I am?", "Say my name, please.", "And what was my name?",
    "What do they call me?", "Have you forgotten my name?", "Now say who I am.", "Can you tell me who I am?",
    "Please write my name.", "My name is what?", "If somebody asks you for my name, what do you say?",
    "One thing more: how am I called?",
)  # fmt: skip
_THANKS = (
    "Thank you.", "Thanks a lot!", "That helps, thank you.", "Very good, thanks.", "Thank you, that was all.",
    "Great, thanks!", "I thank you.", "Thanks, goodbye!", "Many thanks.", "You were a great help.",
)  # fmt: skip
# What a user may tell, how it is told, how it is asked for, and how it is answered.
_TOLD = (
    ("word",
     "My secret word is {x}.|Remember the word {x} for me.|The word to remember is {x}.|Keep this word for me: {x}.|"
     "I chose {x} as my secret word.",
     "What is my secret word?|Which word did I tell you?|Say my secret word.|Do you remember my word?|"
     "Which word did you keep for me?",
     "Your secret word is {x}."),
    ("number",
     "My lucky number is {x}.|The number on my ticket is {x}.|Remember the number {x} for me.|"
     "Keep the number {x} in mind.|I chose the number {x}.",
     "What is my number?|Which number did I tell you?|Tell me my number.|Do you still know my number?|"
     "Which number is mine?",
     "Your number is {x}."),
    ("friend",
     "My best friend is called {x}.|I have a friend called {x}.|The name of my friend is {x}.|"
     "Yesterday I played with {x}, my friend.|{x} is my best friend.",
     "What is the name of my friend?|Who is my friend?|How is my friend called?|Tell me the name of my friend.|"
     "Do you remember my friend's name?",
     "Your friend is called {x}."),
    ("colour",
     "My favourite colour is {x}.|I like {x} best of all colours.|No colour is as fine as {x}, I think.",
     "Which colour do I like?|What is my colour?|Tell me my favourite colour.|Do you remember my colour?",
     "Your favourite colour is {x}."),
    ("food",
     "My favourite food is {x}.|I could eat {x} every day.|There is nothing I like to eat more than {x}.",
     "What do I like to eat?|What is my favourite food?|Tell me what I like to eat.|"
     "Do you remember my favourite food?",
     "Your favourite food is {x}."),
)  # fmt: skip
_COLOURS = ("red", "blue", "green", "yellow", "purple", "orange", "brown", "pink", "white", "grey")
_FOODS = ("soup", "cake", "plums", "pancakes", "cheese", "honey", "noodles", "pears", "fish", "bread")
_FIRST = (
    "{q}",
    "{q}",
    "I have a question. {q}",
    "Tell me, please. {q}",
    "Can you help me? {q}",
    "Here is my question. {q}",
)
_LATER = (
    "{q}",
    "{q}",
    "One more thing. {q}",
    "I see. {q}",
    "Good. {q}",
    "And now this. {q}",
    "Next question. {q}",
)


def lead(rng: Rng, question: str, later: bool) -> str:
    """The question with a few words before it, as people have in a talk."""
    return rng.choose(_LATER if later else _FIRST).format(q=question)


def greeting(rng: Rng) -> Pair:
    """A greeting without a name."""
    return Pair(rng.choose(_GREETINGS), rng.choose(_WELCOMES), "Hello", "greeting")


def tells_name(rng: Rng, name: str) -> Pair:
    """The user says who they are."""
    return Pair(
        rng.choose(_TELLS_NAME).format(n=name), f"Hello, {name}! How can I help you?", name, "greeting"
    )


def asks_name(rng: Rng, name: str) -> Pair:
    """The user asks who they are; `name` is "" if they have not said so."""
    question = rng.choose(_ASKS_NAME)
    if not name:
        return Pair(
            question, "I do not know your name. You have not told me.", strangers.KNOWS_NOT, "name not told"
        )
    return Pair(question, f"Your name is {name}.", name, "name")


def thanks(rng: Rng) -> Pair:
    """The user says thank you."""
    return Pair(rng.choose(_THANKS), "You are welcome.", "welcome", "thanks")


def unknown(rng: Rng, split: str, later: bool) -> Pair:
    """The user asks for something that the world does not hold."""
    question = strangers.question(rng, split)
    return Pair(lead(rng, question, later), strangers.DOES_NOT_KNOW, strangers.KNOWS_NOT, "unknown")


def told(rng: Rng, split: str) -> tuple[Pair, Pair]:
    """The user tells something of theirs, and asks for it again; other things may be said in between.

    Most often it is one of so many words, numbers or names that it cannot be guessed, only copied.
    """
    what, tells, asks, answer = rng.weighted(tuple(zip(_TOLD, (4, 3, 3, 1, 1), strict=True)))
    match what:
        case "word":
            thing = some_words(rng, 2, 2)[0] if rng.chance(0.5) else strangers.word(rng, split)
        case "number":
            thing = str(rng.integer(2, 99) if rng.chance(0.5) else rng.integer(100, 999))
        case "friend":
            thing = strangers.name(rng, split)
        case _:
            thing = rng.choose(_COLOURS if what == "colour" else _FOODS)
    first = Pair(rng.choose(tells.split("|")).format(x=thing), "I will remember that.", "remember", "tells")
    return first, Pair(rng.choose(asks.split("|")), answer.format(x=thing), thing, "told")


# Pairs of which the second needs the first. Each maker takes the split and whether steps are written.


def _same_person(rng: Rng, split: str, worked: bool) -> tuple[Pair, Pair]:
    """ "And her hobby?" """
    one, two = rng.sample(_facts_of(rng, split), 2)
    his = {"he": "his", "she": "her"}[EVERYONE[two.fact.subject].pronoun]
    name = two.fact.subject
    it = two.phrase.replace(f"{name}'s ", f"{his} ")
    if it == two.phrase:
        it = f"{his} {two.phrase.removeprefix('the ').removesuffix(f' of {name}')}"
    ask = rng.choose(("And {it}?", "What is {it}?", "Then what is {it}?", "Tell me {it} too.")).format(it=it)
    return _recalled(rng, one), Pair(ask, two.fact.answer, two.fact.answer, "follow-up person")


def _facts_of(rng: Rng, split: str) -> list[Asked]:
    """What can be asked of somebody with "his" or "her"; facts of the split only."""
    while True:
        name = rng.choose(tuple(EVERYONE))
        facts = [
            one for one in asked()
            if one.fact.subject == name and in_split(f"recall {one.phrase}", split)
            and (one.phrase.endswith(f" of {name}") or f"{name}'s " in one.phrase)
        ]  # fmt: skip
        if len(facts) > 1:
            return facts


def _recalled(rng: Rng, one: Asked) -> Pair:
    ask = rng.choose((*one.fact.questions, f"What is {one.phrase}?", f"Tell me {one.phrase}."))
    return Pair(lead(rng, ask, False), one.fact.answer, one.fact.answer, "recall")


def _other_person(rng: Rng, split: str, worked: bool) -> tuple[Pair, Pair]:
    """ "And that of Ben?" """
    while True:
        one = rng.choose(asked())
        name = one.fact.subject
        fitting = [
            two for two in asked()
            if two.fact.kind == one.fact.kind and two.fact.subject != name and one.phrase.endswith(f" of {name}")
            and name in EVERYONE and two.phrase == one.phrase.removesuffix(name) + two.fact.subject
            and in_split(f"recall {two.phrase}", split)
        ]  # fmt: skip
        if fitting and in_split(f"recall {one.phrase}", split):
            two = rng.choose(fitting)
            forms = ("And that of {n}?", "And of {n}?", "What about {n}?", "The same for {n}, please.")
            ask = rng.choose(forms).format(n=two.fact.subject)
            return _recalled(rng, one), Pair(ask, two.fact.answer, two.fact.answer, "follow-up fact")


def _with_steps(steps: list[str], answer: int, worked: bool) -> str:
    return f"{', '.join(steps)}. So {answer}" if worked else str(answer)


def _more(rng: Rng, split: str, worked: bool) -> tuple[Pair, Pair]:
    """ "And 7 more?" """
    while True:
        n, m = rng.integer(2, 60), rng.integer(2, 30)
        if in_split(f"add {n} {m}", split):
            break
    total = n + m
    ask = rng.choose(("What is {n} plus {m}?", "How much is {n} and {m}?", "Add {n} and {m}.")).format(
        n=n, m=m
    )
    first = Pair(lead(rng, ask, False), _with_steps(add_steps(n, m), total, worked), str(total), "sums")
    if rng.chance(0.5) and total < 97:
        k = rng.integer(2, min(20, 99 - total))
        forms = ("And {k} more?", "Now add {k} to that.", "And if {k} more come?", "Then plus {k}?")
        steps, answer = add_steps(total, k), total + k
    else:
        k = rng.integer(2, min(20, total - 1))
        forms = ("Now take {k} away.", "And {k} less?", "Then minus {k}?", "And if {k} go away?")
        steps, answer = subtract_steps(total, k), total - k
    ask = rng.choose(forms).format(k=k)
    return first, Pair(ask, _with_steps(steps, answer, worked), str(answer), "follow-up sum")


def _listed(rng: Rng, split: str, worked: bool) -> tuple[Pair, Pair]:
    """ "Now backwards." """
    while True:
        words = some_words(rng, 3, 5)
        row = ", ".join(words)
        if in_split(f"copy {row}", split):
            break
    ask = rng.choose(("Copy: {r}.", "Repeat this list: {r}.", "Say this again: {r}.", "Say after me: {r}."))
    at = rng.integer(0, 2)
    which = ("first", "second", "third")[at]
    back = ", ".join(reversed(words))
    numbered = "\n".join(f"{i}. {word}" for i, word in enumerate(words, 1))
    dashes = "\n".join(f"- {word}" for word in words)
    then, answer = rng.choose((
        ("Now backwards.", back), ("And now in reverse?", back), ("Say it from the end.", back),
        (f"What was the {which} word?", words[at]), (f"And the {which} one?", words[at]),
        ("Now make a numbered list of it.", numbered), ("Number them, one on each line.", numbered),
        ("Write it with dashes.", dashes), ("Once more, please.", row), ("Which was the last?", words[-1]),
    ))  # fmt: skip
    return Pair(lead(rng, ask.format(r=row), False), row, row, "copying"), Pair(
        then, answer, answer, "follow-up list"
    )


def _next(rng: Rng, split: str, worked: bool) -> tuple[Pair, Pair]:
    """ "And after that?" """
    while True:
        ring = rng.choose(RINGS)
        at = rng.integer(0, len(ring) - 3)
        if in_split(f"after {ring[at]}", split):
            break
    one, two, three = ring[at : at + 3]
    ask = rng.choose(
        ("What comes after {x}?", "What do we say after {x}?", "Which one comes right after {x}?")
    )
    then = rng.choose(("And after that?", "And then?", "What follows?", "And the one after it?"))
    answers = [
        f"first {a}, then {b}, after {a} is {b}. So {b}" if worked else b
        for a, b in ((one, two), (two, three))
    ]
    first = Pair(lead(rng, ask.format(x=one), False), answers[0], two, "sequence")
    return first, Pair(then, answers[1], three, "follow-up next")


def _again(rng: Rng, split: str, worked: bool) -> tuple[Pair, Pair]:
    """ "In capital letters, please." """
    while True:
        one = rng.choose(asked())
        if in_split(f"recall {one.phrase}", split):
            break
    answer = one.fact.answer
    then, again = rng.choose((
        ("What did you say?", answer), ("Say that again, please.", answer), ("Once more?", answer),
        ("Write that in capital letters.", answer.upper()), ("In capitals, please.", answer.upper()),
        ("Can you repeat it?", answer),
    ))  # fmt: skip
    return _recalled(rng, one), Pair(then, again, again, "follow-up again")


FOLLOW_UPS: tuple[Callable[[Rng, str, bool], tuple[Pair, Pair]], ...] = (
    _same_person, _other_person, _more, _listed, _next, _again,
)  # fmt: skip


def full_sentence(rng: Rng, split: str, later: bool) -> Pair:
    """A question answered in a full sentence, as a system turn may ask for."""
    if rng.chance(0.6):
        while True:
            one = rng.choose(asked())
            lines = [line for line in one.fact.statements if one.fact.answer in line]
            if lines and in_split(f"recall {one.phrase}", split):
                ask = rng.choose(one.fact.questions)
                return Pair(lead(rng, ask, later), rng.choose(lines[:1]), one.fact.answer, "sentence")
    while True:
        n, m = rng.integer(1, 9), rng.integer(2, 9)
        if in_split(f"add {n} {m}", split):
            ask = rng.choose(("How much is {n} plus {m}?", "What is {n} and {m}?")).format(n=n, m=m)
            total = number_word(n + m)
            return Pair(
                lead(rng, ask, later),
                f"{capital(number_word(n))} and {number_word(m)} make {total}.",
                total,
                "sentence",
            )
