"""Counting: how often a word occurs, how long a list is, how many things there are together."""

from shared.tinyworld.grammar import capital, listed, number_word
from shared.tinyworld.people import CHILDREN
from shared.tinyworld.rng import Rng
from shared.tinyworld.sums import COUNTED

from .kind import Kind, Made, wordings
from .lists import some_words


def _occurrences(rng: Rng, split: str) -> Made:
    words = some_words(rng, 2, 4)
    target = words[0]
    count = rng.integer(1, 5)
    row = rng.shuffled([target] * count + [rng.choose(words[1:]) for _ in range(rng.integer(1, 4))])
    seen, steps = 0, []
    for word in row:
        seen += word == target
        steps.append(f"{word} {number_word(seen)}" if word == target else word)
    shown = ", ".join(row)
    fills = {"word": target, "row": shown}
    return Made(
        f"occurrences {target} {shown}", fills, number_word(count), 1 / 5, ", ".join(steps), (str(count),)
    )


def _list_length(rng: Rng, split: str) -> Made:
    words = some_words(rng, 3, 8)
    steps = ", ".join(f"{number_word(i)} {word}" for i, word in enumerate(words, 1))
    shown = ", ".join(words)
    count = len(words)
    return Made(f"length {shown}", {"row": shown}, number_word(count), 1 / 6, steps, (str(count),))


def _together(rng: Rng, split: str) -> Made:
    who = rng.sample(CHILDREN, 3)
    n, m, k = (rng.integer(2, 5) for _ in who)
    one, two, three, both, answer = (number_word(x) for x in (n, m, k, n + m, n + m + k))
    fills = {
        "t": rng.choose(COUNTED), "a": who[0].name, "b": who[1].name, "c": who[2].name,
        "n": one, "N": capital(one), "m": two, "k": three, "names": listed([p.name for p in who]),
    }  # fmt: skip
    steps = f"{one} and {two} make {both}, {both} and {three} make {answer}"
    key = f"together {' '.join(p.name for p in who)} {n} {m} {k}"
    return Made(key, fills, answer, 1 / 10, steps, (str(n + m + k),))


