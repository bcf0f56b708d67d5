"""Yes or no: whether a statement, a sum or two opposites are right, and who has a thing. Half of each are."""

from shared.tinyworld.people import CHILDREN
from shared.tinyworld.rng import Rng
from shared.tinyworld.words import CATEGORIES, OPPOSITES

from .arithmetic import add_steps
from .kind import Kind, Made, wordings
from .skill_sums import addends
from .world_facts import clear_facts, stated, wrong_answers

_THINGS = CATEGORIES["fruit"] + CATEGORIES["tool"][:6] + CATEGORIES["instrument"]
# What the word in the first place turns into, and back.
_OPPOSITE = {one: two for pair in OPPOSITES for one, two in (pair, pair[::-1])}
_WORDS = tuple(_OPPOSITE)


def _same(right: str, said: str) -> tuple[str, str]:
    """The step that compares, and the answer it leads to."""
    return (f"{right} is {said}", "yes") if right == said else (f"{right} is not {said}", "no")


def _statement(rng: Rng, split: str) -> Made:
    one = rng.choose(clear_facts())
    fact = one.fact
    said = fact.answer if rng.chance(0.5) else rng.choose(wrong_answers(fact))
    line = stated(fact, rng.integer(0, 11), said)
    step, answer = _same(fact.answer, said)
    fills = {"s": line, "p": line.removesuffix("."), "it": one.phrase, "said": said}
    return Made(f"statement {one.phrase}", fills, answer, 0.5, f"{one.phrase} is {fact.answer}, {step}")


def _sum(rng: Rng, split: str) -> Made:
    n, m = addends(rng)
    said = n + m if rng.chance(0.5) else n + m + rng.choose((-10, -2, -1, 1, 2, 10))
    said = said if 0 < said < 100 else n + m - 1
    step, answer = _same(str(n + m), str(said))
    fills = {"n": str(n), "m": str(m), "k": str(said)}
    return Made(f"sum {n} {m}", fills, answer, 0.5, f"{', '.join(add_steps(n, m))}, {step}")


def _opposites(rng: Rng, split: str) -> Made:
    word = rng.choose(_WORDS)
    right = _OPPOSITE[word]
    said = right if rng.chance(0.5) else rng.choose(_WORDS)
    while said == word:
        said = rng.choose(_WORDS)
    step, answer = _same(right, said)
    return Made(
        f"opposites {word}", {"x": word, "y": said}, answer, 0.5, f"the opposite of {word} is {right}, {step}"
    )


def _holder(rng: Rng, split: str) -> Made:
    a, b = rng.sample(CHILDREN, 2)
    thing = rng.choose(_THINGS)
    who = rng.choose((a, b))
    step, answer = _same(b.name, who.name)
    fills = {"a": a.name, "b": b.name, "t": thing, "w": who.name, "he": a.pronoun}
    return Made(
        f"holder {a.name} {b.name} {thing}", fills, answer, 0.5, f"{b.name} has the {thing} now, {step}"
    )


