"""An LLMEngine whose model is on a GPU: small steps by CUDA graphs, and greedy tokens chosen there too.

    engine = on_gpu(LLMEngine(model.to("cuda"), tokenizer, num_blocks=4096))

Logits of a hundred texts are 25 MB a step: to bring them to the CPU takes longer than to compute them. So the runner
notes the likeliest tokens, a few numbers, and the logits stay on the device until somebody wants more than that.
"""

from collections.abc import Sequence as List
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from phase04_advanced_inference.project12_dynamic_batching.sequence import Scheduled, Sequence
from phase04_advanced_inference.project13_paged_attention.given.cuda_graphs import (
    SIZES,
    Forward,
    GraphDecode,
)
from phase04_advanced_inference.project13_paged_attention.given.paged_launch import TritonDecode
from phase04_advanced_inference.project13_paged_attention.llm_engine import LLMEngine
from phase04_advanced_inference.project13_paged_attention.paged_runner import PagedRunner
from phase04_advanced_inference.project13_paged_attention.sampler import Sampler
from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams


class DeviceRunner(PagedRunner):
    """A PagedRunner that leaves the logits where they are, and notes which token is the likeliest after each."""

    likeliest: dict[int, list[int]]
    """of the last step, by key"""

    @torch.no_grad()
    def __call__(self, scheduled: List[Scheduled]) -> list[Float[Tensor, "_ vocab"]]:
        """As PagedRunner's, but for the place of the logits; a step is small if `decode` says that it fits."""
        self.move()
        plan = self.prepare(scheduled)
        ends = torch.tensor(plan.ends, dtype=torch.int64, device=self.store.device)
        if isinstance(self.decode, GraphDecode) and self.decode.fits(len(plan.tokens)):
            rows = self.decode(self.store, plan.step, plan.tokens)[ends]
            self.attention.step = None  # it was planned, and done by other means
        else:
            tokens = torch.tensor([plan.tokens], device=self.store.device)
            rows = self.model.logits(self.model.hidden(tokens, plan.positions, self.attention)[:, ends])[0]
        places = iter(rows.argmax(-1).tolist())
        self.likeliest = {
            sequence.key: [next(places) for _ in range(known)]
            for (sequence, _), known in zip(scheduled, plan.wanted, strict=True)
        }
        return list(rows.split(plan.wanted))


def plain(params: SamplingParams) -> bool:
    """Whether the next token is simply the likeliest, and nothing is to be said of the others."""
    return (
        params.temperature == 0
        and params.repetition_penalty == 1
        and not (params.presence_penalty or params.frequency_penalty or params.logit_bias)
        and not (params.min_tokens and params.stop_ids)
        and params.choices is None
        and params.regex is None
        and params.logprobs is None
        and params.texts == params.n
    )


class DeviceSampler(Sampler):
    """A Sampler that takes the runner's word for the likeliest token, where that is all that is wanted."""

    def __init__(self, pieces: List[bytes], runner: DeviceRunner):
        super().__init__(pieces)
        self.runner = runner

    def __call__(self, sequence: Sequence, logits: Float[Tensor, "wanted vocab"]) -> list[int]:
        """As Sampler's."""
        params = SamplingParams.of(sequence.params)
        likeliest = self.runner.likeliest.get(sequence.key, [])
        if len(likeliest) != 1 or len(logits) != 1 or not plain(params):
            return super().__call__(sequence, logits)
        return self.cut(sequence, likeliest)


def on_gpu(
    engine: LLMEngine,
    graphs: bool = True,
    kernels: Any = None,
    sizes: List[int] = SIZES,
    warps: int = 4,
    forward: Forward | None = None,
) -> LLMEngine:
    """The same engine, with nobody in it yet, working as the file says; the parameters are GraphDecode's.

    Raises ValueError as GraphDecode does, and for an engine that has requests.
    """
    if engine.requests:
        raise ValueError(f"{len(engine.requests)} requests are in the engine already")
    runner, store = engine.runner, engine.runner.store
    runner.attention.decode = TritonDecode(store, kernels, warps)
    decode = GraphDecode(runner.model, store, sizes, graphs, kernels, warps, forward)
    engine.runner = DeviceRunner(runner.model, store, runner.manager, runner.attention, decode)
    engine.sampler = DeviceSampler(engine.sampler.pieces, engine.runner)
    engine.engine.runner, engine.engine.sampler = engine.runner, engine.sampler
    return engine