_OCCURRENCES = wordings(
    """
    How many times is "{word}" in this list: {row}?
    Count how often "{word}" occurs: {row}.
    See how often "{word}" is in this list: {row}.
    {row}. How many times do you see "{word}"?
    In the list {row}, how often does "{word}" come?
    How often do I say "{word}" here: {row}?
    Look for "{word}" in these words: {row}. How many did you find?
    Tell me how many times "{word}" comes in {row}.
    Here is a list: {row}. How many of the words are "{word}"?
    Count only the word "{word}": {row}.
    Of these words, how many are "{word}"? {row}.
    Somebody says {row}. How often was that "{word}"?
    Please count "{word}" in the row {row}.
    The word is "{word}", the list is {row}. How often is the word in the list?
    I wrote {row}. How many times did I write "{word}"?
    Go through {row} and count each "{word}".
    How many are called "{word}" in this row: {row}?
    If you read {row}, how often do you read "{word}"?
    Give the number of times that "{word}" stands here: {row}.
    Among {row}, "{word}" is there how many times?
    How often is "{word}" said in {row}?
    What is the number of times "{word}" comes in {row}?
    Count each "{word}" in the row {row}.
    I look for "{word}". How many times can I find it in {row}?
    Say how many times "{word}" stands in this list: {row}.
    Find out how often "{word}" is named: {row}.
    While I said {row}, how many times did I say "{word}"?
    Fill the gap: in {row}, the word "{word}" is found ... times.
    Forget all words but "{word}" and count: {row}.
    Are there many of "{word}" in {row}? Say how many.
    The word "{word}" may come more than once in {row}. How often does it come?
    Mark each "{word}" in {row}. How many marks do you make?
    Suppose you get a coin for each "{word}" in {row}. How many coins do you get?
    Only "{word}" counts. How many do you count in {row}?
    Work out how many times "{word}" is written here: {row}.
    Some of these words are "{word}": {row}. How many?
    Mia calls out {row}. How many times has she called "{word}"?
    Please tell me how often you find "{word}" in {row}.
    If each "{word}" is taken out of {row}, how many words are taken out?
    Take the list {row}. How many times is the word "{word}" there?
    In {row}, count how many words are "{word}".
    One, two or more? How many times is "{word}" in {row}?
    Put your finger on each "{word}" in {row}. How many did you touch?
    """,
    """
    Find every "{word}" in {row}. How many are there?
    Listen: {row}. How often did you hear "{word}"?
    This row has "{word}" in it how many times: {row}?
    What is the count of "{word}" if the words are {row}?
    Read through {row} and say how often it was "{word}".
    """,
    """
    "{word}" in {row}, how often?
    The parrot cried {row} all morning, so how many of its cries were "{word}"?
    {row}: only "{word}", number?
    As "{word}", of all that stands in {row}, how many can be counted?
    """,
)
_LENGTH = wordings(
    """
    How many words are in this list: {row}?
    Count the words: {row}.
    How long is this list: {row}?
    {row}. How many words are that?
    Tell me how many words you see: {row}.
    Here is a list: {row}. How many words does it have?
    I say {row}. How many words did I say?
    Please count how many there are: {row}.
    The list {row} has how many words?
    Count them all and give the number: {row}.
    How many words did Mia write if she wrote {row}?
    Look at {row}. What is the number of words?
    One by one, count these words: {row}.
    How many things are named here: {row}?
    If each word gets a number, what is the last number? {row}.
    What is the number of words in {row}?
    These are my words: {row}. How many have I got?
    Go through the row {row}. How many words does it hold?
    Can you count the words in {row}?
    On the paper stands {row}. How many words are on the paper?
    What number of words does this list have: {row}?
    Say how many words there are in {row}.
    Count how many words I name: {row}.
    I have written {row}. How many words have I written?
    How many words do you find here: {row}?
    How many words long is this list: {row}?
    Fill the gap: the list {row} is ... words long.
    A child can say {row}. How many words can it say?
    Suppose each word in {row} costs one coin. How many coins do all of them cost?
    If I put {row} on my list, how many things are on it?
    On my list are {row}. How many words is that?
    Use your fingers: how many words are {row}?
    Is this list long or short? Count its words: {row}.
    Give me the count of these words: {row}.
    How many words has somebody learned who has learned {row}?
    Put a mark under each word of {row}. How many marks are there?
    How many words are there from the first to the last: {row}?
    Do not repeat the list, only say how many words it has: {row}.
    The words {row} are counted. What number comes out?
    Tell me the length of the list {row}, in words.
    All these words together, how many are they: {row}?
    Somebody reads out {row}. How many words were read out?
    When you have counted {row}, what number do you get?
    """,
    """
    Find out how many words stand in this row: {row}.
    Read {row}. You have read how many words?
    How many different things do I name when I say {row}?
    With {row} in the list, how long has the list become?
    Say the number of the words that follow: {row}.
    """,
    """
    {row}: how many?
    Oh my, I have to carry {row} home, so how many things is that in all?
    Words, count: {row}
    Of words in a row, namely {row}, there are how many?
    """,
)
_TOGETHER = wordings(
    """
    {a} has {n} {t}, {b} has {m} {t}, and {c} has {k}. How many {t} are there in all?
    {a} has {n} {t}. {b} has {m}. {c} has {k}. How many {t} do they have together?
    How many {t} are there if {a} has {n}, {b} has {m} and {c} has {k}?
    {names} put their {t} together: {n}, {m} and {k}. How many are in the pile?
    {a} finds {n} {t}, {b} finds {m} and {c} finds {k}. Count all of them.
    First {a} brings {n} {t}, then {b} brings {m}, then {c} brings {k}. How many were brought?
    Count the {t}: {a} has {n}, {b} {m} and {c} {k}.
    {names} collect {t}. They have {n}, {m} and {k}. What is that in all?
    In the bag of {a} are {n} {t}, in the bag of {b} {m}, in the bag of {c} {k}. How many {t} is that?
    {N} {t} from {a}, {m} from {b} and {k} from {c}. How many is that together?
    Three children have {t}: {a} {n}, {b} {m}, {c} {k}. Tell me how many in all.
    {a} gives me {n} {t}, {b} gives me {m}, and {c} gives me {k}. How many {t} did I get?
    {a} bought {n} {t}. {b} bought {m} and {c} bought {k}. How many {t} were bought?
    On the table lie {n} {t} of {a}, {m} of {b} and {k} of {c}. How many lie there?
    If {a} picks {n} {t}, {b} {m} and {c} {k}, how many {t} did they pick?
    Please add up: {a} has {n} {t}, {b} has {m}, {c} has {k}.
    {a}, {b} and {c} carried {n}, {m} and {k} {t}. How many {t} did the three carry?
    To the {n} {t} of {a} come {m} from {b} and {k} from {c}. How many are there now?
    {a} drew {n} {t}, {b} drew {m}, {c} drew {k}. How many {t} are in the pictures?
    What is the number of {t} when {a} has {n}, {b} has {m} and {c} has {k}?
    {a} found {n} {t}, {b} {m} and {c} {k}. How many {t} did they find?
    There are {n} {t} from {a}, {m} from {b} and {k} from {c} in a jar. How many are in the jar?
    Work out how many {t} there are: {n} of {a}, {m} of {b} and {k} of {c}.
    {names} need {n}, {m} and {k} {t}. How many {t} do they need in all?
    {a} put down {n} {t}. {b} put down {m} more, and {c} another {k}. How many lie there now?
    How many {t} do I need if {a} wants {n}, {b} wants {m} and {c} wants {k}?
    Fill the gap: {n} {t}, {m} {t} and {k} {t} are together ... {t}.
    Suppose {a} sold {n} {t}, {b} sold {m} and {c} sold {k}. What is the number of {t} that were sold?
    The three friends {names} hid {n}, {m} and {k} {t}. How many {t} are hidden?
    {c} has {k} {t}. {a} has {n}, and {b} has {m}. Say how many that makes.
    On Monday {a} got {n} {t}, on Tuesday {m}, on Friday {k}. How many {t} did {a} get in these days?
    First {n} {t}, then {m}, then {k}: {names} gave them to me. How many do I have?
    Can you tell me how many {t} {a}, {b} and {c} have together? They have {n}, {m} and {k}.
    There were {n} {t} for {a}, {m} for {b} and {k} for {c}. How many {t} were there?
    {a} lost {n} {t}, {b} lost {m}, and {c} lost {k}. How many {t} are lost?
    In three boxes are {n}, {m} and {k} {t}. How many {t} are in all the boxes?
    {a} dropped {n} {t}, then {b} dropped {m} and {c} {k}. How many {t} fell down?
    First {n} {t}, then {m}, and at last {k} were counted by {a}. What is the whole number?
    {names} send me {n}, {m} and {k} {t}. How many {t} are sent?
    Three bags hold {n}, {m} and {k} {t}. {names} empty them. How many {t} come out?
    The number of {t} is {n} for {a}, {m} for {b} and {k} for {c}. How many is that in all?
    """,
    """
    {a} comes with {n} {t}, {b} with {m}, and {c} with {k}. How many {t} have come?
    Say how many {t} the three own: {a} {n}, {b} {m}, {c} {k}.
    Into one basket go {n} {t} of {a}, {m} of {b} and {k} of {c}. What does it hold?
    {c} keeps {k} {t}, {b} keeps {m} and {a} keeps {n}. How many do all of them keep?
    When {a} shows {n} {t}, {b} {m} and {c} {k}, how many {t} do we see?
    """,
    """
    {t}: {a} {n}, {b} {m}, {c} {k}. All?
    So {a} had {n} {t} and {b} came with {m}, and then, guess what, {c} had {k} too, so what a heap is that?
    {n}, {m} and {k} {t}, in all
    Of {t} the three, {a} with {n}, {b} with {m}, {c} with {k}, call how many their own?
    """,
)

KINDS = (
    Kind("occurrences", _occurrences, _OCCURRENCES, 1.5),
    Kind("length", _list_length, _LENGTH),
    Kind("together", _together, _TOGETHER),
)
