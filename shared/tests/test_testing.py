"""A message is asked for its facts, and never for its words."""

import pytest
from _pytest.outcomes import Failed

from shared.testing import raises


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        ("é", "'é' is not known"),
        (2, "position 2."),
        (2, "2"),
        (2, "(2, 3)"),
        (0, "0...3"),
        (36, "0...36"),
        (36, "0..36"),
        (9, "lines 9,37"),
        (37, "lines 9,37"),
        (3, "0-3"),
        (-1, "id -1 is outside"),
        (1024, "1,024 tokens"),
        (1024, "1_024 tokens"),
        (1024, "1024 tokens"),
        (1000000, "1,000,000"),
        (0.5, "p is 0.5."),
        (-0.5, "p is -0.5"),
        (("é", "U+00E9"), "U+00E9"),
    ],
)
def test_a_fact_may_stand_anywhere_in_the_message(fact, message):
    with raises(ValueError, fact):
        raise ValueError(message)


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        ("é", "an unknown character"),
        (2, "12 characters"),
        (2, "20 characters"),
        (2, "2.5"),
        (2, "2,000"),
        (500, "1,500"),
        (5, "2.5"),
        (1, "id -1 is outside"),
        (1024, "1,0,24"),
        (0.5, "0.55"),
        (("é", "U+00E9"), "U+00E8"),
    ],
)
def test_a_message_without_the_fact_fails_in_plain_words(fact, message):
    with pytest.raises(Failed) as failed, raises(ValueError, fact):
        raise ValueError(message)
    assert str(failed.value).startswith("the ValueError's message should name ")
    assert str(failed.value).endswith(f"; it is: {message}")


def test_each_missing_fact_is_named_and_notes_count():
    with pytest.raises(Failed, match=r"should name 3, 'b'; it is: 1 a$"), raises(ValueError, 1, "a", 3, "b"):
        raise ValueError("1 a")
    with raises(ValueError, "a", "b"):
        error = ValueError("a")
        error.add_note("b")
        raise error


def test_another_kind_and_no_error_fail_as_with_pytest():
    with pytest.raises(KeyError), raises(ValueError):
        raise KeyError
    with pytest.raises(Failed, match="DID NOT RAISE"), raises(ValueError, "a"):
        pass


def test_the_error_is_at_hand_afterwards():
    with raises(ValueError) as caught:
        raise ValueError("a")
    assert caught.value.args == ("a",)
