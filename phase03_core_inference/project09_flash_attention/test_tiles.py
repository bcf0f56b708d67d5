"""Which tiles a tile of queries meets: compared with the whole table of who sees whom."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phase03_core_inference.project09_flash_attention import tiles
from phase03_core_inference.project09_flash_attention.tiles import key_tiles, visible

pytestmark = pytest.mark.task(2)


def table(queries, keys, causal, window):
    return visible(torch.arange(queries), torch.arange(keys), queries, keys, causal, window)


@pytest.mark.parametrize(
    ("queries", "keys", "window", "expected"),
    [
        (3, 3, None, ["1..", "11.", "111"]),
        (2, 4, None, ["111.", "1111"]),  # the last two of four positions
        (4, 2, None, ["..", "..", "1.", "11"]),
        (4, 4, 2, ["1...", "11..", ".11.", "..11"]),
        (2, 4, 1, ["..1.", "...1"]),
    ],
)
def test_who_sees_whom(queries, keys, window, expected):
    seen = table(queries, keys, True, window)
    assert seen.dtype == torch.bool
    assert ["".join("1" if cell else "." for cell in row) for row in seen.tolist()] == expected


def test_without_causal_everybody_sees_everybody():
    assert table(3, 5, False, None).all()


def test_rows_and_columns_are_numbers_and_may_be_any():
    whole = table(9, 11, True, 4)
    part = visible(torch.tensor([2, 7]), torch.tensor([0, 3, 8]), 9, 11, True, 4)
    assert torch.equal(part, whole[[2, 7]][:, [0, 3, 8]])


@settings(max_examples=300)
@given(
    queries=st.integers(1, 30), keys=st.integers(0, 30), causal=st.booleans(), window=st.integers(0, 35),
    tile=st.integers(1, 9), data=st.data(),
)  # fmt: skip
def test_tiles_are_those_that_somebody_sees_and_masked_unless_all_see_all(
    queries, keys, causal, window, tile, data
):
    first = data.draw(st.integers(0, queries - 1))
    stop = data.draw(st.integers(first + 1, queries))
    wide = window if causal and window else None
    seen = table(queries, keys, causal, wide)[first:stop]
    expected = []
    for begin in range(0, keys, tile):
        part = seen[:, begin : begin + tile]
        if part.any():
            expected.append((begin, min(begin + tile, keys), not bool(part.all())))
    found = key_tiles(first, stop, queries, keys, causal, wide, tile)
    assert [(begin, end) for begin, end, _ in found] == [(begin, end) for begin, end, _ in expected]
    assert [bool(masked) for *_, masked in found] == [masked for *_, masked in expected]


def test_no_pair_of_query_and_key_is_looked_at(monkeypatch):
    monkeypatch.setattr(tiles, "visible", lambda *_: pytest.fail("key_tiles calls visible"))
    assert key_tiles(2, 4, 6, 6, True, None, 3) == [(0, 3, False), (3, 6, True)]


def test_half_of_the_tiles_are_left_out():
    counts = [len(key_tiles(first, first + 64, 1024, 1024, True, None, 64)) for first in range(0, 1024, 64)]
    assert counts == list(range(1, 17))


def test_a_window_makes_the_number_of_tiles_independent_of_the_length():
    counts = {len(key_tiles(first, first + 64, 4096, 4096, True, 128, 64)) for first in range(512, 4096, 64)}
    assert counts == {3}


def test_a_million_keys_are_no_work():
    assert key_tiles(999_990, 1_000_000, 1_000_000, 1_000_000, True, 20, 64) == [(999_936, 1_000_000, True)]
