"""Bodies: what strict JSON is, against Python's own reader, and what it must not let pass."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase10_deployment.project28_serving.given.errors import ApiError
from phase10_deployment.project28_serving.strict_json import DEEPEST, depth, read_json

pytestmark = pytest.mark.task(1)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), values, max_size=4), st.booleans())
def test_what_python_writes_is_read_as_python_reads_it(content, ascii_only):
    body = json.dumps(content, ensure_ascii=ascii_only).encode()
    assert read_json(body) == json.loads(body)


def nested(levels):
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


@given(values)
def test_depth_is_that_of_the_value(value):
    def deep(one):
        if isinstance(one, dict):
            return 1 + max(map(deep, one.values()), default=0)
        return 1 + max(map(deep, one), default=0) if isinstance(one, list) else 0

    assert depth(json.dumps(value).encode()) == deep(value)


def test_brackets_in_strings_are_none():
    assert depth(b'{"[[[[": "{{\\"[[", "b": []}') == 2
    assert depth(b'{"a": "\\\\", "b": [[1]]}') == 3


def test_the_deepest_passes_and_one_more_does_not():
    assert read_json(nested(DEEPEST))
    assert read_json(b'{"a": ["' + b"[" * 500 + b'"]}') == {"a": ["[" * 500]}
    assert read_json(nested(DEEPEST)[:-1] + b', "b": []}')["b"] == []


def test_many_brackets_side_by_side_are_not_deep():
    assert read_json(b'{"a": [' + b"[]," * 500 + b"[]]}")["a"] == [[]] * 501


@pytest.mark.parametrize(
    ("body", "code", "fact"),
    [
        (b"", "invalid_json", ""),
        (b"{", "invalid_json", ""),
        (b'{"a": 1,}', "invalid_json", ""),
        (b"{'a': 1}", "invalid_json", ""),
        (b'{"a": NaN}', "invalid_json", ""),
        (b'{"a": -Infinity}', "invalid_json", ""),
        (b'{"a": Infinity}', "invalid_json", ""),
        (b'{"a": 1e999}', "invalid_json", ""),
        (b'{"a": -1e999}', "invalid_json", ""),
        (b'{"a": ' + b"9" * 5000 + b"}", "invalid_json", ""),
        (b'{"a": "\n"}', "invalid_json", ""),
        (b'{"a": 1} {"b": 2}', "invalid_json", ""),
        (b'\xef\xbb\xbf{"a": 1}', "invalid_json", ""),
        (b'{"a": "\xff"}', "invalid_encoding", ""),
        ('{"a": 1}'.encode("utf-16"), "invalid_encoding", ""),
        (nested(DEEPEST + 1), "too_deep", str(DEEPEST)),
        (b"[" * 100_000, "too_deep", str(DEEPEST)),
        (b'{"a":' * 50_000, "too_deep", str(DEEPEST)),
        (b'{"a": 1, "a": 2}', "duplicate_key", "a"),
        (b'{"x": [{"deep": 1, "b": 2, "deep": 1}]}', "duplicate_key", "deep"),
        (b'{"k\\u0041": 1, "kA": 2}', "duplicate_key", "kA"),
        (b'{"a": "\\ud800"}', "lone_surrogate", ""),
        (b'{"a": ["x", {"b": "\\udc00\\ud800"}]}', "lone_surrogate", ""),
        (b'{"\\uDFFF": 1}', "lone_surrogate", ""),
        (b"[]", "not_an_object", ""),
        (b"null", "not_an_object", ""),
        (b'"text"', "not_an_object", ""),
        (b"3", "not_an_object", ""),
        (b"true", "not_an_object", ""),
    ],
)
def test_what_is_refused(body, code, fact):
    with pytest.raises(ApiError) as caught:
        read_json(body)
    error = caught.value
    assert (error.status, error.code) == (400, code)
    assert fact in error.message
    assert json.loads(error.body)["error"]["code"] == code


def test_a_whole_surrogate_pair_is_a_character():
    assert read_json(b'{"a": "\\ud83d\\ude00", "b": "\\\\ud800"}') == {"a": "😀", "b": "\\ud800"}
