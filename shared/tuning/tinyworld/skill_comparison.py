"""Comparison: which number is bigger, who is older, who has more, which word is longer."""

from shared.tinyworld.grammar import number_word
from shared.tinyworld.people import CHILDREN
from shared.tinyworld.rng import Rng
from shared.tinyworld.sums import COUNTED

from .kind import Kind, Made, wordings
from .lists import some_words


def _compared(one: tuple[str, int], two: tuple[str, int], more: bool, word: bool = False) -> tuple[str, str]:
    """Who of (name, number) has more (or less), and the steps: both numbers, which is more, and whose it is."""
    (a, n), (b, m) = one, two
    written = {k: number_word(k) if word else str(k) for k in (n, m)}
    best, other = (max(n, m), min(n, m)) if more else (min(n, m), max(n, m))
    winner = a if best == n else b
    relation = "more" if more else "less"
    steps = f"{a} {written[n]}, {b} {written[m]}, {written[best]} is {relation} than {written[other]}, "
    return winner, f"{steps}{written[best]} is {winner}"


def _different(rng: Rng, low: int, high: int) -> tuple[int, int]:
    n, m = rng.integer(low, high), rng.integer(low, high - 1)
    return n, m + (m >= n)


def _number(rng: Rng, split: str) -> Made:
    n, m = _different(rng, 1, 99)
    more = rng.chance(0.5)
    best, other = (max(n, m), min(n, m)) if more else (min(n, m), max(n, m))
    steps = f"{best} is {'more' if more else 'less'} than {other}"
    fills = {"n": str(n), "m": str(m), "w": "bigger" if more else "smaller", "v": "more" if more else "less"}
    return Made(f"{fills['w']} {n} {m}", fills, str(best), 0.5, steps, (number_word(best),))


def _age(rng: Rng, split: str) -> Made:
    a, b = rng.sample(CHILDREN, 2)
    while a.age == b.age:
        a, b = rng.sample(CHILDREN, 2)
    more = rng.chance(0.5)
    winner, steps = _compared((a.name, a.age), (b.name, b.age), more, word=True)
    w, best = ("older", "oldest") if more else ("younger", "youngest")
    fills = {"a": a.name, "b": b.name, "w": w, "best": best, "v": "more" if more else "fewer"}
    return Made(f"{w} {a.name} {b.name}", fills, winner, 0.5, steps)


def _has_more(rng: Rng, split: str) -> Made:
    a, b = rng.sample(CHILDREN, 2)
    n, m = _different(rng, 2, 40)
    more = rng.chance(0.5)
    winner, steps = _compared((a.name, n), (b.name, m), more)
    fills = {
        "a": a.name, "b": b.name, "n": str(n), "m": str(m), "t": rng.choose(COUNTED),
        "w": "more" if more else "fewer", "best": "most" if more else "fewest",
    }  # fmt: skip
    return Made(f"{fills['w']} {a.name} {n} {b.name} {m}", fills, winner, 0.5, steps)


def _length(rng: Rng, split: str) -> Made:
    one, two = some_words(rng, 2, 2)
    while len(one) == len(two):
        one, two = some_words(rng, 2, 2)
    more = rng.chance(0.5)
    winner, steps = _compared((one, len(one)), (two, len(two)), more)
    w, v = ("longer", "more") if more else ("shorter", "fewer")
    return Made(f"{w} {one} {two}", {"a": one, "b": two, "w": w, "v": v}, winner, 0.5, steps)


