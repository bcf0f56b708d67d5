from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models

from phase01_foundation.project02_tokenizer import bpe
from phase01_foundation.project02_tokenizer.bpe import encode_piece, recover_merges
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.given import fast
from phase01_foundation.project02_tokenizer.given.byte_level import (
    BYTE_OF,
    BYTES,
    CHARACTER_OF,
    printed,
    unprinted,
)
from phase01_foundation.project02_tokenizer.given.long_pieces import merge_by_heap
from phase01_foundation.project02_tokenizer.pretokenize import PATTERNS
from shared import tinyworld
from shared.testing import raises

encoding, decoding, recovering = pytest.mark.task(5), pytest.mark.task(6), pytest.mark.task(10)
needs_compiler = pytest.mark.skipif(fast.kernels() is None, reason="needs a C++ compiler")
ID_OF = {bytes([byte]): id for id, byte in enumerate(BYTES)}
SINGLE = {id: byte for byte, id in ID_OF.items()}
A, B, C = (ID_OF[letter] for letter in (b"a", b"b", b"c"))


@st.composite
def merge_lists(draw):
    """Merges in any order that can be, also such as no training would learn."""
    tokens = [bytes([byte]) for byte in BYTES]
    known, merges = set(tokens), []
    usable = [A, B, C]
    for _ in range(draw(st.integers(0, 12))):
        left, right = draw(st.sampled_from(usable)), draw(st.sampled_from(usable))
        if tokens[left] + tokens[right] not in known:
            usable.append(len(tokens))
            tokens.append(tokens[left] + tokens[right])
            known.add(tokens[-1])
            merges.append((left, right))
    return merges


def ranks_of(merges):
    return {pair: (rank, 256 + rank) for rank, pair in enumerate(merges)}


@pytest.fixture(scope="module")
def world():
    return tinyworld.text("train", 0, 100_000)


@pytest.fixture(scope="module")
def model(world):
    return ByteBPE.train([world[:50_000]], 600)


# ---- task 5: encoding a piece


@encoding
def test_the_lowest_rank_goes_first_not_the_leftmost_pair():
    ranks = ranks_of([(B, C), (A, B)])  # bc before ab
    assert encode_piece(b"abc", ID_OF, ranks) == [A, 256]


@encoding
def test_of_equal_ranks_the_leftmost_goes_first():
    assert encode_piece(b"aaa", ID_OF, ranks_of([(A, A)])) == [256, A]


@encoding
def test_merges_go_on_with_what_merges_made():
    ranks = ranks_of([(A, B), (256, C), (257, 257)])
    assert encode_piece(b"abcabc", ID_OF, ranks) == [258]


@encoding
def test_merges_are_made_one_place_at_a_time():
    # Once the first ab is made, its pair with the next a goes before the second ab.
    assert encode_piece(b"abab", ID_OF, {(256, A): (0, 300), (A, B): (1, 256)}) == [300, B]


@encoding
def test_the_id_that_a_pair_becomes_is_told_apart_from_its_rank():
    ranks = {(A, B): (7, 1000), (B, C): (10**12, 0), (1000, C): (8, 2000)}
    assert encode_piece(b"abc", ID_OF, ranks) == [2000]
    assert encode_piece(b"bca", ID_OF, ranks) == [0, A]
    assert ranks == {(A, B): (7, 1000), (B, C): (10**12, 0), (1000, C): (8, 2000)}


@encoding
def test_the_ids_of_bytes_are_those_that_id_of_says():
    id_of = {b"a": 500, b"b": 3, b"ab": 4}
    assert encode_piece(b"aba", id_of, {}) == [500, 3, 500]
    assert encode_piece(b"aba", id_of, {(500, 3): (0, 4)}) == [4, 500]


@encoding
def test_without_a_merge_the_bytes_remain():
    assert encode_piece(b"cab", ID_OF, {}) == [C, A, B]
    assert encode_piece(b"", ID_OF, {}) == []
    assert encode_piece(b"a", ID_OF, ranks_of([(A, A)])) == [A]


@encoding
@given(merge_lists(), st.text("abc", max_size=40))
def test_no_pair_is_left_and_the_bytes_are_kept(merges, text):
    model = ByteBPE.from_merges(merges)
    ids = encode_piece(text.encode(), ID_OF, ranks_of(merges))
    assert b"".join(model.tokens[id] for id in ids) == text.encode()
    assert not set(pairwise(ids)) & set(merges)


@encoding
@needs_compiler
@given(merge_lists(), st.one_of(st.text("abc"), st.text("ab", min_size=97, max_size=300)))
def test_encoding_in_cpp_gives_the_same(merges, text):
    # Above 96 ids the C++ code uses a heap. Letters alone are one piece, whatever the pattern.
    model = ByteBPE.from_merges(merges)
    assert model.encode(text) == encode_piece(text.encode(), ID_OF, ranks_of(merges))


