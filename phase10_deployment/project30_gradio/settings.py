"""From the controls of the page to the fields of a request: only what was changed, and nothing out of range.

What is not sent, the server decides: its own default, which may be another one tomorrow. So a control that stands where
the server would stand is left out. And a value that the server would refuse is refused here, with the control's name as
the page shows it, for a person cannot know that "repetition_penalty" is the third slider.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from phase10_deployment.project30_gradio.given.controls import CONTROLS, Control


def as_value(control: Control, value: Any) -> Any:
    """The value of a control as a request has it, or None where there is nothing to send.

    Nothing to send: None, a text that is empty or all white space, and what equals the control's default.

        number   an int or a float from low to high, as a float
        whole    the same, and whole: 5.0 is 5, as an int (servers refuse "top_k": 5.0)
        text     a text of at most `high` characters, as it is
        lines    a text: its lines, those without anything but white space left out, each with the two characters \\n
                 turned into a line end, \\t into a tab and \\\\ into one backslash (any other backslash stays). At
                 most `high` of them. White space at a line's ends stays: it may be meant

    Raises ValueError, naming the control's label, what came, and what is allowed (low and high, or the most), for a
    value of another kind (a bool is no number; NaN and infinity are none either) and for one out of range.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if control.kind in ("number", "whole"):
        said = f"{control.label} is from {control.low:g} to {control.high:g}, not {value!r}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(said)
        if not math.isfinite(value) or not control.low <= value <= control.high:
            raise ValueError(said)
        if control.kind == "whole" and value != int(value):
            raise ValueError(f"{control.label} is a whole number, not {value!r}")
        value = int(value) if control.kind == "whole" else float(value)
        return None if value == control.default else value
    if not isinstance(value, str):
        raise ValueError(f"{control.label} is a text, not {value!r}")
    if control.kind == "text":
        if len(value) > control.high:
            raise ValueError(f"{control.label} has at most {control.high:g} characters, not {len(value)}")
        return None if value == control.default else value
    lines = [_unescaped(line) for line in value.split("\n") if line.strip()]
    if len(lines) > control.high:
        raise ValueError(f"{control.label}: at most {control.high:g}, not {len(lines)}")
    return lines


def _unescaped(line: str) -> str:
    """The line with \\n, \\t and \\\\ as the characters that they stand for."""
    known = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}
    found, rest = "", line
    while rest:
        length = 2 if rest[:2] in known else 1
        found += known.get(rest[:length], rest[:length])
        rest = rest[length:]
    return found


def request_fields(values: Mapping[str, Any], controls: Sequence[Control] = CONTROLS) -> dict[str, Any]:
    """The named arguments of the client's `create` for these values, by the names of the controls.

    Controls that `values` does not name are as their default. What there is to send (`as_value`) stands under its name;
    what has `extra`, in a mapping under "extra_body", which is only there if something is in it: the client raises
    TypeError for an argument that OpenAI does not know.

    Raises ValueError as `as_value` does, and for a name that no control has, naming it and those there are.
    """
    known = {control.name: control for control in controls}
    if unknown := [name for name in values if name not in known]:
        raise ValueError(f"there is no control {unknown[0]!r}; there are {', '.join(known)}")
    plain, extra = {}, {}
    for name, control in known.items():
        value = as_value(control, values.get(name))
        if value is not None:
            (extra if control.extra else plain)[name] = value
    return {**plain, "extra_body": extra} if extra else plain
