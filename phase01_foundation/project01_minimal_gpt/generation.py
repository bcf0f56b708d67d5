"""Writing text with a model: one token at a time, for several prompts at once, until each one's end."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from phase01_foundation.project01_minimal_gpt.attention import Attend, causal_attention
from phase01_foundation.project01_minimal_gpt.model import GPT
from phase01_foundation.project01_minimal_gpt.sampling import SamplingParams, choose
from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer


def encode_prompts(prompts: Sequence[str], tokenizer: CharTokenizer, context_length: int) -> list[list[int]]:
    """The prompts' ids. Raises ValueError, naming the prompt by its number, for one the model cannot start from.

    That is one that is empty, has a character the tokenizer does not know, or is longer than the context.
    """
    if not prompts:
        raise ValueError("there is no prompt: give at least one text to go on from")
    encoded = []
    for number, prompt in enumerate(prompts, start=1):
        which = f"prompt {number}" if len(prompts) > 1 else "the prompt"
        if not prompt:
            raise ValueError(f"{which} is empty: the model needs at least one character to go on from")
        try:
            ids = tokenizer.encode(prompt)
        except ValueError as problem:
            raise ValueError(f"{which} cannot be encoded: {problem}") from None
        if len(ids) > context_length:
            raise ValueError(f"{which} has {len(ids)} tokens; the model reads at most {context_length}")
        encoded.append(ids)
    return encoded


def next_logits(model: GPT, rows: Sequence[Sequence[int]], attend: Attend = causal_attention) -> Tensor:
    """The logits, (row, vocab), of the token that follows each row; the rows may differ in length.

    Shorter rows are padded on the right. No mask is needed: a causal model cannot see the padding from any
    position before it. Of a row longer than the context the last tokens count.
    """
    windows = [torch.tensor(row[-model.config.context_length :]) for row in rows]
    padded = torch.nn.utils.rnn.pad_sequence(windows, batch_first=True)  # (row, time)
    logits = model(padded.to(model.head.weight.device), attend=attend)  # (row, time, vocab)
    last = torch.tensor([len(window) - 1 for window in windows], device=logits.device)
    return logits[torch.arange(len(rows), device=logits.device), last]


def held_back(text: str, stops: Sequence[str]) -> int:
    """How many characters at the end of `text` may be the beginning of a stop text, so must not be shown yet."""
    longest = 0
    for stop in stops:
        for length in range(1, min(len(stop) - 1, len(text)) + 1):
            if text.endswith(stop[:length]):
                longest = max(longest, length)
    return longest


@torch.inference_mode()
def stream(
    model: GPT,
    tokenizer: CharTokenizer,
    prompts: Sequence[str],
    params: SamplingParams,
    attend: Attend = causal_attention,
) -> Iterator[tuple[int, str]]:
    """Go on from every prompt; yields (the prompt's index, a piece of its new text) as soon as it is certain.

    Each prompt draws from a random generator of its own, so what it becomes does not depend on its neighbours.
    A stop text ends its prompt's text, and is not part of it. Raises ValueError as encode_prompts does.
    """
    rows = encode_prompts(prompts, tokenizer, model.config.context_length)
    generators = [torch.Generator().manual_seed(params.seed) for _ in rows]
    waiting = [""] * len(rows)  # written, but perhaps the beginning of a stop text
    running = list(range(len(rows)))
    model.eval()
    for _ in range(params.max_tokens):
        logits = next_logits(model, [rows[i] for i in running], attend).cpu()
        for i, row_logits in zip(list(running), logits, strict=True):
            token = choose(row_logits, torch.tensor(rows[i]), params, generators[i])
            rows[i].append(token)
            waiting[i] += tokenizer.decode([token])
            found = [waiting[i].find(stop) for stop in params.stop if stop in waiting[i]]
            if found:
                running.remove(i)
                sure = min(found)
                waiting[i] = waiting[i][:sure]
            else:
                sure = len(waiting[i]) - held_back(waiting[i], params.stop)
            if sure:
                yield i, waiting[i][:sure]
                waiting[i] = waiting[i][sure:]
        if not running:
            return
    for i in running:  # what was held back turned out not to be a stop text
        if waiting[i]:
            yield i, waiting[i]


def generate(
    model: GPT,
    tokenizer: CharTokenizer,
    prompts: Sequence[str],
    params: SamplingParams,
    attend: Attend = causal_attention,
) -> list[str]:
    """What `stream` writes for each prompt, whole and without the prompt."""
    texts = [""] * len(prompts)
    for i, piece in stream(model, tokenizer, prompts, params, attend):
        texts[i] += piece
    return texts
