"""Small sums in words and digits: lines of arithmetic for pre-training, and word problems."""

from .grammar import capital, number_word
from .people import CHILDREN
from .rng import Rng

COUNTED = [
    "apples",
    "pears",
    "plums",
    "marbles",
    "shells",
    "buttons",
    "coins",
    "stamps",
    "eggs",
    "nuts",
    "pencils",
    "cards",
    "cookies",
    "balloons",
    "feathers",
    "stones",
    "flowers",
    "stickers",
    "beads",
    "candles",
    "books",
    "cherries",
    "tomatoes",
    "keys",
    "ribbons",
    "spoons",
    "pancakes",
]


def sums_text(rng: Rng) -> str:
    """Six to twelve lines of sums of one or several kinds."""
    return "\n".join(_line(rng) for _ in range(rng.integer(6, 12)))


def _line(rng: Rng) -> str:
    kind = rng.integer(0, 6)
    if kind <= 1:
        n, m = addends(rng)
        form = rng.choose(
            (
                "{} plus {} is {}.",
                "{} and {} make {}.",
                "What is {} plus {}? {}.",
                "If you add {} and {}, you get {}.",
            )
        )
        return form.format(n, m, n + m)
    if kind <= 3:
        n, m = addends(rng)
        form = rng.choose(
            (
                "{} minus {} is {}.",
                "{} take away {} leaves {}.",
                "What is {} minus {}? {}.",
                "{0} less {1} is {2}.",
            )
        )
        return form.format(n + m, m, n)
    if kind == 4:
        n, m = rng.integer(2, 9), rng.integer(2, 9)
        return f"{capital(number_word(n))} and {number_word(m)} make {number_word(n + m)}."
    problem, answer = word_problem(rng)
    return f"{problem} {answer}."


def addends(rng: Rng) -> tuple[int, int]:
    """Two numbers: mostly of one digit, sometimes up to a sum of 99."""
    if rng.chance(0.6):
        return rng.integer(1, 9), rng.integer(1, 9)
    n = rng.integer(1, 80)
    return n, rng.integer(1, min(99 - n, 30))


def word_problem(rng: Rng) -> tuple[str, int]:
    """A problem in a sentence or two, with its answer."""
    a = rng.choose(CHILDREN)
    while True:
        b = rng.choose(CHILDREN)
        if b is not a:
            break
    things = rng.choose(COUNTED)
    n, m = addends(rng)
    if n == 1 or m == 1:
        n, m = n + 1, m + 1
    more = (
        f"{a.name} has {n} {things} and finds {m} more. How many {things} does {a.name} have now?",
        f"{a.name} has {n} {things}. {b.name} has {m}. How many {things} do they have together?",
        f"There are {n} {things} on the table and {m} in the basket. How many {things} are there in all?",
        f"{a.name} collects {n} {things} in the morning and {m} in the afternoon. How many {things} does "
        f"{a.pronoun} pick?",
    )
    less = (
        f"{a.name} has {n + m} {things} and gives {m} to {b.name}. How many {things} does {a.name} have "
        f"left?",
        f"There are {n + m} {things} in a box. {a.name} takes out {m}. How many {things} are still in the "
        f"box?",
        f"{a.name} had {n + m} {things}, but lost {m}. How many {things} are left?",
        f"{a.name} wants {n + m} {things} and has {m}. How many more {things} does {a.pronoun} need?",
    )
    return (rng.choose(more), n + m) if rng.chance(0.5) else (rng.choose(less), n)
