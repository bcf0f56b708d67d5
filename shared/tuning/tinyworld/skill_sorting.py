"""Sorting: words by the alphabet, numbers from small to big or from big to small."""

from shared.tinyworld.people import CHILDREN
from shared.tinyworld.rng import Rng

from .kind import Kind, Made, wordings
from .lists import some_words

_NAMES = tuple(child.name for child in CHILDREN)


def beginning(word: str, others: list[str]) -> str:
    """The shortest beginning of a word that none of the other words has; the whole word if there is none."""
    low = word.lower()
    for size in range(1, len(word)):
        if not any(other.lower().startswith(low[:size]) for other in others if other != word):
            return low[:size]
    return low


def _words(rng: Rng, split: str) -> Made:
    words = rng.sample(_NAMES, rng.integer(3, 4)) if rng.chance(0.3) else some_words(rng, 3, 5)
    begins = {word: beginning(word, words) for word in words}
    ordered = sorted(words, key=str.lower)
    shown = ", ".join(words)
    steps = f"{', '.join(f'{begins[word]} {word}' for word in words)}, in order {', '.join(begins[w] for w in ordered)}"
    return Made(f"words {shown}", {"row": shown}, ", ".join(ordered), 1 / _ways(len(words)), steps)


def _numbers(rng: Rng, down: bool) -> Made:
    count = rng.weighted(((3, 5), (4, 4), (5, 1)))
    found: list[int] = []
    while len(found) < count:
        number = rng.integer(1, 99)
        if number not in found:
            found.append(number)
    steps = [", ".join(map(str, sorted(found[:size], reverse=down))) for size in range(1, count + 1)]
    shown = ", ".join(map(str, found))
    key = f"{'down' if down else 'up'} {shown}"
    return Made(key, {"row": shown}, steps[-1], 1 / _ways(count), ", then ".join(steps[1:]))


def _ways(count: int) -> int:
    """In how many orders so many different words can stand."""
    return count * _ways(count - 1) if count else 1


