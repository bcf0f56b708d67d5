"""What a text must be: a choice, a regular expression or a JSON schema, from whichever field asks for it."""

import re
from typing import Any

from phase10_deployment.project28_serving.given.errors import ApiError
from phase10_deployment.project28_serving.given.fields import Fields
from phase10_deployment.project28_serving.given.regex_size import check_regex
from phase10_deployment.project28_serving.json_schema import ANY_OBJECT, schema_to_regex

FORMS = ("text", "json_object", "json_schema")
MOST_CHOICES = 256


def guide_of(fields: Fields, lead: str) -> tuple[tuple[str, ...] | None, str | None]:
    """The choices and the regular expression that the engine is given, one of them at most; None for what there is not.

    `response_format` is {"type": "text"}, "json_object" or "json_schema"; vLLM's `guided_choice`, `guided_regex` and
    `guided_json` are taken too. `lead`, where the template has one, may come before the match. Raises ApiError for
    more than one guide, for what is no guide, and for one that explodes.
    """
    format = fields.object("response_format")
    named = [name for name in ("guided_choice", "guided_regex", "guided_json") if fields.has(name)]
    kind = format.text("type", "text") if fields.has("response_format") else "text"
    if kind not in FORMS:
        raise ApiError(
            f"response_format.type must be one of {', '.join(FORMS)}, not {kind[:40]!r}", "response_format"
        )
    if len(named) + (kind != "text") > 1:
        raise ApiError(
            f"one guide at most: {', '.join([*named, 'response_format'])} exclude each other", named[0]
        )
    regex = None
    if kind == "json_object":
        regex = ANY_OBJECT
    elif kind == "json_schema":
        regex = _of_schema(
            format.object("json_schema").content.get("schema"), "response_format.json_schema.schema"
        )
    elif named == ["guided_json"]:
        regex = _of_schema(fields.content["guided_json"], "guided_json")
    elif named == ["guided_regex"]:
        regex = fields.text("guided_regex", longest=2000)
        _check(regex, "guided_regex")
    elif named == ["guided_choice"]:
        choices = fields.texts("guided_choice", MOST_CHOICES, 200)
        if not choices:
            raise ApiError("guided_choice must have a text or more", "guided_choice")
        if not lead:
            return choices, None
        regex = "|".join(re.escape(choice) for choice in choices)
    if regex is None:
        return None, None
    return None, f"{re.escape(lead)}?(?:{regex})" if lead else regex


def _of_schema(schema: Any, param: str) -> str:
    try:
        regex = schema_to_regex(schema)
    except ValueError as problem:
        raise ApiError(f"{param}: {problem}", param) from None
    _check(regex, param)
    return regex


def _check(regex: str, param: str) -> None:
    try:
        check_regex(regex)
    except ValueError as problem:
        raise ApiError(f"{param}: {problem}", param) from None
