"""Guides: what json_object asks for, and how large an expression may be."""

import re

import pytest

from phase10_deployment.project28_serving.given.regex_size import LARGEST, check_regex, regex_size
from phase10_deployment.project28_serving.json_schema import ANY_OBJECT
from shared.testing import raises


def test_any_object_is_json():
    assert re.fullmatch(ANY_OBJECT, '{"a": 1, "b": [true, "x"], "c": null}')
    assert re.fullmatch(ANY_OBJECT, "{}")
    assert not re.fullmatch(ANY_OBJECT, '{"a": 1,}')
    assert not re.fullmatch(ANY_OBJECT, "[1]")


@pytest.mark.parametrize(
    ("source", "size"),
    [
        ("", 0), ("abc", 3), ("a{5}", 5), ("(ab){2,4}", 8), ("(a{3}){4}", 12), ("a*", 1), ("a{3,}", 4), ("a|bc", 5),
        ("[a-z]{10}", 10), ("(?:a{100}){100}", 10_000), ("(?=ab)c", 3),
    ],
)  # fmt: skip
def test_places_with_all_repetitions_written_out(source, size):
    assert regex_size(source) == size


def test_what_explodes_is_refused():
    check_regex("a{50000}")
    with raises(ValueError, LARGEST):
        check_regex("(a{1000}){1000}")
    with raises(ValueError):
        check_regex("(" * 200 + ")" * 200)
    with raises(ValueError):
        check_regex("(")
    with raises(ValueError):
        check_regex("a{99999999999999999999}")