_WORDS = wordings(
    """
    Sort by the alphabet: {row}.
    Put these words in alphabetical order: {row}.
    Sort from A to Z: {row}.
    Give the order of these words in a dictionary: {row}.
    {row}. Bring them in the order of the alphabet.
    Here are some words: {row}. Sort them alphabetically.
    In which order do {row} stand in a dictionary?
    Please sort these words from A to Z: {row}.
    Can you put {row} in alphabetical order?
    I have {row}. Write them as the alphabet has them.
    How are {row} ordered by the alphabet?
    Order the list {row} by its first letters.
    The words are {row}. Which comes first, and which follow, by the alphabet?
    Begin with the one nearest to A: {row}.
    Alphabetical order, please: {row}.
    Write this list again, but sorted from A to Z: {row}.
    Sort the words {row} so that they are easy to find in a dictionary.
    Tell me the alphabetical order of {row}.
    Make an alphabetical list of {row}.
    These words are mixed up: {row}. Put them in order from A to Z.
    Sort these words by their letters, beginning at A: {row}.
    Bring {row} into alphabetical order.
    How would a dictionary order {row}?
    What is the alphabetical order of {row}?
    Which of {row} comes first in the alphabet, which next, and so on?
    Arrange the list by the alphabet: {row}.
    Write down {row} as the alphabet orders them.
    Do you know the alphabet? Then sort {row}.
    These words still need their alphabetical order: {row}.
    A comes before B. Sort {row} in the same way.
    Let the words {row} follow each other as in the alphabet.
    My books are called {row}. How do they stand on the shelf by the alphabet?
    Suppose you write a dictionary with {row} in it. What order do they have?
    Name these words one by one, by the alphabet: {row}.
    Put the word nearest to A first and the word nearest to Z last: {row}.
    I cannot find anything in this list: {row}. Sort it alphabetically.
    Read this, then give it in alphabetical order: {row}.
    The names on the doors are {row}. Sort the names from A to Z.
    Change the order of {row} into that of the alphabet.
    If {row} are sorted from A to Z, what is the list?
    Please arrange {row} alphabetically.
    Sorted by the alphabet, {row} become which list?
    Copy these words in alphabetical order: {row}.
    """,
    """
    Which order does the alphabet give to {row}?
    Line up {row} from A to Z.
    If a teacher calls {row} by the alphabet, how does she call them?
    The list {row} must be sorted. Use the alphabet.
    Say {row} again in the order in which a dictionary would have them.
    """,
    """
    A to Z: {row}
    What a mess this is, {row}, could you be so kind and tidy it up by the alphabet?
    {row}, alphabet order
    As in a dictionary one after the other they stand, {row} I mean, how is it?
    """,
)
_UP = wordings(
    """
    Sort from small to big: {row}.
    Put the smallest number first: {row}.
    Order these numbers, the smallest first: {row}.
    {row}. Bring these numbers in order, beginning with the smallest.
    Here are some numbers: {row}. Sort them from small to big.
    Please sort {row} so that the biggest comes last.
    Can you put {row} in order from the smallest to the biggest?
    I have {row}. Write them from small to big.
    The numbers are {row}. Which is the smallest, and which follow?
    Begin with the smallest of {row} and go up.
    From small to big, please: {row}.
    Write this list again, but with the small numbers before the big ones: {row}.
    How do you count up through {row}?
    Make a row that goes up: {row}.
    These numbers are mixed up: {row}. The smallest should be the first.
    Tell me the order of {row} from small to big.
    In going up, in which order do you meet {row}?
    Which order do {row} have if the smallest comes first?
    Climb from the smallest to the biggest: {row}.
    Sort {row} by size, small ones first.
    Arrange {row} from the smallest to the biggest.
    What is the order of {row}, small ones before big ones?
    Write these numbers in order, going up: {row}.
    Let the smallest come first and the biggest last: {row}.
    From the lowest to the highest, sort {row}.
    If {row} are sorted from small to big, what is the list?
    Please bring {row} into order, the smallest at the beginning.
    The pages {row} fell out of a book. Put them in order, the first page first.
    Which number of {row} is smallest, which is next, and so on up to the biggest?
    Sort this row upwards: {row}.
    Do you see {row}? Put small before big.
    Arrange these from low to high: {row}.
    Name the numbers {row} as you meet them when you count from one.
    Copy the numbers, but in order from the smallest on: {row}.
    A teacher mixed up {row}. Sort them, low ones first.
    Going up, {row} become which list?
    Start with the lowest number and end with the highest: {row}.
    I want {row} sorted. The smallest number leads.
    House numbers go up along a street. Sort {row} like that.
    The right order of {row} begins with the smallest. What is it?
    Take the smallest of {row}, then the next, until none is left. What is the list?
    """,
    """
    Line up {row} with the smallest in front.
    Let the numbers {row} grow from left to right.
    The list {row} must be sorted, and its biggest number goes to the end.
    Say {row} again, each number bigger than the one before it.
    Give me {row} one after the other, beginning with the least.
    """,
    """
    Up: {row}
    What a mess this is, {row}, could you be so kind and let the little ones go first?
    {row}, small to big
    By size they climb, {row} I mean, up to the biggest, so how do they stand?
    """,
)
_DOWN = wordings(
    """
    Sort from big to small: {row}.
    Put the biggest number first: {row}.
    Order these numbers, the biggest first: {row}.
    {row}. Bring these numbers in order, beginning with the biggest.
    Here are some numbers: {row}. Sort them from big to small.
    Please sort {row} so that the smallest comes last.
    Can you put {row} in order from the biggest to the smallest?
    I have {row}. Write them from big to small.
    The numbers are {row}. Which is the biggest, and which follow?
    Begin with the biggest of {row} and go down.
    From big to small, please: {row}.
    Write this list again, but with the big numbers before the small ones: {row}.
    How do you count down through {row}?
    Make a row that goes down: {row}.
    These numbers are mixed up: {row}. The biggest should be the first.
    Tell me the order of {row} from big to small.
    In going down, in which order do you meet {row}?
    Which order do {row} have if the biggest comes first?
    Step down from the biggest to the smallest: {row}.
    Sort {row} by size, big ones first.
    Arrange {row} from the biggest to the smallest.
    What is the order of {row}, big ones before small ones?
    Write these numbers in order, going down: {row}.
    Let the biggest come first and the smallest last: {row}.
    From the highest to the lowest, sort {row}.
    If {row} are sorted from big to small, what is the list?
    Please bring {row} into order, the biggest at the beginning.
    I read a book from its end. Put the pages {row} in that order.
    Which number of {row} is biggest, which is next, and so on down to the smallest?
    Sort this row downwards: {row}.
    Do you see {row}? Put big before small.
    Arrange these from high to low: {row}.
    Name the numbers {row} as you meet them when you count back to one.
    Copy the numbers, but in order from the biggest on: {row}.
    A teacher mixed up {row}. Sort them, high ones first.
    Going down, {row} become which list?
    Start with the highest number and end with the lowest: {row}.
    I want {row} sorted. The biggest number leads.
    Somebody goes down the stairs and passes the steps {row}. In which order?
    The right order of {row} begins with the biggest. What is it?
    Take the biggest of {row}, then the next, until none is left. What is the list?
    """,
    """
    Line up {row} with the biggest in front.
    Let the numbers {row} fall from left to right.
    The list {row} must be sorted, and its smallest number goes to the end.
    Say {row} again, each number smaller than the one before it.
    Give me {row} one after the other, beginning with the highest.
    """,
    """
    Down: {row}
    What a mess this is, {row}, could you be so kind and let the great ones go first?
    {row}, big to small
    By size they fall, {row} I mean, down to the smallest, so how do they stand?
    """,
)

KINDS = (
    Kind("words", _words, _WORDS, 3),
    Kind("up", lambda rng, split: _numbers(rng, False), _UP),
    Kind("down", lambda rng, split: _numbers(rng, True), _DOWN),
)
