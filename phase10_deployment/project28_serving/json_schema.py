"""A JSON schema as a regular expression, so that the engine's guide can hold a model to it.

    {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    \\{ ?"age": ?(?:-?(?:0|[1-9][0-9]{0,17})) ?\\}

What it matches is JSON of the schema, with its keys in the schema's order and a space at most where JSON allows one. It
need not match all such JSON: a guide that leaves out some ways to write a value is fine, one that lets something pass
that is not of the schema is not. So what is not known here is refused by name, never overlooked. (Willard & Louf 2023,
Outlines, arXiv:2307.09702.)
"""

import json
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST, DEEPEST = 20_000, 16
REMARKS = frozenset(
    ("title", "description", "default", "examples", "$schema", "$id", "$comment", "deprecated")
)
"""what says nothing of the value"""

CHARACTER = r'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u(?:[0-9a-ce-f][0-9a-f]{3}|d[0-7][0-9a-f]{2}))'
"""one of a JSON string; half a surrogate pair is none"""
INTEGER = r"-?(?:0|[1-9][0-9]{0,17})"
NUMBER = INTEGER + r"(?:\.[0-9]{1,17})?(?:[eE][+-]?[0-9]{1,2})?"
_scalar = f'"{CHARACTER}*"|{NUMBER}|true|false|null'
_flat = rf"(?:{_scalar}|\[ ?(?:(?:{_scalar})(?:, ?(?:{_scalar}))*)? ?\])"
ANY_OBJECT = rf'\{{ ?(?:"{CHARACTER}*": ?{_flat}(?:, ?"{CHARACTER}*": ?{_flat})*)? ?\}}'
"""an object of plain values and arrays of these: what "json_object" asks for, without a schema"""

KEYWORDS: dict[str, frozenset[str]] = {
    "object": frozenset(("properties", "required", "additionalProperties")),
    "array": frozenset(("items", "minItems", "maxItems")),
    "string": frozenset(("minLength", "maxLength", "pattern")),
    "number": frozenset(),
    "integer": frozenset(),
    "boolean": frozenset(),
    "null": frozenset(),
}
"""what is known of each type, besides "type" itself"""


def schema_to_regex(schema: Any) -> str:
    """A regular expression that matches JSON of this schema, and nothing else, in the form that `json.dumps` writes.

    After a colon and a comma, and inside of brackets that are not empty, one space may stand or not. By the schema:

    - "enum" and "const": these values (`literal`), whatever their type says besides;
    - "anyOf": one of the schemas in it; and "type" as a list: one of the types;
    - "object": its "properties" in their order, "required" ones always, others or not (`members`). Nothing else is
      written, so "additionalProperties" may be absent, true or false;
    - "array": "items", from "minItems" (0) to "maxItems" (any number) of them, separated by commas;
    - "string": CHARACTERs, from "minLength" (0) to "maxLength" (any number) of them; or a "pattern" (`string_pattern`);
    - "number", "integer": NUMBER and INTEGER; "boolean"; "null".

    REMARKS are ignored. Raises ValueError, naming it, for a keyword that is not in KEYWORDS of the type, so for "$ref",
    "minimum", "format" and the like; for a schema that is no object, has none of "type", "enum", "const", "anyOf", or
    an unknown type; for numbers that are no whole numbers of 0 or more, or a minimum above its maximum; for required
    names that are no properties; and for more than DEEPEST schemas in each other or a result of more than LONGEST
    characters, naming that number.
    """
    return _convert(schema, 1)


def _convert(schema: Any, depth: int) -> str:
    """As schema_to_regex, of a schema that lies so deep in others. What is too long is found where it becomes it: an
    array has its items' expression twice, and sixteen of them in each other would have it 65,536 times.
    """
    return _bounded(expression(schema, depth))


def _bounded(found: str) -> str:
    if len(found) > LONGEST:
        raise ValueError(f"the schema's regular expression has more than {LONGEST} characters")
    return found


