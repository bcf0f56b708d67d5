"""Packing against a stream of bits written out as text, and against compressed-tensors."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phase05_quantization.project14_ptq.given.peers import HAS, compressed_tensors
from phase05_quantization.project14_ptq.packing import pack, row_bytes, unpack
from shared.testing import raises

task = pytest.mark.task(2)


def random_codes(rows, columns, bits, seed=0):
    half = 2 ** (bits - 1)
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-half, half, (rows, columns), generator=generator).to(torch.int8)


def by_hand(row, bits):
    """The bytes of a row: each code's bits, the lowest first, as one text."""
    stream = "".join(format(code + 2 ** (bits - 1), f"0{bits}b")[::-1] for code in row)
    stream += "0" * (-len(stream) % 32)
    return [int(stream[i : i + 8][::-1], 2) for i in range(0, len(stream), 8)]


@task
@given(st.integers(2, 8), st.integers(1, 4), st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_a_row_is_one_stream_of_bits(bits, rows, columns, seed):
    codes = random_codes(rows, columns, bits, seed)
    found = pack(codes, bits)
    assert found.tolist() == [by_hand(row, bits) for row in codes.tolist()]
    assert found.dtype == torch.uint8


@task
@given(st.integers(2, 8), st.integers(0, 4), st.integers(0, 40), st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_codes_come_back(bits, rows, columns, seed):
    codes = random_codes(rows, columns, bits, seed)
    found = unpack(pack(codes, bits), bits, columns)
    assert torch.equal(found, codes)
    assert found.dtype == torch.int8


@task
def test_the_first_of_two_has_the_low_half():
    codes = torch.tensor([[-8, 7, 0, 1, 2, 3, 4, 5]], dtype=torch.int8)
    assert pack(codes, 4).tolist() == [[0xF0, 0x98, 0xBA, 0xDC]]


@task
@pytest.mark.parametrize(
    ("columns", "bits", "expected"), [(704, 4, 352), (704, 3, 264), (9, 4, 8), (1, 2, 4), (5, 8, 8)]
)
def test_rows_are_whole_words(columns, bits, expected):
    assert row_bytes(columns, bits) == expected
    assert pack(random_codes(2, columns, bits), bits).shape == (2, expected)


@task
def test_all_bits_of_a_word_are_the_codes_and_the_rest_is_zero():
    found = pack(torch.full((1, 3), 3, dtype=torch.int8), 3)
    assert found.tolist() == [[0xFF, 0x01, 0, 0]]


@task
@pytest.mark.parametrize("bits", range(2, 9))
def test_a_transposed_matrix_is_packed_as_it_stands_in_rows(bits):
    codes = random_codes(9, 6, bits).T
    assert torch.equal(pack(codes, bits), pack(codes.contiguous(), bits))
    assert torch.equal(unpack(pack(codes, bits), bits, 9), codes)


@task
@pytest.mark.parametrize(("bits", "code"), [(4, 8), (4, -9), (2, 2), (3, -5)])
def test_codes_that_do_not_fit_are_refused(bits, code):
    with raises(ValueError, bits, code):
        pack(torch.tensor([[0, code]], dtype=torch.int8), bits)


@task
def test_rows_of_another_width_are_refused():
    packed = pack(random_codes(3, 64, 8), 8)
    with raises(ValueError, 32, 64):
        unpack(packed, 4, 64)
    with raises(ValueError, 1):
        pack(random_codes(1, 4, 2), 1)
    with raises(ValueError, 9):
        unpack(packed, 9, 64)


@pytest.mark.skipif(not HAS["compressed_tensors"], reason="compressed_tensors is not installed")
@task
@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("columns", [32, 45, 704])
def test_words_are_those_of_compressed_tensors(bits, columns):
    theirs = compressed_tensors()
    codes = random_codes(6, columns, bits)
    found = pack(codes, bits).view(torch.int32)
    assert torch.equal(found, theirs.pack(codes, bits))
    assert torch.equal(theirs.unpack(found, bits, codes.shape), codes)
