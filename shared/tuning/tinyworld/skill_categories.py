"""Categories: which word is of a kind, which does not belong, what kind of thing a word names."""

from shared.tinyworld.grammar import listed, with_article
from shared.tinyworld.rng import Rng
from shared.tinyworld.words import CATEGORIES

from .kind import Kind, Made, wordings

# A robin is a bird and an animal: the wider kind is not asked for beside the narrower.
_KINDS = tuple(kind for kind in CATEGORIES if kind != "animal")


def _which(rng: Rng, split: str) -> Made:
    kinds = rng.sample(_KINDS, 4)
    words = [rng.choose(CATEGORIES[kind]) for kind in kinds]
    row = ", ".join(rng.shuffled(words))
    fills = {"row": row, "kind_of": with_article(kinds[0])}
    return Made(f"which {kinds[0]} {row}", fills, words[0], 1 / 4)


def _odd(rng: Rng, split: str) -> Made:
    same, other = rng.sample(_KINDS, 2)
    odd = rng.choose(CATEGORIES[other])
    row = ", ".join(rng.shuffled([*rng.sample(CATEGORIES[same], 3), odd]))
    return Made(f"odd {row}", {"row": row}, odd, 1 / 4)


def _what(rng: Rng, split: str) -> Made:
    kinds = rng.sample(_KINDS, 3)
    word = rng.choose(CATEGORIES[kinds[0]])
    options = [with_article(kind) for kind in rng.shuffled(kinds)]
    fills = {"x": word, "options": listed(options, "or")}
    answer = with_article(kinds[0])
    return Made(f"what {word} {fills['options']}", fills, answer, 1 / 3, also=(kinds[0],))


