"""Schemas as regular expressions: what they match is JSON of the schema, by an independent check."""

import json
import re

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from phase10_deployment.project28_serving.json_schema import LONGEST, schema_to_regex
from shared.testing import raises

pytestmark = pytest.mark.task(2)


def matches(schema, text):
    return re.fullmatch(schema_to_regex(schema), text) is not None


def fits(schema, value):
    """Whether a value is of a schema: the plain reading of it, for the keywords that are known."""
    if "const" in schema:
        return same(value, schema["const"])
    if "enum" in schema:
        return any(same(value, one) for one in schema["enum"])
    if "anyOf" in schema:
        return any(fits(one, value) for one in schema["anyOf"])
    kind = schema["type"]
    if isinstance(kind, list):
        return any(fits({**schema, "type": one}, value) for one in kind)
    if kind == "object":
        properties = schema.get("properties", {})
        return (
            isinstance(value, dict)
            and all(name in value for name in schema.get("required", []))
            and all(name in properties and fits(properties[name], one) for name, one in value.items())
        )
    if kind == "array":
        low, high = schema.get("minItems", 0), schema.get("maxItems", 10**9)
        fine = isinstance(value, list) and low <= len(value) <= high
        return fine and all(fits(schema["items"], one) for one in value)
    if kind == "string":
        low, high = schema.get("minLength", 0), schema.get("maxLength", 10**9)
        pattern = schema.get("pattern", "")
        return isinstance(value, str) and low <= len(value) <= high and re.search(pattern, value) is not None
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, bool) if kind == "boolean" else value is None


def same(one, other):
    return json.dumps(one) == json.dumps(other)


scalars = st.sampled_from(
    [
        {"type": "string"}, {"type": "string", "maxLength": 3}, {"type": "string", "minLength": 1, "maxLength": 2},
        {"type": "integer"}, {"type": "number"}, {"type": "boolean"}, {"type": "null"}, {"enum": ["a", 1, None]},
        {"const": 'say "hi" \\ é'}, {"type": "string", "pattern": "^[a-c]+-?\\d{1,2}$"}, {"type": ["string", "null"]},
    ]
)  # fmt: skip


def larger(inner):
    names = st.sampled_from(["a", "b b", 'c"', "d.e"])
    objects = st.builds(
        lambda properties, required: {
            "type": "object",
            "properties": properties,
            "required": [name for name in properties if name in required],
        },
        st.dictionaries(names, inner, max_size=4),
        st.sets(names),
    )
    arrays = st.builds(
        lambda items, low, more: {"type": "array", "items": items, "minItems": low, "maxItems": low + more},
        inner,
        st.integers(0, 2),
        st.integers(0, 2),
    )
    return objects | arrays | st.builds(lambda ways: {"anyOf": ways}, st.lists(inner, min_size=1, max_size=2))


schemas = st.recursive(scalars, larger, max_leaves=5)
texts = st.text(st.sampled_from('ab"\\\né😀1-'), max_size=4)


