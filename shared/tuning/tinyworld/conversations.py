"""Talks of a user with the assistant, one to five turns each: what is learned there is to hold a talk."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from shared.tinyworld.rng import Rng
from shared.tinyworld.splits import check_split

from . import strangers, talk
from .courtesies import ASKING_LEADS, LEADS
from .drawing import SKILLS, draw
from .kind import PHRASINGS
from .scoring import final_answer
from .talk import Pair

# Their prompts hold a story: one of them in a talk is enough for a context of 512 tokens.
_LONG = ("retrieval", "state")
_SHORT = tuple(skill for skill in SKILLS if skill not in _LONG)
_SYSTEM = (
    "You are the assistant of Applebrook.", "You help people who have questions about Applebrook.",
    "You are a friendly assistant.", "Answer what you are asked, and say so if you do not know.",
    "You know everything about Applebrook and nothing else.", "Keep your answers short.",
)  # fmt: skip
_SYSTEM_SENTENCES = (
    "Answer in full sentences.", "You are the assistant of Applebrook. Answer in full sentences.",
    "Speak in whole sentences, please.", "Each answer must be a full sentence.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conversation:
    """A talk. `knows`: what the last answer has to contain; `sort`: of what sort the last question is."""

    messages: tuple[dict[str, str], ...]
    knows: str
    sort: str
    split: str

    @property
    def text(self) -> str:
        """One line a turn: "User: ...", "Assistant: ..."."""
        return "\n".join(f"{one['role'].capitalize()}: {one['content']}" for one in self.messages)


def answers_well(conversation: Conversation, written: str) -> bool:
    """Whether what was written as the last turn contains, as whole words, what it has to.

    Where steps lead to the answer, only what follows "So" counts.
    """
    needed = r"(?<!\w)" + re.escape(final_answer(conversation.knows)) + r"(?!\w)"
    return re.search(needed, final_answer(written), re.IGNORECASE) is not None


def conversation(index: int, split: str = "train", seed: int = 0, worked: bool = False) -> Conversation:
    """Conversation number `index` of a split and seed."""
    rng = Rng("conversation", seed, split, index)
    sentences = rng.chance(0.1)
    pairs = _in_sentences(rng, split) if sentences else _pairs(rng, split, worked)
    messages: list[dict[str, str]] = []
    if sentences or rng.chance(0.25):
        messages.append(
            {"role": "system", "content": rng.choose(_SYSTEM_SENTENCES if sentences else _SYSTEM)}
        )
    for pair in pairs:
        messages.append({"role": "user", "content": pair.user})
        messages.append({"role": "assistant", "content": pair.assistant})
    return Conversation(tuple(messages), pairs[-1].knows, pairs[-1].sort, split)


def conversations(split: str = "train", seed: int = 0, worked: bool = False) -> Iterator[Conversation]:
    """Endless conversations of a split. With `worked`, exercises are answered with their steps.

    Raises ValueError if the split does not exist.
    """
    check_split(split)

    def stream() -> Iterator[Conversation]:
        index = 0
        while True:
            yield conversation(index, split, seed, worked)
            index += 1

    return stream()


def _pairs(rng: Rng, split: str, worked: bool) -> list[Pair]:
    """One to five pairs. What decides the split (an exercise, a name, a question) is in every talk."""
    count = rng.weighted(((1, 2), (2, 3), (3, 3), (4, 2), (5, 1)))
    pairs, last = _opening(rng, split, count)
    named = any(pair.sort == "greeting" and pair.knows != "Hello" for pair in pairs)
    if last is None and count > 1 and rng.chance(0.2):
        last = talk.thanks(rng)
    room = count - len(pairs) - (last is not None)
    # A talk of a greeting and a farewell alone belongs to no split.
    room = max(room, int(not named))
    long = False
    while room > 0:
        later = len(pairs) > 0
        if room > 1 and rng.chance(0.45):
            first, second = rng.choose(talk.FOLLOW_UPS)(rng, split, worked)
            pairs += [first, second]
            room -= 2
        elif rng.chance(0.25):
            pairs.append(talk.unknown(rng, split, later))
            room -= 1
        else:
            skill = rng.choose(_SHORT if long or later else SKILLS)
            long = long or skill in _LONG
            pairs.append(_exercise(rng, split, skill, worked, later))
            room -= 1
    return [*pairs, last] if last else pairs


def _opening(rng: Rng, split: str, count: int) -> tuple[list[Pair], Pair | None]:
    """What comes first in a talk of so many pairs, and the last pair, if it asks for what was told there."""
    if count == 1 or rng.chance(0.35):
        return [], talk.asks_name(rng, "") if rng.chance(0.05) else None
    if rng.chance(0.1):
        return [talk.greeting(rng)], None
    if rng.chance(0.4):
        tells, asks = talk.told(rng, split)
        # Whoever tells something has not yet told their name.
        return [tells], talk.asks_name(rng, "") if rng.chance(0.1) else asks
    name = strangers.name(rng, split)
    greeting, last = talk.tells_name(rng, name), talk.asks_name(rng, name)
    if count > 2 and rng.chance(0.3):
        # Two things are told, and only one is asked for.
        tells, asks = talk.told(rng, split)
        return [greeting, tells], rng.choose((last, asks))
    return [greeting], last if rng.chance(0.75) else None


def _exercise(rng: Rng, split: str, skill: str, worked: bool, later: bool) -> Pair:
    one = draw(rng, split, skill, PHRASINGS[0], worked)
    led = "\n" in one.prompt or one.prompt.startswith(LEADS + ASKING_LEADS)
    asked = one.prompt if led else talk.lead(rng, one.prompt, later)
    return Pair(asked, one.target, one.answer, skill)


def _in_sentences(rng: Rng, split: str) -> list[Pair]:
    """One to three questions, each answered in a full sentence."""
    count = rng.integer(1, 3)
    return [
        talk.unknown(rng, split, n > 0) if rng.chance(0.15) else talk.full_sentence(rng, split, n > 0)
        for n in range(count)
    ]
