"""The reference with its errors in other words: a test that fails on it asks a learner for a wording."""

import ast
import re
from collections.abc import Iterable, Iterator

import libcst as cst

from shared.ladder.source import function
from shared.ladder.stubs import change_functions

WORD = re.compile(r"[\w.]*\w")


def reworded(text: str, names: Iterable[str]) -> str:
    """The source with the message of each `raise` in the functions `names` turned round.

    The values in it stay, the last one first. Of its words stay those that a learner can know to be asked for: in the
    function's docstring or signature, or with a digit or an underscore in them.
    """
    wanted = set(names)
    known = {name: _known(text, name) for name in wanted}
    return change_functions(
        text, wanted, lambda name, node: cst.ensure_type(node.visit(_Raises(known[name])), cst.FunctionDef)
    )


def _known(text: str, name: str) -> set[str]:
    node = function(text, name)
    assert node is not None
    said = f"{ast.get_docstring(node) or ''} {ast.unparse(node.args)}"
    return set(WORD.findall(said))


class _Raises(cst.CSTTransformer):
    def __init__(self, known: set[str]) -> None:
        super().__init__()
        self.known = known

    def leave_Raise(self, original_node: cst.Raise, updated_node: cst.Raise) -> cst.Raise:  # noqa: N802 (libcst's name)
        error = updated_node.exc
        if not isinstance(error, cst.Call):
            return updated_node
        arguments = [argument.with_changes(value=self._turned(argument.value)) for argument in error.args]
        return updated_node.with_changes(exc=error.with_changes(args=arguments))

    def _turned(self, message: cst.BaseExpression) -> cst.BaseExpression:
        strings = list(_strings(message))
        if not strings:
            return message
        parts = [part for string in strings for part in self._parts(string)]
        code = " ".join(reversed(parts)) or '""'
        return cst.parse_expression(f"({code})")

    def _parts(self, string: cst.SimpleString | cst.FormattedString) -> Iterator[str]:
        """Each value and each known word of a string, as a string of its own."""
        if isinstance(string, cst.SimpleString):
            yield from self._words(str(string.evaluated_value))
            return
        for part in string.parts:
            if isinstance(part, cst.FormattedStringText):
                yield from self._words(part.value)
            else:
                yield cst.Module([]).code_for_node(
                    cst.FormattedString(
                        [part, cst.FormattedStringText(" ")], start=string.start, end=string.end
                    )
                )

    def _words(self, text: str) -> Iterator[str]:
        for word in WORD.findall(text):
            if word in self.known or "_" in word or any(map(str.isdigit, word)):
                yield f'"{word} "'


def _strings(message: cst.BaseExpression) -> Iterator[cst.SimpleString | cst.FormattedString]:
    """The strings that a message is put together of, none where it is something else."""
    if isinstance(message, cst.ConcatenatedString):
        yield from _strings(message.left)
        yield from _strings(message.right)
    elif isinstance(message, cst.SimpleString | cst.FormattedString):
        yield message