def values_of(schema):
    """Values, most of which are of the schema."""
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from([*schema["enum"], "other"])
    if "anyOf" in schema:
        return st.one_of([values_of(one) for one in schema["anyOf"]])
    kind = schema["type"]
    if isinstance(kind, list):
        return st.one_of([values_of({**schema, "type": one}) for one in kind])
    if kind == "object":
        parts = {name: values_of(one) for name, one in schema["properties"].items()}
        needed = {name: parts[name] for name in schema["required"]}
        return st.fixed_dictionaries(
            needed, optional={name: parts[name] for name in parts if name not in needed}
        )
    if kind == "array":
        return st.lists(values_of(schema["items"]), max_size=5)
    if "pattern" in schema:
        return st.sampled_from(["a1", "abc-22", "b", "a-123", "xa1"])
    plain = {
        "string": texts,
        "integer": st.integers(-(10**12), 10**12),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    numbers = st.integers(-999, 999) | st.sampled_from([0.5, -2.25, 1e20, 3.125e-7])
    return plain.get(kind, numbers)


def in_order(schema, value):
    """The value with its objects' keys in the schema's order, in which they are written."""
    if isinstance(value, dict) and "properties" in schema:
        return {
            name: in_order(one, value[name]) for name, one in schema["properties"].items() if name in value
        }
    if isinstance(value, list) and "items" in schema:
        return [in_order(schema["items"], one) for one in value]
    return value


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(st.data())
def test_a_value_is_matched_if_and_only_if_it_is_of_the_schema(data):
    schema = data.draw(schemas)
    value = in_order(schema, data.draw(values_of(schema)))
    text = json.dumps(value, ensure_ascii=False)
    assume("anyOf" not in json.dumps(schema) or not isinstance(value, dict | list))
    assert matches(schema, text) == fits(schema, value)
    if fits(schema, value) and isinstance(value, dict | list):
        assert matches(schema, json.dumps(value, ensure_ascii=False, separators=(",", ":")))


@pytest.mark.parametrize("first", ["required", "optional"])
@pytest.mark.parametrize("names", [(), ("b",), ("a", "c"), ("c",), ("a", "b", "c")])
def test_commas_whichever_are_there(first, names):
    properties = {name: {"type": "integer"} for name in "abc"}
    required = [] if first == "optional" else ["b"]
    schema = {"type": "object", "properties": properties, "required": required}
    text = "{" + ", ".join(f'"{name}": 1' for name in names) + "}"
    assert matches(schema, text) == (first == "optional" or "b" in names)
    assert not matches(schema, text.replace("}", ", }"))
    assert not matches(schema, text.replace("{", "{, ", 1))
    assert not matches(schema, text.replace("{", '{"a": 1 ', 1)) or not names


OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (OBJECT, '{"a": "x'),
        (OBJECT, '{"a": "x"} '),
        (OBJECT, ' {"a": "x"}'),
        (OBJECT, '{"a": "x"}{"a": "x"}'),
        (OBJECT, '{"a": "\n"}'),
        (OBJECT, '{"a": "\t"}'),
        (OBJECT, '{"a": "\\x"}'),
        (OBJECT, '{"a": "\\"}'),
        (OBJECT, '{"a": "\\ud800"}'),
        (OBJECT, '{"a": "\\u12"}'),
        (OBJECT, '{"a": "x", "b": 1}'),
        (OBJECT, '{"a": "x", "a": "y"}'),
        (OBJECT, "{a: 1}"),
        ({"type": "integer"}, "01"),
        ({"type": "integer"}, "1.0"),
        ({"type": "integer"}, "+1"),
        ({"type": "integer"}, "-"),
        ({"type": "integer"}, ""),
        ({"type": "integer"}, "1 "),
        ({"type": "number"}, "1."),
        ({"type": "number"}, ".5"),
        ({"type": "number"}, "1e"),
        ({"type": "number"}, "NaN"),
        ({"type": "number"}, "00.5"),
        ({"type": "boolean"}, "True"),
        ({"type": "null"}, "None"),
        ({"const": "a.b"}, '"axb"'),
        ({"enum": ["a|b"]}, '"a'),
        ({"const": True}, "1"),
        ({"type": "array", "items": {"type": "integer"}}, "[1,]"),
        ({"type": "array", "items": {"type": "null"}}, "[null null]"),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 0}, "[1]"),
        ({"type": "object"}, '{"a": 1}'),
        ({"type": "string", "pattern": "a"}, '"ba"'),
        ({"anyOf": [{"const": 1}, {"const": 2}]}, "12"),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 2}, "[1, 2, 3]"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 1}, "[]"),
        ({"type": "string", "minLength": 2}, '"a"'),
        ({"type": "string", "maxLength": 2}, '"abc"'),
        ({"type": "object", "properties": {"d.e": {"type": "null"}}}, '{"dxe": null}'),
    ],
)
def test_what_is_not_of_the_schema(schema, text):
    assert not matches(schema, text)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (OBJECT, '{ "a":"x" }'),
        (OBJECT, '{"a": "\\u00e9\\n\\"\\\\"}'),
        ({"type": "object"}, "{}"),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 0}, "[]"),
        ({"type": "number"}, "-0.5e-3"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, "[1, 2, 3, 4]"),
        ({"type": "integer", "title": "Age", "description": "x", "default": 5, "examples": [1]}, "7"),
        ({"type": "string", "enum": ["a"]}, '"a"'),
        ({"type": "string", "pattern": "\\w[x-z]"}, '"ay"'),
        ({"type": "object", "additionalProperties": False}, "{}"),
        ({"const": {"a": [1, "é"]}}, '{"a": [1, "é"]}'),
        ({"type": ["array", "integer"], "items": {"type": "null"}}, "[null]"),
        ({"type": "string", "pattern": "a\\$"}, '"a$"'),
        ({"type": "string", "minLength": 2}, '"\\u00e9é"'),
        ({"type": "array", "items": {"enum": [1, 2]}}, "[1, 2, 1]"),
        ({"type": "array", "items": {"type": "boolean"}}, "[true, false]"),
        ({"type": "object", "properties": {'c"': {"type": "null"}}, "required": ['c"']}, '{"c\\"": null}'),
    ],
)
def test_what_is(schema, text):
    assert matches(schema, text)


def deep(levels, around=lambda schema: {"type": "array", "items": schema, "maxItems": 1}):
    schema = {"type": "null"}
    for _ in range(levels - 1):
        schema = around(schema)
    return schema


def in_an_object(schema):
    return {"type": "object", "properties": {"a": schema}, "required": ["a"]}


def in_any_of(schema):
    return {"anyOf": [schema]}


def test_as_deep_as_may_be():
    assert matches(deep(16, in_an_object), '{"a": ' * 15 + "null" + "}" * 15)
    assert matches(deep(16, in_any_of), "null")