@encoding
@needs_compiler
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("whole_pieces", [False, True])
def test_python_and_cpp_give_the_same_ids(model, world, pattern, whole_pieces):
    ours = ByteBPE(model.tokens, model.merges, pattern, whole_pieces)
    python = ByteBPE(model.tokens, model.merges, pattern, whole_pieces, native=False)
    for text in (world[50_000:80_000], "naïve 中文 🙂👍🏽\x00 \r\n" * 20, "=" * 500 + "the" * 400):
        assert ours.encode(text) == python.encode(text)


@encoding
def test_a_piece_that_is_a_token_needs_no_merge_where_whole_pieces_count():
    tokens = {**SINGLE, 256: b"abc"}
    for native in (True, False):
        for whole, expected in ((True, [256]), (False, [A, B, C])):
            assert ByteBPE(tokens, [], whole_pieces=whole, native=native).encode("abc") == expected


@encoding
def test_the_highest_id_is_the_highest_that_an_array_holds():
    top = 2**31 - 1
    for native in (True, False):
        model = ByteBPE({**SINGLE, top: b"ab", top - 1: b"abc"}, [(A, B), (top, C)], native=native)
        assert model.encode("abc ab") == [top - 1, ID_OF[b" "], top]
        assert model.encode("ab" * 60).count(top) == 60  # in C++, a heap
        assert model.vocab_size == 2**31


@encoding
@given(merge_lists(), st.text("ab", min_size=250, max_size=400))
def test_long_pieces_have_the_same_ids(merges, text):
    model = ByteBPE.from_merges(merges, native=False)
    assert model.encode(text) == encode_piece(text.encode(), ID_OF, ranks_of(merges))


# ---- the model


@given(st.dictionaries(st.tuples(*[st.integers(0, 5)] * 2), st.integers(0, 5)), st.lists(st.integers(0, 3)))
def test_a_heap_merges_in_the_same_order(made, ids):
    # Any ids may come of any pair, also those that merge again.
    ranks = {pair: (rank, id + 4) for rank, (pair, id) in enumerate(made.items())}
    id_of = {bytes([id]): id for id in range(4)}
    expected = encode_piece(bytes(ids), id_of, ranks)
    assert merge_by_heap(ids, lambda left, right: ranks.get((left, right))) == expected


def test_a_heap_looks_at_each_place_a_few_times():
    asked = []

    def find(left, right):
        asked.append((left, right))
        return (left, left + 1) if left == right else None

    assert merge_by_heap([0] * 2**14, find) == [14]
    assert len(asked) <= 3 * 2**14


def test_a_long_word_does_not_go_the_slow_way(monkeypatch):
    monkeypatch.setattr(bpe, "encode_piece", lambda *_: pytest.fail("it takes the square of the length"))
    model = ByteBPE.from_merges([(A, B), (256, 256)], native=False)
    assert model.encode("ab" * 10_000) == [257] * 5000


@pytest.mark.parametrize("native", [True, False])
@given(merge_lists(), st.data(), st.text("abc", max_size=40))
def test_of_a_merge_that_comes_again_the_last_counts(native, merges, data, text):
    again = [*data.draw(st.lists(st.sampled_from(merges))), *merges] if merges else []
    again += data.draw(st.lists(st.sampled_from(merges))) if merges else []
    model = ByteBPE.from_merges(merges)
    named = {printed(token): id for id, token in model.tokens.items()}
    theirs = models.BPE(named, [(printed(model.tokens[i]), printed(model.tokens[j])) for i, j in again])
    ours = ByteBPE(model.tokens, again, native=native)
    assert ours.encode(text) == [token.id for token in theirs.tokenize(text)]
    assert sorted(ours.merges) == sorted(merges), "each is kept once"


@needs_compiler
def test_a_warm_cache_changes_nothing(model, world):
    fresh = ByteBPE(model.tokens, model.merges)
    first = fresh.encode(world)
    assert fresh.encode(world) == first == model.encode(world)


@pytest.mark.parametrize(
    ("tokens", "merges", "message"),
    [
        ({0: b"a"}, [], "255 of the 256 bytes have no token, the first is 0x00"),
        ({256: b"a"}, [], r"the token b'a' has two ids, \d+ and 256"),
        ({-1: b"ab"}, [], "ids must be from 0"),
        ({256.0: b"ab"}, [], "ids must be whole numbers, not 256.0"),
        ({2**31: b"ab"}, [], "ids must be from 0 to 2147483647, not 0 to 2147483648"),
        ({2**40: b"ab"}, [], "ids must be from 0 to 2147483647, not 0 to 1099511627776"),
        ({}, [(A, 999)], "merge 0 joins the ids 64 and 999, which are not both tokens"),
        ({256: b"ab"}, [(A, B), (B, C)], "merge 1 makes b'bc', which is no token"),
    ],
)
def test_an_impossible_model_is_refused(tokens, merges, message):
    every = {} if tokens == {0: b"a"} else SINGLE
    with pytest.raises(ValueError, match=message):
        ByteBPE({**every, **tokens}, merges)


