"""Skills over lists and numbers: counting, sorting, sums, comparison, sequences, copying."""

from .grammar import capital, listed, number_word, plural
from .people import CHILDREN
from .places import VILLAGE_PLACES
from .rng import Rng
from .sums import COUNTED, addends, word_problem
from .words import CATEGORIES, DAYS, MONTHS, SEASONS

Made = tuple[str, str, int | None]
_COUNTABLE = tuple(
    word for kind in ("animal", "bird", "insect", "fruit", "vehicle", "instrument", "flower", "tool",
    "piece of furniture")
    for word in CATEGORIES[kind] if word != "pliers"
)  # fmt: skip
_SMALL = tuple(word for words in CATEGORIES.values() for word in words if " " not in word)


def _some(rng: Rng, low: int, high: int) -> list[str]:
    """Different short words: all of one category, or of any."""
    pool = rng.choose(tuple(CATEGORIES.values())) if rng.chance(0.5) else _SMALL
    words: list[str] = []
    for _ in range(rng.integer(low, high)):
        word = rng.choose(pool)
        if word not in words:
            words.append(word)
    return words if len(words) >= low else _some(rng, low, high)


def counting(rng: Rng, split: str) -> Made:
    """How many: of one word in a list, of words, of things in a sentence."""
    del split
    kind = rng.integer(0, 2)
    if kind == 0:
        words = _some(rng, 2, 4)
        target = words[0]
        row = rng.shuffled(
            [target] * rng.integer(1, 5) + [rng.choose(words[1:]) for _ in range(rng.integer(1, 4))]
        )
        ask = rng.choose(("How many times is \"{}\" in this list: {}?", "Count how often \"{}\" occurs: {}.",
                          "See how often \"{}\" is in this list: {}."))  # fmt: skip
        return ask.format(target, ", ".join(row)), number_word(row.count(target)), None
    if kind == 1:
        words = _some(rng, 3, 8)
        ask = rng.choose(
            ("How many words are in this list: {}?", "Count the words: {}.", "How long is this list: {}?")
        )
        return ask.format(", ".join(words)), number_word(len(words)), None
    who = rng.sample(CHILDREN, 3)
    things = rng.choose(COUNTED)
    numbers = [rng.integer(2, 5) for _ in who]
    has = ", ".join(
        f"{p.name} has {number_word(n)} {things}" for p, n in zip(who[:-1], numbers, strict=False)
    )
    prompt = f"{has}, and {who[-1].name} has {number_word(numbers[-1])}. How many {things} are there in all?"
    return prompt, number_word(sum(numbers)), None


def sorting(rng: Rng, split: str) -> Made:
    """A short list in alphabetical order, or numbers by size."""
    del split
    if rng.chance(0.4):
        numbers = sorted({rng.integer(1, 99) for _ in range(rng.integer(3, 5))})
        if len(numbers) < 3:
            numbers = [3, 14, 58]
        down = rng.chance(0.4)
        row = ", ".join(map(str, rng.shuffled(numbers)))
        ask = rng.choose(("Sort from big to small: {}.", "Put the biggest number first: {}.", "Order these "
            "numbers, the biggest first: {}.")
                         if down else ("Sort from small to big: {}.", "Put the smallest number first: {}.",
                                       "Order these numbers, the smallest first: {}."))  # fmt: skip
        return ask.format(row), ", ".join(map(str, reversed(numbers) if down else numbers)), None
    words = [p.name for p in rng.sample(CHILDREN, rng.integer(3, 4))] if rng.chance(0.3) else _some(rng, 3, 5)
    ask = rng.choose(("Sort by the alphabet: {}.", "Put these words in alphabetical order: {}.", "Sort from "
        "A to Z: {}.",
                      "Give the order of these words in a dictionary: {}."))  # fmt: skip
    return ask.format(", ".join(words)), ", ".join(sorted(words, key=str.lower)), None


def sums(rng: Rng, split: str) -> Made:
    """Addition, subtraction, and problems in words."""
    del split
    if rng.chance(0.45):
        problem, answer = word_problem(rng)
        return problem, str(answer), None
    n, m = addends(rng)
    if rng.chance(0.5):
        ask = rng.choose(
            ("What is {} plus {}?", "Add {} and {}.", "How much is {} and {}?", "{} plus {} is how much?")
        )
        return ask.format(n, m), str(n + m), None
    ask = rng.choose(
        (
            "What is {} minus {}?",
            "Take {1} away from {0}.",
            "How much is {} less {}?",
            "{} minus {} is how much?",
        )
    )
    return ask.format(n + m, m), str(n), None


