import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase04_advanced_inference.project10_prompt_caching.block_hash import (
    BlockKey,
    block_keys,
    hash_block,
    same_prefix,
)
from phase04_advanced_inference.project10_prompt_caching.given.example import chain
from shared.testing import raises

tokens_ = st.lists(st.integers(0, 2**32 - 1), max_size=5)


def number(value):
    return value.to_bytes(4, "little")


def written_out(parent, tokens, salt):
    """The bytes that are hashed, one field after the other."""
    name = salt.encode("utf-8")
    sizes = number(len(name)) + number(len(parent)) + number(len(tokens))
    return hashlib.sha256(sizes + name + parent + b"".join(map(number, tokens))).digest()


# ---- task 1: a block's name


@pytest.mark.task(1)
@given(st.binary(max_size=40), tokens_, st.text(max_size=5))
def test_it_is_the_hash_of_these_bytes(parent, tokens, salt):
    expected = written_out(parent, tokens, salt)
    assert hash_block(parent, tokens, salt) == expected
    assert hash_block(parent, tuple(tokens), salt) == expected


@pytest.mark.task(1)
def test_the_salt_is_written_in_utf_8():
    expected = written_out(b"", (1, 2), "Zoë")
    assert hash_block(b"", (1, 2), "Zoë") == expected


@pytest.mark.task(1)
def test_fields_are_never_taken_for_their_neighbours():
    """All of them have the same bytes in the same order, but for where one field ends and the next begins."""
    four = b"abcd"
    token = int.from_bytes(four, "little")
    ways = [(four, (), ""), (b"", (), "abcd"), (b"", (token,), ""), (b"cd", (), "ab"), (b"d", (), "abc")]
    assert len({hash_block(*way) for way in ways}) == len(ways)


@pytest.mark.task(1)
@given(tokens_, tokens_, st.sampled_from(["", "a", "b"]), st.sampled_from(["", "a", "b"]))
def test_another_parent_block_or_salt_gives_another_hash(one, other, salt, second):
    same = (one, salt) == (other, second)
    assert (hash_block(b"", one, salt) == hash_block(b"", other, second)) == same
    parents = hash_block(b"", one, salt), hash_block(b"", other, second)
    assert (hash_block(parents[0], (7,), "") == hash_block(parents[1], (7,), "")) == same


@pytest.mark.task(1)
@pytest.mark.parametrize("odd", [-1, 2**32, 10**12])
def test_a_token_that_does_not_fit_is_refused(odd):
    with raises(ValueError, odd):
        hash_block(b"", (3, odd, 4), "")
    with raises(ValueError, odd):
        block_keys([1, 2, 3, odd], 2)


@pytest.mark.task(1)
@pytest.mark.parametrize(("length", "count"), [(0, 0), (3, 0), (4, 1), (7, 1), (8, 2), (11, 2)])
@pytest.mark.parametrize("salt", ["", "tenant"])
def test_only_full_blocks_have_keys_and_each_hashes_all_before_it(length, count, salt):
    text = list(range(100, 100 + length))
    keys = block_keys(text, 4, salt)
    assert [key.tokens for key in keys] == [tuple(text[i : i + 4]) for i in range(0, 4 * count, 4)]
    before = b""
    for place, key in enumerate(keys):
        before = written_out(before, key.tokens, salt)
        assert key.hash == before
        assert key.salt == salt
        assert key.parent is (keys[place - 1] if place else None)


@pytest.mark.task(1)
def test_blocks_of_one_token():
    keys = block_keys((5, 5), 1)
    assert [key.tokens for key in keys] == [(5,), (5,)]
    assert keys[0].hash != keys[1].hash


