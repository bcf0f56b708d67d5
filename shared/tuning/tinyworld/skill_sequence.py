"""Sequences: what comes next in a row of numbers or a pattern, what comes after or before a day, month or letter."""

from shared.tinyworld.grammar import number_word
from shared.tinyworld.rng import Rng
from shared.tinyworld.words import DAYS, MONTHS, SEASONS

from .arithmetic import add_steps, subtract_steps
from .kind import Kind, Made, wordings
from .lists import some_words

_LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
RINGS = (DAYS, MONTHS, SEASONS, _LETTERS)


def _numbers(rng: Rng, split: str) -> Made:
    step, start, count = rng.integer(1, 10), rng.integer(1, 45), rng.integer(3, 4)
    row = [start + step * i for i in range(count + 1)]
    if rng.chance(0.35):
        row.reverse()
        steps = [f"{row[0]} minus {row[1]} is {step}", *subtract_steps(row[-2], step)]
    else:
        steps = [f"{row[1]} minus {row[0]} is {step}", *add_steps(row[-2], step)]
    shown = ", ".join(map(str, row[:-1]))
    fills = {"row": shown, "kind": "up" if row[0] < row[1] else "down"}
    return Made(f"row {shown}", fills, str(row[-1]), 1 / 99, ", ".join(steps), (number_word(row[-1]),))


def _ring(rng: Rng, split: str) -> Made:
    ring = rng.choose(RINGS)
    after = rng.chance(0.5)
    at = rng.integer(0, len(ring) - 2)
    first, second = ring[at], ring[at + 1]
    asked, answer = (first, second) if after else (second, first)
    word = "after" if after else "before"
    what = (
        "letter" if ring is _LETTERS else "day" if ring is DAYS else "month" if ring is MONTHS else "season"
    )
    fills = {
        "w": word,
        "W": word.capitalize(),
        "x": asked,
        "what": what,
        "v": "follows" if after else "comes before",
    }
    return Made(
        f"{word} {asked}",
        fills,
        answer,
        1 / len(ring),
        f"first {first}, then {second}, {word} {asked} is {answer}",
    )


def _pattern(rng: Rng, split: str) -> Made:
    words = some_words(rng, 2, 3)
    size = rng.integer(len(words) + 1, 2 * len(words) + 1)
    row = (words * 3)[:size]
    answer = (words * 4)[size]
    steps = f"the pattern is {', '.join(words)}, and after {row[-1]} comes {answer}"
    shown = ", ".join(row)
    return Made(f"pattern {shown}", {"row": shown}, answer, 1 / len(words), steps)


