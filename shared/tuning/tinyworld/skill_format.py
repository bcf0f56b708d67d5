"""Format: an answer in a given form. Only the form is asked for; what goes into it stands there or is known."""

from shared.tinyworld.grammar import past
from shared.tinyworld.people import CHILDREN
from shared.tinyworld.rng import Rng
from shared.tinyworld.words import ACTIONS, CATEGORIES

from .kind import Kind, Made, wordings

WHEN = (
    "every day", "in the morning", "on Sundays", "after lunch", "before school", "in the evening", "on Fridays",
    "at noon", "in spring", "with great care", "very slowly", "without a word",
)  # fmt: skip
_LISTS = tuple(CATEGORIES.values())


def _list(rng: Rng, numbered: bool) -> Made:
    words = rng.sample(rng.choose(_LISTS), rng.integer(2, 4))
    marks = [f"{i}." for i in range(1, len(words) + 1)] if numbered else ["-"] * len(words)
    row = ", ".join(words)
    answer = "\n".join(f"{mark} {word}" for mark, word in zip(marks, words, strict=True))
    return Made(f"{'numbered' if numbered else 'dashes'} {row}", {"row": row}, answer, 0.0)


def _key_value(rng: Rng, split: str) -> Made:
    child = rng.choose(CHILDREN)
    values = {"age": str(child.age), "food": child.food, "colour": child.colour, "pet": child.pet,
              "hobby": child.hobby, "birthday": child.month}  # fmt: skip
    keys = rng.sample(tuple(values), rng.integer(1, 2))
    answer = "\n".join(f"{key}: {values[key]}" for key in keys)
    fills = {"keys": " and the ".join(keys), "a": child.name}
    return Made(f"key value {child.name} {fills['keys']}", fills, answer, 0.0)


def _capitals(rng: Rng, split: str) -> Made:
    verb, rest = rng.choose(ACTIONS)
    sentence = f"{rng.choose(CHILDREN).name} {past(verb)} {rest}"
    return Made(f"capitals {sentence}", {"s": sentence}, sentence.upper(), 0.0)


def _three_words(rng: Rng, split: str) -> Made:
    child = rng.choose(CHILDREN)
    what = rng.choose(("food", "colour", "hobby"))
    liked = {"food": child.food, "colour": child.colour, "hobby": child.hobby}[what]
    fills = {"a": child.name, "what": what}
    return Made(f"form {child.name} {what}", fills, f"{child.name} likes {liked}", 0.0)


def _cut(rng: Rng, split: str) -> Made:
    verb, rest = rng.choose(ACTIONS)
    sentence = f"{rng.choose(CHILDREN).name} {past(verb)} {rest} {rng.choose(WHEN)}"
    return Made(f"cut {sentence}", {"s": sentence}, " ".join(sentence.split()[:3]), 0.0)


