"""What a step has to read from memory, and so how fast it can be at best.

With the cache, a step does two operations for each weight that it reads: the processor waits for memory. So bytes
count, and the limit can be worked out: what memory delivers a second, divided by what a step reads.
"""

import torch

from shared.phase01 import LLM, Config


def bytes_per_token(config: Config, dtype: torch.dtype) -> int:
    """The bytes that a cache keeps of one token: a key and a value in every layer and key and value head."""
    return 2 * config.layers * config.kv_heads * config.head_width * dtype.itemsize


def weight_bytes(model: LLM) -> int:
    """The bytes of weights that a decoding step reads: each parameter once, whatever the number of rows.

    Of the embedding a step reads one line a row, which does not count, unless it is the head's matrix too: that is read
    whole, once.
    """
    embedding = model.embedding.weight
    return sum(
        parameter.nbytes
        for parameter in model.parameters()
        if parameter is not embedding or model.config.tied_embeddings
    )


def tokens_per_second(bandwidth: float, weights: int, cached: int, rows: int = 1) -> float:
    """The most tokens a second that memory allows: rows / (the seconds that a step's bytes take).

    `bandwidth` is in bytes a second; a step reads `weights` bytes once for all rows, and each row's `cached` bytes.
    Raises ValueError for a bandwidth that is not above 0 and for fewer than one row, naming both in either case.
    """
    if not bandwidth > 0 or rows < 1:
        raise ValueError(f"bandwidth must be above 0 and rows at least 1, not {bandwidth} and {rows}")
    return rows * bandwidth / (weights + rows * cached)
