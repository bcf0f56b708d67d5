"""Blocks of llama.cpp's, number by number, and against the gguf package."""

import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phase05_quantization.project14_ptq.gguf_blocks import q4_0_blocks, q8_0_blocks
from phase05_quantization.project14_ptq.given.example import random_matrix
from phase05_quantization.project14_ptq.given.peers import HAS, library
from shared.testing import raises

task = pytest.mark.task(10)
both = pytest.mark.parametrize("blocks", [q8_0_blocks, q4_0_blocks])


def read_q8_0(data):
    """The weights of one block, from its 34 bytes."""
    [d, *codes] = struct.unpack("<e32b", bytes(data))
    return [d * code for code in codes]


def read_q4_0(data):
    [d, *pairs] = struct.unpack("<e16B", bytes(data))
    codes = [pair & 15 for pair in pairs] + [pair >> 4 for pair in pairs]
    return [d * (code - 8) for code in codes]


@task
@given(st.integers(1, 3), st.integers(1, 3), st.floats(1e-2, 1e2), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_q8_0_is_read_back_within_half_a_step(rows, blocks, size, seed):
    weight = size * random_matrix(rows, 32 * blocks, seed)
    found = q8_0_blocks(weight)
    assert found.shape == (rows, 34 * blocks)
    assert found.dtype == torch.uint8
    for row, data in zip(weight.tolist(), found.tolist(), strict=True):
        for number in range(blocks):
            part, read = row[32 * number : 32 * number + 32], read_q8_0(data[34 * number : 34 * number + 34])
            step = max(map(abs, part)) / 127
            assert max(abs(a - b) for a, b in zip(part, read, strict=True)) <= 0.57 * step


@task
@given(st.integers(1, 3), st.integers(1, 3), st.floats(1e-2, 1e2), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_q4_0_is_read_back_within_a_step(rows, blocks, size, seed):
    weight = size * random_matrix(rows, 32 * blocks, seed)
    found = q4_0_blocks(weight)
    assert found.shape == (rows, 18 * blocks)
    assert found.dtype == torch.uint8
    for row, data in zip(weight.tolist(), found.tolist(), strict=True):
        for number in range(blocks):
            part, read = row[32 * number : 32 * number + 32], read_q4_0(data[18 * number : 18 * number + 18])
            largest = max(part, key=abs)
            step = abs(largest) / 8
            errors = [abs(a - b) for a, b in zip(part, read, strict=True)]
            assert max(errors) <= 1.01 * step, "on the other side of zero, the range ends a step earlier"
            assert errors[part.index(largest)] <= 0.01 * step


@task
def test_halves_are_rounded_away_from_zero():
    weight = torch.zeros(1, 32)
    weight[0, :5] = torch.tensor([127.0, 0.5, -0.5, 1.5, -2.5])
    assert q8_0_blocks(weight)[0, 2:7].view(torch.int8).tolist() == [127, 1, -1, 2, -3]


@task
def test_the_largest_weight_has_the_code_of_minus_eight_whatever_its_sign():
    for sign in (1.0, -1.0):
        weight = torch.zeros(1, 32)
        weight[0, 0], weight[0, 16], weight[0, 1] = sign * 8, sign * 1, sign * -7
        found = q4_0_blocks(weight)[0]
        assert struct.unpack("<e", bytes(found[:2].tolist())) == (-sign,)
        assert found[2].item() == 0 | 7 << 4
        assert found[3].item() == 15 | 8 << 4
        assert read_q4_0(found.tolist())[:2] == [sign * 8, sign * -7]


@task
def test_of_two_equally_large_weights_the_first_counts():
    weight = torch.zeros(1, 32)
    weight[0, 3], weight[0, 9] = 8.0, -8.0
    found = q4_0_blocks(weight)[0].tolist()
    assert struct.unpack("<e", bytes(found[:2])) == (-1.0,)
    assert read_q4_0(found)[9] == -7.0, "there is no code above 15"


@task
@both
def test_a_block_of_zeros(blocks):
    found = blocks(torch.zeros(2, 64))
    read, size = (read_q8_0, 34) if blocks is q8_0_blocks else (read_q4_0, 18)
    assert set(map(abs, read(found[1, size:].tolist()))) == {0.0}
    assert found[0, :2].tolist() == [0, 0 if blocks is q8_0_blocks else 128], "0 / -8 is -0.0"
    if blocks is q4_0_blocks:
        assert found[0, 2:18].tolist() == [0x88] * 16


@task
@both
def test_codes_are_made_with_the_scale_before_it_is_rounded(blocks):
    weight = random_matrix(40, 32) * 0.37
    found = blocks(weight)
    if blocks is q8_0_blocks:
        d = weight.abs().amax(dim=1, keepdim=True) / 127
        scaled = weight * (1 / d)
        codes = (scaled.abs() + 0.5).floor() * scaled.sign()
        assert torch.equal(found[:, 2:].view(torch.int8).float(), codes)
    else:
        largest = weight.gather(1, weight.abs().argmax(dim=1, keepdim=True))
        codes = (weight * (1 / (largest / -8)) + 8.5).trunc().clamp(max=15).to(torch.uint8)
        assert torch.equal(found[:, 2:], codes[:, :16] | codes[:, 16:] << 4)


@task
@both
def test_transposed_weights_and_other_dtypes(blocks):
    weight = random_matrix(64, 6)
    assert torch.equal(blocks(weight.T), blocks(weight.T.contiguous()))
    assert torch.equal(blocks(torch.nn.Parameter(weight.T.bfloat16())), blocks(weight.T.bfloat16().float()))


@task
@both
def test_what_cannot_be_is_refused(blocks):
    with raises(ValueError, 48):
        blocks(torch.ones(2, 48))
    with raises(ValueError):
        blocks(torch.full((1, 32), torch.nan))


@pytest.mark.skipif(not HAS["gguf"], reason="gguf is not installed")
@task
@both
def test_blocks_are_byte_for_byte_those_of_gguf(blocks):
    gguf = library("gguf")
    kind = gguf.GGMLQuantizationType.Q8_0 if blocks is q8_0_blocks else gguf.GGMLQuantizationType.Q4_0
    weight = random_matrix(32, 704)
    assert blocks(weight).numpy().tobytes() == library("gguf.quants").quantize(weight.numpy(), kind).tobytes()
