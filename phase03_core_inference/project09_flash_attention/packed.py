"""Texts of different lengths end to end, without padding: none sees another.

`cu_seqlens`, cumulative sequence lengths, says where each begins: texts of 3, 0 and 2 tokens have [0, 3, 3, 5]. The
name is FlashAttention's, as are the shapes (total, head, dim).
"""

from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from phase03_core_inference.project09_flash_attention.flash import BackendName, flash_attention
from shared.phase01 import Attend


def check_cu_seqlens(cu_seqlens: Int[Tensor, "ends"], total: int) -> list[int]:
    """The cumulative lengths as a list of whole numbers. They must describe `total` tokens.

    Raises ValueError, which names the numbers, where the list is empty, does not begin with 0, falls anywhere or does
    not end with `total` (which is named too).
    """
    ends = cu_seqlens.tolist()
    if not ends or ends[0] != 0:
        raise ValueError(f"cu_seqlens must begin with 0, not {ends[:1]}")
    for before, after in pairwise(ends):
        if after < before:
            raise ValueError(f"cu_seqlens must not fall, and {before} is followed by {after}")
    if ends[-1] != total:
        raise ValueError(f"cu_seqlens ends with {ends[-1]}, and there are {total} tokens")
    return ends


def packed_attention(
    q: Float[Tensor, "queries head dim"],
    k: Float[Tensor, "keys kv_head dim"],
    v: Float[Tensor, "keys kv_head dim"],
    cu_seqlens: Int[Tensor, "ends"],
    cu_seqlens_k: Int[Tensor, "ends_k"] | None = None,
    causal: bool = True,
    window: int | None = None,
    backend: BackendName = "auto",
) -> Float[Tensor, "queries head dim"]:
    """Flash attention of each text by itself, differentiable.

    `cu_seqlens` says where each text's queries begin, and `cu_seqlens_k` where its keys do; without it, these are as
    many. A text may have more keys than queries, as one with a cache has: its queries are the last ones. It may also
    have none of either: queries without keys get 0.

    Raises ValueError, before any work, as `check_cu_seqlens` does for either list, where the two lists describe
    different numbers of texts (both named), and as `flash_attention` does.
    """
    ends = check_cu_seqlens(cu_seqlens, len(q))
    ends_k = check_cu_seqlens(cu_seqlens if cu_seqlens_k is None else cu_seqlens_k, len(k))
    if len(ends) != len(ends_k):
        raise ValueError(f"there are queries of {len(ends) - 1} texts, and keys of {len(ends_k) - 1}")
    # (token, head, dim) to (batch of one, head, token, dim)
    q, k, v = (x.transpose(0, 1)[None] for x in (q, k, v))
    pieces = [flash_attention(q[:, :, :0], k[:, :, :0], v[:, :, :0], causal, window, backend)]
    for i in range(len(ends) - 1):
        rows, columns = slice(ends[i], ends[i + 1]), slice(ends_k[i], ends_k[i + 1])
        if ends[i] < ends[i + 1]:
            pieces.append(
                flash_attention(q[:, :, rows], k[:, :, columns], v[:, :, columns], causal, window, backend)
            )
    return torch.cat(pieces, dim=2)[0].transpose(0, 1)


def packed_attend(
    cu_seqlens: Int[Tensor, "ends"], window: int | None = None, backend: BackendName = "auto"
) -> Attend:
    """An `attend` for project 3's model, for one row of packed texts: `model(tokens, positions, attend)`.

    `tokens` are (1, total), and `positions` begin at 0 for each text. Every layer gets q (1, head, total, dim), k and v
    (1, kv_head, total, dim). Raises ValueError, when it is called, as `packed_attention` does, and for a batch of more
    than one row (the number is named).
    """

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if len(q) != 1:
            raise ValueError(f"packed texts are one row, not {len(q)}")
        q, k, v = (x[0].transpose(0, 1) for x in (q, k, v))  # (total, head, dim)
        return packed_attention(q, k, v, cu_seqlens, window=window, backend=backend).transpose(0, 1)[None]

    return attend