def expression(schema: Any, depth: int) -> str:
    """What `schema_to_regex` says, of a schema that lies in depth - 1 others; what is inside of it by `_convert`.

    Of a "type" that is a list, each type gets those of the keywords that are its own (`_those_of`). An alternative of
    several stands in (?: ) with the others (`_either`), so that nothing around it becomes part of one of them. Beside
    "enum" or "const" only "type" may stand, beside "anyOf" nothing (`_only`). Errors name enum, anyOf and type where
    these are wrong, and the type that came.
    """
    if depth > DEEPEST:
        raise ValueError(f"the schema has more than {DEEPEST} schemas in each other")
    if not isinstance(schema, Mapping):
        raise ValueError(f"a schema is an object, not {type(schema).__name__}")
    words = {name: value for name, value in schema.items() if name not in REMARKS}
    if "const" in words or "enum" in words:
        _only(words, frozenset(("const", "enum", "type")), "enum")
        values = words["enum"] if "enum" in words else [words["const"]]
        if not isinstance(values, list) or not values:
            raise ValueError("enum is a list of at least one value")
        return _either([literal(value) for value in values])
    if "anyOf" in words:
        _only(words, frozenset(("anyOf",)), "anyOf")
        if not isinstance(words["anyOf"], list) or not words["anyOf"]:
            raise ValueError("anyOf is a list of at least one schema")
        return _either([_convert(one, depth + 1) for one in words["anyOf"]])
    kind = words.pop("type", None)
    if isinstance(kind, list) and kind:
        return _either([_convert({**_those_of(words, one), "type": one}, depth) for one in kind])
    if not isinstance(kind, str) or kind not in KEYWORDS:
        raise ValueError(
            f"a schema has a type of {', '.join(KEYWORDS)}, an enum, a const or anyOf; type is {kind!r}"
        )
    _only(words, KEYWORDS[kind], kind)
    if kind == "object":
        return object_regex(words, depth)
    if kind == "array":
        return array_regex(words, depth)
    if kind == "string":
        return string_regex(words)
    return {"number": NUMBER, "integer": INTEGER, "boolean": "(?:true|false)", "null": "null"}[kind]


