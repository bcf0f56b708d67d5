"""Writing text with a model: one token at a time, for several prompts at once, until each one's end.

It serves any causal model and any tokenizer that have the few methods of `LanguageModel` and `Tokenizer`.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from phase01_foundation.project01_minimal_gpt.attention import Attend
from phase01_foundation.project01_minimal_gpt.sampling import SamplingParams, choose

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # what decoding gives for a character whose last bytes are missing


@runtime_checkable
class Context(Protocol):
    """The part of a model's config that counts here."""

    @property
    def context_length(self) -> int: ...


@runtime_checkable
class LanguageModel(Protocol):
    """What turns token ids, (row, time), into logits, (row, time, vocab): project 1's GPT, project 3's LLM."""

    @property
    def config(self) -> Context: ...

    def __call__(self, tokens: Tensor, /, *, attend: Attend = ...) -> Tensor: ...

    def parameters(self) -> Iterator[Tensor]: ...

    def eval(self) -> object: ...


@runtime_checkable
class Tokenizer(Protocol):
    """What turns text into ids and back: project 1's CharTokenizer, project 2's Tokenizer."""

    def encode(self, text: str, /) -> list[int]: ...

    def decode(self, ids: list[int], /) -> str: ...


def encode_prompts(prompts: Sequence[str], tokenizer: Tokenizer, context_length: int) -> list[list[int]]:
    """The prompts' ids. Raises ValueError, naming the prompt by its number, for one the model cannot start from.

    That is one that has no tokens, has a character the tokenizer does not know, or is longer than the context.
    """
    if not prompts:
        raise ValueError("there is no prompt: give at least one text to go on from")
    encoded = []
    for number, prompt in enumerate(prompts, start=1):
        which = f"prompt {number}" if len(prompts) > 1 else "the prompt"
        try:
            ids = tokenizer.encode(prompt)
        except ValueError as problem:
            raise ValueError(f"{which} cannot be encoded: {problem}") from None
        if not ids:
            raise ValueError(f"{which} is empty: the model needs at least one token to go on from")
        if len(ids) > context_length:
            raise ValueError(f"{which} has {len(ids)} tokens; the model reads at most {context_length}")
        encoded.append(ids)
    return encoded


def next_logits(
    model: LanguageModel, rows: Sequence[Sequence[int]], attend: Attend | None = None
) -> Float[Tensor, "row vocab"]:
    """The logits of the token that follows each row; the rows may differ in length.

    All go through the model at once, the shorter ones padded on the right. No mask is needed: a causal model cannot
    see the padding from any position before it. Of a row longer than the context the last tokens count. Without
    `attend` the model attends in its own way.
    """
    windows = [torch.tensor(row[-model.config.context_length :]) for row in rows]
    padded = torch.nn.utils.rnn.pad_sequence(windows, batch_first=True)  # (row, time)
    padded = padded.to(next(model.parameters()).device)
    logits = model(padded) if attend is None else model(padded, attend=attend)  # (row, time, vocab)
    last = [len(window) - 1 for window in windows]
    return logits[torch.arange(len(rows)), last]


def partial_stop_length(text: str, stops: Sequence[str]) -> int:
    """How many characters at the end of `text` may be the beginning of a stop text, so must not be shown yet.

    A beginning is shorter than its stop text: a whole one is not looked for.
    """
    longest = 0
    for stop in stops:
        for length in range(1, min(len(stop) - 1, len(text)) + 1):
            if text.endswith(stop[:length]):
                longest = max(longest, length)
    return longest


@torch.inference_mode()
def stream(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    params: SamplingParams,
    attend: Attend | None = None,
) -> Iterator[tuple[int, str]]:
    """Go on from every prompt; yields (the prompt's index, a piece of its new text) as soon as it is certain.

    Each prompt draws from a random generator of its own, on the CPU and seeded with `params.seed`, so what it becomes
    does not depend on its neighbours. At each step the running prompts come in their order, and none with an empty
    piece; one that has ended is not computed any more. The model is put into evaluation mode, so that no dropout acts,
    and stays there. For `choose`, `used` are all tokens of the prompt and of what was written, also those beyond the
    context.

    A prompt's text ends after `params.max_tokens`, before a stop text, or before a token of `stop_ids`. A stop text
    counts as soon as it is whole. Where one token completes several, the text ends before the one that begins first:
    with the stops "b" and "ab", of "xab" only "x" is shown. What may be the beginning of a stop text is held back until
    it is certain. A character whose bytes come in several tokens is yielded whole: as long as the decoded text ends in
    REPLACEMENT, its tokens wait with all of their text, and stop texts are looked for in it only when the wait is over,
    at the text's end at the latest. Raises ValueError as encode_prompts does.
    """
    rows = encode_prompts(prompts, tokenizer, model.config.context_length)
    generators = [torch.Generator().manual_seed(params.seed) for _ in rows]
    unread: list[list[int]] = [[] for _ in rows]  # new tokens that end in the middle of a character
    waiting = [""] * len(rows)  # written, but perhaps the beginning of a stop text
    running = list(range(len(rows)))
    model.eval()
    for step in count(1):
        logits = next_logits(model, [rows[i] for i in running], attend).cpu()
        for i, row_logits in zip(list(running), logits, strict=True):
            token = choose(row_logits, torch.tensor(rows[i]), params, generators[i])
            rows[i].append(token)
            over = step == params.max_tokens
            if token in params.stop_ids:
                over = True
            else:
                unread[i].append(token)
            text = tokenizer.decode(unread[i])
            if over or not text.endswith(REPLACEMENT):
                waiting[i] += text
                unread[i] = []
            found = [waiting[i].find(stop) for stop in params.stop if stop in waiting[i]]
            if found:
                over = True
                sure = min(found)
            elif over:  # what was held back turned out not to be a stop text
                sure = len(waiting[i])
            else:
                sure = len(waiting[i]) - partial_stop_length(waiting[i], params.stop)
            if over:
                running.remove(i)
            if sure:
                yield i, waiting[i][:sure]
                waiting[i] = waiting[i][sure:]
        if not running:
            return


def generate(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    params: SamplingParams,
    attend: Attend | None = None,
) -> list[str]:
    """What `stream` writes for each prompt, whole and without the prompt."""
    texts = [""] * len(prompts)
    for i, piece in stream(model, tokenizer, prompts, params, attend):
        texts[i] += piece
    return texts