_NUMBERS = wordings(
    """
    What comes next: {row}?
    Go on with this row: {row}.
    Which number follows: {row}?
    Complete: {row}, and then?
    {row}. What is the next number?
    I count like this: {row}. Which number do I say next?
    Look at the numbers {row}. What comes after them?
    Please add one more number to this row: {row}.
    If somebody counts {row}, what comes next?
    The row goes {row}. Tell me the number that follows.
    {row}, and what?
    Say the next number of {row}.
    The steps are all the same in {row}. Where is the next step?
    Can you go on with {row}?
    Here are some numbers: {row}. Find the one that comes next.
    {row}. One number is to follow. Which?
    After {row} there is one more number. What is it?
    On the stairs stand {row}. What stands on the next stair?
    Give the number after the last one in this row: {row}.
    A row of numbers begins with {row}. How does it go on?
    Continue: {row}.
    Work out the next number in this row: {row}.
    Which number should stand after {row}?
    Here is the beginning of a row: {row}. What is the next number?
    Somebody counts {row} and stops. Which number would be next?
    The next number in {row} is ...
    How must the row {row} go on?
    If the row {row} goes on in the same way, which number comes then?
    From number to number it is always the same step: {row}. What number is next?
    I write {row}. Which number must I write now?
    These numbers have a rule: {row}. What number does the rule give next?
    Read {row} and say what number comes next.
    Tell me how {row} goes on, just one number.
    Let the row {row} have one number more. Which is it?
    The houses in a street have the numbers {row}. Which number has the next house?
    A frog jumps from number to number: {row}. On which number does it land next?
    Can you find out what number follows {row}?
    One number is missing at the end of {row}. Which one?
    Count on as I do: {row}. Only the next number, please.
    I know {row}, but not what comes then. Do you?
    Say only the number that comes after {row}.
    """,
    """
    What would you write after {row}?
    Follow the rule of this row and say one number more: {row}.
    In the row {row}, which number is to come now?
    The first pages are {row}. Which page is next?
    {row} are the numbers so far. Name the next.
    """,
    """
    {row}, ... next?
    My sister counts in such a funny way, {row}, she says, and what does she say then?
    Next of {row}
    To {row} belongs, as the one that closes it, which number?
    """,
)
_RING = wordings(
    """
    What comes {w} {x}?
    Which {what} comes right {w} {x}?
    What do we say {w} {x}?
    Name the {what} {w} {x}.
    Tell me which {what} is {w} {x}.
    Which {what} {v} {x}?
    Please say the {what} that comes {w} {x}.
    I know {x}. What is the {what} {w} it?
    {x} is a {what}. Which one comes just {w} it?
    The {what} {w} {x} is which?
    If you say them in order, what is right {w} {x}?
    What is the {what} {w} {x} called?
    Give me the {what} that stands {w} {x}.
    Can you say what comes {w} {x}?
    {W} {x} there is another {what}. Which?
    One {what} {w} {x}: what is it?
    We are at {x}. Which {what} is {w} that?
    Think of {x}. Now name the {what} just {w} it.
    In the right order, what do you find {w} {x}?
    I forgot which {what} comes {w} {x}. Do you know?
    Say the {what} directly {w} {x}.
    Do you know which {what} comes {w} {x}?
    Fill the gap: right {w} {x} comes ...
    Somebody says {x}. Which {what} is the one right {w} it?
    I need the {what} that is just {w} {x}.
    Which is the {what} directly {w} {x}?
    Which {what} is to be found right {w} {x}?
    If one {what} is {x}, which is the {what} {w} it?
    Look one step {w} {x}. Which {what} do you see?
    They all have their order. What comes right {w} {x}?
    My brother asks which {what} comes {w} {x}. Help him.
    Everyone knows the {what} that comes {w} {x}. What is it?
    {x} has a neighbour, the {what} right {w} it. Name it.
    Write the {what} that you find just {w} {x}.
    When we say them all in order, which {what} is right {w} {x}?
    Tell me the one that comes directly {w} {x}.
    Answer with a {what}: what is right {w} {x}?
    Let us say that it is {x}. Which {what} is next to it, {w} it?
    Right {w} {x}, what do we have?
    There is a {what} {w} {x}. Name it, please.
    I cannot find the {what} that belongs just {w} {x}. Which is it?
    """,
    """
    What is the one right {w} {x}?
    Say what stands next to {x}, just {w} it.
    Of all of them, which {what} {v} {x}?
    You see {x}. One place {w} it is which {what}?
    Please help me: the {what} {w} {x} is called what?
    """,
    """
    {w} {x}?
    Oh dear, I never know it, {w} {x}, what was it again?
    {what} {w} {x}
    Next to {x}, on the side {w} it, lives which {what}?
    """,
)
_PATTERN = wordings(
    """
    The row repeats. What comes next: {row}?
    Go on with the pattern: {row}.
    Which word follows in the pattern: {row}?
    {row}. The words come again and again. What is next?
    Look at this pattern: {row}. Say the next word.
    These words go round and round: {row}. Which one comes now?
    What is the next word if it goes on like this: {row}?
    Please complete the pattern {row}, and then?
    I put them in a row: {row}. Which do I put down next?
    {row}, and what?
    A pattern begins with {row}. How does it go on?
    Tell me the word that comes after {row} in this pattern.
    The same words return in order: {row}. Name the one that follows.
    Somebody says over and over: {row}. What will be said next?
    Find the next word: {row}.
    In the pattern {row}, one word is to follow. Which?
    Here is a chain: {row}. Add one word so that the pattern is right.
    Can you go on? {row}.
    The pattern stops at the end of {row}. What should come there?
    Say what follows, for the row repeats: {row}.
    Continue the pattern: {row}.
    Say which word the pattern needs next: {row}.
    Which word should follow {row}, when the same ones return?
    If the words of {row} keep their order, which one is next?
    The next word of the pattern {row} is ...
    The children call out {row}. Which word will they call next?
    Beads on a string go {row}. Which comes next on the string?
    One word is missing at the end of this pattern: {row}. Which one?
    Find the rule in {row} and say the next word.
    It always goes the same way: {row}. What does it go on with?
    Work out what follows in the pattern {row}.
    I lay down cards in turns: {row}. Which card comes now?
    Look how it repeats: {row}. What word comes then?
    Over and over the same words come: {row}. Name only the next.
    Can you find out which word comes after {row} in the pattern?
    When all the words have come, they begin anew: {row}. What is next?
    Go on, one word only: {row}.
    How must the pattern {row} go on?
    A parrot has learned to say {row}. What does it say next?
    The pattern is {row}. Which word have I still to add?
    Help me to go on with the pattern {row}. I need one word.
    """,
    """
    What would you write after {row}, if the words repeat?
    Follow this pattern one word further: {row}.
    {row} are the words so far, and they come again. Name the next.
    On the wall is painted {row}, and so on. What is painted next?
    The words take turns: {row}. Whose turn is it?
    """,
    """
    {row}, ... next?
    My sister sings the same thing all day, {row}, she goes, and then comes what?
    Next of {row}, again and again
    After {row}, when the round begins again, stands which word?
    """,
)

KINDS = (
    Kind("numbers", _numbers, _NUMBERS, 2),
    Kind("ring", _ring, _RING),
    Kind("pattern", _pattern, _PATTERN),
)
