"""Retrieval: something told before a piece of a story, and asked for after it."""

from shared.tinyworld.grammar import article, capital
from shared.tinyworld.people import CHILDREN
from shared.tinyworld.rng import Rng
from shared.tinyworld.splits import in_split
from shared.tinyworld.words import CATEGORIES, DAYS

from .kind import Kind, Made, wordings
from .reading import filler

_SOURCES = {
    "word": tuple(word for kind in ("bird", "fruit", "tool", "instrument", "vehicle", "flower", "tree",
    "metal")
                  for word in CATEGORIES[kind]),
    "job": tuple(job for job in CATEGORIES["job"] if article(job) == "a"),
    "colour": CATEGORIES["colour"], "room": CATEGORIES["room"], "day": DAYS,
    "number": tuple(str(n) for n in range(2, 100)),
    "thing": tuple(word for kind in ("instrument", "vehicle", "flower") for word in CATEGORIES[kind]),
}  # fmt: skip
# Each: its name, where the answer comes from, how it is told, how it is asked for, and what it is.
_SECRETS = (
    ("secret word", "word",
     "The secret word of {n} is {x}.|{n} has the secret word {x}.|{n} chose {x} as a secret word.",
     "What is the secret word of {n}?|Which secret word does {n} have?", "the secret word of {n}"),
    ("locker", "number", "{n}'s locker has the number {x}.|The number of {n}'s locker is {x}.",
     "Which number does {n}'s locker have?|What is the number of {n}'s locker?",
     "the number of {n}'s locker"),
    ("parcel", "number", "The parcel for {n} is in room {x}.|In room {x} waits the parcel for {n}.",
     "In which room is the parcel for {n}?|Which room has the parcel for {n}?",
     "the room with the parcel for {n}"),
    ("ticket", "word", "{n}'s ticket says {x}.|On {n}'s ticket stands {x}.",
     "What does {n}'s ticket say?|What stands on {n}'s ticket?", "the word on {n}'s ticket"),
    ("dress", "job", "Tonight {n} will dress up as a {x}.|{n} goes to the party as a {x}.",
     "What will {n} dress up as tonight?|As what does {n} go to the party?", "what {n} dresses up as"),
    ("seat", "number", "{n} has seat {x} on the bus.|The seat of {n} on the bus is {x}.",
     "Which seat does {n} have on the bus?|What is {n}'s seat on the bus?", "the seat of {n} on the bus"),
    ("umbrella", "colour", "{n}'s umbrella is {x}.|The colour of {n}'s umbrella is {x}.",
     "What colour is {n}'s umbrella?|Which colour does {n}'s umbrella have?", "the colour of {n}'s umbrella"),
    ("code", "number", "The code for {n}'s box is {x}.|{n}'s box opens with the code {x}.",
     "What is the code for {n}'s box?|Which code opens {n}'s box?", "the code for {n}'s box"),
    ("present", "thing", "{n} will get a {x} for the birthday.|In the present for {n} is a {x}.",
     "What will {n} get for the birthday?|What is in the present for {n}?", "the present for {n}"),
    ("visit", "day", "{n} comes to visit on {x}.|The visit of {n} is on {x}.",
     "When does {n} come to visit?|On which day is the visit of {n}?", "the day when {n} comes to visit"),
    ("hidden key", "room", "The key of {n} is in the {x}.|{n} keeps the key in the {x}.",
     "In which room is the key of {n}?|Where does {n} keep the key?", "the room with the key of {n}"),
    ("team", "colour", "{n} plays for the {x} team.|The team of {n} is the {x} one.",
     "For which team does {n} play?|What colour has the team of {n}?", "the colour of {n}'s team"),
)  # fmt: skip


def _secret(rng: Rng, split: str) -> Made:
    name, source, told, questions, what = rng.choose(_SECRETS)
    options = _SOURCES[source]
    a, b = rng.sample(CHILDREN, 2)
    answer, other = rng.sample(options, 2)
    key = f"{name} {a.name} {answer}"
    if not in_split(key, split):  # before a story is told for nothing
        return Made(key, {}, answer, 0.0)
    line = _line(rng, told, a.name, answer)
    before = line
    if rng.chance(0.5):
        # Somebody else's, which must not be taken for it.
        before = " ".join(rng.shuffled([line, _line(rng, told, b.name, other)]))
    fills = {
        "told": before, "story": filler(rng, split, rng.integer(44, 260)), "kind": name,
        "q": rng.choose(questions.split("|")).format(n=a.name), "it": what.format(n=a.name),
        "It": capital(what.format(n=a.name)),
    }  # fmt: skip
    also = (f"in the {answer}", f"the {answer}") if source == "room" else (f"a {answer}", f"on {answer}")
    return Made(key, fills, answer, 1 / len(options), line.removesuffix("."), also)


