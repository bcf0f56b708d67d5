"""Small rules of English: a/an, plurals, past tenses, numbers in words, lists."""

from collections.abc import Sequence

IRREGULAR_PLURALS = {
    "child": "children", "man": "men", "woman": "women", "foot": "feet", "tooth": "teeth", "goose": "geese",
    "mouse": "mice", "sheep": "sheep", "fish": "fish", "deer": "deer", "leaf": "leaves", "loaf": "loaves",
    "knife": "knives", "shelf": "shelves", "wolf": "wolves", "scarf": "scarves", "person": "people",
    "calf": "calves", "half": "halves", "potato": "potatoes", "tomato": "tomatoes", "hero": "heroes",
}  # fmt: skip

IRREGULAR_PASTS = {
    "be": "was", "go": "went", "run": "ran", "see": "saw", "eat": "ate", "drink": "drank", "swim": "swam",
    "sing": "sang", "ring": "rang", "begin": "began", "give": "gave", "take": "took", "make": "made",
    "come": "came", "find": "found", "lose": "lost", "buy": "bought", "bring": "brought", "think": "thought",
    "catch": "caught", "teach": "taught", "sell": "sold", "tell": "told", "say": "said", "hear": "heard",
    "sleep": "slept", "keep": "kept", "feel": "felt", "leave": "left", "meet": "met", "read": "read",
    "write": "wrote", "ride": "rode", "drive": "drove", "draw": "drew", "fly": "flew", "grow": "grew",
    "know": "knew", "throw": "threw", "blow": "blew", "break": "broke", "speak": "spoke", "wake": "woke",
    "choose": "chose", "hide": "hid", "bite": "bit", "build": "built", "send": "sent", "spend": "spent",
    "lend": "lent", "sit": "sat", "stand": "stood", "hold": "held", "fall": "fell", "dig": "dug",
    "win": "won", "get": "got", "forget": "forgot", "put": "put", "cut": "cut", "wear": "wore", "sweep": "swept",
    "feed": "fed", "lead": "led", "shake": "shook", "hang": "hung", "stick": "stuck", "do": "did", "have": "had",
    "sew": "sewed", "light": "lit", "travel": "travelled",
}  # fmt: skip

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


NUMBERS = tuple(_ONES)  # "zero" to "nineteen"


def article(word: str) -> str:
    """ "a" or "an", by the sound that `word` begins with."""
    if word.startswith(("hour", "honest")):
        return "an"
    if word.startswith(("use", "uni", "one", "eu")):
        return "a"
    return "an" if word[0] in "aeiouAEIOU" else "a"


def with_article(phrase: str) -> str:
    """The phrase with "a" or "an" before it."""
    return f"{article(phrase)} {phrase}"


def plural(noun: str) -> str:
    """The plural of a noun in the singular; in a phrase such as "red apple", of its last word."""
    head, _, last = noun.rpartition(" ")
    if last in IRREGULAR_PLURALS:
        last = IRREGULAR_PLURALS[last]
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        last += "es"
    elif last.endswith("y") and last[-2] not in "aeiou":
        last = last[:-1] + "ies"
    else:
        last += "s"
    return f"{head} {last}" if head else last


def past(verb: str) -> str:
    """The past tense of a verb in its base form."""
    if verb in IRREGULAR_PASTS:
        return IRREGULAR_PASTS[verb]
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    if verb in (
        "stop",
        "hop",
        "hug",
        "clap",
        "drop",
        "plan",
        "skip",
        "trip",
        "pat",
        "grab",
        "wag",
        "chat",
        "rub",
        "chop",
        "knit",
    ):
        return verb + verb[-1] + "ed"
    return verb + "ed"


def number_word(number: int) -> str:
    """A number from 0 to 100 in words."""
    if not 0 <= number <= 100:
        raise ValueError(f"number_word takes 0 to 100, not {number}")
    if number < 20:
        return _ONES[number]
    if number == 100:
        return "one hundred"
    tens, ones = divmod(number, 10)
    return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")


def listed(words: Sequence[str], last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def capital(text: str) -> str:
    """The text with its first letter a capital."""
    return text[:1].upper() + text[1:]
