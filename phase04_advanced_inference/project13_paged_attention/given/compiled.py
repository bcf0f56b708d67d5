"""Engines with the kernels in C++ that share packed weights, so that a benchmark may make many."""

from typing import Any

from phase04_advanced_inference.project13_paged_attention.given.paged_step import PagedStepDecode
from phase04_advanced_inference.project13_paged_attention.given.workload import Numbers
from phase04_advanced_inference.project13_paged_attention.llm_engine import LLMEngine
from phase04_advanced_inference.project13_paged_attention.paged_kernel import PagedKernel
from shared.phase01 import LLM


class Compiled:
    """A model with its weights packed once."""

    def __init__(self, model: LLM, threads: int = 1):
        """Raises RuntimeError without a compiler, and ValueError as PagedStepDecode."""
        self.model, self.threads = model, threads
        self.decode = PagedStepDecode(model, threads)
        if self.decode.kernel is None:
            raise RuntimeError("the benchmark measures kernels in C++, and there is no compiler")

    def engine(self, num_blocks: int, **settings: Any) -> LLMEngine:
        """A new engine; the settings are LLMEngine's."""
        made = LLMEngine(self.model, Numbers(), num_blocks, decode=self.decode, **settings)
        made.runner.attention.decode = PagedKernel(made.runner.store, self.threads)
        return made
