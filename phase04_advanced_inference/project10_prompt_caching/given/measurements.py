"""The time to the first token, with a cached prefix and without, and what the cache costs where it hits nothing."""

import copy
import importlib
import random
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from phase04_advanced_inference.project10_prompt_caching.block_hash import BlockKey, block_keys
from phase04_advanced_inference.project10_prompt_caching.given.flash_cache import FlashCache
from phase04_advanced_inference.project10_prompt_caching.given.settings import NAMES, Settings
from phase04_advanced_inference.project10_prompt_caching.prompt_cache import PromptCache, Read
from shared.measuring.arms import Arm, Measurement, Report, measure
from shared.phase01 import LLM, save_model
from shared.phase03 import DecodeStep, KVCache, step

PREFILL = (
    "prompts are read with project 9's flash attention in all arms of ours, one thread; a single token by project 8's "
    "decode_step"
)


def reader(model: LLM) -> Read:
    """What reads tokens fastest here: one token by a step in C++, more through modules."""
    one = DecodeStep(model)

    def read(cache: KVCache, new: Sequence[Sequence[int]]) -> Tensor:
        return one(cache, new) if sum(map(len, new)) == 1 else step(model, cache, new)

    return read


class Transformers:
    """transformers' way, as its documentation has it: a DynamicCache of the prefix, copied for each request."""

    def __init__(self, model: LLM, folder: Path, dtype: torch.dtype, tokens: Sequence[int]):
        transformers: Any = importlib.import_module("transformers")
        transformers.logging.disable_progress_bar()
        save_model(model, folder)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
        self.tokens = torch.tensor([list(tokens)])
        self.kept = transformers.DynamicCache()
        self._read(self.kept, self.tokens)

    @torch.inference_mode()
    def _read(self, cache: Any, tokens: Tensor) -> Tensor:
        return self.model(tokens, past_key_values=cache, logits_to_keep=1).logits[0, -1]

    def prefix(self, length: int) -> Any:
        """A cache of so many of the tokens, by itself."""
        cache = copy.deepcopy(self.kept)
        cache.crop(length)
        for layer in cache.layers:  # crop leaves views of the long one, whose copy would be as long
            layer.keys, layer.values = layer.keys.clone(), layer.values.clone()
        return cache

    def hit(self, prefix: Any, start: int, end: int) -> Tensor:
        """The logits after tokens up to `end`, with those up to `start` from a copy of the cache."""
        return self._read(copy.deepcopy(prefix), self.tokens[:, start:end])


