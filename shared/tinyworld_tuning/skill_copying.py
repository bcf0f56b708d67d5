"""Copying: a list said again or backwards, one word of a list, one thing of a sentence."""

from shared.tinyworld.grammar import capital, listed, plural
from shared.tinyworld.people import CHILDREN
from shared.tinyworld.places import VILLAGE_PLACES
from shared.tinyworld.rng import Rng
from shared.tinyworld.words import CATEGORIES

from .kind import Kind, Made, wordings
from .lists import some_words

_PLACES = ("first", "second", "third", "last")
_COUNTABLE = tuple(
    word for kind in ("animal", "bird", "insect", "fruit", "vehicle", "instrument", "flower", "tool",
    "piece of furniture")
    for word in CATEGORIES[kind] if word != "pliers"
)  # fmt: skip


def _copy(rng: Rng, split: str) -> Made:
    row = ", ".join(some_words(rng, 3, 6))
    return Made(f"copy {row}", {"row": row}, row, 0.0)


def _backwards(rng: Rng, split: str) -> Made:
    words = some_words(rng, 3, 6)
    row = ", ".join(words)
    return Made(f"backwards {row}", {"row": row}, ", ".join(reversed(words)), 0.0)


def _pick(words: list[str], at: str) -> str:
    return words[-1] if at == "last" else words[_PLACES.index(at)]


def _nth(rng: Rng, split: str) -> Made:
    words = some_words(rng, 3, 6)
    at = rng.choose(_PLACES)
    row = ", ".join(words)
    return Made(f"nth {at} {row}", {"row": row, "at": at}, _pick(words, at), 1 / len(words))


def _named(rng: Rng, split: str) -> Made:
    who, at = rng.choose(CHILDREN), rng.choose(_PLACES)
    things = [plural(word) for word in rng.sample(_COUNTABLE, rng.integer(3, 5))]
    fills = {"a": who.name, "at": at, "things": listed(things), "where": rng.choose(VILLAGE_PLACES).at}
    fills["Where"] = capital(fills["where"])
    return Made(f"named {at} {who.name} {fills['things']}", fills, _pick(things, at), 1 / len(things))