def _those_of(words: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    """Of several types' keywords those of one; what belongs to none of them stays, and is refused."""
    others = frozenset().union(*KEYWORDS.values()) - KEYWORDS.get(str(kind), frozenset())
    return {name: value for name, value in words.items() if name not in others}


def _only(words: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    if unknown := [name for name in words if name not in known]:
        raise ValueError(
            f"{unknown[0]!r} of {where} is not known here; known are {', '.join(sorted(known)) or 'none'}"
        )


def _either(ways: Sequence[str]) -> str:
    return "(?:" + "|".join(ways) + ")"


def literal(value: Any) -> str:
    """An expression that matches this value alone, as `json.dumps` writes it, without escapes for what is not ASCII."""
    return re.escape(json.dumps(value, ensure_ascii=False))


def members(properties: Mapping[str, str], required: Sequence[str]) -> str:
    """What stands between the braces of an object: "key": value, by commas, in the order of `properties`.

    `properties` are the expressions of the values. A required one is always there, any of the others or not: {"a", "b"}
    with b required are `"a": 1, "b": 2` and `"b": 2`. There is no comma before the first or after the last, whichever
    these are. "" matches only where none is required.
    """
    pairs = [(f"{literal(name)}: ?{value}", name in required) for name, value in properties.items()]

    def behind(place: int) -> str:
        """What may follow once a property has been written, from this one on."""
        return "".join(f", ?{pair}" if needed else f"(?:, ?{pair})?" for pair, needed in pairs[place:])

    ways: list[str] = []
    for place, (pair, needed) in enumerate(pairs):  # the first that is written is this one
        ways.append(pair + behind(place + 1))
        _bounded("|".join(ways))
        if needed:
            return _either(ways)
    return _either(ways) + "?" if ways else ""


def object_regex(words: Mapping[str, Any], depth: int) -> str:
    """An object with these keywords: braces around its `members`, a space or none inside of each; {} may have one.

    Errors name properties, required or additionalProperties, and what came.
    """
    properties, required = words.get("properties", {}), words.get("required", [])
    if not isinstance(properties, Mapping):
        raise ValueError(f"properties is an object, not {type(properties).__name__}")
    if not isinstance(required, list):
        raise ValueError(f"required is a list of properties, not {required!r}")
    if lost := [name for name in required if not isinstance(name, str) or name not in properties]:
        raise ValueError(f"required names properties, and {lost[0]!r} is none")
    if not isinstance(words.get("additionalProperties", False), bool):
        raise ValueError("additionalProperties is true or false here, not a schema")
    inside = members({name: _convert(one, depth + 1) for name, one in properties.items()}, required)
    return rf"\{{ ?{inside} ?\}}" if inside else r"\{ ?\}"


def _counts(words: Mapping[str, Any], least: str, most: str) -> tuple[int, int | None]:
    low, high = words.get(least, 0), words.get(most)
    for name, value in ((least, low), (most, high)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise ValueError(f"{name} is a whole number, 0 or more, not {value!r}")
    if high is not None and high < low:
        raise ValueError(f"{least} is {low}, and {most} only {high}")
    return low, high


def array_regex(words: Mapping[str, Any], depth: int) -> str:
    """An array with these keywords: brackets around its items, a space or none inside of each; [] may have one.

    "items" must be there, but with "maxItems" 0. Where there is one at most, its expression stands there once.
    """
    low, high = _counts(words, "minItems", "maxItems")
    if high == 0:
        return r"\[ ?\]"
    item = f"(?:{_convert(words.get('items'), depth + 1)})"
    times = f"{{{max(0, low - 1)},{'' if high is None else high - 1}}}"
    rest = f"(?:, ?{item}){times}" if high != 1 else ""
    return rf"\[ ?{item}{rest} ?\]" if low else rf"\[ ?(?:{item}{rest})? ?\]"


def string_regex(words: Mapping[str, Any]) -> str:
    """A string with these keywords, in quotes: so many CHARACTERs, or its `string_pattern`.

    A pattern together with minLength or maxLength is refused, naming them.
    """
    if "pattern" not in words:
        low, high = _counts(words, "minLength", "maxLength")
        times = "*" if not low and high is None else f"{{{low},{'' if high is None else high}}}"
        return f'"{CHARACTER}{times}"'
    if len(words) > 1:
        raise ValueError("pattern together with minLength or maxLength is not known here")
    return f'"(?:{string_pattern(words["pattern"])})"'


def string_pattern(pattern: Any) -> str:
    """A string's "pattern" as an expression for all of the string, without its ^ at the beginning and $ at the end.

    Raises ValueError, naming it, for what is no text; for what Python's `re` cannot read; and for what could match a
    character that JSON writes with a backslash, or hides what it matches: allowed are characters, sets of them that are
    not negated, \\d and \\w, groups, | and repetitions; a dot, [^a], \\s, \\D, look-arounds, references to groups, a
    quote and a backslash are not. Nor is a [ or a { as a character, behind a backslash or not: the engine's `regex`
    takes [[:^alpha:]] for a class, and (?:abc){e} for all texts that are nearly abc, where `re` sees characters.
    """
    if not isinstance(pattern, str):
        raise ValueError(f"pattern is a text, not {type(pattern).__name__}")
    inside = pattern.removeprefix("^")
    if inside.endswith("$") and not inside.endswith("\\$"):
        inside = inside[:-1]
    try:
        with warnings.catch_warnings(action="ignore"):  # of what is refused below
            fine = plain(re._parser.parse(inside))  # type: ignore[attr-defined]
    except (re.error, OverflowError, RecursionError) as problem:
        raise ValueError(f"the pattern {pattern[:60]!r} is no regular expression: {problem}") from None
    if not fine:
        raise ValueError(f"the pattern {pattern[:60]!r} may match what JSON writes with a backslash")
    return inside


def plain(parsed: Any) -> bool:
    """Whether all of an expression, as `re._parser.parse` gives it, is of characters that JSON writes as they are.

    What that is, and what else is allowed, `string_pattern` says. Flags inside of a group are not: they change what its
    characters stand for.
    """
    for operation, value in parsed:
        name = str(operation)
        if name == "LITERAL":
            fine = value >= 0x20 and chr(value) not in '"\\[{'
        elif name == "RANGE":
            fine = value[0] >= 0x20 and not any(value[0] <= ord(odd) <= value[1] for odd in '"\\[')
        elif name == "CATEGORY":
            fine = str(value) in ("CATEGORY_DIGIT", "CATEGORY_WORD")
        elif name == "IN":
            fine = plain(value)
        elif name in ("MAX_REPEAT", "MIN_REPEAT"):
            fine = plain(value[2])
        elif name == "BRANCH":
            fine = all(plain(one) for one in value[1])
        elif name == "SUBPATTERN":
            fine = not value[1] and not value[2] and plain(value[3])  # no flags inside
        else:
            fine = False
        if not fine:
            return False
    return True