def _line(rng: Rng, told: str, name: str, answer: str) -> str:
    line = rng.choose(told.split("|")).format(n=name, x=answer)
    return line.replace(f" a {answer}", f" {article(answer)} {answer}")


_WORDINGS = wordings(
    """
    Remember: {told}/{story}/{q}
    {told}/{story}/{q}
    Remember this. {told}/{story}/Now tell me {it}.
    Keep this in mind: {told}/{story}/Do you remember? {q}
    {told} Now a story./{story}/{q}
    Do not forget this. {told}/{story}/What is {it}?
    {told} Remember it./{story}/My question: {q}
    I tell you something first. {told}/{story}/Say {it}.
    Listen well. {told} And now read on./{story}/What was {it}?
    {told}/{story}/Before the story I told you something. {q}
    Somebody said this: {told}/{story}/I want to know {it}.
    Read all of this. {told} {story}/{q}
    {told} {story}/Please tell me {it}.
    First this: {told}/Then this: {story}/{q}
    There is one thing to remember. {told}/{story}/Can you tell me {it}?
    Note this down. {told}/{story}/Look it up: {q}
    {told}/After that, this happened. {story}/{It} is what?
    A letter says: {told}/A book says: {story}/Which is {it}?
    Mark my words. {told}/{story}/Have you kept it? {q}
    Here is a secret. {told}/Here is a story. {story}/Here is a question. {q}
    Learn this by heart. {told}/{story}/{q}
    {told}/Read on./{story}/Say {it}.
    Something to remember comes first. {told}/{story}/Now the question. {q}
    {told} This is important./{story}/Can you say {it}?
    You hear a message. {told}/You hear a story. {story}/I ask about the message. {q}
    A note lies on the table. {told}/Beside it lies a book./{story}/I forgot the note. {q}
    {told} Then somebody told a story./{story}/Think back. {q}
    Before the story, please remember: {told}/{story}/Please answer: {q}
    {told}/That was one thing, and here is another./{story}/Now say {it}.
    Think of this while you read. {told}/{story}/Did you think of it? {q}
    The children know one thing: {told}/They listen to this: {story}/Somebody asks them for {it}. What do they say?
    Two texts. The first: {told}/The second: {story}/The question is about the first. {q}
    {told} I shall say that only once./{story}/Did you listen? {q}
    This is true: {told}/{story}/If you remember it, tell me {it}.
    {told}/{story}/I forgot {it}. Do you remember?
    {told}/{story}/What I told you before the story was {it}. Say it.
    On the door stands this: {told}/In the book stands this: {story}/What does the door say? {q}
    Hold on to this: {told}/{story}/{q} You heard it at the beginning.
    Please keep this for me. {told}/{story}/Give it back to me now: {it}.
    {told} {story}/At the beginning you read {it}. What was it?
    A secret for you. {told}/And a story. {story}/What do you know about the secret? {q}
    {told}/{story}/Answer from the first lines: {q}
    {told}/{story}/My last question is easy. {q}
    """,
    """
    Put this away in your head: {told}/{story}/Take it out again. {q}
    {told} That will be asked later./{story}/Now it is asked: {q}
    You will need this: {told}/{story}/From what I said at first, give {it}.
    Hear this and the tale after it. {told} {story}/Then answer. {q}
    {told}/Let me tell a story before I go on./{story}/Go back to what I said first. What is {it}?
    """,
    """
    {told}/{story}/So, {it}?
    By the way, {told} But what I wanted to tell is this. {story}/Oh, what did I say there by the way about {it}?
    To keep: {told}/To read: {story}/To answer: {it}
    I shall ask you for {it}. {told}/{story}/Well, what is it?
    """,
)

KINDS = (Kind("secret", _secret, _WORDINGS),)
