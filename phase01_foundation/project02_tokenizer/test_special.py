import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase01_foundation.project02_tokenizer.special import refuse_special, resolve_special, split_special
from shared.testing import raises

KNOWN = {"<|end|>": 1, "<|begin|>": 2, "<|pad|>": 3}

pytestmark = pytest.mark.task(7)


@pytest.mark.parametrize(
    ("allowed", "disallowed", "expected"),
    [
        ((), "all", (set(), {"<|end|>", "<|begin|>", "<|pad|>"})),
        ("all", "all", ({"<|end|>", "<|begin|>", "<|pad|>"}, set())),
        ({"<|end|>"}, "all", ({"<|end|>"}, {"<|begin|>", "<|pad|>"})),
        ({"<|end|>"}, (), ({"<|end|>"}, set())),
        ((), {"<|pad|>"}, (set(), {"<|pad|>"})),
        ({"<|end|>"}, {"<|end|>"}, ({"<|end|>"}, {"<|end|>"})),
    ],
)
def test_all_means_all_known_ones_and_for_disallowed_all_that_are_not_allowed(allowed, disallowed, expected):
    assert resolve_special(KNOWN, allowed, disallowed) == expected


def test_without_special_tokens_there_is_nothing_to_allow_or_refuse():
    assert resolve_special({}, "all", "all") == (set(), set())


@pytest.mark.parametrize(("allowed", "disallowed"), [({"<|stop|>"}, "all"), ((), ["<|end|>", "<|stop|>"])])
def test_an_unknown_special_token_is_named_beside_the_known_ones(allowed, disallowed):
    with raises(ValueError, "<|stop|>", *KNOWN):
        resolve_special(KNOWN, allowed, disallowed)
    with raises(ValueError, "<|stop|>"):
        resolve_special({}, {"<|stop|>"}, "all")


@pytest.mark.parametrize(("allowed", "disallowed"), [("<|end|>", "all"), ("all", "<|end|>"), ((), "a")])
def test_a_single_name_that_is_no_set_is_refused(allowed, disallowed):
    # Also one of which each letter is a special token: Python would take it for a set of them.
    with raises(ValueError, disallowed if allowed != "<|end|>" else allowed):
        resolve_special({**KNOWN, "a": 4}, allowed, disallowed)


@pytest.mark.parametrize("order", [1, -1])
def test_the_first_disallowed_token_is_named_with_its_position_and_what_to_do(order):
    with raises(
        ValueError,
        "<|pad|>",
        17,
        (" allowed_special", "`allowed_special", "(allowed_special"),
        "disallowed_special",
    ):
        refuse_special("a text of words, <|pad|> <|end|> <|pad|>", ["<|end|>", "<|pad|>"][::order])


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_that_begin_at_one_place_the_longer_is_named(order):
    with raises(ValueError, "<e><f>", 3):
        refuse_special("abc<e><f>", ["<e>", "<e><f>"][::order])


def test_a_text_without_a_disallowed_token_passes():
    refuse_special("a <|pad|> <|end|", ["<|end|>", "<|begin|>"])
    refuse_special("<|end|>", [])
    with raises(ValueError, "<|end|>", 0):
        refuse_special("<|end|>", ["<|end|>"])


def test_ordinary_text_and_special_tokens_take_turns():
    parts = list(split_special("a<|end|>b<|end|><|pad|>", ["<|end|>", "<|pad|>"]))
    assert parts == ["a", "<|end|>", "b", "<|end|>", "", "<|pad|>", ""]
    assert list(split_special("<|end|>", {"<|end|>"})) == ["", "<|end|>", ""]


def test_an_empty_text_is_one_empty_part():
    assert list(split_special("", ())) == [""]
    assert list(split_special("", {"<|end|>"})) == [""]


def test_only_allowed_tokens_cut_a_text():
    assert list(split_special("a<|end|>b", [])) == ["a<|end|>b"]
    assert list(split_special("a<|end|>b<|pad|>", ["<|pad|>"])) == ["a<|end|>b", "<|pad|>", ""]


def test_names_are_no_regular_expressions():
    assert list(split_special("aaa.+b", [".+"])) == ["aaa", ".+", "b"]


def test_the_longer_of_two_that_begin_alike_is_taken():
    assert list(split_special("x<e><e>2", ["<e>", "<e>2"])) == ["x", "<e>", "", "<e>2", ""]


@given(st.text("<e>2 "), st.sets(st.sampled_from(["<e>", "<e>2", "<", "ee"])))
def test_the_parts_make_up_the_text(text, allowed):
    parts = list(split_special(text, allowed))
    assert "".join(parts) == text
    assert all(part in allowed for part in parts[1::2])
    assert not any(name in part for part in parts[::2] for name in allowed)
