"""Answers that a model tries, each with its reward: several to each exercise, judged by tinyworld's exact checker."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from phase02_finetuning.project04_sft.collate import collate
from phase02_finetuning.project04_sft.templates import END
from phase02_finetuning.project04_sft.turns import Example, tokenize_turns
from shared.phase01 import IGNORED, LLM, Tokenizer, torch_attention
from shared.tuning.tinyworld import Exercise, is_right


class Rollout(NamedTuple):
    """Sampled answers: `tokens` and `targets` (row, time), of which the answers' targets count, and their rewards.

    Rows come group by group: row g · samples + s is sample s of exercise g, whose reward is rewards[g, s].
    """

    tokens: Tensor
    targets: Tensor
    rewards: Tensor
    texts: list[str]
    ended: list[bool]


@torch.no_grad()
def sample_answers(
    model: LLM,
    prompts: Sequence[Sequence[int]],
    max_tokens: int,
    stop_ids: Collection[int],
    seed: int = 0,
    batch_size: int = 128,
) -> list[list[int]]:
    """Go on from every prompt by drawing each token from the model's own distribution; returns the new ids, in order.

    That is at temperature 1, and from all tokens: what is learnt from must be what the policy does, or the ratio in the
    loss is not 1 at first. A row ends with its first token of `stop_ids`, which is part of it, for the model is to
    learn to end; or after `max_tokens`, or where the context is full (context_length ids in all).

    Prompt number i draws from a generator of its own on the CPU (torch.multinomial of the softmax, one draw a token),
    seeded with seed · 1,000,003 + i. So neither its neighbours nor the batch size change what it becomes. Rows go
    through the model `batch_size` at a time, those of like length together, in evaluation mode, padded on the right,
    with torch_attention, and leave when they have ended; the model is left in the mode it was in. Raises ValueError
    for an empty prompt and for one without room for a token, naming it by its number from 1 and how many tokens it has,
    and for max_tokens or batch_size below 1, naming it and its value.
    """
    room = model.config.context_length
    for name, value in (("max_tokens", max_tokens), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    for number, prompt in enumerate(prompts, start=1):
        if not 1 <= len(prompt) < room:
            raise ValueError(f"prompt {number} has {len(prompt)} tokens; it needs 1 to {room - 1}")
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    rows = [list(prompt) for prompt in prompts]
    draws = [torch.Generator().manual_seed(seed * 1_000_003 + i) for i in range(len(rows))]
    by_length = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    for start in range(0, len(rows), batch_size):
        running = by_length[start : start + batch_size]
        while running:
            tensors = [torch.tensor(rows[i]) for i in running]
            last = torch.tensor([len(one) - 1 for one in tensors], device=device)
            padded = torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True).to(device)
            hidden = model.hidden(padded, attend=torch_attention)  # (row, time, dim)
            ends = hidden[torch.arange(len(running), device=device), last]  # (row, dim)
            shares = model.logits(ends[:, None])[:, 0].softmax(dim=-1).cpu()  # (row, vocab)
            for i, share in zip(running, shares, strict=True):
                rows[i].append(int(torch.multinomial(share, 1, generator=draws[i])))
            running = [
                i
                for i in running
                if rows[i][-1] not in stop_ids
                and len(rows[i]) - len(prompts[i]) < max_tokens
                and len(rows[i]) < room
            ]
    model.train(was_training)
    return [row[len(prompt) :] for row, prompt in zip(rows, prompts, strict=True)]


def rollout(
    model: LLM,
    tokenizer: Tokenizer[Any],
    template: str,
    exercises: Sequence[Exercise],
    group_size: int,
    max_tokens: int = 64,
    seed: int = 0,
    batch_size: int = 128,
) -> Rollout:
    """`group_size` sampled answers to each exercise, and what each is worth: 1 if it has ended and is right, else 0.

    The prompt is a conversation of one message, the exercise's prompt, with its generation prompt (`tokenize_turns`);
    `sample_answers` goes on from it, up to the token that ends an assistant's turn in this template (END). An answer's
    text is what was written before that token, without the white space around it, and `is_right` judges it: an exact
    checker, not a model that could be talked round. One that has not ended is wrong, whatever it says.

    Tokens and targets are as `collate` makes them, each row the prompt and the answer; the answer's ids, its end too,
    are the targets that count, and the prompt's are IGNORED. Rewards are float32, (exercise, group_size). All on the
    CPU. Raises ValueError for no exercises, and for group_size below 2, naming it and its value; and TooLongError, as
    `tokenize_turns` does for a context of one token less than the model's, for a prompt that leaves no room for one.
    """
    if group_size < 2:
        raise ValueError(f"group_size must be at least 2, for answers are compared, not {group_size}")
    if not exercises:
        raise ValueError("there is no exercise to try")
    end = tokenizer.special_tokens[END[template]]
    longest = model.config.context_length - 1
    prompts = []
    for exercise in exercises:
        asked = [{"role": "user", "content": exercise.prompt}]
        ids = tokenize_turns(asked, tokenizer, template, longest, add_generation_prompt=True).ids
        prompts += [ids] * group_size
    written = sample_answers(model, prompts, max_tokens, {end}, seed, batch_size)
    ended = [ids[-1] == end for ids in written]
    texts = [
        tokenizer.decode(ids[:-1] if over else ids).strip() for ids, over in zip(written, ended, strict=True)
    ]
    rewards = [
        float(over and is_right(exercises[row // group_size], text))
        for row, (text, over) in enumerate(zip(texts, ended, strict=True))
    ]
    batch = collate(
        [
            Example([*prompt, *ids], [IGNORED] * len(prompt) + ids)
            for prompt, ids in zip(prompts, written, strict=True)
        ]
    )
    return Rollout(
        batch["tokens"], batch["targets"], torch.tensor(rewards).view(-1, group_size), texts, ended
    )
