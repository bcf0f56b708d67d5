"""Preferences by stated rules: pairs of a chosen and a rejected answer, and the rules as functions.

`RULES` says each rule in words; `rule_score` applies it to any text, so that what a trained model writes can be
judged by the same rule as the pairs it was trained on.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from . import people
from .facts import Fact, all_facts
from .grammar import capital
from .rng import Rng
from .skills_reading import words_of
from .splits import check_split, in_split

RULES = {
    "right_fact": "The answer contains the right fact and no other name, place or word of the same kind. "
    "Score 1 or 0.",
    "full_sentence": "The text begins with a capital letter, has at least three words, and ends with . ! or "
    "? Score 1 or 0.",
    "polite": "The text has a polite word (please, thank, sorry, gladly, welcome, dear) and no rude one. "
    "Score 1, "
    "0 without either, -1 with a rude word.",
    "no_repeat": "No sentence is said twice. Score: the share of sentences that are not said before.",
    "short": "The text has at most twelve words. Score 1; a longer text loses 0.1 for every word more, down "
    "to 0.",
    "stays_on_topic": "The text names whom the question is about, or gives the right answer. Score 1 or 0.",
    "kind": "The text has no unkind word and has a kind one (friend, help, brave, well, together, lovely). "
    "Score 1, "
    "0 without either, -1 with an unkind word.",
}
_POLITE = ("please", "thank", "thanks", "sorry", "gladly", "welcome", "dear")
_RUDE = ("shut", "stupid", "fool", "silly", "nonsense", "bother", "annoying")
_KIND = ("friend", "help", "brave", "well", "together", "lovely")
_UNKIND = ("ugly", "bad", "worst", "useless", "laughed", "fault", "stupid")
_SHORT = 12


@dataclass(frozen=True, slots=True)
class Preference:
    """A prompt, the answer that the rule prefers, one that it does not, and the right fact ("" if none)."""

    prompt: str
    chosen: str
    rejected: str
    rule: str
    answer: str
    split: str


def _contains(text: str, phrase: str) -> bool:
    return re.search(rf"\b{re.escape(phrase)}\b", text, re.IGNORECASE) is not None


def rule_score(rule: str, text: str, prompt: str = "", answer: str = "") -> float:
    """How well a text follows a rule (higher is better); see RULES for the range.

    "right_fact" needs the right `answer`; "stays_on_topic" needs `prompt` and `answer`. Raises ValueError if there
    is no such rule, or what it needs is missing.
    """
    words = words_of(text)
    match rule:
        case "right_fact":
            if not answer:
                raise ValueError("the rule 'right_fact' needs the right answer")
            others = [other for other in _same_kind(answer) if not _contains(prompt, other)]
            return float(_contains(text, answer) and not any(_contains(text, other) for other in others))
        case "full_sentence":
            stripped = text.strip()
            return float(stripped[:1].isupper() and len(words) >= 3 and stripped.endswith((".", "!", "?")))
        case "polite":
            return _manners(words, _POLITE, _RUDE)
        case "kind":
            return _manners(words, _KIND, _UNKIND)
        case "no_repeat":
            sentences = [s.strip().lower() for s in re.split(r"[.!?]+", text) if s.strip()]
            return len(set(sentences)) / len(sentences) if sentences else 0.0
        case "short":
            return max(0.0, 1.0 - 0.1 * max(0, len(words) - _SHORT)) if words else 0.0
        case "stays_on_topic":
            if not prompt or not answer:
                raise ValueError("the rule 'stays_on_topic' needs the prompt and the right answer")
            names = [name for name in people.EVERYONE if _contains(prompt, name)]
            return float(_contains(text, answer) or any(_contains(text, name) for name in names))
        case _:
            raise ValueError(f"there is no rule {rule!r}; choose from {', '.join(RULES)}")


def prefers(rule: str, a: str, b: str, prompt: str = "", answer: str = "") -> bool:
    """Whether the rule scores text `a` higher than text `b`."""
    return rule_score(rule, a, prompt, answer) > rule_score(rule, b, prompt, answer)


def _manners(words: list[str], good: tuple[str, ...], bad: tuple[str, ...]) -> float:
    if any(word in bad for word in words):
        return -1.0
    return float(any(word in good for word in words))


def _same_kind(answer: str) -> tuple[str, ...]:
    """Every other answer to the kinds of question that this answers, unless one contains the other."""
    kinds = [fact.kind for fact in all_facts() if fact.answer == answer]
    others = dict.fromkeys(fact.answer for fact in all_facts() if fact.kind in kinds)
    return tuple(o for o in others if not _contains(o, answer) and not _contains(answer, o))


def preference(index: int, split: str = "train", seed: int = 0) -> Preference:
    """Pair number `index` of a split and seed."""
    rng = Rng("preference", seed, split, index)
    rule = rng.choose(tuple(RULES))
    while True:
        prompt, chosen, rejected, answer = _pair(rng, rule)
        if in_split(prompt, split) and prefers(rule, chosen, rejected, prompt, answer):
            return Preference(prompt, chosen, rejected, rule, answer, split)


def preferences(split: str = "train", seed: int = 0) -> Iterator[Preference]:
    """Endless pairs of a split. Raises ValueError if there is no such split."""
    check_split(split)

    def stream() -> Iterator[Preference]:
        index = 0
        while True:
            yield preference(index, split, seed)
            index += 1

    return stream()


def _pair(rng: Rng, rule: str) -> tuple[str, str, str, str]:
    """(prompt, chosen, rejected, answer) for one rule."""
    fact = rng.choose([f for f in all_facts() if f.subject in people.EVERYONE and f.kind != "drink"])
    prompt = rng.choose(fact.questions)
    good = _stated(rng, fact)
    match rule:
        case "right_fact":
            other = rng.choose([f for f in all_facts() if f.kind == fact.kind and f.answer != fact.answer])
            return prompt, good, good.replace(fact.answer, other.answer), fact.answer
        case "full_sentence":
            broken = rng.choose(
                (good.rstrip("."), fact.answer, good[0].lower() + good[1:], " ".join(good.split()[:-1]))
            )
            return prompt, good, broken, fact.answer
        case "stays_on_topic":
            other = rng.choose([f for f in all_facts() if f.subject not in (fact.subject, fact.answer)])
            return prompt, good, rng.choose(other.statements), fact.answer
        case "no_repeat":
            other = rng.choose([f for f in all_facts() if f.subject == fact.subject and f is not fact])
            more = rng.choose(other.statements)
            return (
                prompt,
                f"{good} {more}",
                rng.choose((f"{good} {good}", f"{good} {more} {good}", f"{good} {good} {good}")),
                fact.answer,
            )
        case "short":
            return prompt, good, f"{good} {_ramble(rng, fact)}", fact.answer
        case "polite":
            return (*_request(rng), "")
        case _:
            return (*_comfort(rng), "")


def _stated(rng: Rng, fact: Fact) -> str:
    """A statement of the fact that has the answer in it word for word."""
    options = [s for s in fact.statements if fact.answer in s]
    return rng.choose(options)


def _ramble(rng: Rng, fact: Fact) -> str:
    openers = ("But that is not all that could be said about it.", "And now I think of something else.",
               "You may also want to hear this, although you did not ask.", "By the way, there is more.")  # fmt: skip
    others = rng.sample([f for f in all_facts() if f is not fact and f.subject in people.EVERYONE], 2)
    return f"{rng.choose(openers)} {' '.join(rng.choose(o.statements) for o in others)}"


def _request(rng: Rng) -> tuple[str, str, str]:
    who = rng.choose(people.CHILDREN).name
    other = rng.choose([p for p in people.CHILDREN + people.ADULTS if p.name != who]).name
    thing = rng.choose(("the ladder", "a pencil", "the bread", "the water", "a blanket", "the map",
    "a lamp", "the salt", "a rope", "two eggs",
                        "a spoon", "the bucket", "an apple", "some glue", "the newspaper", "a coin",
                        "the scissors"))  # fmt: skip
    if rng.chance(0.5):
        prompt = rng.choose(
            (
                f"{who} needs {thing}. What does {who} say to {other}?",
                f"How should {who} ask {other} for {thing}?",
            )
        )
        return (
            prompt,
            rng.choose(
                (
                    f"{other}, could you give me {thing}, please?",
                    f"Please, {other}, may I have {thing}?",
                    f"Dear {other}, may I borrow {thing}?",
                )
            ),
            rng.choose(
                (
                    f"Give me {thing}!",
                    f"{capital(thing)}, now!",
                    f"Do not be stupid, {other}, I want {thing}.",
                    f"I want {thing}.",
                )
            ),
        )
    prompt = rng.choose(
        (
            f"{other} gives {thing} to {who}. What does {who} say?",
            f"{who} gets {thing} from {other}. What is a good answer?",
        )
    )
    return (
        prompt,
        rng.choose((f"Thank you, {other}!", f"Thanks a lot, {other}.", f"Thank you for {thing}.")),
        rng.choose(
            (
                "At last!",
                "That took long.",
                "Nonsense, I wanted another one.",
                "Is that all?",
                "It was time, you fool.",
            )
        ),
    )


def _comfort(rng: Rng) -> tuple[str, str, str]:
    who = rng.choose(people.CHILDREN)
    other = rng.choose([p for p in people.CHILDREN if p is not who])
    trouble = rng.choose((
        "has lost the race at school", "has dropped the cake", f"is afraid of {who.fear}", "has nobody to "
        "play with",
        "cannot tie a knot", "has torn a page", "fell into the mud", "made a mistake in a sum",
        "has a cold", "cannot sleep",
        "broke a cup", "has lost a glove",
    ))  # fmt: skip
    prompt = rng.choose(
        (
            f"{who.name} {trouble}. What does {other.name} say?",
            f"What can {other.name} say to {who.name}, who {trouble}?",
        )
    )
    return (
        prompt,
        rng.choose(("You are my friend, whatever happens.", f"I will help you, {who.name}.",
        f"You are brave, {who.name}.",
                    "We will manage it together.", "Next time it will go well.", f"Come, {who.name}, we "
                    f"will do something lovely.")),
        rng.choose(("That is your own fault.", "You are the worst of all.", f"How bad of you, {who.name}.",
        "Everyone laughed at you.",
                    "You are useless at everything.", "I do not care.")),
    )  # fmt: skip
