from dataclasses import dataclass, fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase04_advanced_inference.project10_prompt_caching.response_cache import ResponseCache, request_key
from shared.phase01 import SamplingParams
from shared.testing import raises

PARAMS = SamplingParams()
OTHERS = {
    "max_tokens": 7, "temperature": 0.5, "top_k": 3, "top_p": 0.5, "repetition_penalty": 1.1, "stop": ("a",),
    "stop_ids": (3,), "seed": 4,
}  # fmt: skip


# ---- task 8: whole answers


@pytest.mark.task(8)
def test_equal_requests_have_equal_keys():
    one = request_key("tiny", [1, 2, 3], PARAMS, "a")
    other = request_key("ti" + "ny", (1, 2, 3), SamplingParams(), "a")
    assert one == other
    assert hash(one) == hash(other)
    assert request_key("tiny", [1], PARAMS) == request_key("tiny", [1], PARAMS, "")


@pytest.mark.task(8)
def test_a_key_differs_where_anything_does():
    keys = [
        request_key("tiny", [1, 2, 3], PARAMS, "a"),
        request_key("tiny", [1, 2, 3], PARAMS, "b"),
        request_key("other", [1, 2, 3], PARAMS, "a"),
        request_key("a", [1, 2, 3], PARAMS, "tiny"),
        request_key("tinya", [1, 2, 3], PARAMS, ""),
        request_key("tin", [1, 2, 3], PARAMS, "ya"),
        request_key("tiny", [1, 2], PARAMS, "a"),
        request_key("tiny", [1, 2, 4], PARAMS, "a"),
        request_key("tiny", [1, 23], PARAMS, "a"),
        request_key("tiny", [12, 3], PARAMS, "a"),
        request_key("tiny", [3, 2, 1], PARAMS, "a"),
    ]
    assert len(set(keys)) == len(keys)


@pytest.mark.task(8)
def test_every_sampling_parameter_counts():
    assert {field.name for field in fields(SamplingParams)} == set(OTHERS)
    keys = [request_key("tiny", [1], replace(PARAMS, **{name: value})) for name, value in OTHERS.items()]
    assert len({request_key("tiny", [1], PARAMS), *keys}) == len(OTHERS) + 1


@pytest.mark.task(8)
def test_parameters_of_a_later_version_count_too():
    @dataclass(frozen=True)
    class Later(SamplingParams):
        min_tokens: int = 0

    one, other = (request_key("tiny", [1], Later(min_tokens=count)) for count in (1, 2))
    assert one != other


@pytest.mark.task(8)
def test_a_key_is_no_hash():
    """Python's hashes of these two are equal."""
    assert hash(0) == hash(2**61 - 1)
    one, other = (request_key("tiny", [1], replace(PARAMS, seed=seed)) for seed in (0, 2**61 - 1))
    assert one != other


@pytest.mark.task(8)
def test_a_key_stays_whatever_becomes_of_the_list():
    tokens = [1, 2]
    key = request_key("tiny", tokens, PARAMS)
    tokens.append(3)
    assert key == request_key("tiny", [1, 2], PARAMS)


@pytest.mark.task(8)
def test_an_answer_is_kept_as_it_was():
    cache, answer = ResponseCache(), [4, 5]
    assert cache.get("a") is None
    cache.put("a", answer)
    answer.append(6)
    assert cache.get("a") == (4, 5)
    assert cache.get("b") is None
    assert (cache.hits, cache.misses, cache.evictions, cache.nbytes) == (1, 2, 0, 16)


@pytest.mark.task(8)
def test_an_answer_without_tokens_is_an_answer():
    cache = ResponseCache(max_bytes=0)
    cache.put("a", [])
    assert cache.get("a") == ()
    assert (cache.hits, cache.misses) == (1, 0)
    cache.put("b", [1])
    assert cache.get("b") is None


@pytest.mark.task(8)
def test_what_was_used_longest_ago_goes_first():
    cache = ResponseCache(max_entries=3)
    for key in "abc":
        cache.put(key, [1])
    cache.get("a")
    cache.put("b", [2])
    cache.put("d", [1])
    assert [cache.get(key) for key in "abcd"] == [(1,), (2,), None, (1,)]
    assert cache.evictions == 1
    cache.put("e", [1])
    assert cache.get("a") is None


@pytest.mark.task(8)
def test_a_miss_is_no_use():
    cache = ResponseCache(max_entries=2)
    cache.put("a", [1])
    cache.put("b", [1])
    cache.get("x")
    cache.put("c", [1])
    assert list(cache.answers) == ["b", "c"]


@pytest.mark.task(8)
def test_as_many_go_as_there_are_bytes_too_many():
    cache = ResponseCache(max_bytes=80)
    for key in "abcd":
        cache.put(key, [1, 2])
    assert (cache.nbytes, len(cache.answers)) == (64, 4)
    cache.put("e", list(range(8)))
    assert list(cache.answers) == ["d", "e"]
    assert (cache.nbytes, cache.evictions) == (80, 3)


@pytest.mark.task(8)
def test_a_replaced_answer_is_counted_once():
    cache = ResponseCache(max_bytes=80)
    cache.put("a", list(range(10)))
    cache.put("a", [1])
    assert (cache.nbytes, cache.evictions, cache.get("a")) == (8, 0, (1,))


@pytest.mark.task(8)
def test_an_answer_that_is_too_large_pushes_nothing_out():
    cache = ResponseCache(max_bytes=80)
    cache.put("a", [1, 2])
    cache.put("b", [1, 2])
    cache.put("c", list(range(11)))
    assert list(cache.answers) == ["a", "b"]
    cache.put("a", list(range(11)))
    assert list(cache.answers) == ["b"], "the old answer would be wrong"
    assert (cache.nbytes, cache.evictions) == (16, 0)


@pytest.mark.task(8)
def test_without_entries_nothing_is_kept():
    cache = ResponseCache(max_entries=0)
    cache.put("a", [])
    cache.put("b", [1])
    assert (cache.get("a"), cache.get("b"), cache.nbytes, cache.evictions) == (None, None, 0, 0)


@pytest.mark.task(8)
@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 5), st.booleans()), max_size=40),
    st.integers(0, 4),
    st.integers(0, 80),
)
def test_it_is_a_dictionary_that_forgets_the_oldest(operations, entries, size):
    """Against a list of pairs, the oldest first."""
    cache, pairs = ResponseCache(entries, size), []
    for key, length, asks in operations:
        found = dict(pairs).get(key)
        if asks:
            assert cache.get(key) == found
            if found is not None:
                pairs = [pair for pair in pairs if pair[0] != key] + [(key, found)]
            continue
        answer = tuple(range(length))
        cache.put(key, answer)
        pairs = [pair for pair in pairs if pair[0] != key]
        if entries and 8 * length <= size:
            pairs.append((key, answer))
        while len(pairs) > entries or sum(8 * len(kept) for _, kept in pairs) > size:
            pairs.pop(0)
        assert list(cache.answers.items()) == pairs
        assert cache.nbytes == sum(8 * len(kept) for _, kept in pairs)


@pytest.mark.parametrize(("entries", "size"), [(-1, 5), (5, -1)])
def test_a_cache_keeps_nothing_or_more(entries, size):
    with raises(ValueError, entries, size):
        ResponseCache(entries, size)