_DASHES = wordings(
    """
    Write this as a list with dashes: {row}.
    Put each of these on its own line after a dash: {row}.
    Make a list with a dash before each word: {row}.
    {row}. Write them one below the other, each with a dash.
    Here are some words: {row}. Give them as a list with dashes.
    Please write {row} line by line, with a dash at the beginning of each.
    I need {row} as a list. Begin each line with a dash.
    A dash, then a word, on every line: {row}.
    Can you make a list with dashes out of {row}?
    Turn {row} into lines that begin with a dash.
    Each word of {row} should get its own line and a dash.
    Give {row} a line each, and put a dash in front.
    How does {row} look as a list with dashes?
    Write down {row}, but as a list, dash by dash.
    The words are {row}. Show them below each other with dashes.
    Break {row} into lines. A dash comes before each word.
    With dashes, one word on each line: {row}.
    My mother writes her lists with dashes. Write {row} like that.
    For {row}, use one line and one dash each.
    List with dashes, please: {row}.
    Make a list of {row}, with a dash for each.
    On every line one dash and one of these: {row}.
    List {row}, and let every line begin with a dash.
    Write {row} in lines. Each line has a dash first.
    Could you list {row} with dashes?
    I would like a list with dashes. It should have {row} on it.
    First a dash, then the word, then the next line: {row}.
    Put dashes before {row} and write them in lines.
    The row {row} should become a list with dashes.
    This is too long for one line: {row}. Make a line with a dash for each.
    As a list with dashes, write {row}.
    What does a list with dashes look like for {row}?
    Give every one of {row} its own line, with a dash at the left.
    Copy {row} as a list. Use dashes, no numbers.
    My notes are {row}. Write them in lines with dashes.
    Please list these with dashes: {row}.
    Use a new line and a dash for each of these: {row}.
    Do you know how to make a list with dashes? Make one of {row}.
    If {row} are put into a list with dashes, what does one write?
    Dashes and not commas should stand between these: {row}. Take a line for each.
    Begin with a dash, write the first word, and go on so, line by line: {row}.
    """,
    """
    Show me {row} so that each stands alone on a line behind a dash.
    Before each of these words set a dash, and begin a new line after it: {row}.
    Let {row} stand one under the other with dashes.
    I want to see dashes, one for each word in {row}, every word on a new line.
    Write a list, not a row, and mark it with dashes: {row}.
    """,
    """
    Dash list: {row}
    I go to the shop for {row}, would you note it for me, dash, word, next line, dash, word?
    {row}, lines, dashes
    Below each other let them stand, each led by its dash: {row}.
    """,
)
_NUMBERED = wordings(
    """
    Number these words, one on each line: {row}.
    Make a numbered list: {row}.
    Write {row} as a list with numbers.
    {row}. Write them one below the other and number them.
    Give each of these a number and its own line: {row}.
    Here are some words: {row}. Make a numbered list of them.
    Please number {row} and begin a new line for each.
    I need {row} as a numbered list.
    A number, then a word, on every line: {row}.
    Can you number the words {row}, line by line?
    Turn {row} into a list that counts 1, 2 and so on.
    Each word of {row} should get its own line and a number.
    Put 1. before the first word, 2. before the second, and so on, line by line: {row}.
    How does {row} look as a numbered list?
    The words are {row}. Show them below each other with numbers.
    Break {row} into lines and number the lines.
    With numbers, one word on each line: {row}.
    My father numbers all his lists. Write {row} like that.
    Count the words of {row} as you write them below each other.
    Numbered list, please: {row}.
    Make a list of {row}, with a number for each.
    On every line one number and one of these: {row}.
    List {row}, and let every line begin with its number.
    Write {row} in lines. Each line has a number first.
    Could you list {row} with numbers?
    I would like a numbered list. It should have {row} on it.
    First the number, then the word, then the next line: {row}.
    Put numbers before {row} and write them in lines.
    The row {row} should become a numbered list.
    This is too long for one line: {row}. Make a numbered line for each.
    As a numbered list, write {row}.
    What does a numbered list look like for {row}?
    Give every one of {row} its own line, with a number at the left.
    Copy {row} as a list. Use numbers, no dashes.
    My notes are {row}. Write them in numbered lines.
    Please list these with numbers: {row}.
    Use a new line and the next number for each of these: {row}.
    Do you know how to make a numbered list? Make one of {row}.
    If {row} are put into a numbered list, what does one write?
    Begin with 1. and the first word, and go on so, line by line: {row}.
    What is 1., what is 2., and so on? Write it line by line for {row}.
    """,
    """
    Show me {row} so that each stands alone on a line behind its number.
    Before each of these words set its number, and begin a new line after it: {row}.
    Let {row} stand one under the other with numbers.
    I want to see which is 1. and which is 2. in {row}, every word on a new line.
    Write a list, not a row, and number it from the top: {row}.
    """,
    """
    Number list: {row}
    I have to do {row} today, would you note it for me, 1. and the word, next line, 2. and so on?
    {row}, lines, numbers
    Below each other let them stand, each led by its number: {row}.
    """,
)
_KEY_VALUE = wordings(
    """
    Answer as "key: value". What is the {keys} of {a}?
    Give the {keys} of {a}, each as "key: value".
    Write "key: value" for the {keys} of {a}.
    What is the {keys} of {a}? Write it as "key: value".
    I need the {keys} of {a} in the form "key: value".
    Tell me the {keys} of {a}. Use "key: value", one on each line.
    The {keys} of {a}, please, as "key: value".
    Fill in "key: value" with the {keys} of {a}.
    In the form "key: value", what is the {keys} of {a}?
    Please write the {keys} of {a} like this: "key: value".
    Do you know the {keys} of {a}? Answer with "key: value".
    Make a line "key: value" for the {keys} of {a}.
    As "key: value", say the {keys} of {a}.
    My list has lines like "key: value". Add the {keys} of {a}.
    Say what the {keys} of {a} is, but only as "key: value".
    {a} has to fill in "key: value" for the {keys}. What does {a} write?
    Use the form "key: value" and give the {keys} of {a}.
    Think of {a}. Write down the {keys} as "key: value".
    For {a}, put down the {keys}, each in the form "key: value".
    Name the {keys} of {a} with a line "key: value" for each.
    Say it as "key: value": the {keys} of {a}.
    I ask for the {keys} of {a}. The answer must look like "key: value".
    Show the {keys} of {a} in lines like "key: value".
    The form of the answer is "key: value". It is about the {keys} of {a}.
    Could you write "key: value" for {a} and the {keys}?
    Note the {keys} of {a}. Use "key: value" for it.
    {a} is asked for the {keys}. Fill in "key: value".
    Let each line be "key: value", and write the {keys} of {a}.
    If I need "key: value" for the {keys} of {a}, what do you write?
    Under the name {a}, put the {keys} as "key: value".
    What is the {keys} of {a}? The form is "key: value".
    Only "key: value" will be read. Write the {keys} of {a}.
    A card about {a} has lines "key: value". Write those for the {keys}.
    You know {a}. Give me "key: value" for the {keys}.
    Tell us about {a}, as "key: value": the {keys}.
    Of {a} I want the {keys}, written as "key: value".
    Write the {keys} that {a} has, in the form "key: value".
    Use one line of "key: value" for each that I name of {a}: the {keys}.
    How do you write the {keys} of {a} with "key: value"?
    Complete the card of {a} with "key: value" for the {keys}.
    Answer with "key: value", please. I need the {keys} of {a}.
    """,
    """
    How would a list with "key: value" show the {keys} of {a}?
    Put the {keys} of {a} before me, every line being "key: value".
    Somebody wants to know the {keys} of {a} and reads only "key: value".
    Find the {keys} of {a} and bring it into the form "key: value".
    With "key: value" as the form, answer what the {keys} of {a} is.
    """,
    """
    {a}: {keys}? "key: value"
    They hand me this paper about {a} with "key: value" on top, and now the {keys}, what goes there?
    "key: value", {a}, the {keys}
    Of {a} the {keys} I seek, and "key: value" is how it should look.
    """,
)
_CAPITALS = wordings(
    """
    Write this in capital letters: {s}.
    Say it in capitals: {s}.
    Make all letters big: {s}.
    {s}. Write that in capitals.
    Please write {s} with capital letters only.
    Use nothing but capitals for this: {s}.
    Here is a sentence: {s}. Make its letters big.
    Can you write "{s}" in capitals?
    Turn the small letters into capitals: {s}.
    How does "{s}" look in capital letters?
    Write the sentence again, but all in big letters: {s}.
    Shout it in capitals: {s}.
    I want every letter to be a capital: {s}.
    Copy this in big letters: {s}.
    In capitals, please: {s}.
    On the sign it should stand in capitals: {s}.
    Give me {s} in big letters.
    The sentence is "{s}". Write it large, with capitals.
    Change each letter to a capital: {s}.
    Put it into capital letters for me: {s}.
    Write all of this in capitals: {s}.
    Please make every letter of this big: {s}.
    Let each letter become a capital: {s}.
    Big letters only, please: {s}.
    What is "{s}" in capital letters?
    I cannot read small letters. Write {s} in big ones.
    From the first letter to the last, use capitals: {s}.
    Could you write this in big letters? {s}.
    The words are "{s}". Write them in capitals.
    Everything in capitals: {s}.
    A loud voice is written in capitals. Write it loud: {s}.
    Write {s}, but only with capitals.
    Put capitals in the place of all small letters: {s}.
    This should be read from far away, so make the letters big: {s}.
    Say this again, but with each letter a capital: {s}.
    Here are small letters. Give me the same in big ones: {s}.
    Print this in capitals: {s}.
    How is "{s}" written if all letters are capitals?
    Take this and write it in capital letters: {s}.
    For the front page, write this in capitals: {s}.
    Make capitals of all letters in "{s}".
    """,
    """
    No small letter may be left when you copy this: {s}.
    Let this sentence stand in capitals: {s}.
    A sign is painted with big letters only. It says: {s}.
    Write what follows so that all of it is big: {s}.
    Answer with "{s}" in capital letters.
    """,
    """
    Capitals: {s}
    Grandmother sees badly, so would you write her this as big as letters get, {s}?
    {s}, BIG
    Great shall its letters be, all of them, when this you write: {s}.
    """,
)
_THREE = wordings(
    """
    Answer in exactly three words: NAME likes WHAT. Which {what} does {a} like best?
    In three words, NAME likes WHAT: what {what} does {a} love?
    Which {what} does {a} like best? Answer in three words: NAME likes WHAT.
    What is the favourite {what} of {a}? Say it like this: NAME likes WHAT.
    Say in three words, NAME likes WHAT, which {what} {a} likes.
    Use the form NAME likes WHAT for the favourite {what} of {a}.
    Tell me the {what} that {a} loves, as NAME likes WHAT.
    The form is NAME likes WHAT. The question is which {what} {a} likes.
    Fill in NAME likes WHAT with {a} and the right {what}.
    Please answer NAME likes WHAT: which {what} is best for {a}?
    Three words only, NAME likes WHAT. Which {what} does {a} love?
    Think of {a} and the {what}. Then write NAME likes WHAT.
    As NAME likes WHAT, say which {what} {a} likes most.
    What {what} does {a} like? Three words: NAME likes WHAT.
    Write a sentence of three words, NAME likes WHAT, about {a} and a {what}.
    With NAME likes WHAT, tell me about the {what} of {a}.
    {a} has a favourite {what}. Say which, as NAME likes WHAT.
    Complete NAME likes WHAT. NAME is {a}, and WHAT is the favourite {what}.
    Do you know which {what} {a} likes? Answer NAME likes WHAT.
    Only in the form NAME likes WHAT: the {what} that {a} likes.
    Write NAME likes WHAT for {a}. WHAT is the {what} that {a} loves.
    Answer like this, NAME likes WHAT: what is the favourite {what} of {a}?
    I want three words, NAME likes WHAT, for {a} and the {what}.
    Which {what} is the favourite of {a}? Make it NAME likes WHAT.
    In the form NAME likes WHAT, which {what} does {a} like best?
    Could you say NAME likes WHAT for the {what} of {a}?
    What {what} makes {a} happy? The form is NAME likes WHAT.
    The answer has the form NAME likes WHAT. It tells which {what} {a} loves.
    If NAME is {a}, and WHAT the best {what} for {a}, what is NAME likes WHAT?
    Use three words and no more, NAME likes WHAT, to say which {what} {a} likes.
    Name the {what} that {a} likes, like this: NAME likes WHAT.
    About {a} and the favourite {what}, write NAME likes WHAT.
    Make three words of it, NAME likes WHAT: {a}, and the {what} that {a} likes.
    Begin with {a} and end with the favourite {what}, as in NAME likes WHAT.
    I ask about {a}. Which {what}? Say NAME likes WHAT.
    Each answer is NAME likes WHAT. The next one is about {a} and a {what}.
    Let me know, as NAME likes WHAT, what {what} {a} loves.
    As NAME likes WHAT, write what {a} likes. It is a {what}.
    Copy the form NAME likes WHAT and put in {a} and the {what} that {a} likes.
    Somebody wants to know which {what} {a} likes. Tell them NAME likes WHAT.
    Which {what} would {a} choose? Write only NAME likes WHAT.
    """,
    """
    Three words are enough, NAME likes WHAT, for the {what} {a} likes best.
    Put {a} and the {what} that is loved most into NAME likes WHAT.
    How does NAME likes WHAT go for {a}, if WHAT is a {what}?
    I ask for the {what} of {a} and want to read NAME likes WHAT.
    Give me NAME likes WHAT, about {a}, and let WHAT be the {what}.
    """,
    """
    {a}, {what}: NAME likes WHAT
    What shall I give {a}, I mean which {what} goes down well, just say NAME likes WHAT?
    NAME likes WHAT, {a}, {what}
    The {what} most loved by {a} I seek, and NAME likes WHAT is how it should sound.
    """,
)
_CUT = wordings(
    """
    Give only the first three words: {s}.
    Cut this after three words: {s}.
    What are the first three words of this: {s}?
    {s}. Say just the first three words.
    Keep three words and leave away the rest: {s}.
    Stop after the third word: {s}.
    Here is a sentence: {s}. Repeat only three words of it, from the beginning.
    Please copy the first three words of {s}.
    How does the sentence "{s}" begin? Give three words.
    Only three words, from the start: {s}.
    Read the first three words out: {s}.
    Can you say the beginning of {s}, three words long?
    Make it shorter. Only the first three words stay: {s}.
    The sentence is "{s}". Write its first three words.
    Take away all that comes after the third word: {s}.
    Say {s}, but stop when you have said three words.
    Write three words from the beginning of this: {s}.
    I have room for three words only. Begin to write: {s}.
    Which three words come first in {s}?
    Begin to say {s} and stop after three words.
    Repeat the first three words of this: {s}.
    Three words are enough, from the beginning: {s}.
    Leave only the first three words: {s}.
    What do you read first, if you read three words? {s}.
    Write the beginning, three words long: {s}.
    Say the first three words, then be silent: {s}.
    I want the first three words and not the rest: {s}.
    Copy three words and stop: {s}.
    Count three words from the start and write them: {s}.
    The beginning of this is wanted, three words of it: {s}.
    Do not write more than the first three words: {s}.
    Could you give me the first three words of "{s}"?
    Drop all words but the first three: {s}.
    Start to copy, and stop when three words are there: {s}.
    Make three words of it by cutting the end: {s}.
    From "{s}", take the first three words.
    Which are the first three words here? {s}.
    Read {s}. Then write down its first three words.
    Let the sentence end after its third word: {s}.
    Of the sentence "{s}", say three words from the beginning.
    Word one, word two, word three, and no more: {s}.
    """,
    """
    All but the first three words can go: {s}.
    With three words from its beginning, repeat this: {s}.
    After three words I fall asleep. Tell me {s}.
    The first, the second and the third word of this, please: {s}.
    Answer with the three words that open the sentence {s}.
    """,
    """
    First three: {s}
    Hush, I only heard how it began, {s}, so which three words did I hear?
    {s}, three words, no more
    No further than to its third word let this be told: {s}.
    """,
)

KINDS = (
    Kind("dashes", lambda rng, split: _list(rng, False), _DASHES),
    Kind("numbered", lambda rng, split: _list(rng, True), _NUMBERED),
    Kind("key_value", _key_value, _KEY_VALUE),
    Kind("capitals", _capitals, _CAPITALS),
    Kind("three_words", _three_words, _THREE),
    Kind("cut", _cut, _CUT),
)