_STATEMENT = wordings(
    """
    Is this true? {s}
    Yes or no: {s}
    True or not, yes or no? {s}
    Is that so? {s}
    {s} Is that right?
    {s} Yes or no?
    Somebody told me this: {s} Is it true?
    Answer with yes or no. {s}
    Can you say yes to this? {s}
    Is it right to say this? {s}
    I think I know this one. {s} Am I right?
    Would you say so too? {s}
    Tell me whether this is so: {s}
    Say yes if it is true, and no if it is not. {s}
    {s} Should I believe that?
    My friend says: {s} Is my friend right?
    I read this: {s} Is it so?
    In Applebrook, is this true? {s}
    Please say yes or no to this: {s}
    Here is a sentence. {s} Is the sentence true?
    Is it {said}, if I ask for {it}?
    When somebody asks for {it}, is {said} the right answer?
    """,
    """
    Do you agree with this? {s}
    {s} Can that be, yes or no?
    A child at school wrote this: {s} Is it correct?
    Nod for yes, or say no. {s}
    I heard it on the market: {s} Was that the truth?
    """,
    """
    {s} Really?
    Well, the others keep laughing at me, I told them this, {p}, so was I right?
    {p}, yes or no
    So it is told: {s} And is it so?
    """,
)
_SUM = wordings(
    """
    Is {n} plus {m} equal to {k}?
    Do {n} and {m} make {k}?
    Yes or no: {n} plus {m} is {k}.
    Is {k} the answer to {n} plus {m}?
    {n} plus {m} is {k}. Is that right?
    Somebody says that {n} and {m} make {k}. Is it true?
    If you add {n} and {m}, do you get {k}?
    Is it right that {n} plus {m} is {k}?
    Ben wrote {k} under {n} plus {m}. Is he right?
    Can {n} and {m} be {k} together?
    Is this sum right? {n} plus {m} is {k}.
    {n} and {m} make {k}, yes or no?
    I got {k} for {n} plus {m}. Did I do it right?
    Does it make {k} when {m} is added to {n}?
    Check this: {n} plus {m} is {k}. Yes or no?
    Is {k} what you get from {n} plus {m}?
    Tell me whether {n} and {m} are {k} together.
    True or not: {n} plus {m} is {k}.
    The teacher asks whether {n} plus {m} is {k}. Is it?
    With {n} and {m} more, are there {k}?
    """,
    """
    I have {n} and get {m}. Have I {k} then, yes or no?
    Would {k} be a right answer for {n} plus {m}?
    Do you agree that {n} plus {m} comes to {k}?
    Say yes if {n} and {m} make {k}, and no if not.
    A child adds {n} and {m} and says {k}. Is the child right?
    """,
    """
    {n} plus {m}, {k}?
    Well, the others keep laughing at me, I added {n} and {m} and came to {k}, so was I right?
    {n}, {m}, in all {k}, yes or no
    To {k}, by adding {m}, does {n} grow?
    """,
)
_OPPOSITES = wordings(
    """
    Is {y} the opposite of {x}?
    Are {x} and {y} opposites?
    Yes or no: the opposite of {x} is {y}.
    Does {y} mean the opposite of {x}?
    The opposite of {x} is {y}. Is that right?
    Somebody says that {x} and {y} are opposites. Is it true?
    If it is not {x} but the opposite, is it {y}?
    Is it right to say {y} for the opposite of {x}?
    I think that {y} is the opposite of {x}. Am I right?
    Do we call the opposite of {x} {y}?
    {x} and {y} are opposites, yes or no?
    Take {x}. Is its opposite {y}?
    Is {x} just the opposite of {y}?
    True or not: {x} is the opposite of {y}.
    Tell me whether {y} is the opposite of {x}.
    Can {x} and {y} be called opposites?
    Is {y} the word for the opposite of {x}?
    Check this: {y} is the opposite of {x}. Yes or no?
    For the opposite of {x} I wrote {y}. Is it right?
    The teacher asks whether {x} and {y} are opposites. Are they?
    """,
    """
    Would {y} be right if I need the opposite of {x}?
    Do you agree that {x} and {y} are opposites?
    On one side stands {x}, on the other side {y}. Are they opposites?
    Say yes if {y} is the opposite of {x}, and no if not.
    Is it {y} that you get when you turn {x} into its opposite?
    """,
    """
    {x}, {y}, opposites?
    Well, the others keep laughing at me, I told them {y} was the opposite of {x}, so was I right?
    Opposite of {x}: {y}, yes or no
    Against {x}, as its opposite, does {y} stand?
    """,
)
_HOLDER = wordings(
    """
    {a} has the {t} and gives it to {b}. Does {w} have the {t} now?
    {b} takes the {t} from {a}. Has {w} got the {t}?
    First {a} held the {t}, then {b} got it. Does {w} have it now?
    The {t} was with {a}. Now it is with {b}. Is it true that {w} has it?
    {a} gave {b} the {t}. Is the {t} with {w} now?
    {b} got the {t} from {a}. Yes or no: {w} has it.
    {a} lends the {t} to {b}. Is it {w} who has it now?
    {a} had the {t} until {b} took it. Does {w} have the {t}?
    {a} sells the {t} to {b}. Does it belong to {w} now?
    {a} throws the {t} and {b} catches it. Has {w} the {t} in the hand?
    {b} asks {a} for the {t} and gets it. Does {w} hold it now?
    {a} brought the {t} to {b}. Who has it? Is it {w}?
    From {a} the {t} went to {b}. Is it at {w}'s house now?
    {a} found the {t}, but {a} gave it to {b}. Does {w} have it?
    {b} bought the {t} from {a}. Is {w} the one who has it?
    {a} puts the {t} into the bag of {b}. Does the bag of {w} hold it now?
    {a} wanted no {t} any more, so {b} got it from {a}. Has {w} got it?
    {a} hands the {t} over to {b}. Say yes or no: does {w} have it?
    {a} shared, and now {b} holds the {t}. Is the {t} with {w}?
    Yesterday {a} had the {t}, today {b} has it. Does {w} have the {t} today?
    """,
    """
    {a} passed the {t} on to {b}. Should I ask {w} for it?
    If {a} gives away the {t} and {b} is the one who gets it, is it now with {w}?
    {b} carries the {t} that {a} carried before. Is {w} carrying it?
    {a} was tired of the {t}. {b} took it home. Is it in the home of {w}?
    {b} won the {t} from {a}. Can {w} play with it now?
    """,
    """
    {t}: {a}, then {b}. {w} has it?
    Guess what, {a} just let {b} have the {t}, like that, so is it {w} who has got it?
    {t} from {a} to {b}, now with {w}, yes or no
    To {b}, out of the hand of {a}, the {t} did pass; does {w} hold it?
    """,
)

KINDS = (
    Kind("statement", _statement, _STATEMENT),
    Kind("sum", _sum, _SUM),
    Kind("opposites", _opposites, _OPPOSITES),
    Kind("holder", _holder, _HOLDER),
)
