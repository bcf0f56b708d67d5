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
    Please copy this list: {row}.
    Say these words once more: {row}.
    Write this down for me: {row}.
    Make a copy of {row}.
    Could you write {row} once more?
    What you read here, write it again: {row}.
    Here comes a list. Say it as it is: {row}.
    The same list once again, please: {row}.
    Tell me these words as I told them to you: {row}.
    Be my echo: {row}.
    If I say {row}, you say the same.
    Let the list stay as it is and write it: {row}.
    Copy down each word in this row: {row}.
    Take the words {row} and write them again in the same order.
    I lost my list. It said {row}. Write me a new one.
    From the blackboard, copy this: {row}.
    Learn this and say it: {row}.
    The words to repeat are {row}.
    Let this be written a second time: {row}.
    Would you please repeat the words {row}?
    Once more, the list {row}.
    Say what I say, no more and no less: {row}.
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
    Write this list backwards: {row}.
    Please give the words in reverse: {row}.
    Which list do you get if you reverse {row}?
    Say {row}, but from back to front.
    From the end, read out the list {row}.
    The list {row} should stand the other way round. Write it so.
    Can you say the list {row} backwards?
    Let the order be reversed: {row}.
    What is the reverse of this list: {row}?
    Now comes a list, and you turn it round: {row}.
    Take the words {row} and name them from the last to the first.
    Read with a mirror, this list would stand backwards. Write it so: {row}.
    If we begin at the end of {row}, what is the order?
    I read from the front: {row}. You read from the back.
    Back to front, please: {row}.
    Put {row} in the reverse order.
    Change the order so that the end comes first: {row}.
    Write down {row}, the last word first.
    A crab walks backwards. Say this list like a crab: {row}.
    Tell me this list in reverse: {row}.
    The list is {row}. How does it go backwards?
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
    Say which word of {row} is the {at}.
    I need only the {at} word of this row: {row}.
    The {at} of the words {row}, please.
    Write the {at} word of {row} and no other.
    Which is the {at} of these: {row}?
    Do you see the {at} word in {row}? Write it.
    If I count through {row}, which word is the {at}?
    Fill the gap: in the list {row}, the {at} word is ...
    Copy one word only, the {at}: {row}.
    Out of this list I want the {at} word: {row}.
    Listen to the list and keep the {at} word: {row}.
    Children stand in a row and hold up signs: {row}. What does the {at} sign say?
    Your word is the {at} one. The list is {row}.
    Look for the {at} one of the words {row}.
    The list reads {row}. How does its {at} word go?
    Take a look at this row and give its {at} word: {row}.
    Would you tell me which word is {at} in {row}?
    What word do you read {at} in this list: {row}?
    Let us find the {at} word: {row}.
    My list is {row}. What is the {at} thing on it?
    Answer with the {at} word of the list {row}.
    Suppose the {at} word of {row} is the right one. Say it.
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
    {a} played with {things} {where}. Which are named {at}?
    {Where} {a} found {things}. Say which I named {at}.
    In this sentence, what is named {at}? {a} watched {things} {where}.
    I tell you that {a} has {things} {where}. What did I tell you of {at}?
    {a} sang a song about {things} {where}. What is {at} in the song?
    Name what comes {at} here: {a} hid {things} {where}.
    There is a sentence: {a} heard of {things} {where}. What does it name {at}?
    {a} carried {things} {where}. Of these, tell me the {at}.
    Somebody read to us that {a} had {things} {where}. What was read {at}?
    {a} made a list {where}: {things}. What is {at} on the list?
    If {a} points at {things} {where}, what does {a} point at {at}?
    {a} left {things} {where}. Which of these did I say {at}?
    Write what is named {at}. {Where}, {a} looked at {things}.
    {a} is {where} and thinks of {things}. Of what does {a} think {at}?
    {a} washed {things} {where}. Answer with what comes {at}.
    For a game {a} chose {things} {where}. What was chosen {at}?
    {Where} there are {things}, as {a} knows. Which do I name {at}?
    Do you remember? {a} showed us {things} {where}. What came {at}?
    We hear that {a} lost {things} {where}. Which of the lost things are named {at}?
    {a} sold {things} {where}. Say what I named {at}.
    Please listen. {a} kept {things} {where}. Repeat what I named {at}.
    {a} borrowed {things} {where}. The {at} of them are what?
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
