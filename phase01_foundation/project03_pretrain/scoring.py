"""What a language model says about texts: their log-likelihood, its perplexity, and its greedy completions.

Everything later stands on these three: BLiMP and multiple choice compare log-likelihoods, the skills compare greedy
answers. All work on token ids, on whatever device the model is on. Rows of a batch are padded on the right: no mask
is needed, for a causal model cannot see the padding from any position before it. So the batch size changes speed
and memory, never a result.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from phase01_foundation.project01_minimal_gpt.attention import Attend
from phase01_foundation.project03_pretrain.model import LLM, causal_attention
from shared.device import autocast

Ids = Sequence[int] | np.ndarray


class LogLikelihood(NamedTuple):
    """How likely a continuation is: the sum of its tokens' log p, in nats, and whether greedy decoding gives it."""

    total: float
    greedy: bool


@dataclass(frozen=True)
class Perplexity:
    """How well a model predicts a text. What is per word or byte is None where there are none, or it is not said.

    Models with different tokenizers can be compared per word and per byte, not per token. A perplexity too large for
    a float is infinity.
    """

    loss: float
    """in nats a token"""
    tokens: int
    """how many were predicted"""
    words: int | None = None
    bytes: int | None = None

    @property
    def per_token(self) -> float:
        """exp(loss): as unsure as a fair choice among this many tokens."""
        return _exp(self.loss)

    @property
    def per_word(self) -> float | None:
        """exp(all the nats / words)."""
        return _exp(self.loss * self.tokens / self.words) if self.words else None

    @property
    def bits_per_byte(self) -> float | None:
        """All the nats as bits, a byte of the text: what a perfect compressor with this model would need."""
        return self.loss * self.tokens / math.log(2) / self.bytes if self.bytes else None


def _exp(nats: float) -> float:
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


def pad(model: LLM, rows: Sequence[Ids]) -> tuple[Int[Tensor, "row time"], Int[Tensor, "row"]]:
    """Rows of ids as one tensor on the model's device, padded on the right with 0, and their lengths.

    Raises ValueError for an id that the model does not know.
    """
    tensors = [torch.from_numpy(np.asarray(row).astype(np.int64)) for row in rows]
    padded = torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True)
    if padded.min() < 0 or padded.max() >= model.config.vocab_size:
        wrong = padded[(padded < 0) | (padded >= model.config.vocab_size)][0]
        raise ValueError(f"the model knows the ids from 0 to {model.config.vocab_size - 1}, not {wrong}")
    device = next(model.parameters()).device
    return padded.to(device), torch.tensor([len(row) for row in rows], device=device)