# ---- task 6: decoding


@decoding
@pytest.mark.parametrize("native", [True, False])
@given(data=st.binary())
def test_any_bytes_come_back(model, native, data):
    one = model if native else ByteBPE(model.tokens, model.merges, native=False)
    ids = one.encode_bytes(data)
    assert ids.dtype == np.int32
    assert one.decode_bytes(ids.tolist()) == data


@decoding
def test_ids_may_come_one_by_one(model):
    ids = model.encode("the cat 🙂")
    assert model.decode(iter(ids)) == "the cat 🙂"
    assert model.decode_bytes(iter(ids)) == "the cat 🙂".encode()
    assert model.decode([]) == ""
    assert model.decode_bytes([]) == b""


@decoding
def test_ids_may_have_gaps():
    model = ByteBPE({**SINGLE, 900: b"ab"}, [(A, B)])
    assert model.decode([900, C]) == "abc"
    for id in (-1, 256, 899, 901):
        with raises(ValueError, id, 900):
            model.decode_bytes([900, id])


@decoding
@given(text=st.text())
def test_decoding_undoes_encoding(model, text):
    expected = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert model.decode(model.encode(text)) == expected


@decoding
def test_part_of_a_character_becomes_the_replacement_character():
    model = ByteBPE.from_merges([])
    ids = model.encode("a🙂b")
    assert model.decode_bytes(ids[1:3]) == "🙂".encode()[:2]
    assert model.decode(ids[:3]) == "a\ufffd"
    assert model.decode(ids) == "a🙂b"


@decoding
@pytest.mark.parametrize("id", [-1, 256])
def test_an_id_without_a_token_is_refused(id):
    with raises(ValueError, id, 255):
        ByteBPE.from_merges([]).decode([65, id])
    with raises(ValueError, id, 255):
        ByteBPE.from_merges([]).decode_bytes([65, id])


# ---- task 10: merges from ranks


@recovering
def test_the_parts_of_a_token_are_what_lower_ranks_leave_of_it():
    tokens = [bytes([byte]) for byte in BYTES] + [b"bc", b"ab", b"abc"]
    assert recover_merges(tokens)[256:] == [(B, C), (A, B), (A, 256)]
    assert set(recover_merges(tokens)[:256]) == {None}


@recovering
def test_a_part_may_rank_above_its_whole():
    tokens = [bytes([byte]) for byte in BYTES] + [b"abc", b"ab"]
    assert recover_merges(tokens)[256:] == [(257, C), (A, B)]
    tokens = [bytes([byte]) for byte in BYTES] + [b"abca", b"bc", b"ab", b"abc"]
    assert recover_merges(tokens)[256:] == [(259, A), (B, C), (A, B), (A, 257)], "bc goes before ab"


@recovering
def test_a_token_that_no_merge_makes_has_no_parts():
    tokens = [bytes([byte]) for byte in BYTES] + [b"abc", b"ba"]
    assert recover_merges(tokens)[256:] == [None, (B, A)]


@recovering
def test_a_token_that_no_merge_makes_takes_no_part_in_longer_ones():
    tokens = [bytes([byte]) for byte in BYTES] + [b"abc", b"abca", b"ba", b"abcabc"]
    assert recover_merges(tokens)[256:] == [None, None, (B, A), None]


@recovering
def test_single_bytes_may_have_any_rank():
    tokens = [b"ab", b"abc", *[bytes([byte]) for byte in range(256)]]
    at = {token: place for place, token in enumerate(tokens)}
    assert recover_merges(tokens) == [(at[b"a"], at[b"b"]), (0, at[b"c"]), *[None] * 256]


@recovering
def test_the_merges_of_a_trained_model_come_back(model):
    assert recover_merges(list(model.tokens.values()))[256:] == model.merges


@recovering
@needs_compiler
def test_recovering_in_cpp_gives_the_same(model):
    backwards = [model.tokens[id] for id in range(599, -1, -1)]
    for tokens in (list(model.tokens.values()), backwards):
        assert fast.recover_merges(tokens) == recover_merges(tokens)


# ---- bytes in print


def test_every_byte_has_a_character_that_prints():
    assert len(BYTE_OF) == 256
    assert all(character.isprintable() and not character.isspace() for character in BYTE_OF)
    assert list(CHARACTER_OF.values()) == sorted(BYTE_OF), "ids follow the characters' code points"
    assert printed(b" the\n") == "ĠtheĊ"
    assert unprinted("ĠtheĊ") == b" the\n"


def test_what_stands_for_no_byte_is_named():
    with pytest.raises(ValueError, match=r"'a b' is no byte-level token: ' ' stands for no byte"):
        unprinted("a b")
