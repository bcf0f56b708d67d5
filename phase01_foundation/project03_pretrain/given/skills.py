"""tinyworld's skills: does the model answer the question, word for word?"""

from typing import Any, NamedTuple

import torch

from phase01_foundation.project01_minimal_gpt.attention import Attend
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain.given.encoding import bos_ids, encode
from phase01_foundation.project03_pretrain.given.known_ids import unknown_ids
from phase01_foundation.project03_pretrain.model import LLM, torch_attention
from phase01_foundation.project03_pretrain.scoring import greedy_batch
from shared.tinyworld import Item, Score, evaluation, score

NEXT_QUESTION = "\nQuestion"  # what follows an answer where the text goes on; an answer may have lines
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

    The prompt is <|endoftext|>, where the tokenizer has it, and "Question: ...", a new line, "Answer:". An answer may
    have several lines; it ends where the next question begins or at <|endoftext|>, as in training, or before an id that
    the tokenizer lacks. Raises ValueError for a split or a number of items there is not.
    """
    items = [item for group in evaluation(split, per_skill).values() for item in group]
    prompts = [bos_ids(tokenizer) + encode(tokenizer, item.query) for item in items]
    longest = max(len(encode(tokenizer, " " + item.answer)) for item in items)
    ends = answer_ends(tokenizer) | unknown_ids(tokenizer, model.config.vocab_size)
    answers = greedy_batch(model, prompts, longest + ROOM, ends, batch_size, dtype, attend)
    predictions = [tokenizer.decode(answer).partition(NEXT_QUESTION)[0].strip() for answer in answers]
    return Skills(score(items, predictions), items, predictions)


def answer_ends(tokenizer: Tokenizer[Any]) -> set[int]:
    """The ids that come only after an answer: <|endoftext|>, and the first word of a question where that is one token.

    Where it is several tokens, none of them says enough, and what is written after an answer is cut off as text.
    """
    question = encode(tokenizer, NEXT_QUESTION)[len(encode(tokenizer, "\n")) :]
    return {*bos_ids(tokenizer), *(question if len(question) == 1 else [])}
