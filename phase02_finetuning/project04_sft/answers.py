"""What a fine-tuned model is worth: its loss on answers it has not seen, what it gets right, and how it says it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from phase02_finetuning.project04_sft.collate import collate
from phase02_finetuning.project04_sft.loss import sft_loss
from phase02_finetuning.project04_sft.templates import END, Messages
from phase02_finetuning.project04_sft.turns import Example, tokenize_turns
from shared.device import autocast
from shared.phase01 import LLM, Tokenizer, greedy_batch, torch_attention
from shared.tuning.tinyworld import Exercise, Score, final_answer, score


class Written(NamedTuple):
    """What a model has answered, without the token that ends a turn, and whether it came to that token."""

    text: str
    ended: bool


@torch.no_grad()
def held_out_loss(
    model: LLM, examples: Sequence[Example], batch_size: int = 32, dtype: torch.dtype = torch.float32
) -> float:
    """Mean loss of the examples' trained tokens, in nats a token: each token counts once, whatever row it is in.

    The examples go through the model in evaluation mode (`collate`, `sft_loss`), `batch_size` at a time, the longest
    first, so that rows of a batch are of like length; matrix products run in `dtype`. How they are batched changes
    nothing but rounding. Batches are brought to the model's device; the model is left in the mode it was in. Raises
    ValueError for no examples, for examples of which nothing is trained, and for batch_size < 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    ordered = sorted(examples, key=lambda example: -len(example.ids))
    total, count = 0.0, 0
    for start in range(0, len(ordered), batch_size):
        batch = collate(ordered[start : start + batch_size])
        with autocast(device, dtype):
            loss, metrics = sft_loss(model, {name: part.to(device) for name, part in batch.items()})
        weight = int(metrics["weight"])
        total += loss.item() * weight
        count += weight
    model.train(was_training)
    if not count:
        raise ValueError("there is no answer in these examples to take the loss of")
    return total / count


def write_answers(
    model: LLM,
    tokenizer: Tokenizer[Any],
    template: str,
    conversations: Sequence[Messages],
    max_tokens: int = 64,
    batch_size: int = 32,
    dtype: torch.dtype = torch.float32,
) -> list[Written]:
    """The assistant's next message in each conversation, by greedy decoding, in order.

    The prompt is the conversation with its generation prompt (`tokenize_turns`). An answer ends before the token that
    ends an assistant's message in this template (END), or after max_tokens: then it has not ended. Its text is
    without the white space around it. `greedy_batch` does the work, with torch_attention.

    Raises ValueError as `tokenize_turns` does, and TooLongError for a prompt that leaves no room for a token in the
    model's context.
    """
    longest = model.config.context_length - 1
    prompts = [
        tokenize_turns(messages, tokenizer, template, longest, add_generation_prompt=True).ids
        for messages in conversations
    ]
    end = tokenizer.special_tokens[END[template]]
    rows = greedy_batch(model, prompts, max_tokens, {end}, batch_size, dtype, torch_attention)
    # A row that has ended is shorter than it might have been: the token that ends it is no part of it.
    return [Written(tokenizer.decode(row).strip(), len(row) < max_tokens) for row in rows]


def exact_match_by_skill(
    model: LLM,
    tokenizer: Tokenizer[Any],
    template: str,
    exercises: Sequence[Exercise],
    max_tokens: int = 64,
    batch_size: int = 32,
    dtype: torch.dtype = torch.float32,
) -> tuple[Score, list[Written]]:
    """How many of the exercises it gets right, by skill and above chance, and what it has written for each.

    Each exercise is a conversation of one message, its prompt, for `write_answers`; an answer counts whole, and `score`
    reads the final answer out of worked steps. An answer that has not ended is scored as it stands. Raises as
    `write_answers` does.
    """
    conversations = [[{"role": "user", "content": exercise.prompt}] for exercise in exercises]
    written = write_answers(model, tokenizer, template, conversations, max_tokens, batch_size, dtype)
    return score(exercises, [one.text for one in written]), written


def form_of(answer: str) -> str:
    """What sort of answer a text is: "number" (digits alone), "yes or no", "list" (it has a comma), or "words"."""
    if answer.isdigit():
        return "number"
    if answer.lower() in ("yes", "no"):
        return "yes or no"
    return "list" if "," in answer else "words"


def format_compliance(exercises: Sequence[Exercise], written: Sequence[Written]) -> float:
    """The share of answers in the right form, from 0 to 1, right or wrong.

    An answer is in form if it has ended; if it is not empty; if it has one line, or its exercise's own answer has
    several; and if its final answer (`final_answer`) is of the same form as the exercise's (`form_of`). Raises
    ValueError for no exercises, and for another number of answers than exercises, naming both.
    """
    if not exercises or len(exercises) != len(written):
        raise ValueError(f"there are {len(written)} answers to {len(exercises)} exercises")
    right = 0
    for exercise, one in zip(exercises, written, strict=True):
        one_line = "\n" not in one.text or "\n" in exercise.answer
        in_form = form_of(final_answer(one.text)) == form_of(exercise.answer)
        right += one.ended and bool(one.text) and one_line and in_form
    return right / len(exercises)
