"""Looks at functions in Python source without importing it: what is defined, what is a stub, what changed."""

import ast
import hashlib
import io
import re
import tokenize
from collections import Counter
from pathlib import Path

# Python lets a page begin at a definition: a form feed counts for nothing there.
DEFINITION = re.compile(r"^\f?(?P<indent> {0,4})(?:async )?(?P<kind>def|class) (?P<name>\w+)", re.MULTILINE)
COOKIE = re.compile(r"^([ \t\f]*#.*?coding[:=][ \t]*)[-\w.]+")

STUB = re.compile(r"project (\d+), task (\d+): (\S+)")
"""how the message of a stub's NotImplementedError begins"""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def read_source(file: Path) -> str:
    """A learner's file as Python reads it. Raises SyntaxError for bytes that are no text, OSError for no file."""
    return decode_source(file.read_bytes())


def decode_source(data: bytes) -> str:
    """The text of a Python file: a byte-order mark and a `# coding:` line count, and lines end with `\\n`.

    The text is meant to be written as UTF-8, so its `# coding:` line, where it has one, says that.
    Raises SyntaxError for an encoding that Python does not know, and for bytes that are none of it.
    """
    try:
        encoding, first = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = io.TextIOWrapper(io.BytesIO(data), encoding).read()
    except (UnicodeError, LookupError) as error:
        raise SyntaxError(f"it is not text: {error}") from None
    if not any(COOKIE.match(line.decode("latin-1")) for line in first):
        return text
    lines = text.split("\n", 2)
    return "\n".join([COOKIE.sub(r"\1utf-8", line) for line in lines[:2]] + lines[2:])


def lines_of(text: str) -> list[str]:
    """The lines as Python counts them: str.splitlines also ends one at a form feed or U+2028."""
    return text.split("\n")


def definitions(text: str) -> Counter[str]:
    """Functions and methods that a source defines, as `name` or `Class.name`, and how often each.

    Reads lines, not syntax: every command does this for every project, and parsing would cost more than all
    the rest.
    """
    found: Counter[str] = Counter()
    owner = ""
    for match in DEFINITION.finditer(text):
        indented, is_class = bool(match["indent"]), match["kind"] == "class"
        if not indented:
            owner = match["name"] if is_class else ""
        if not is_class and (owner or not indented):
            found[f"{owner}.{match['name']}" if indented else match["name"]] += 1
    return found


def function(text: str, name: str) -> Function | None:
    """The syntax tree of function `name` (or `Class.name`), None where it is not defined.

    Raises SyntaxError when the source does not parse.
    """
    *owners, last = name.split(".")
    body = ast.parse(text).body
    for owner in owners:
        body = next((node.body for node in body if isinstance(node, ast.ClassDef) and node.name == owner), [])
    # The last definition is the one Python keeps.
    return next((node for node in reversed(body) if isinstance(node, Function) and node.name == last), None)


def is_stub(node: Function) -> bool:
    """Whether the function does nothing but raise NotImplementedError."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    if len(body) != 1 or not isinstance(body[0], ast.Raise) or body[0].exc is None:
        return False
    return ast.unparse(body[0].exc).startswith("NotImplementedError")


def fingerprint(node: Function) -> str:
    """A short hash of the code. Comments, layout and the docstring do not count."""
    code = ast.parse(ast.unparse(node)).body[0]
    assert isinstance(code, Function)
    if ast.get_docstring(code) is not None and len(code.body) > 1:
        code.body = code.body[1:]
    return hashlib.sha256(ast.unparse(code).encode()).hexdigest()[:16]


def signature(node: Function) -> str:
    """Decorators, name, arguments, return type and docstring: what a stub shares with its reference."""
    decorators = [f"@{ast.unparse(decorator)}" for decorator in node.decorator_list]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    head = f"def {node.name}({ast.unparse(node.args)}){returns}:"
    return "\n".join([*decorators, head, ast.get_docstring(node) or ""])
