"""Codes of two to eight bits, packed: a row is one stream of bits, without gaps.

    code i of a row has the bits i · b to (i + 1) · b - 1, the lowest first; bit k lies in byte k // 8, at place k % 8

At four bits a byte holds two codes, the first in its low half (project 5's NF4 has it in the high one, as bitsandbytes
does: both are in use, and nothing in a file says which). Three bits do not divide eight, so a code may lie in two
bytes. Read as 32-bit words of little-endian machines, it is the layout of compressed-tensors.
"""

import torch
from jaxtyping import Int8, UInt8
from torch import Tensor

WORD = 32
"""bits; a row is filled up to whole words with zeros"""


def row_bytes(columns: int, bits: int) -> int:
    """How many bytes a packed row of so many codes takes: whole words of four bytes."""
    return -(-columns * bits // WORD) * WORD // 8


def pack(codes: Int8[Tensor, "rows columns"], bits: int) -> UInt8[Tensor, "rows bytes"]:
    """The codes, from -2^(bits-1) to 2^(bits-1) - 1, as a stream of bits a row.

    2^(bits-1) is added first, so that no code is below 0. Rows are filled up with zero bits to whole 32-bit words
    (`row_bytes`). Raises ValueError for bits that are not 2 to 8, and for a code that so many bits cannot hold, naming
    both.
    """
    if not 2 <= bits <= 8:
        raise ValueError(f"a code has from 2 to 8 bits, not {bits}")
    half = 2 ** (bits - 1)
    wide = codes.to(torch.int32)
    if codes.numel() and not (-half <= wide.min() and wide.max() < half):
        odd = wide[(wide < -half) | (wide >= half)][0]
        raise ValueError(f"{bits} bits hold codes from {-half} to {half - 1}, not {odd}")
    rows, columns = codes.shape
    places = torch.arange(bits, device=codes.device)
    stream = ((wide + half)[:, :, None] >> places & 1).reshape(rows, columns * bits)  # one number a bit
    stream = torch.nn.functional.pad(stream, (0, 8 * row_bytes(columns, bits) - columns * bits))
    weights = 1 << torch.arange(8, device=codes.device)
    return (stream.view(rows, row_bytes(columns, bits), 8) * weights).sum(dim=2).to(torch.uint8)


def unpack(packed: UInt8[Tensor, "rows bytes"], bits: int, columns: int) -> Int8[Tensor, "rows columns"]:
    """The first `columns` codes of each row of what `pack` has packed.

    Raises ValueError for bits that are not 2 to 8, and where rows are not as long as `row_bytes` says, naming both
    numbers: so many codes of another width, or other codes, would come out.
    """
    if not 2 <= bits <= 8:
        raise ValueError(f"a code has from 2 to 8 bits, not {bits}")
    if packed.shape[1] != row_bytes(columns, bits):
        raise ValueError(
            f"a row of {columns} codes of {bits} bits has {row_bytes(columns, bits)} bytes, not {packed.shape[1]}"
        )
    if bits == 8:
        return (packed[:, :columns].to(torch.int16) - 128).to(torch.int8)
    if bits == 4:  # by halves of bytes: as fast as reading
        both = torch.stack([packed & 15, packed >> 4], dim=2).flatten(1)
        return (both[:, :columns].to(torch.int8)) - 8
    stream = packed[:, :, None] >> torch.arange(8, device=packed.device, dtype=torch.uint8) & 1
    stream = stream.flatten(1)[:, : columns * bits].reshape(len(packed), columns, bits)
    weights = 1 << torch.arange(bits, device=packed.device, dtype=torch.int32)
    return ((stream * weights).sum(dim=2) - 2 ** (bits - 1)).to(torch.int8)
