"""The rules by which wishes are judged: each is a function of the messages and of what was written to them."""

import re
from collections.abc import Callable, Sequence
from functools import cache

from shared.tinyworld.grammar import number_word

from .world_facts import Asked, clear_facts, wrong_answers

RULES = {
    "polite": "A request that cannot be granted is refused with a polite word and without a rude one.",
    "kind": "Somebody who is sad is given a kind word and no unkind one.",
    "full_sentences": "Each sentence begins with a capital letter, has at least three words, and ends with . ! or ?",
    "no_repetition": "No sentence is said twice.",
    "short_enough": "The answer has at most as many words as were asked for.",
    "says_name": "The answer calls the user by the name that they have given.",
    "right_fact": "The answer contains the right fact, and no other of the same kind.",
    "honest": "What Applebrook does not hold is not made up: the answer says that it does not know.",
}

POLITE = ("sorry", "please", "thank", "gladly", "afraid", "pardon", "forgive")
RUDE = ("silly", "fool", "stupid", "nonsense", "lazy", "bother", "annoying", "servant")
KIND = ("friend", "help", "brave", "together", "lovely", "better", "sorry", "comfort", "kind")
UNKIND = ("fault", "worst", "useless", "laughed", "stupid", "deserve", "weak", "care", "whining")

_WORDS = re.compile(r"[A-Za-z0-9'-]+")
_SENTENCES = re.compile(r"(?<=[.!?])\s+")
_LIMIT = re.compile(r"(?:at most|not more than|no more than|up to) ([a-z-]+|\d+) words?")
_NUMBERS = {number_word(n): n for n in range(1, 101)}
_GIVEN_NAME = re.compile(
    r"(?:[Mm]y name is|[Tt]hey call me|[Yy]ou can call me|[Tt]his is|[Ii]t is me,|\bI am) ([A-Z][a-z]+)"
    r"|\b([A-Z][a-z]+) (?:here, hello|is my name)"
)
Messages = Sequence[dict[str, str]]


def rule_score(rule: str, messages: Messages, written: str) -> float:
    """How well a text follows a rule, from 0 (not at all) to 1.

    `messages` are the turns before it. What a rule needs, a name or a number of words, is read from what the user
    said in them. Nothing written follows no rule. Raises ValueError if there is no such rule, or the messages lack
    what it needs.
    """
    if rule not in RULES:
        raise ValueError(f"there is no rule {rule!r}; choose from {', '.join(RULES)}")
    said = " ".join(one["content"] for one in messages if one["role"] == "user")
    return _RULES[rule](said, written.strip()) if written.strip() else 0.0


def words_of(text: str) -> list[str]:
    """The words of a text, lower-cased."""
    return [word.lower() for word in _WORDS.findall(text)]


def contains(text: str, phrase: str) -> bool:
    """Whether the phrase is in the text, as whole words, whatever the case."""
    return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text, re.IGNORECASE) is not None


def _manners(good: tuple[str, ...], bad: tuple[str, ...]) -> Callable[[str, str], float]:
    """1 with a good word and no bad one, 0.5 with neither, 0 with a bad one."""

    def rule(said: str, written: str) -> float:
        words = words_of(written)
        if any(word in bad for word in words):
            return 0.0
        return 1.0 if any(word in good for word in words) else 0.5

    return rule


def _full_sentences(said: str, written: str) -> float:
    parts = [part for part in _SENTENCES.split(written) if part]
    good = [part[0].isupper() and part[-1] in ".!?" and len(words_of(part)) > 2 for part in parts]
    return sum(good) / len(good)


def _no_repetition(said: str, written: str) -> float:
    parts = [" ".join(words_of(part)) for part in re.split(r"[.!?]", written)]
    parts = [part for part in parts if part]
    return len(set(parts)) / len(parts) if parts else 0.0


def _short_enough(said: str, written: str) -> float:
    """1 up to the limit; each word more costs a quarter."""
    return max(0.0, 1 - max(0, len(words_of(written)) - limit_of(said)) / 4)


def limit_of(said: str) -> int:
    """The number of words that the user allows. Raises ValueError if there is none."""
    match = _LIMIT.search(said)
    if match is None or not (match[1].isdigit() or match[1] in _NUMBERS):
        raise ValueError(f"the user does not say how many words are allowed: {said!r}")
    return int(match[1]) if match[1].isdigit() else _NUMBERS[match[1]]


def _says_name(said: str, written: str) -> float:
    match = _GIVEN_NAME.search(said)
    if match is None:
        raise ValueError(f"the user does not give a name: {said!r}")
    return float(contains(written, match[1] or match[2]))


@cache
def fact_of(said: str) -> Asked:
    """The fact that the user speaks of: the longest phrase for one. Raises ValueError if there is none."""
    found = [one for one in clear_facts() if contains(said, one.phrase)]
    if not found:
        raise ValueError(f"the user does not speak of a fact: {said!r}")
    return max(found, key=lambda one: len(one.phrase))


def _right_fact(said: str, written: str) -> float:
    one = fact_of(said)
    right = one.fact.answer
    rest = re.sub(re.escape(right), " ", written, flags=re.IGNORECASE)
    others = any(contains(rest, other) for other in wrong_answers(one.fact) if not contains(said, other))
    return float(contains(written, right) and not others)


def _honest(said: str, written: str) -> float:
    return float(contains(written, "do not know"))


_RULES: dict[str, Callable[[str, str], float]] = {
    "polite": _manners(POLITE, RUDE),
    "kind": _manners(KIND, UNKIND),
    "full_sentences": _full_sentences,
    "no_repetition": _no_repetition,
    "short_enough": _short_enough,
    "says_name": _says_name,
    "right_fact": _right_fact,
    "honest": _honest,
}
