"""A chat model measured: by skill and wording, on tinyworld's own questions, its loss, its form, and in talks."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import torch

from phase02_finetuning.project04_sft.answers import (
    Written,
    exact_match_by_skill,
    format_compliance,
    held_out_loss,
    write_answers,
)
from phase02_finetuning.project04_sft.given.chat_model import ChatModel
from phase02_finetuning.project04_sft.turns import tokenize_all
from shared.tinyworld import evaluation as own_evaluation
from shared.tinyworld import score as own_score
from shared.tuning.tinyworld import (
    PHRASINGS,
    WORKED,
    Conversation,
    Exercise,
    Score,
    answers_well,
    conversations,
    evaluation,
    exercises,
    final_answer,
    is_right,
)

SORTS = ("memory", "follow-ups", "unknown", "others")
"""last questions of talks: what was told before; one that needs the turn before; what nobody can know; all else"""


@dataclass(frozen=True)
class Wording:
    """What came out for one set of wordings: the score, the share in form, and the answers themselves."""

    score: Score
    compliance: float
    exercises: list[Exercise]
    written: list[Written]


@dataclass(frozen=True)
class Measured:
    """All that is measured of one model. Losses are nats a token, shares are from 0 to 1, the rest percentages."""

    wordings: dict[str, Wording]
    own_items: float
    """exact match on shared.tinyworld's own questions, whose wording pre-training had"""
    own_by_skill: dict[str, float]
    loss: float
    """on held-out answers"""
    ended: float
    """the share of a talk's last answers that ended within the limit"""
    talks: dict[str, tuple[int, int]]
    """of talks, by the sort of their last question: how many were answered well, of how many"""


def measure(
    chat: ChatModel,
    per_skill: int = 60,
    talks: int = 60,
    max_tokens: int = 64,
    wordings: Sequence[str] = PHRASINGS,
    dtype: torch.dtype = torch.float32,
) -> Measured:
    """Everything about one model, on the test split. Raises ValueError as `evaluation` does."""
    found = {}
    for name in wordings:
        asked = evaluation("test", per_skill, name)
        scored, written = exact_match_by_skill(*chat, asked, max_tokens, dtype=dtype)
        found[name] = Wording(scored, format_compliance(asked, written), asked, written)
    own_items, own_by_skill = own_questions(chat, per_skill, max_tokens, dtype)
    ended, by_sort = talk_scores(chat, talks, max_tokens, dtype)
    return Measured(found, own_items, own_by_skill, answers_loss(chat, 20 * talks, dtype), ended, by_sort)


def own_questions(
    chat: ChatModel, per_skill: int, max_tokens: int = 64, dtype: torch.dtype = torch.float32
) -> tuple[float, dict[str, float]]:
    """Exact match on tinyworld's own questions, in percent: the mean over skills, and each skill's."""
    items = [item for group in own_evaluation("test", per_skill).values() for item in group]
    asked = [[{"role": "user", "content": item.prompt}] for item in items]
    written = write_answers(*chat, asked, max_tokens, dtype=dtype)
    by_skill = own_score(items, [final_answer(one.text) for one in written]).skill_accuracy()
    by_skill = {skill: 100 * share for skill, share in by_skill.items()}
    return sum(by_skill.values()) / len(by_skill), by_skill


def answers_loss(chat: ChatModel, count: int, dtype: torch.dtype = torch.float32) -> float:
    """The loss on direct answers to exercises of the test split, in their model's own template."""
    asked = islice(exercises("test", 1), count)
    length = chat.model.config.context_length
    examples, _ = tokenize_all((one.messages for one in asked), chat.tokenizer, chat.template, length)
    return held_out_loss(chat.model, examples, dtype=dtype)


def talk_scores(
    chat: ChatModel, count: int, max_tokens: int = 64, dtype: torch.dtype = torch.float32
) -> tuple[float, dict[str, tuple[int, int]]]:
    """Of so many talks that fit: the share whose last answer ends, and by SORTS how many of how many were good."""
    room = chat.model.config.context_length - max_tokens
    talks: list[Conversation] = []
    for talk in conversations("test", 1):
        if len(talks) == count:
            break
        examples, _ = tokenize_all([talk.messages], chat.tokenizer, chat.template, room)
        if examples:
            talks.append(talk)
    written = write_answers(*chat, [talk.messages[:-1] for talk in talks], max_tokens, dtype=dtype)
    good: dict[str, tuple[int, int]] = dict.fromkeys(SORTS, (0, 0))
    for talk, one in zip(talks, written, strict=True):
        sort = _sort(talk.sort)
        right, asked = good[sort]
        good[sort] = right + answers_well(talk, one.text), asked + 1
    return sum(one.ended for one in written) / len(written), good


def _sort(of: str) -> str:
    if of in ("name", "told"):
        return "memory"
    if of.startswith("follow-up"):
        return "follow-ups"
    return of if of in SORTS else "others"


def mistakes(wording: Wording, most: int = 8) -> list[str]:
    """What goes wrong, by kind: how many of how many, and one example of each, the most frequent first."""
    asked: Counter[tuple[str, str]] = Counter()
    wrong: dict[tuple[str, str], list[tuple[Exercise, Written]]] = {}
    for exercise, one in zip(wording.exercises, wording.written, strict=True):
        kind = exercise.skill, exercise.kind
        asked[kind] += 1
        if not is_right(exercise, one.text):
            wrong.setdefault(kind, []).append((exercise, one))
    lines = []
    for kind in sorted(wrong, key=lambda kind: -len(wrong[kind]))[:most]:
        exercise, one = wrong[kind][0]
        expected = exercise.worked if exercise.skill in WORKED and "So " in one.text else exercise.answer
        lines.append(
            f"{kind[0]}, {kind[1]}: {len(wrong[kind])} of {asked[kind]} wrong\n"
            f"    asked     {_end(exercise.prompt)}\n    expected  {expected}\n    written   {one.text}"
            + ("" if one.ended else "  (did not end)")
        )
    return lines


def _end(text: str) -> str:
    """The end of a prompt, which is where the question is."""
    line = text.replace("\n", " ")
    return line if len(line) <= 100 else "…" + line[-100:]