def test_an_array_of_nothing_needs_no_items():
    assert matches({"type": "array", "maxItems": 0}, "[]")
    assert not matches({"type": "array", "maxItems": 0}, "[null]")


@pytest.mark.parametrize(
    ("pattern", "text"), [("a b", '"a b"'), ("[ -!]", '" "'), ("(a|b)c", '"bc"'), ("(?:ab)+", '"abab"')]
)
def test_patterns_of_plain_characters(pattern, text):
    assert matches({"type": "string", "pattern": pattern}, text)


@pytest.mark.parametrize(
    ("schema", "facts"),
    [
        (5, ()),
        (None, ()),
        ([], ()),
        ({}, ("type",)),
        ({"type": "text"}, ("text", "string")),
        ({"type": []}, ()),
        ({"type": 5}, ("5",)),
        ({"$ref": "#/x"}, ()),
        ({"type": "integer", "minimum": 3}, ("minimum",)),
        ({"type": "string", "format": "date"}, ("format",)),
        ({"type": "object", "patternProperties": {}}, ("patternProperties",)),
        ({"type": "array", "items": {"type": "null"}, "uniqueItems": True}, ("uniqueItems",)),
        ({"type": "array"}, ()),
        ({"type": "array", "items": [{"type": "null"}]}, ()),
        ({"allOf": [{"type": "null"}]}, ()),
        ({"oneOf": [{"type": "null"}]}, ()),
        ({"not": {}}, ()),
        ({"anyOf": []}, ("anyOf",)),
        ({"anyOf": {}}, ("anyOf",)),
        ({"anyOf": [{"type": "null"}], "minimum": 1}, ("minimum",)),
        ({"enum": []}, ("enum",)),
        ({"enum": "a"}, ("enum",)),
        ({"const": 1, "format": "x"}, ("format",)),
        ({"type": "string", "minLength": -1}, ("minLength", -1)),
        ({"type": "string", "maxLength": 1.5}, ("maxLength",)),
        ({"type": "string", "minLength": 3, "maxLength": 2}, ("minLength", 3, 2)),
        ({"type": "array", "items": {"type": "null"}, "minItems": True}, ("minItems",)),
        ({"type": "object", "properties": []}, ("properties",)),
        ({"type": "object", "required": ["a"]}, ("a",)),
        ({"type": "object", "required": "a"}, ("required",)),
        ({"type": "object", "required": [[]]}, ()),
        ({"type": "object", "additionalProperties": {"type": "null"}}, ("additionalProperties",)),
        ({"type": "string", "pattern": 5}, ("pattern",)),
        ({"type": "string", "pattern": "("}, ("(",)),
        ({"type": "string", "pattern": "a.b"}, ("a.b",)),
        ({"type": "string", "pattern": "[^a]"}, ("[^a]",)),
        ({"type": "string", "pattern": "\\s"}, ()),
        ({"type": "string", "pattern": "\\D"}, ()),
        ({"type": "string", "pattern": 'a"'}, ()),
        ({"type": "string", "pattern": "\\\\"}, ()),
        ({"type": "string", "pattern": "(a)\\1"}, ()),
        ({"type": "string", "pattern": "(?=a)"}, ()),
        ({"type": "string", "pattern": "[!-z]"}, ()),
        ({"type": "string", "pattern": "[[:^alpha:]]"}, ("[[:^alpha:]]",)),
        ({"type": "string", "pattern": "[[:punct:]]"}, ()),
        ({"type": "string", "pattern": "[A-z]"}, ()),
        ({"type": "string", "pattern": "(?:abc){e}"}, ()),
        ({"type": "string", "pattern": "a\\{b"}, ()),
        ({"type": "string", "pattern": "\n"}, ()),
        ({"type": "string", "pattern": "(?i:a)"}, ()),
        ({"type": "string", "pattern": "a", "maxLength": 2}, ("maxLength",)),
        ({"type": "string", "pattern": "a$b"}, ()),
        ({"type": "string", "pattern": '[^"]{1,3}|b'}, ()),
        (deep(17), (16,)),
        (deep(17, in_an_object), (16,)),
        (deep(17, in_any_of), (16,)),
        ({"type": "object", "properties": {"a": {"type": "null"}}, "required": "a"}, ()),
        ({"type": "string", "pattern": "[\x1f-!]"}, ()),
        ({"type": "string", "pattern": '["-#]'}, ()),
        ({"type": "string", "pattern": '[!-"]'}, ()),
        ({"type": "string", "pattern": "(.)"}, ()),
        ({"type": "string", "pattern": "(?-i:a)"}, ()),
        ({"enum": ["a" * LONGEST]}, (LONGEST,)),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_is_refused(schema, facts):
    with raises(ValueError, *facts):
        schema_to_regex(schema)


def test_the_deepest_that_is_known():
    assert matches(deep(16), "[" * 15 + "null" + "]" * 15)