def comparison(rng: Rng, split: str) -> Made:
    """Which number is bigger, who is older, who has more, which word is longer."""
    del split
    kind = rng.integer(0, 3)
    if kind == 0:
        n = rng.integer(1, 99)
        m = rng.integer(1, 99)
        m += m == n
        word, best = rng.choose((("bigger", max(n, m)), ("smaller", min(n, m))))
        ask = rng.choose(
            (
                "Which is {w}, {n} or {m}?",
                "Which number is {w}: {n} or {m}?",
                "Choose the {w} number: {n}, {m}.",
            )
        )
        return ask.format(w=word, n=n, m=m), str(best), None
    if kind == 1:
        a, b = rng.sample(CHILDREN, 2)
        while a.age == b.age:
            a, b = rng.sample(CHILDREN, 2)
        word, best = rng.choose(
            (("older", max(a, b, key=lambda p: p.age)), ("younger", min(a, b, key=lambda p: p.age)))
        )
        ask = rng.choose(
            ("Who is {w}, {a} or {b}?", "Of {a} and {b}, who is the {w} one?", "Is {a} or {b} {w}?")
        )
        return ask.format(w=word, a=a.name, b=b.name), best.name, None
    if kind == 2:
        a, b = rng.sample(CHILDREN, 2)
        things = rng.choose(COUNTED)
        n, m = rng.integer(2, 30), rng.integer(2, 30)
        m += m == n
        more = rng.chance(0.5)
        winner = a if (n > m) == more else b
        word = "more" if more else "fewer"
        ask = rng.choose(
            (
                "{a} has {n} {t} and {b} has {m}. Who has {w} {t}?",
                "{b} has {m} {t}. {a} has {n}. Who has {w}?",
            )
        )
        return ask.format(a=a.name, b=b.name, n=n, m=m, t=things, w=word), winner.name, None
    words = _some(rng, 2, 2)
    while len(words[0]) == len(words[1]):
        words = _some(rng, 2, 2)
    long = rng.chance(0.5)
    best = max(words, key=len) if long else min(words, key=len)
    ask = rng.choose(("Which word is {w}, {a} or {b}?", "Which has {v} letters: {a} or {b}?"))
    return (
        ask.format(w="longer" if long else "shorter", v="more" if long else "fewer", a=words[0], b=words[1]),
        best,
        None,
    )


def sequence(rng: Rng, split: str) -> Made:
    """What comes next (or before): numbers in steps, days, months, seasons, letters."""
    del split
    kind = rng.integer(0, 3)
    if kind <= 1:
        step, start, count = rng.integer(1, 10), rng.integer(1, 40), rng.integer(3, 4)
        row = [start + step * i for i in range(count + 1)]
        if rng.chance(0.3):
            row.reverse()
        shown, answer = ", ".join(map(str, row[:-1])), str(row[-1])
        ask = rng.choose(
            (
                "What comes next: {}?",
                "Go on with this row: {}.",
                "Which number follows: {}?",
                "Complete: {}, and then?",
            )
        )
        return ask.format(shown), answer, None
    if kind == 2:
        ring = rng.choose((DAYS, MONTHS, SEASONS, tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")))
        at = rng.integer(1, len(ring) - 2)
        after = rng.chance(0.6)
        ask = rng.choose(("What comes {w} {x}?", "Which one comes right {w} {x}?", "What do we say {w} {x}?"))
        return (
            ask.format(w="after" if after else "before", x=ring[at]),
            ring[at + 1 if after else at - 1],
            None,
        )
    words = _some(rng, 2, 3)
    row = (words * 3)[: rng.integer(len(words) + 1, 2 * len(words) + 1)]
    answer = (words * 4)[len(row)]
    ask = rng.choose(
        (
            "The row repeats. What comes next: {}?",
            "Go on with the pattern: {}.",
            "Which word follows in the pattern: {}?",
        )
    )
    return ask.format(", ".join(row)), answer, None


def copying(rng: Rng, split: str) -> Made:
    """A list copied, reversed, or one word of it."""
    del split
    words = _some(rng, 3, 6)
    row = ", ".join(words)
    kind = rng.integer(0, 3)
    if kind == 0:
        return (
            rng.choose(("Repeat this list: {}.", "Copy: {}.", "Say this again: {}.")).format(row),
            row,
            None,
        )
    if kind == 1:
        ask = rng.choose(
            ("Say this list backwards: {}.", "Reverse the list: {}.", "Turn the order round: {}.")
        )
        return ask.format(row), ", ".join(reversed(words)), None
    places = ("first", "second", "third", "last")
    at = rng.choose(places)
    answer = words[-1] if at == "last" else words[places.index(at)]
    if kind == 2:
        ask = rng.choose(
            ("What is the {} word of this list: {}?", "Give me the {} word: {}.", "Which word is {}: {}?")
        )
        return ask.format(at, row), answer, None
    where = rng.choose(VILLAGE_PLACES).at
    who = rng.choose(CHILDREN).name
    things = [plural(w) for w in rng.sample(_COUNTABLE, rng.integer(3, 5))]
    prompt = f"{who} saw {listed(things)} {where}. What did {who} name {at}?"
    answer = things[-1] if at == "last" else things[places.index(at)]
    return capital(prompt), answer, None
