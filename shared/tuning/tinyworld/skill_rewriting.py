"""Rewriting: a sentence in the past, with another name, with he and she changed; a noun in the plural, a verb."""

from shared.tinyworld.grammar import past, plural
from shared.tinyworld.people import ADULTS, CHILDREN
from shared.tinyworld.rng import Rng
from shared.tinyworld.words import ACTIONS, CATEGORIES, VERBS

from .kind import Kind, Made, wordings
from .skill_format import WHEN

_KIN = ("friend", "cousin", "uncle", "aunt", "neighbour", "teacher", "dog", "cat")
# Words without a plural, or that are one.
_NO_PLURAL = ("pliers", "spinach", "celery", "broccoli")
_MORE_NOUNS = (
    "child foot tooth goose mouse sheep fish leaf loaf knife shelf scarf story box bush dish fox brush lady baby city "
    "day key watch half calf"
)
_NOUNS = (
    *(word for kind in ("animal", "bird", "insect", "fruit", "vegetable", "tool", "vehicle", "flower", "job", "room")
      for word in CATEGORIES[kind] if word not in _NO_PLURAL),
    *_MORE_NOUNS.split(),
)  # fmt: skip


def _past(rng: Rng, split: str) -> Made:
    verb, rest = rng.choose(ACTIONS)
    when = rng.choose(WHEN)
    sentence, answer = f"They {verb} {rest} {when}", f"They {past(verb)} {rest} {when}."
    return Made(f"past {sentence}", {"s": sentence}, answer, 0.0)


def _name(rng: Rng, split: str) -> Made:
    verb, rest = rng.choose(ACTIONS)
    who, other = rng.sample(CHILDREN + ADULTS, 2)
    done = f"{past(verb)} {rest} {rng.choose(WHEN)}."
    fills = {"s": f"{who.name} {done}", "a": who.name, "b": other.name}
    return Made(f"name {other.name} {fills['s']}", fills, f"{other.name} {done}", 0.0)


def _he_she(rng: Rng, split: str) -> Made:
    verb, rest = rng.choose(ACTIONS)
    forms = [("He", "his"), ("She", "her")]
    done = f"{past(verb)} {rest} with"
    kin = rng.choose(_KIN)
    (he, his), (she, her) = rng.shuffled(forms)
    sentence, answer = f"{he} {done} {his} {kin}.", f"{she} {done} {her} {kin}."
    of, to = ("man", "woman") if he == "He" else ("woman", "man")
    fills = {"s": sentence, "w": he.lower(), "v": she.lower(), "x": to, "y": of}
    return Made(f"he she {sentence}", fills, answer, 0.0)


def _plural(rng: Rng, split: str) -> Made:
    noun = rng.choose(_NOUNS)
    return Made(f"plural {noun}", {"x": noun}, plural(noun), 0.0)


def _verb(rng: Rng, split: str) -> Made:
    verb = rng.choose(VERBS)
    return Made(f"verb {verb}", {"x": verb}, past(verb), 0.0)