def batches_by_length(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """The indices of texts of these lengths, longest first, in batches of at most `batch_size`.

    A batch ends early where the next text is less than half as long as its first: less than half of it is padding.
    Raises ValueError for batch_size < 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    batches: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if not batches or len(batches[-1]) == batch_size or 2 * lengths[i] < lengths[batches[-1][0]]:
            batches.append([])
        batches[-1].append(i)
    return batches


@torch.inference_mode()
def log_likelihoods(
    model: LLM,
    texts: Sequence[tuple[Ids, Ids]],
    batch_size: int = 32,
    dtype: torch.dtype = torch.float32,
    attend: Attend = causal_attention,
) -> list[LogLikelihood]:
    """For every (context, continuation), both token ids: the sum of the log p of the continuation's tokens, in nats,
    each given all that stands before it, and whether each of them is the likeliest there.

    The last token of a text is only predicted, never read, so context and continuation together may have one token
    more than the context length; of what is longer, the context's beginning is left out. Texts go through the model
    in evaluation mode, in batches by length (`batches_by_length`, `pad`); the results are in the order of `texts`.
    Logits are computed at the positions that predict a continuation's token, and nowhere else (`model.hidden`, then
    `model.logits`), and matrix products run in `dtype`. All tensors are on the model's device. The model is left in the
    mode it was in.

    Raises ValueError, before any work, naming the text by its number from 1, for an empty context (nothing predicts
    the first token), an empty continuation, and a continuation longer than the context length; and for batch_size < 1.
    """
    longest = model.config.context_length
    sizes = [min(len(context) + len(continuation), longest + 1) for context, continuation in texts]
    batches = batches_by_length(sizes, batch_size)
    for number, (context, continuation) in enumerate(texts, start=1):
        if len(context) == 0:
            raise ValueError(f"text {number} has an empty context: nothing predicts its first token")
        if not 1 <= len(continuation) <= longest:
            raise ValueError(
                f"text {number} has a continuation of {len(continuation)} tokens; the model takes 1 to {longest}"
            )
    was_training = model.training
    model.eval()
    found: dict[int, LogLikelihood] = {}
    for chosen in batches:
        rows, lengths = pad(model, [np.concatenate(texts[i])[-longest - 1 :] for i in chosen])
        counts = [len(texts[i][1]) for i in chosen]
        places = torch.arange(rows.shape[1] - 1, device=rows.device)
        last = lengths[:, None] - 1  # each row's place of the last token: where nothing is left to predict
        asked = (places < last) & (places >= last - torch.tensor(counts, device=rows.device)[:, None])
        with autocast(rows.device, dtype):
            hidden = model.hidden(rows[:, :-1], attend=attend)  # (row, time, dim)
            logits = model.logits(hidden[asked][None])[0]  # (asked, vocab)
        targets = rows[:, 1:][asked]
        log_p = -F.cross_entropy(logits, targets, reduction="none")
        likeliest = logits.argmax(dim=-1) == targets
        for i, one, greedy in zip(chosen, log_p.split(counts), likeliest.split(counts), strict=True):
            found[i] = LogLikelihood(one.sum().item(), bool(greedy.all()))
    model.train(was_training)
    return [found[i] for i in range(len(texts))]


def perplexity(
    model: LLM,
    ids: Ids | Tensor,
    stride: int | None = None,
    *,
    words: int | None = None,
    bytes: int | None = None,
    batch_size: int = 16,
    dtype: torch.dtype = torch.float32,
    attend: Attend = causal_attention,
) -> Perplexity:
    """The loss over a whole text: every token but the first is predicted exactly once.

    Windows of the context length begin every `stride` tokens, up to the one that reaches the text's end. In each,
    only the tokens that no window before has predicted count; the others are its context. With `stride` None, the
    context length, the windows stand side by side, as in project 1's `evaluate`: fast, but a window's first tokens
    are predicted with little to go by. A smaller stride gives every token, after the first window, at least
    context length - stride tokens of context, and takes context length / stride times as long.

    Each window is a text of `log_likelihoods`: its context, and what counts. As the last token of a text is not read,
    a window of the context length predicts one token beyond itself.

    `words` and `bytes` say how many the text has, for the figures per word and per byte. Raises ValueError for fewer
    than two tokens, naming how many, for a stride that is not from 1 to the context length, naming both, and as
    `log_likelihoods` does.
    """
    window = model.config.context_length
    stride = window if stride is None else stride
    ids = np.asarray(ids)
    if len(ids) < 2:
        raise ValueError(f"perplexity needs at least 2 tokens, not {len(ids)}")
    if not 1 <= stride <= window:
        raise ValueError(f"stride must be from 1 to the context length, {window}, not {stride}")
    texts: list[tuple[Ids, Ids]] = []
    predicted = 1  # nothing stands before the first token
    for start in range(0, len(ids), stride):
        end = min(start + window + 1, len(ids))
        texts.append((ids[start:predicted], ids[predicted:end]))
        predicted = end
        if end == len(ids):
            break
    nats = -math.fsum(one.total for one in log_likelihoods(model, texts, batch_size, dtype, attend))
    return Perplexity(nats / (len(ids) - 1), len(ids) - 1, words, bytes)


@torch.inference_mode()
def greedy_batch(
    model: LLM,
    prompts: Sequence[Ids],
    max_tokens: int,
    stop_ids: Collection[int] = (),
    batch_size: int = 32,
    dtype: torch.dtype = torch.float32,
    attend: Attend = causal_attention,
) -> list[list[int]]:
    """Go on from every prompt with the likeliest token, again and again; returns the new ids of each, in order.

    A row ends before its first token of `stop_ids`, which is not part of it, or after `max_tokens`. Prompts go
    through the model in evaluation mode, in batches by length (`batches_by_length`, `pad`), and rows that have ended
    leave their batch. Of a row longer than the context length the last tokens count. Logits are computed at each
    row's last position alone, matrix products run in `dtype`, and the model is left in the mode it was in. Every
    token costs a pass over the whole row: project 8's cache of keys and values ends that.

    Raises ValueError, before any work, for an empty prompt, naming it by its number from 1, for max_tokens < 0, and
    for batch_size < 1.
    """
    batches = batches_by_length([len(prompt) for prompt in prompts], batch_size)
    if max_tokens < 0:
        raise ValueError(f"max_tokens must be at least 0, not {max_tokens}")
    for number, prompt in enumerate(prompts, start=1):
        if len(prompt) == 0:
            raise ValueError(f"prompt {number} is empty: the model needs at least one token to go on from")
    was_training = model.training
    model.eval()
    written: list[list[int]] = [[] for _ in prompts]
    for running in batches:
        for _ in range(max_tokens):
            windows = [[*prompts[i], *written[i]][-model.config.context_length :] for i in running]
            rows, lengths = pad(model, windows)
            with autocast(rows.device, dtype):
                hidden = model.hidden(rows, attend=attend)  # (row, time, dim)
                last = hidden[torch.arange(len(running)), lengths - 1]  # (row, dim)
                logits = model.logits(last[:, None])[:, 0]  # (row, vocab)
            tokens = dict(zip(running, logits.argmax(dim=-1).tolist(), strict=True))
            running = [i for i in running if tokens[i] not in stop_ids]
            for i in running:
                written[i].append(tokens[i])
            if not running:
                break
    model.train(was_training)
    return written