def first_token(report: Report, settings: Settings, folder: Path) -> None:
    """How many times as fast the first token comes: all of a prompt cached, and all but its last tokens."""
    draw = random.Random(0)
    tokens = [draw.randrange(settings.vocab_size) for _ in range(max(settings.lengths))]
    for dtype, name in NAMES.items():
        model = settings.model(dtype)
        peer = Transformers(model, folder / name, dtype, tokens)
        ratios: dict[str, list[float]] = {"full hit": [], f"{settings.new} new tokens": []}
        for length in settings.lengths:
            measured = _first_token_arms(settings, model, peer, dtype, tokens[:length])
            for kind, curve in ratios.items():
                curve.append(measured["without"].seconds / measured[kind].seconds)
                _first_token_figure(report, measured, kind, length, name)
        for kind, curve in ratios.items():
            report.series(f"{kind}, {name}", settings.lengths, curve, "tokens of the prompt", "times as fast")
        if settings.partings and dtype == torch.float32:
            length = settings.lengths[len(settings.lengths) // 2]
            partings(report, settings, model, tokens[:length])


def _first_token_figure(
    report: Report, measured: Mapping[str, Measurement], kind: str, length: int, name: str
) -> None:
    seconds = {arm: one.seconds for arm, one in measured.items()}
    slow = seconds["without"]
    wanted = {"full hit": 50.0}.get(kind, 20.0) if (length, name) == (1000, "float32") else None
    peers = {"transformers, DynamicCache copied": slow / seconds[f"transformers, {kind}"]}
    if kind == "full hit":
        peers["the last token through modules"] = slow / seconds["full hit, modules"]
    report.figure(
        f"{kind}, prompt of {length:,}, {name}", slow / seconds[kind], "times", (">=", wanted) if wanted else None,
        peers, note=f"{1000 * seconds[kind]:.1f} ms instead of {1000 * slow:.0f} ms without a cache, to which all are "
        f"compared; copying included; {PREFILL}",
    )  # fmt: skip


def _first_token_arms(
    settings: Settings, model: LLM, peer: Transformers, dtype: torch.dtype, tokens: list[int]
) -> dict[str, Measurement]:
    length, size, new = len(tokens), settings.block_size, settings.new
    row = FlashCache(model.config, 1, length, dtype)
    read, draw = reader(model), random.Random(length)
    blocks = length // size
    full, modules = PromptCache(model, blocks, size, read=read), PromptCache(model, blocks, size)
    partly = PromptCache(model, blocks + 8, size, read=read)
    begin = tokens[: (length - new) // size * size]
    for texts, text in ((full, tokens), (modules, tokens), (partly, begin)):
        texts.prefill(_emptied(row), 0, text)
    tails = iter(
        [tokens[len(begin) :]]
    )  # the first time the prompt's own, so that the logits can be compared

    def tail() -> list[int]:
        _emptied(row)
        return begin + next(tails, [draw.randrange(settings.vocab_size) for _ in range(length - len(begin))])

    def hit(texts: PromptCache, expected: int, prompt: list[int]) -> Tensor:
        found = texts.prefill(row, 0, prompt)
        assert found.cached == expected, f"{found.cached} tokens were hits, and not {expected}"
        return found.logits

    empty = partial(_emptied, row)
    kept, short = peer.prefix(length - 1), peer.prefix(length - new)
    arms = [
        Arm("without", lambda _: read(row, [tokens])[0], empty),
        Arm("full hit", lambda _: hit(full, length - 1, tokens), empty),
        Arm(f"{new} new tokens", partial(hit, partly, len(begin)), tail),
        Arm("full hit, modules", lambda _: hit(modules, length - 1, tokens), empty),
        Arm("transformers, full hit", lambda: peer.hit(kept, length - 1, length)),
        Arm(f"transformers, {new} new tokens", lambda: peer.hit(short, length - new, length)),
    ]
    return measure(arms, check=partial(same_logits, dtype), warmup=0, repeats=settings.repeats)


def _emptied(cache: KVCache) -> KVCache:
    cache.rewind(0, 0)
    return cache


def same_logits(dtype: torch.dtype, out: Mapping[str, Tensor]) -> None:
    """Raises AssertionError unless all arms give the same logits, but for what the format cannot hold."""
    for arm, logits in out.items():
        error = ((out["without"] - logits).float().norm() / logits.float().norm()).item()
        if error > (1e-4 if dtype == torch.float32 else 0.05):
            raise AssertionError(f"the logits of {arm} differ from those without a cache by {error:.2%}")


def partings(report: Report, settings: Settings, model: LLM, tokens: list[int]) -> None:
    """The time to the first token where a prompt differs from what is cached at one place: what is before it counts."""
    row, read = FlashCache(model.config, 1, len(tokens)), reader(model)
    draw = random.Random(1)
    texts = PromptCache(model, 2 * len(tokens) // settings.block_size, settings.block_size, read=read)
    texts.prefill(_emptied(row), 0, tokens)

    keys = block_keys(tokens, settings.block_size)

    def other(place: int) -> list[int]:
        texts.load(
            row, 0, keys
        )  # used just now, so that the changed prompts evict each other, and not this one
        _emptied(row)
        changed = (tokens[place] + 1 + draw.randrange(settings.vocab_size - 1)) % settings.vocab_size
        return [*tokens[:place], changed, *tokens[place + 1 :]]

    arms = [
        Arm(str(place), lambda prompt: texts.prefill(row, 0, prompt).logits, partial(other, place))
        for place in settings.partings
    ]
    measured = measure(arms, warmup=0, repeats=settings.repeats)
    times = [1000 * measured[str(place)].seconds for place in settings.partings]
    name = f"one token changed in a prompt of {len(tokens):,}, float32"
    report.series(name, settings.partings, times, "place of the changed token", "ms to the first token")
    report.figure(
        f"{name}: at the front", times[0], "ms", peers={f"at place {settings.partings[-1]:,}": times[-1]},
        note="a prefix is hit up to the block with the first difference, and nothing after it",
    )  # fmt: skip


def cost(report: Report, settings: Settings) -> None:
    """What a prompt that hits nothing pays: names of its blocks, the search, and copying what was computed."""
    model, length, draw = settings.model(), max(settings.lengths), random.Random(2)
    tokens = [draw.randrange(settings.vocab_size) for _ in range(length)]
    row, read = FlashCache(model.config, 1, length), reader(model)
    count = length // 16
    hashing = measure([Arm("keys", lambda: block_keys(tokens, 16, "tenant")),
                       Arm("keys of Python's hash", lambda: _python_hashes(tokens, 16, "tenant"))],
                      warmup=5, repeats=30 * settings.repeats)  # fmt: skip
    each = {arm: 1e6 * one.seconds / count for arm, one in hashing.items()}
    report.figure(
        "naming a block of 16 tokens", each["keys"], "µs", ("<=", 1.5),
        {"Python's hash of tuples": each["keys of Python's hash"]},
        note=f"a prompt of {length:,} tokens; the fastest run {1e6 * min(hashing['keys'].times) / count:.2f}; "
        "Python's hash would do, as all is compared, but two processes would not agree on it",
    )  # fmt: skip

    def prepared() -> tuple[PromptCache, list[BlockKey]]:
        return PromptCache(model, count, 16), block_keys(tokens, 16)

    def whole(_: object) -> object:
        return read(row, [tokens])

    def keep(given: tuple[PromptCache, list[BlockKey]]) -> None:
        texts, keys = given
        texts.pool.match(keys)
        texts.keep(row, 0, tokens, known=keys)

    arms: list[Arm] = [Arm("prefill", whole, partial(_emptied, row)), Arm("keeping", keep, prepared)]
    measured = measure(arms, warmup=0, repeats=settings.repeats)
    spent = measured["keeping"].seconds + hashing["keys"].seconds
    report.figure(
        "cost of the cache without a hit, float32", 100 * spent / measured["prefill"].seconds, "% of a prefill",
        ("<=", 2.0), {"naming alone": 100 * hashing["keys"].seconds / measured["prefill"].seconds},
        note=f"a prompt of {length:,} tokens, all blocks new: names, search and copies into fresh memory, "
        f"{1000 * spent:.1f} ms of {1000 * measured['prefill'].seconds:,.0f}",
    )  # fmt: skip


def _python_hashes(tokens: Sequence[int], size: int, salt: str) -> list[int]:
    """The same chain by `hash` of a tuple, whose result differs from process to process where there are texts in it."""
    names, before = [], 0
    for start in range(0, len(tokens) - size + 1, size):
        before = hash((before, tuple(tokens[start : start + size]), salt))
        names.append(before)
    return names
