"""Which kernels an engine takes by itself: those in C++, where there is a compiler and they are made for the model."""

import torch

from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore
from phase04_advanced_inference.project13_paged_attention.given.paged_step import PagedStepDecode
from phase04_advanced_inference.project13_paged_attention.paged_attention import PagedDecode
from phase04_advanced_inference.project13_paged_attention.paged_kernel import PagedKernel
from phase04_advanced_inference.project13_paged_attention.paged_runner import StepDecode
from shared.phase01 import LLM


def fastest(model: LLM, store: BlockStore) -> tuple[StepDecode | None, PagedDecode | None]:
    """What does a whole small step in one call, and what attends for single tokens, with as many threads as torch has.

    None for what there is not: without a compiler, or for a dtype, a device, a head's width or layers that the kernels
    do not take.
    """
    threads = torch.get_num_threads()
    decode, kernel = None, None
    try:
        kernel = PagedKernel(store, threads)
        decode = PagedStepDecode(model, threads)
    except ValueError:  # says what it is that they do not take, which does not matter here
        pass
    return (
        decode if decode is not None and decode.kernel is not None else None,
        kernel if kernel is not None and kernel.kernel is not None else None,
    )