_WHICH = wordings(
    """
    Which of these is {kind_of}: {row}?
    Find {kind_of} in this list: {row}.
    One of these words is {kind_of}: {row}. Which?
    {row}. Which of them is {kind_of}?
    Here are four words: {row}. Name the one that is {kind_of}.
    In the list {row}, what is {kind_of}?
    I am looking for {kind_of}. I see {row}. Which is it?
    Tell me which word names {kind_of}: {row}.
    What can be called {kind_of}, {row}?
    Choose {kind_of} from {row}.
    Of {row}, only one is {kind_of}. Say which.
    Please pick out {kind_of}: {row}.
    Among these there is {kind_of}: {row}. Find it.
    If you need {kind_of}, what do you take from {row}?
    Say the word for {kind_of}: {row}.
    Look at {row}. Where is {kind_of}?
    The words are {row}. Which one is {kind_of}?
    Answer with the word that is {kind_of}: {row}.
    Somebody asks for {kind_of} and may choose from {row}. What is right?
    {row}: one of the four is {kind_of}. Which one?
    Which word in {row} is the name of {kind_of}?
    Say which of these words is {kind_of}: {row}.
    I need {kind_of}. Which of these can I take: {row}?
    Name {kind_of} from the list {row}.
    Fill the gap with one of these, {row}: a word for {kind_of} is ...
    Which of the four words {row} means {kind_of}?
    Do you find {kind_of} in {row}? Say its name.
    Four words, and one is {kind_of}: {row}. Write that one.
    A child draws {kind_of}. Which word from {row} should stand under it?
    What in this row is {kind_of}: {row}?
    Only one of these can be {kind_of}: {row}. Name it.
    Out of {row}, write down what is {kind_of}.
    My question is which of these is {kind_of}: {row}.
    If you look for {kind_of} in {row}, what do you find?
    Write the word that is {kind_of}, and no other: {row}.
    Can you tell which word is {kind_of}? The words are {row}.
    We play a game. I say {kind_of}, and you choose from {row}. What do you choose?
    Decide which one is {kind_of}: {row}.
    The list is {row}, and {kind_of} is wanted. What is it?
    Which one of {row} do people call {kind_of}?
    By which of these words is {kind_of} meant: {row}?
    A dictionary says "{kind_of}" under one of these words: {row}. Under which?
    Put your finger on the word for {kind_of}: {row}.
    """,
    """
    Read {row} and say what among it is {kind_of}.
    There is {kind_of} hidden in this row: {row}. What is it?
    Three of {row} are not {kind_of}. Which one is?
    Give me {kind_of} out of these: {row}.
    When {row} lie before you, which would you call {kind_of}?
    """,
    """
    {row}: {kind_of}?
    My aunt sent me out for {kind_of}, and all they have is {row}, so what do I bring her?
    {kind_of}, out of {row}
    As {kind_of}, of all that stands in {row}, counts which?
    """,
)
_ODD = wordings(
    """
    Which word does not belong: {row}?
    Find the odd one out: {row}.
    Which of these is of another kind: {row}?
    {row}. Which one does not fit?
    Three of these belong together: {row}. Name the other one.
    Here are four words: {row}. Which is not like the others?
    One word is wrong in this list: {row}. Which?
    Take away what does not belong: {row}.
    In the list {row}, which word is the odd one?
    Tell me which word is of another kind than the rest: {row}.
    Which of {row} has nothing to do with the others?
    Say the word that does not fit in: {row}.
    Look at {row}. What does not belong there?
    Somebody mixed up {row}. Which word came from somewhere else?
    Of {row}, three are of one kind. Which is not?
    Please pick the odd one from {row}.
    What must go, so that all are of one kind: {row}?
    The words are {row}. Find the one that is different.
    All but one of {row} are of the same kind. Say that one.
    What is the odd word in {row}?
    Say which word is not of the same kind: {row}.
    Three are alike and one is not: {row}. Which one is not?
    Which word in {row} is different from the rest?
    Name the word that is not like the other three: {row}.
    In this row, one word is wrong: {row}. Write it.
    Decide which of these does not belong with the others: {row}.
    Fill the gap: in {row}, the word that does not belong is ...
    What is different here: {row}?
    One of {row} should not be there. Which one?
    Can you see which word does not fit? The words are {row}.
    Throw out the word of another kind: {row}.
    A word got into the wrong list: {row}. Which word was it?
    Is one of these odd? {row}. Name it.
    Compare the four words {row}. Which one is of another kind?
    My question is which word is the odd one in {row}.
    Cross out the word that does not belong: {row}.
    Read the row {row}. Which word do you not expect there?
    With which of these words do the others have nothing in common: {row}?
    You have {row}. Find what is of another kind.
    Not all of these are of one kind: {row}. Which one breaks the rule?
    Tell me the only one of {row} that is of another kind.
    Here are three words of a kind and one more: {row}. Which is the one more?
    What does not go with the rest of {row}?
    """,
    """
    Read {row} and say which one stands apart.
    Which word among {row} is a stranger to the other three?
    I want three of a kind from {row}. Which do I leave out?
    One of {row} is in the wrong place. Name it.
    Give me the word that makes this list untidy: {row}.
    """,
    """
    {row}: odd one?
    Somebody tidied up my room and put {row} in one box, so what should never have gone in there?
    Not like the rest, out of {row}
    To the others, in {row}, does not belong which?
    """,
)
_WHAT = wordings(
    """
    What is the word "{x}": {options}?
    What does "{x}" name: {options}?
    Is "{x}" {options}?
    "{x}" is what: {options}?
    Which is right for "{x}": {options}?
    Tell me what "{x}" is, {options}.
    What kind of thing is "{x}", {options}?
    The word is "{x}". Is it {options}?
    Choose what "{x}" is: {options}.
    Would you call "{x}" {options}?
    Somebody says "{x}". Does that mean {options}?
    Of what kind is "{x}"? Say {options}.
    Please say whether "{x}" is {options}.
    I read the word "{x}". Is that {options}?
    To which kind does "{x}" belong? It can be {options}.
    Do we call "{x}" {options}?
    A friend shows you "{x}". Is it {options}?
    {options}: which of these is "{x}"?
    If I have "{x}", what do I have, {options}?
    What should stand beside "{x}" in a dictionary: {options}?
    Say what "{x}" is: {options}.
    Which of these is "{x}": {options}?
    Is that which we call "{x}" {options}?
    By "{x}", do we mean {options}?
    Fill the gap with {options}: "{x}" is ...
    Decide whether "{x}" is {options}.
    My question is whether "{x}" is {options}.
    You have three answers, {options}. Which is right for "{x}"?
    I do not know what "{x}" is. Is it {options}?
    How would you describe "{x}", as {options}?
    Can you tell me if "{x}" is {options}?
    If somebody speaks of "{x}", is that {options}?
    A child asks what "{x}" is. Say {options}.
    Does "{x}" stand for {options}?
    Under "{x}" a dictionary says one of these: {options}. What does it say?
    Answer with {options}: what is "{x}"?
    Think of "{x}". What have you thought of, {options}?
    The word "{x}" is used for what: {options}?
    For "{x}", choose one: {options}.
    What sort of thing has the name "{x}", {options}?
    When you say "{x}", do you speak of {options}?
    I have written "{x}". Is that the name of {options}?
    """,
    """
    You hear the word "{x}". What is meant, {options}?
    Where does "{x}" fit: is it {options}?
    One of these is true of "{x}": it is {options}. Which?
    Give the right name for the kind of "{x}": {options}.
    In a list with "{x}" on it, would you look for {options}?
    """,
    """
    {options}, "{x}"?
    Grandfather keeps talking about "{x}", and I do not dare to ask, so is that {options}?
    "{x}": {options}
    As {options}, which of the three I leave to you, "{x}" may be known?
    """,
)

KINDS = (Kind("which", _which, _WHICH), Kind("odd", _odd, _ODD), Kind("what", _what, _WHAT))