_PAST = wordings(
    """
    Put into the past: {s}.
    Write this in the past tense: {s}.
    Say that it happened long ago: {s}.
    {s}. Now say it in the past.
    Please put this sentence into the past tense: {s}.
    Here is a sentence: {s}. Let it happen yesterday.
    Change the verb so that it is over: {s}.
    How do you say "{s}" when it is all over?
    Tell it as it was last year: {s}.
    Can you write "{s}" in the past?
    Make a sentence about the past out of this: {s}.
    This is today. What was it then? {s}.
    Say the same, but in the past tense: {s}.
    Write it as in a story that happened long ago: {s}.
    Turn today into yesterday: {s}.
    The sentence is "{s}". Give its past.
    What did they do? Say it in the past: {s}.
    Use the past tense for this: {s}.
    It is no longer so. Change the sentence: {s}.
    In the past, please: {s}.
    Make it past: {s}.
    Rewrite this so that it is over: {s}.
    What would you say if it was yesterday? {s}.
    How does "{s}" go in the past tense?
    The past of this sentence, please: {s}.
    Say what they did long ago: {s}.
    Yesterday it was the same. Write it so: {s}.
    Could you put "{s}" into the past?
    They do it no more. Tell that they did it: {s}.
    Change this from now to then: {s}.
    All of this was last week. Rewrite it: {s}.
    Let the verb of this sentence be in the past: {s}.
    Give the same sentence in the past tense: {s}.
    I want to tell this as something past: {s}.
    If it happened a year ago, we say what? {s}.
    Rewrite "{s}" in the past tense.
    Take this sentence back to yesterday: {s}.
    The verb must tell of the past: {s}.
    Once upon a time it was so. Write it: {s}.
    Today the book says "{s}". How would it say that of last year?
    Copy the sentence, but with its verb in the past: {s}.
    """,
    """
    If all this was years ago, how does the sentence go? {s}.
    Let this be something that they did before: {s}.
    Grandmother tells of old times. She changes this sentence: {s}.
    Give me the past of this whole sentence: {s}.
    Write down how it was, not how it is: {s}.
    """,
    """
    Past: {s}
    Well, that is how it is now, {s}, but tell me, how was it in the old days?
    {s}, long ago
    Over and done it shall be, what here still happens: {s}.
    """,
)
_NAME = wordings(
    """
    Write {b} in place of {a}: {s}
    Change the name {a} to {b}: {s}
    Say the same of {b}, not of {a}: {s}
    {s} Now say it of {b}.
    Put {b} where {a} stands: {s}
    It was not {a}, it was {b}. Write it again: {s}
    Here is a sentence: {s} Change {a} into {b}.
    Take out the name {a} and put in {b}: {s}
    Please tell this of {b} and not of {a}: {s}
    How does it go with {b} for {a}? {s}
    Copy the sentence, but with the name {b}: {s}
    If {b} did it and not {a}, what do we say? {s}
    Replace {a} with {b}: {s}
    Let {b} do what {a} did: {s}
    The name is wrong. It should be {b}: {s}
    Use the name {b} in this sentence, not {a}: {s}
    Somebody wrote {a}, but {b} is right: {s}
    Write the sentence about {b}: {s}
    Can you change {a} to {b} here? {s}
    Give {b} the place of {a}: {s}
    Rewrite this with {b} for {a}: {s}
    Read {b} where it says {a}: {s}
    Not {a} but {b} did this. Correct it: {s}
    Make {b} out of {a} in this sentence: {s}
    Which sentence do we get if {a} becomes {b}? {s}
    Could you put the name {b} in for {a}? {s}
    Here the name should be {b}, not {a}: {s}
    Say it with another name, {b} for {a}: {s}
    Now it is the turn of {b}, not of {a}. Write it: {s}
    {b} takes the place of {a}. What is the sentence? {s}
    Cross out {a} and write {b}: {s}
    This was told of {a}. Tell it of {b}: {s}
    I said {a}, but I meant {b}. Say it right: {s}
    The sentence is about {a}. Make it one about {b}: {s}
    {a} was at home. It was {b} who did it: {s}
    Please correct the name from {a} to {b}: {s}
    Let it be {b} of whom we read, not {a}: {s}
    Have {b} do the same as {a}: {s}
    If the name {a} is changed to {b}, what stands there? {s}
    Write down the same, but call the person {b}, not {a}: {s}
    With {b} in it and without {a}, how does this go? {s}
    """,
    """
    Forget {a}. The sentence is about {b}: {s}
    What {a} did in this sentence, {b} shall do: {s}
    Leave all words but the name, which becomes {b}: {s}
    Swap the name {a} for {b} and say it: {s}
    Tell me this again as if {b} had been there, not {a}: {s}
    """,
    """
    {a} is {b}: {s}
    Oh no, I always take those two for each other, it was {b}, so how should it go? {s}
    {s} Not {a}, {b}.
    By {b}, no more by {a}, be done what is told here: {s}
    """,
)
_HE_SHE = wordings(
    """
    Change he to she, or she to he: {s}
    Turn the man into a woman, or the woman into a man: {s}
    Swap he and she: {s}
    {s} Now say it with {v}.
    Say {v} for {w}: {s}
    Write the same about a {x}: {s}
    Here is a sentence: {s} Change {w} into {v}.
    Put {v} in place of {w}: {s}
    It was not a {y}. It was a {x}: {s}
    How does it go with {v}? {s}
    Please change {w} to {v}, and all that goes with it: {s}
    Begin the sentence with {v}, not with {w}: {s}
    Copy this, but let it be a {x}: {s}
    If a {x} did it, what do we say? {s}
    Replace {w} with {v}: {s}
    Tell the same of a {x}, not of a {y}: {s}
    Use {v}, for it was a {x}: {s}
    The sentence says {w}, but {v} is right: {s}
    Can you change the {y} in this sentence to a {x}? {s}
    Write it again with {v} at the beginning: {s}
    Rewrite this with {v} for {w}: {s}
    Make it a sentence about a {x}: {s}
    Not {w} but {v} did this. Correct it: {s}
    What {w} did here, {v} did. Write it: {s}
    Which sentence do we get if the {y} is a {x}? {s}
    Could you write {v} for {w} here? {s}
    Here it should be {v}, not {w}: {s}
    I said {w}, but I meant {v}. Say it right: {s}
    The one who did it is a {x}. Write it so: {s}
    Cross out {w} and write {v}, and change what must be changed: {s}
    This was told of a {y}. Tell it of a {x}: {s}
    The sentence is about a {y}. Make it one about a {x}: {s}
    Say this of a {x}: {s}
    If we read {v} for {w}, what stands there? {s}
    Have a {x} do the same as the {y}: {s}
    From {w} to {v}, please: {s}
    What must we write when it was a {x}? {s}
    A {x} did just the same. Begin with {v}: {s}
    Please correct this from {w} to {v}: {s}
    I thought it was a {y}, but it was a {x}. Write it again: {s}
    Let the sentence begin with {v}: {s}
    """,
    """
    Leave all as it is, only let the {y} be a {x}: {s}
    What does the sentence become when {w} becomes {v}? {s}
    Somebody took a {x} for a {y}. Write it as it should be: {s}
    Where you read {w}, say {v}, and so on: {s}
    Think of a {x} as you say this again: {s}
    """,
    """
    {w} is {v}: {s}
    Oh no, that was no {y} at all, it was a {x}, so how should it go? {s}
    {s} Not {w}, {v}.
    By a {x}, no more by a {y}, be done what is told here: {s}
    """,
)
_PLURAL = wordings(
    """
    What is the plural of {x}?
    One {x}, two what?
    Say it for many: {x}.
    Write {x} in the plural.
    {x}: what is the plural?
    There is not one {x}, there are many. What do you call them?
    Give the plural of the word {x}.
    How do you say {x} when there are three?
    If one is called {x}, what are ten called?
    Please tell me the plural of {x}.
    Make more of it: {x}.
    Turn {x} into the plural.
    The word is {x}. Write its plural.
    I see one {x} and then another. Together they are two what?
    Name the plural of {x}.
    What do we call more than one {x}?
    Put {x} into the plural, please.
    Here is one {x}, and there come many more. Many what?
    Say the word {x} for a hundred of them.
    Can you write the plural of {x}?
    Tell me what more than one {x} is called.
    Which word do we use for many, if one is {x}?
    Fill the gap: one {x}, two ...
    The plural of {x} is what?
    Do you know the plural of {x}?
    Which is the plural of the word {x}?
    Use the plural of {x}. What is it?
    I have one {x}. My friend has five. Five what?
    A shop sells more than one {x}. What does the sign say?
    If we speak of many, what becomes of the word {x}?
    I can say one {x}. How do I say four?
    Change {x} from one to many.
    In the singular it is {x}. What is it in the plural?
    Write out the plural of {x}.
    Let there be more than one {x}. Write the word.
    My question is what the plural of {x} is.
    Two came here, and each is called {x}. Two what came?
    We need the word {x} in the plural.
    Give me the word for two or more, when one is called {x}.
    Look at the word {x} and say its plural.
    Yesterday I saw one {x}, today I saw nine. Nine what?
    """,
    """
    When {x} is not alone, what is the word?
    Find the word for several of this: {x}.
    Say {x} as if there were a whole bag full.
    On the list stands 5 of {x}. Which word must be written there?
    From one to many: how does {x} change?
    """,
    """
    {x}, many?
    Imagine, yesterday one {x}, today a hundred at the door, a hundred what?
    Two of {x}
    Many, where once was one {x}, are called what?
    """,
)
_VERB = wordings(
    """
    What is the past tense of {x}?
    Today I {x}. What did I do yesterday?
    Put the verb into the past: {x}.
    {x}: what is its past tense?
    Give the past of the verb {x}.
    Today they {x}, and yesterday they what?
    Write the past tense of {x}.
    How do you say {x} when it is over?
    Please tell me the past of {x}.
    The verb is {x}. Write it in the past.
    I {x} every day. What did I do last year?
    Turn {x} into the past tense.
    If it is over, {x} becomes what?
    Name the past tense of the word {x}.
    Say {x} as if it were yesterday.
    We {x} now. We did the same then. Which word says it?
    Change {x} so that it tells of long ago.
    In a story about long ago, which word do I need for {x}?
    Can you put {x} into the past?
    Say the verb {x} in the past tense.
    Which word is the past tense of {x}?
    Tell me the past tense of the verb {x}.
    Fill the gap: today we {x}, yesterday we ...
    The past tense of {x} is what?
    Do you know the past of {x}?
    Which form does {x} have in the past?
    I can say that I {x} now. How do I say it of yesterday?
    Change {x} into its past.
    In the present it is {x}. What is it in the past?
    My question is how {x} goes in the past.
    Write the word {x} as it is when all is over.
    We need the verb {x} in the past tense.
    They {x} today. A week ago they did so too. Say that word.
    What becomes of {x} when we tell of yesterday?
    Use the past of {x}. Which word is it?
    Last summer you could see them {x}. In one word, what did they do?
    Give the form of {x} that fits after the words "long ago we".
    If you {x} now, what did you do an hour ago?
    Look at the verb {x} and say its past tense.
    The children {x} as they did last year. Last year they what?
    Let the verb {x} be past. How is it written?
    """,
    """
    Which word tells that somebody did {x} before?
    Find the word for this in the past: {x}.
    They always {x}. Long ago they also what?
    From today to yesterday: how does {x} change?
    Grandmother tells of old times. What does she say for {x}?
    """,
    """
    {x}, yesterday?
    Imagine, we {x} today, and last week we did just that, so what did we do?
    Past of {x}
    What now is {x} was then which word?
    """,
)

KINDS = (
    Kind("past", _past, _PAST),
    Kind("name", _name, _NAME),
    Kind("he_she", _he_she, _HE_SHE),
    Kind("plural", _plural, _PLURAL),
    Kind("verb", _verb, _VERB),
)