_COPY = wordings(
    """
    Repeat this list: {row}.
    Copy: {row}.
    Say this again: {row}.
    {row}. Please say that once more.
    Write down the same words: {row}.
    Say after me: {row}.
    Here is a list: {row}. Copy it.
    I say {row}. Now you say it.
    Give me back exactly these words: {row}.
    Can you repeat {row}?
    Do not change anything, only copy: {row}.
    Listen and repeat: {row}.
    What did I say? It was {row}.
    Read this out: {row}.
    The list is {row}. Tell me the list.
    Please write {row} just as it stands here.
    Say the words in the same order: {row}.
    Make a second list like this one: {row}.
    Like a parrot, say {row}.
    On the paper stands {row}. Copy what stands there.
    """,
    """
    Word for word, repeat what I say: {row}.
    Let me hear it again: {row}.
    Answer only with this list: {row}.
    Keep the order and say these words: {row}.
    Please give {row} back to me without a change.
    """,
    """
    Again: {row}
    Hey, my ears are bad today, I thought I heard {row}, so how does it go?
    {row}, same
    Just as they came, {row}, let them come once more from you.
    """,
)
_BACKWARDS = wordings(
    """
    Say this list backwards: {row}.
    Reverse the list: {row}.
    Turn the order round: {row}.
    {row}. Now say it backwards.
    Begin with the last word and end with the first: {row}.
    Write these words from the last to the first: {row}.
    Here is a list: {row}. Give it backwards.
    I say {row}. You say it the other way round.
    Can you repeat {row} in reverse?
    Read this list from its end: {row}.
    What is {row} backwards?
    Please reverse {row}.
    The words are {row}. Put the last one first, and so on.
    Go back through the list {row}, word by word.
    How does {row} go from the end to the beginning?
    Turn round this row: {row}.
    Say the words in the opposite order: {row}.
    Copy the list, but backwards: {row}.
    From last to first, tell me {row}.
    The other way round, please: {row}.
    """,
    """
    Let me hear these words in reverse order: {row}.
    Start at the end of {row} and come back to the beginning.
    If the last word of {row} becomes the first, what is the whole list?
    Walk backwards through {row} and name each word.
    Give {row} back to me with its order turned round.
    """,
    """
    Backwards: {row}
    Hey, what if somebody played {row} from the wrong end, what would we hear?
    {row}, reverse
    From the end on, of {row} I speak, let word after word come back.
    """,
)
_NTH = wordings(
    """
    What is the {at} word of this list: {row}?
    Give me the {at} word: {row}.
    Which word is {at}: {row}?
    {row}. What was the {at} word?
    Here is a list: {row}. Name its {at} word.
    In the list {row}, which word is the {at} one?
    Tell me only the {at} word of {row}.
    I say {row}. Which word did I say {at}?
    Look at {row}. What stands {at}?
    Say the {at} of these words: {row}.
    Which word comes {at} in {row}?
    Please find the {at} word in this row: {row}.
    The words are {row}. I need the {at} one.
    Of the words {row}, give the {at}.
    Can you say the {at} word of {row}?
    Read {row} and answer with the {at} word.
    What do I name {at} when I say {row}?
    From {row}, take the {at} word.
    The {at} word of {row} is what?
    There is a row: {row}. Its {at} word is which?
    """,
    """
    Pick out the word that stands {at} here: {row}.
    When you hear {row}, which word do you hear {at}?
    Leave away all but the {at} word: {row}.
    Which one has the {at} place in {row}?
    Somebody writes {row}. Answer with the word that was written {at}.
    """,
    """
    {at}: {row}
    Hey, they all stand in line, {row}, and who is the {at} in that line?
    {row}, only the {at}
    The {at} place, among {row}, is held by which?
    """,
)
_NAMED = wordings(
    """
    {a} saw {things} {where}. What did {a} name {at}?
    {Where} {a} saw {things}. Which of them is named {at}?
    {a} tells us of {things} {where}. What comes {at}?
    "I saw {things} {where}," says {a}. What does {a} name {at}?
    There were {things} {where}, says {a}. Which were named {at}?
    What is named {at}? {a} saw {things} {where}.
    {a} painted {things} {where}. What stands {at} in this sentence?
    {a} looked for {things} {where}. Give me the {at} of them.
    Listen: {a} found {things} {where}. What was the {at} that I named?
    {a} thinks of {things} {where}. Name what comes {at}.
    Read this: {a} met {things} {where}. Which did you read {at}?
    {a} counted {things} {where}. What did {a} count {at}?
    Of the things that {a} saw {where}, {things}, which come {at}?
    {a} drew {things} {where}. Tell me which were {at}.
    Somebody says that {a} saw {things} {where}. What is said {at}?
    {Where} stood {things}, and {a} saw them. Say what stood {at} in the row.
    {a} wanted {things} {where}. What did {a} want {at}?
    {a} spoke about {things} {where}. Please say which were {at}.
    When {a} was {where}, {a} saw {things}. The {at} ones were what?
    {a} dreamed of {things} {where}. What was {at} in the dream?
    """,
    """
    {a} wrote a story about {things} {where}. Which of these does the sentence have {at}?
    {things}: all that {a} saw {where}. Answer with the {at}.
    {a} asked for {things} {where}. Find what {a} asked for {at}.
    We know that {a} noticed {things} {where}. What was the {at} to be named?
    {Where} {a} began to talk of {things}. What did we hear {at}?
    """,
    """
    {a}, {where}: {things}. {at}?
    You will not believe what {a} saw {where}, it was {things}, now which did I say {at}?
    {a} saw {things} {where}, the {at} please
    The {at} place, among {things} that {a} saw {where}, is held by which?
    """,
)

KINDS = (
    Kind("copy", _copy, _COPY),
    Kind("backwards", _backwards, _BACKWARDS),
    Kind("nth", _nth, _NTH),
    Kind("named", _named, _NAMED),
)
