"""tinyworld's skills: does the model answer the question, word for word?"""

from typing import Any, NamedTuple

import torch

from phase01_foundation.project01_minimal_gpt.attention import Attend
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain.attention import torch_attention
from phase01_foundation.project03_pretrain.encoding import begin, encode
from phase01_foundation.project03_pretrain.model import LLM
from phase01_foundation.project03_pretrain.scoring import greedy_batch
from shared.tinyworld import Item, Score, evaluation, score

ROOM = 8  # tokens that an answer may be longer than the longest right one: enough to see what goes wrong


class Skills(NamedTuple):
    """What came out, and the items and answers it came from, one answer an item."""

    score: Score
    items: list[Item]
    predictions: list[str]


def skill_scores(
    model: LLM,
    tokenizer: Tokenizer[Any],
    split: str = "test",
    per_skill: int = 100,
    batch_size: int = 32,
    dtype: torch.dtype = torch.float32,
    attend: Attend = torch_attention,
) -> Skills:
    """Greedy answers to the fixed items of a split, scored by exact match; shared.tinyworld says what matches.

    The prompt is <|endoftext|>, where the tokenizer has it, and "Question: ...", a new line, "Answer:". An answer
    ends at the line's end or at <|endoftext|>. Raises ValueError for a split or a number of items there is not.
    """
    items = [item for group in evaluation(split, per_skill).values() for item in group]
    prompts = [begin(tokenizer) + encode(tokenizer, item.query) for item in items]
    longest = max(len(encode(tokenizer, " " + item.answer)) for item in items)
    answers = greedy_batch(model, prompts, longest + ROOM, line_ends(tokenizer), batch_size, dtype, attend)
    predictions = [tokenizer.decode(answer).partition("\n")[0].strip() for answer in answers]
    return Skills(score(items, predictions), items, predictions)


def line_ends(tokenizer: Tokenizer[Any]) -> set[int]:
    """The ids that can only come after an answer: those that begin with a new line, and <|endoftext|>."""
    ends = set(begin(tokenizer))
    for id in range(tokenizer.vocab_size):
        try:
            if tokenizer.decode_bytes([id]).startswith(b"\n"):
                ends.add(id)
        except ValueError:  # not every id below vocab_size need be in use
            continue
    return ends
