"""What statements read and write, from their text: whether their order can matter."""

import libcst as cst


class _Names(cst.CSTVisitor):
    """The names, also `self.count`, that a statement reads and writes, and whether it calls something."""

    def __init__(self, statement: cst.CSTNode) -> None:
        super().__init__()
        self.read: set[str] = set()
        self.written: set[str] = set()
        self.calls = False
        statement.visit(self)

    def visit_Name(self, node: cst.Name) -> None:  # noqa: N802
        self.read.add(node.value)

    def visit_Attribute(self, node: cst.Attribute) -> bool:  # noqa: N802
        if isinstance(node.value, cst.Name):
            self.read |= {node.value.value, f"{node.value.value}.{node.attr.value}"}
            return False
        node.value.visit(self)
        return False

    def visit_Arg(self, node: cst.Arg) -> bool:  # noqa: N802
        node.value.visit(self)  # not its keyword
        return False

    def visit_Call(self, node: cst.Call) -> None:  # noqa: N802
        self.calls = True

    def visit_AssignTarget(self, node: cst.AssignTarget) -> bool:  # noqa: N802
        self.written |= _Names(node.target).read
        return False

    def visit_AugAssign(self, node: cst.AugAssign) -> None:  # noqa: N802
        self.written |= _Names(node.target).read


def can_matter(a: cst.BaseStatement, b: cst.BaseStatement) -> bool:
    """Whether the order of two statements may change what a function does, but for an unknown name."""
    first, second = _Names(a), _Names(b)
    if needed := first.written & second.read:
        return bool(needed & first.read)  # else b reads what only a makes
    if first.written & second.written or second.written & first.read:
        return True
    return first.calls and second.calls and not (first.written and second.written)