_NUMBER = wordings(
    """
    Which is {w}, {n} or {m}?
    Which number is {w}: {n} or {m}?
    Choose the {w} number: {n}, {m}.
    {n} or {m}: which is the {w} one?
    Of {n} and {m}, which number is {w}?
    Is {n} or {m} the {w} number?
    Look at {n} and {m}. Say the {w} one.
    Tell me the {w} of the two numbers {n} and {m}.
    Here are two numbers: {n}, {m}. Which of them is {w}?
    I have {n} and {m}. I want the {w} one. Which do I take?
    {n} and {m} are numbers. Name the one that is {w}.
    Find the {w} number in this row: {n}, {m}.
    Compare {n} and {m}. Which is {w}?
    Please pick the {w} one out of {n} and {m}.
    Two numbers are {n} and {m}. What is the {w} one?
    What is {v}, {n} or {m}?
    {m} and {n}: write down only the {w} number.
    Which of the two is {w}? The numbers are {n} and {m}.
    Does {n} or does {m} count as the {w} number?
    The {w} of {n} and {m} is which?
    Say which number is {w}, {n} or {m}.
    I wonder whether {n} or {m} is {w}. Which is it?
    Of these two numbers, write down the {w}: {n}, {m}.
    Which would you take if you wanted the {w} number, {n} or {m}?
    The numbers {n} and {m} are not the same. Which is {w}?
    If {n} and {m} are compared, which turns out {w}?
    You see {n} on one door and {m} on another. Which number is {w}?
    Is it {n} that is {w}, or is it {m}?
    Fill the gap with {n} or {m}: the {w} number is ...
    Mia wrote {n}, and Ben wrote {m}. Which of their numbers is {w}?
    Put your finger on the {w} number: {n}, {m}.
    Take {n} and {m} and keep only the {w} one.
    The question is which number is {w}: {n} or {m}.
    Would you call {n} or {m} the {w} number?
    Somebody has to choose the {w} number from {n} and {m}. What is right?
    Do you know which number is {w}, {m} or {n}?
    We look for the {w} number. Is it {n} or {m}?
    Which stands for {v}, {n} or {m}?
    Decide whether {n} or {m} is the {w} number.
    Answer with the number that is {w}, {n} or {m}.
    On one card is {n}, on the other {m}. Name the {w} number.
    """,
    """
    If I can have {n} or {m}, which of them is {w}?
    One of {n} and {m} is {w} than the other. Say which one.
    When you compare the number {n} with the number {m}, which one is {w}?
    Give back the {w} number from {n}, {m}.
    Between {n} and {m}, where is the {w} number?
    """,
    """
    {w}: {n}, {m}?
    My cousin says {n} and I say {m}, so whose number would be the {w} one?
    {n}, {m}, the {w} please
    {v} than the other is, of {n} and {m}, which?
    """,
)
_AGE = wordings(
    """
    Who is {w}, {a} or {b}?
    Of {a} and {b}, who is the {w} one?
    Is {a} or {b} {w}?
    {a} or {b}: who is {w}?
    Think of {a} and {b}. Which of the two is {w}?
    Tell me who is {w}, {a} or {b}.
    Which child is {w}: {a} or {b}?
    Name the {w} child of {a} and {b}.
    Compare the age of {a} and {b}. Who is {w}?
    {a} and {b} are children in Applebrook. Which one is {w}?
    Please say whether {a} or {b} is {w}.
    Two children are {a} and {b}. Who is the {w} one?
    I know {a} and {b}. Who of them is {w}?
    The {w} one of {a} and {b} is who?
    Choose the {w} child: {a}, {b}.
    Who has {v} years, {a} or {b}?
    Between {a} and {b}, who is {w}?
    If {a} and {b} stand side by side, who is the {w} one?
    Do you know who is {w}, {a} or {b}?
    Only one of {a} and {b} is the {w} child. Who?
    Say who is {w}: {a} or {b}.
    I wonder whether {a} or {b} is {w}. Who is it?
    If you compare {a} with {b}, who is the {w} child?
    Would you call {a} or {b} the {w} one?
    Here are two names: {a}, {b}. Write down the one who is {w}.
    Is it {a} who is {w}, or is it {b}?
    Fill the gap with {a} or {b}: the {w} child is ...
    {a} and {b} are not of the same age. Which of them is {w}?
    Look at how old {a} and {b} are. Who is {w}?
    My question is who is {w}, {b} or {a}.
    Decide whether {a} or {b} is {w}.
    Suppose {a} and {b} tell us how old they are. Which one is {w}?
    You know both {a} and {b}. Which of them is {w}?
    Who can count {v} years, {a} or {b}?
    Which name belongs to the {w} child, {a} or {b}?
    {a}, {b}: the {w} of these two children is who?
    How old are {a} and {b}? Answer only who is {w}.
    Answer with one name: who is {w}, {a} or {b}?
    Of two friends, {a} and {b}, one is {w}. Who is it?
    Can you say which child is {w}, {a} or {b}?
    Both {a} and {b} have birthdays. Which of them is {w}?
    """,
    """
    Say the name of the {w} one: {a} or {b}.
    Somebody asks who is {w}: is it {a} or {b}?
    Which of the two has lived for {v} years, {a} or {b}?
    With {a} and {b} at one table, which child there is {w}?
    I would like to know who the {w} one is, {a} or {b}.
    """,
    """
    {w}: {a}, {b}?
    Listen, {b} and {a} quarrel about it all day, so who is really the {w} of the two?
    {a}, {b}, the {best}
    {w} than the other one is, of {a} and {b}, who?
    """,
)
_HAS_MORE = wordings(
    """
    {a} has {n} {t} and {b} has {m}. Who has {w} {t}?
    {b} has {m} {t}. {a} has {n}. Who has {w}?
    Who has {w} {t} if {a} has {n} and {b} has {m}?
    {a} counts {n} {t}, {b} counts {m}. Name the one with {w} {t}.
    {a} and {b} collect {t}. {a} has {n} of them and {b} has {m}. Which of the two has {w}?
    {n} {t} belong to {a} and {m} {t} to {b}. Who has {w} of them?
    In the bag of {a} are {n} {t}, in the bag of {b} are {m}. Whose bag has {w}?
    {a} picked {n} {t}. {b} picked {m}. Tell me who picked {w}.
    There are {n} {t} for {a} and {m} {t} for {b}. Who gets {w}?
    {a} found {n} {t} and {b} found {m}. Did {a} or {b} find {w}?
    Of {a} with {n} {t} and {b} with {m}, who has {w}?
    {a} bought {n} {t}, but {b} bought {m}. Who bought {w}?
    Compare: {a} has {n} {t}, {b} has {m} {t}. Say who has {w}.
    {b} sold {m} {t} and {a} sold {n}. Which of them sold {w} {t}?
    Today {a} carried {n} {t}. {b} carried {m}. Who carried {w} {t}?
    If {a} keeps {n} {t} and {b} keeps {m}, who keeps {w}?
    {a} had {n} {t} on the plate, {b} had {m}. Who had {w} {t}?
    On one side is {a} with {n} {t}, on the other {b} with {m}. Which has {w}?
    {a} lost {n} {t} and {b} lost {m}. Please say who lost {w}.
    Here are {a}, who has {n} {t}, and {b}, who has {m}. Who of the two has {w}?
    Who owns {w} {t}: {a}, who has {n}, or {b}, who has {m}?
    In this story {a} gets {n} {t} and {b} gets {m}. Say who gets {w}.
    Suppose {a} holds {n} {t} and {b} holds {m}. Which of the two holds {w}?
    {n} {t} for {a}, {m} {t} for {b}. Name the one who has {w}.
    I see that {a} has {n} {t} and that {b} has {m}. Who has {w} of them?
    Out of the bag of {a} fall {n} {t}, out of that of {b} fall {m}. Who had {w}?
    While {a} gathered {n} {t}, {b} gathered {m}. Who gathered {w}?
    {b} drew {m} {t}. {a} drew {n}. Whose picture has {w} {t}?
    Fill the gap with a name: {a} has {n} {t}, {b} has {m}, so {w} {t} belong to ...
    {a} needs {n} {t} and {b} needs {m}. Which of them needs {w}?
    Would you say that {a} or that {b} has {w} {t}? It is {n} for {a} and {m} for {b}.
    The shop sent {n} {t} to {a} and {m} to {b}. To whom did it send {w}?
    {a} hid {n} {t}, and {b} hid {m}. Answer with the name of who hid {w}.
    Today {b} brought {m} {t} and {a} brought {n}. By whom were {w} {t} brought?
    {a} can carry {n} {t}. {b} can carry {m}. Who can carry {w}?
    If {m} {t} were given to {b} and {n} to {a}, who was given {w}?
    Decide who has {w} {t}. {a} counted {n} and {b} counted {m}.
    "I have {n} {t}," says {a}. "I have {m}," says {b}. Who of them has {w}?
    On the list stand {a} with {n} {t} and {b} with {m}. Which name has {w} {t}?
    We know how many {t} they have: {a} {n}, {b} {m}. Who has {w}?
    """,
    """
    {a} is there with {n} {t}, and {b} comes with {m}. Who brings {w}?
    Say a name: who has {w} {t}, when {a} has {n} and {b} has {m}?
    With {n} {t} in the box of {a} and {m} in the box of {b}, whose box holds {w}?
    {b} wins {m} {t}, {a} wins {n}. The one with {w} {t} is who?
    {a} got {n} {t} from the farmer. {b} got {m} from the baker. Who got {w} {t}?
    """,
    """
    {t}: {a} {n}, {b} {m}. {w}?
    So {b} shows off with {m} {t}, and {a} only laughs and shows {n}, now who has the {best}?
    {a} {n} {t}, {b} {m}, who has the {best}
    {w} {t} than the other, when {n} are held by {a} and {m} by {b}, are held by whom?
    """,
)
_LENGTH = wordings(
    """
    Which word is {w}, {a} or {b}?
    Which has {v} letters: {a} or {b}?
    {a} or {b}: which word is {w}?
    Of the words {a} and {b}, which one is {w}?
    Count the letters of {a} and {b}. Which word has {v}?
    Choose the {w} word: {a}, {b}.
    Is {a} or {b} the {w} word?
    Tell me which word has {v} letters, {a} or {b}.
    Look at the words {a} and {b}. Say the {w} one.
    Here are two words: {a}, {b}. Which of them is {w}?
    Name the word with {v} letters: {a} or {b}.
    Compare the words {a} and {b}. Which is {w}?
    If you write down {a} and {b}, which word is {w}?
    Find the {w} of these two words: {a}, {b}.
    The {w} word of {a} and {b} is which?
    Please pick the {w} word out of {a} and {b}.
    I write {a} and {b}. Which of them needs {v} letters?
    Two words are {a} and {b}. What is the {w} one?
    Does the word {a} or the word {b} have {v} letters?
    Which of the two words is {w}? They are {a} and {b}.
    Say which word is {w}: {a} or {b}.
    Is {a} or {b} spelled with {v} letters?
    I wonder which word is {w}, {a} or {b}.
    If you spell {a} and {b}, which word has {v} letters?
    Fill the gap with {a} or {b}: the {w} word is ...
    The words {a} and {b} are not of the same length. Which is {w}?
    Take the words {a} and {b} and keep only the {w} one.
    Decide which word is {w}, {b} or {a}.
    Would you call {a} or {b} the {w} word?
    A small girl writes {a} and then {b}. Which word was {w}?
    Is it {a} that has {v} letters, or is it {b}?
    Measure two words: {a}, {b}. Which one is {w}?
    How many letters have {a} and {b}? Answer with the word that has {v}.
    We look for the {w} word. Is it {a} or {b}?
    On the wall stands {a}, on the door stands {b}. Say the {w} word.
    Do you know which has {v} letters, {a} or {b}?
    Answer with one word. Which is {w}: {a} or {b}?
    Both {a} and {b} are words. Name the {w} of them.
    Put the words {a} and {b} side by side. Which one is {w}?
    The question is which word has {v} letters: {b} or {a}.
    Suppose you must write the {w} word. Do you write {a} or {b}?
    """,
    """
    One of the words {a} and {b} is {w} than the other. Say which one.
    Which takes {v} letters to write, {a} or {b}?
    Between the words {a} and {b}, which is the {w} one?
    Give back the {w} word from {a}, {b}.
    Letter by letter, which word has {v} of them: {a} or {b}?
    """,
    """
    {w} word: {a}, {b}?
    My pencil is nearly gone, so which can I write with {v} letters, {a} or {b}?
    {a}, {b}, {v} letters
    Of {v} letters than the other is, of {a} and {b}, which word?
    """,
)

KINDS = (
    Kind("number", _number, _NUMBER),
    Kind("age", _age, _AGE),
    Kind("has_more", _has_more, _HAS_MORE, 1.5),
    Kind("length", _length, _LENGTH),
)