@pytest.mark.task(1)
@pytest.mark.parametrize("salt", ["", "t"])
def test_a_growing_text_hashes_each_block_once(salt):
    """Tokens of known blocks are not looked at again: here they are no tokens any more."""
    text, keys = list(range(37)), []
    for length in (0, 3, 5, 8, 9, 23, 24, 37):
        before = list(keys)
        unknown = text[4 * len(keys) : length]
        keys = block_keys([-1] * 4 * len(keys) + unknown, 4, salt, keys)
        assert len(keys) == length // 4
        assert all(one is other for one, other in zip(before, keys, strict=False)), "known ones stay"
    fresh = block_keys(text, 4, salt)
    assert [(key.hash, key.tokens) for key in keys] == [(key.hash, key.tokens) for key in fresh]


@pytest.mark.task(1)
def test_known_keys_stay_as_they_are_and_of_a_text_that_was_longer_the_first_are_taken():
    known = block_keys(range(20), 4)
    shorter = block_keys(list(range(9)), 4, "", known)
    assert shorter == known[:2]
    assert len(known) == 5
    longer = block_keys(list(range(24)), 4, "", known)
    assert longer[:5] == known
    assert len(known) == 5, "a new list"
    assert longer[5].parent is known[4]


@pytest.mark.task(1)
@pytest.mark.parametrize("size", [0, -4])
def test_a_block_has_a_token(size):
    with raises(ValueError, size):
        block_keys([1, 2], size)


@pytest.mark.task(1)
def test_the_same_prefix_is_the_same_tokens_and_salt_in_every_block():
    one, other = chain((1, 2), (3, 4), (5, 6)), chain((1, 2), (3, 4), (5, 6))
    for first, second in zip(one, other, strict=True):
        assert same_prefix(first, second)
    assert same_prefix(None, None)
    assert same_prefix(one[2], one[2])
    assert not same_prefix(one[1], None)
    assert not same_prefix(None, one[0])
    assert not same_prefix(one[2], one[1])
    assert not same_prefix(one[0], one[1]), "one is a part of the other"


@pytest.mark.task(1)
@pytest.mark.parametrize(
    "other",
    [
        chain((1, 2), (3, 4), (5, 7), hash=b"x"),
        chain((1, 2), (3, 5), (5, 6), hash=b"x"),
        chain((0, 2), (3, 4), (5, 6), hash=b"x"),
        chain((1, 2), (3, 4), (5, 6), salt="b", hash=b"x"),
        chain((3, 4), (5, 6), hash=b"x"),
        chain((9, 9), (1, 2), (3, 4), (5, 6), hash=b"x"),
    ],
)
def test_what_differs_anywhere_is_not_the_same_whatever_the_hash(other):
    one = chain((1, 2), (3, 4), (5, 6), hash=b"x")
    assert same_prefix(one[-1], chain((1, 2), (3, 4), (5, 6), hash=b"y")[-1]), "a hash is not asked"
    assert not same_prefix(one[-1], other[-1])
    assert not same_prefix(other[-1], one[-1])


@pytest.mark.task(1)
def test_a_salt_that_differs_in_the_first_block_alone():
    first = BlockKey(None, (1,), "a", b"h")
    other = BlockKey(None, (1,), "b", b"h")
    assert not same_prefix(BlockKey(first, (2,), "a", b"h"), BlockKey(other, (2,), "a", b"h"))


@pytest.mark.task(1)
def test_a_text_of_many_blocks_is_compared_in_a_loop():
    long, again = (block_keys([7] * 20_000, 1) for _ in range(2))
    assert same_prefix(long[-1], again[-1])
    assert not same_prefix(long[-1], again[-2])


@pytest.mark.task(1)
def test_a_chain_that_is_shared_is_not_gone_through():
    """A text's own blocks are shared objects: to compare two of its keys, no block before them is looked at."""

    class Watched(tuple):
        def __eq__(self, other):
            raise AssertionError("compared")

        def __hash__(self):
            return tuple.__hash__(self)

        def __ne__(self, other):
            raise AssertionError("compared")

    first = BlockKey(None, Watched((1, 2)), "", b"h")
    assert same_prefix(BlockKey(first, (3, 4), "", b"a"), BlockKey(first, (3, 4), "", b"a"))
