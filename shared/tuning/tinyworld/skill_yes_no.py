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
    Say whether this is true: {s}
    I am not sure about this. {s} Is it true?
    Is this a true sentence? {s}
    {s} Is it so or not, yes or no?
    They say this in the village: {s} Is it true?
    Decide, yes or no. {s}
    {s} Have I got that right?
    Check this sentence and say yes or no: {s}
    Somebody wrote this on the wall: {s} Is it true?
    If this is true, say yes, if not, no: {s}
    May I write this in my letter? {s} Say no if it is not true.
    My sister is sure of this: {s} Is she right?
    Look at this sentence: {s} Yes or no?
    {s} Is that a fact?
    Can I believe it? {s}
    Only yes or no, please. {s}
    They ask for {it}. May I say {said}?
    To the question about {it}, is {said} the right answer?
    I would answer {said} to a question about {it}. Is that right?
    This is what I learned: {s} Did I learn it right?
    Before I tell others: {s} Is this so?
    Do you say yes or no when you hear this? {s}
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
    Is {k} the sum of {n} and {m}?
    Does it make {k} if {n} and {m} are put together?
    Work it out: is {n} plus {m} really {k}?
    I say that {n} plus {m} is {k}. Is that true?
    Put {n} and {m} together. Is it {k}?
    Can it be that {n} plus {m} equals {k}?
    My book says that {n} plus {m} is {k}. Is the book right?
    If I add {m} to {n}, do I reach {k}?
    There are {n} here and {m} there. Are there {k} in all?
    On the blackboard stands that {n} plus {m} is {k}. Is it right?
    Should the answer to {n} plus {m} be {k}?
    Start at {n} and go up by {m}. Do you end at {k}?
    Are {n} and {m} together as much as {k}?
    When {n} and {m} are added, is {k} the result?
    May I write {k} after {n} plus {m}? Say yes or no.
    Let me check my sum. {n} plus {m}, I think, is {k}. Am I right?
    Is it true that {n} and {m} add up to {k}?
    Decide, yes or no: {n} and {m} are {k} in all.
    Somebody paid {n} coins and then {m}. Was it {k} coins, yes or no?
    Does one get {k} from {n} and {m}?
    Say yes or no to this sum: {n} plus {m} is {k}.
    Count on from {n} by {m}. Do you come to {k}?
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
    Say whether {x} and {y} are opposites.
    Is the opposite of {x} the word {y}?
    Does {x} mean just the opposite of {y}?
    I say {x}, and my friend says the opposite, {y}. Is that right?
    Could you say {y} to mean the opposite of {x}?
    Decide, yes or no: {x} and {y} are opposites.
    My book says that {y} is the opposite of {x}. Is the book right?
    Work it out: is {y} really the opposite of {x}?
    Is {y} what we call the opposite of {x}?
    Are these two words opposites: {x}, {y}?
    Can it be that the opposite of {x} is {y}?
    Say yes or no to this: {y} is the opposite of {x}.
    Two words are {x} and {y}. Are they opposites, yes or no?
    If somebody wants the opposite of {x}, may I say {y}?
    Do {x} and {y} make a pair of opposites?
    I learned that {x} is the opposite of {y}. Did I learn it right?
    Is it true that {x} and {y} are opposites of each other?
    May I write {y} beside {x} in a list of opposites?
    Look at {x} and {y}. Is one the opposite of the other?
    The opposite of {x}, is that {y} or not?
    Should I answer {y} when I am asked for the opposite of {x}?
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
    {a} had the {t} at first. Then {a} gave it to {b}. Has {w} the {t} now?
    The {t} of {a} was given to {b}. Does {w} have it?
    {b} now has the {t} that {a} had. Is it with {w}?
    {a} sends the {t} to {b}, and {b} keeps it. Does {w} have the {t}?
    Say whether {w} has the {t} now: {a} gave it to {b}.
    If {a} has given the {t} to {b}, does {w} have it now?
    {b} wanted the {t}, and {a} gave it away to {b}. Is it {w} who holds it?
    {a} laid the {t} into the hands of {b}. Is it in the hands of {w}?
    Who has the {t}? {a} gave it to {b}. Is {w} the right answer?
    {a} no longer has the {t}, for {b} got it. Yes or no, does {w} have it?
    {a} took the {t} to {b} and left it there. Is the {t} with {w}?
    {b} met {a}, who had the {t}, and bought it. Does {w} have the {t} now?
    The {t} goes from {a} to {b}. Decide, yes or no: {w} has the {t}.
    The {t} left {a} and came to {b}. Is {w} the one with the {t}?
    {a} gave up the {t}. {b} was glad to get it. Has {w} got the {t} now?
    Once {a} had the {t}. Today it belongs to {b}. Does it belong to {w} today?
    {a} put the {t} on the table of {b}, and {b} took it. Is it true that {w} has the {t}?
    In the morning the {t} was with {a}, in the evening with {b}. Was it with {w} in the evening?
    "Take the {t}!" said {a}, and {b} took it. Does {w} have it now?
    {b} was given the {t} by {a}. Is {w} holding it now?
    My question is whether {w} has the {t}. {a} handed it to {b}. Well?
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
