"""Systematic mistakes: every small change of a function that the usual operators of mutation testing make.

What is left alone, as no test is to ask for it: annotations, docstrings, texts, the words of an error, and asserts,
which here tell the type checker what it cannot see.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider

from shared.ladder.mutants import ARROW
from shared.ladder.statements import can_matter

COMPARISONS: dict[type[cst.BaseCompOp], cst.BaseCompOp] = {
    cst.LessThan: cst.LessThanEqual(),
    cst.LessThanEqual: cst.LessThan(),
    cst.GreaterThan: cst.GreaterThanEqual(),
    cst.GreaterThanEqual: cst.GreaterThan(),
    cst.Equal: cst.NotEqual(),
    cst.NotEqual: cst.Equal(),
    cst.In: cst.NotIn(),
    cst.NotIn: cst.In(),
    cst.Is: cst.IsNot(),
    cst.IsNot: cst.Is(),
}
OPPOSITES = (cst.Equal, cst.NotEqual, cst.In, cst.NotIn, cst.Is, cst.IsNot)
OPERATORS: dict[type[cst.BaseBinaryOp], cst.BaseBinaryOp] = {
    cst.Add: cst.Subtract(),
    cst.Subtract: cst.Add(),
    cst.Multiply: cst.Divide(),
    cst.Divide: cst.Multiply(),
    cst.FloorDivide: cst.Divide(),
    cst.Modulo: cst.FloorDivide(),
    cst.Power: cst.Multiply(),
    cst.BitAnd: cst.BitOr(),
    cst.BitOr: cst.BitAnd(),
    cst.BitXor: cst.BitAnd(),
    cst.LeftShift: cst.RightShift(),
    cst.RightShift: cst.LeftShift(),
}
ASSIGNING: dict[type[cst.BaseAugOp], cst.BaseAugOp] = {
    cst.AddAssign: cst.SubtractAssign(),
    cst.SubtractAssign: cst.AddAssign(),
    cst.MultiplyAssign: cst.DivideAssign(),
    cst.DivideAssign: cst.MultiplyAssign(),
    cst.BitAndAssign: cst.BitOrAssign(),
    cst.BitOrAssign: cst.BitAndAssign(),
}
SYMMETRIC = (
    "transpose",
    "swapaxes",
    "min",
    "max",
    "minimum",
    "maximum",
    "equal",
    "isclose",
    "gcd",
    "logaddexp",
)
"""functions whose first two arguments may change places"""
ATOMS = (cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.BaseNumber, cst.List, cst.Tuple, cst.Dict)


@dataclass(frozen=True)
class Mutation:
    """One small change: `text` is the whole file with it, `change` the lines as `before => after`."""

    function: str
    operator: str
    change: str
    text: str


def mutations(text: str, functions: Iterable[str]) -> list[Mutation]:
    """Every change of the functions (`name` or `Class.name`) that the operators make, each text once.

    Raises KeyError naming a function that the source does not define.
    """
    wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
    positions = wrapper.resolve(PositionProvider)
    nodes = dict(_functions(wrapper.module.body))
    found: dict[str, Mutation] = {}
    for name in functions:
        editor = _Editor(text, positions)
        # Its decorators and arguments, with their defaults, stand in the stub as well.
        nodes[name].body.visit(editor)
        for operator, changed, shown in editor.changes:
            if changed != text and _compiles(changed):
                found.setdefault(changed, Mutation(name, operator, shown or _shown(text, changed), changed))
    return list(found.values())


def kernels(text: str) -> set[str]:
    """The functions that Triton compiles, from the text of their file: a change in memory does not reach them."""
    return {
        name
        for name, node in _functions(cst.parse_module(text).body)
        if any(
            cst.Module([]).code_for_node(one.decorator).startswith("triton.jit") for one in node.decorators
        )
    }


def _functions(body: Sequence[cst.CSTNode], owner: str = "") -> Iterator[tuple[str, cst.FunctionDef]]:
    for node in body:
        if isinstance(node, cst.FunctionDef):
            yield owner + node.name.value, node
        elif isinstance(node, cst.ClassDef):
            yield from _functions(node.body.body, f"{owner}{node.name.value}.")


def _compiles(text: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):  # 3[x] is one
            compile(text, "<mutation>", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def _shown(before: str, after: str) -> str:
    old, new = before.splitlines(), after.splitlines()
    parts = [
        (" ".join(map(str.strip, old[a:b])), " ".join(map(str.strip, new[c:d])))
        for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        if tag != "equal"
    ]
    return f"{' … '.join(a for a, _ in parts)}{ARROW}{' … '.join(b for _, b in parts)}"


class _Editor(cst.CSTVisitor):
    """Gathers a function's changes as whole texts, each the old one with one node's characters replaced."""

    def __init__(self, text: str, positions: object) -> None:
        super().__init__()
        self.text, self.positions = text, positions
        self.starts = [0]
        for line in text.split("\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.changes: list[tuple[str, str, str]] = []
        """operator, text, and how to show it where the lines do not"""

    # ---- editing

    def _span(self, node: cst.CSTNode) -> tuple[int, int]:
        place: CodeRange = self.positions[node]  # type: ignore[index]
        return (
            self.starts[place.start.line - 1] + place.start.column,
            self.starts[place.end.line - 1] + place.end.column,
        )

    def _source(self, node: cst.CSTNode) -> str:
        start, end = self._span(node)
        return self.text[start:end]

    def _put(self, operator: str, node: cst.CSTNode, new: cst.CSTNode | str) -> None:
        start, end = self._span(node)
        if not isinstance(new, str):
            new = cst.Module([]).code_for_node(_bare(new))
        self.changes.append((operator, self.text[:start] + new + self.text[end:], ""))

    def _put_expression(self, operator: str, node: cst.CSTNode, new: cst.BaseExpression) -> None:
        """The source of `new`, a part of `node`, in its place; in brackets where something might bind tighter."""
        source = self._source(new)
        self._put(operator, node, source if isinstance(new, ATOMS) else f"({source})")

    # ---- what is left alone

    def visit_Annotation(self, node: cst.Annotation) -> bool:  # noqa: N802 (libcst's names)
        return False

    def visit_Raise(self, node: cst.Raise) -> bool:  # noqa: N802
        return False

    def visit_Assert(self, node: cst.Assert) -> bool:  # noqa: N802
        return False

    def visit_Arg(self, node: cst.Arg) -> bool:  # noqa: N802
        return not _is_strict(node)

    def visit_FormattedString(self, node: cst.FormattedString) -> bool:  # noqa: N802
        return False

    # ---- operators and constants

    def visit_ComparisonTarget(self, node: cst.ComparisonTarget) -> None:  # noqa: N802
        if new := COMPARISONS.get(type(node.operator)):
            operator = new.with_changes(
                **{name: value for name, value in _blanks(node.operator).items() if hasattr(new, name)}
            )
            self._put("comparison", node, node.with_changes(operator=operator))

    def visit_BinaryOperation(self, node: cst.BinaryOperation) -> None:  # noqa: N802
        if new := OPERATORS.get(type(node.operator)):
            operator = new.with_changes(**_blanks(node.operator))
            self._put("operator", node, node.with_changes(operator=operator))

    def visit_AugAssign(self, node: cst.AugAssign) -> None:  # noqa: N802
        if new := ASSIGNING.get(type(node.operator)):
            self._put("operator", node, node.with_changes(operator=new))

    def visit_BooleanOperation(self, node: cst.BooleanOperation) -> None:  # noqa: N802
        new = cst.Or() if isinstance(node.operator, cst.And) else cst.And()
        self._put("operator", node, node.with_changes(operator=new.with_changes(**_blanks(node.operator))))

    def visit_UnaryOperation(self, node: cst.UnaryOperation) -> None:  # noqa: N802
        self._put_expression("operator", node, node.expression)

    def visit_Integer(self, node: cst.Integer) -> None:  # noqa: N802
        self._put("constant", node, str(node.evaluated_value + 1))

    def visit_Float(self, node: cst.Float) -> None:  # noqa: N802
        value = float(node.evaluated_value)
        self._put("constant", node, repr(value * 2 if value else 1.0))

    def visit_Name(self, node: cst.Name) -> None:  # noqa: N802
        if node.value in ("True", "False"):
            self._put("constant", node, "False" if node.value == "True" else "True")

    # ---- calls

    def visit_Call(self, node: cst.Call) -> None:  # noqa: N802
        arguments = node.args
        for i, argument in enumerate(arguments):
            if not _is_strict(argument) and (argument.keyword or argument.star or i == len(arguments) - 1):
                self._arguments("argument dropped", node, [*arguments[:i], *arguments[i + 1 :]])
        name = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
        symmetric = isinstance(name, cst.Name) and name.value in SYMMETRIC
        for i, (a, b) in enumerate(pairwise(arguments)):
            if not (symmetric or a.keyword or b.keyword or a.star or b.star):
                self._arguments("arguments swapped", node, [*arguments[:i], b, a, *arguments[i + 2 :]])
        if len(arguments) == 1 and not arguments[0].star:
            self._put_expression("call dropped", node, arguments[0].value)
        if isinstance(node.func, cst.Attribute):
            self._put_expression("call dropped", node, node.func.value)

    def _arguments(self, operator: str, node: cst.Call, arguments: Sequence[cst.Arg]) -> None:
        sources = [self._source(argument).rstrip().removesuffix(",") for argument in arguments]
        function = self._source(node.func)
        self._put(operator, node, f"{function}({', '.join(sources)})")

    # ---- conditions and slices

    def visit_If(self, node: cst.If) -> None:  # noqa: N802
        self._negate(node.test)

    def visit_While(self, node: cst.While) -> None:  # noqa: N802
        self._negate(node.test)

    def visit_IfExp(self, node: cst.IfExp) -> None:  # noqa: N802
        self._negate(node.test)

    def visit_CompIf(self, node: cst.CompIf) -> None:  # noqa: N802
        self._negate(node.test)

    def _negate(self, test: cst.BaseExpression) -> None:
        operators = [part.operator for part in test.comparisons] if isinstance(test, cst.Comparison) else []
        if len(operators) == 1 and isinstance(operators[0], OPPOSITES):
            return  # the opposite comparison is the same change
        if not isinstance(test, cst.UnaryOperation):
            self._put("condition negated", test, f"not ({self._source(test)})")

    def visit_Slice(self, node: cst.Slice) -> None:  # noqa: N802
        lower = self._source(node.lower) if node.lower else ""
        upper = self._source(node.upper) if node.upper else ""
        step = f":{self._source(node.step)}" if node.step else ""
        if not lower and not upper and step == ":-1":
            return
        self._put("slice moved", node, f"{_plus_one(lower)}:{upper}{step}")
        self._put("slice moved", node, f"{lower}:{_plus_one(upper) if upper else '-1'}{step}")

    # ---- statements

    def visit_With(self, node: cst.With) -> None:  # noqa: N802
        start, _ = self._span(node)
        _, end = self._span(node.items[-1])
        if all(item.asname is None for item in node.items):
            closing = self.text.index(":\n", end) if ":\n" in self.text[end:] else end
            self.changes.append(("context dropped", f"{self.text[:start]}if True{self.text[closing:]}", ""))

    def visit_IndentedBlock(self, node: cst.IndentedBlock) -> None:  # noqa: N802
        for statement in node.body:
            if isinstance(statement, cst.SimpleStatementLine) and not _is_left_alone(statement):
                self._put("statement deleted", statement, "pass")
        for a, b in pairwise(node.body):
            if all(isinstance(one, cst.SimpleStatementLine) and not _is_left_alone(one) for one in (a, b)):
                self._swap(a, b)

    def _swap(self, a: cst.BaseStatement, b: cst.BaseStatement) -> None:
        if not can_matter(a, b):
            return
        (a_start, a_end), (b_start, b_end) = self._span(a), self._span(b)
        between = self.text[a_end:b_start]
        parts = (self.text[:a_start], self._source(b), between, self._source(a), self.text[b_end:])
        one, two = (" ".join(self._source(part).split()) for part in (a, b))
        self.changes.append(("statements swapped", "".join(parts), f"{one}; {two}{ARROW}{two}; {one}"))


def _is_strict(argument: cst.Arg) -> bool:
    """zip's `strict` is an assert."""
    return argument.keyword is not None and argument.keyword.value == "strict"


def _blanks(operator: cst.CSTNode) -> dict[str, object]:
    names = ("whitespace_before", "whitespace_after")
    return {name: getattr(operator, name) for name in names if hasattr(operator, name)}


def _bare(node: cst.CSTNode) -> cst.CSTNode:
    return node.with_changes(lpar=(), rpar=()) if hasattr(node, "lpar") else node


def _plus_one(source: str) -> str:
    if not source:
        return "1"
    if source.lstrip("-").isdigit():
        return str(int(source) + 1)
    return f"{source} + 1"


def _is_left_alone(statement: cst.SimpleStatementLine) -> bool:
    only = statement.body[0]
    if isinstance(only, cst.Expr) and isinstance(only.value, cst.SimpleString | cst.ConcatenatedString):
        return True  # a docstring
    return isinstance(only, cst.Assert | cst.Pass | cst.Import | cst.ImportFrom | cst.Global | cst.Nonlocal)
