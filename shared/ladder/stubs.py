"""Makes stubs of functions: signature, decorators and docstring stay, the body raises NotImplementedError."""

from collections.abc import Callable, Iterable, Mapping

import libcst as cst

from shared.ladder.project import Project, Task

WIDTH = 100


def stub_file(project: Project, file: str, tasks: Iterable[Task] | None = None) -> str:
    """The reference's `file` with every function that `tasks` (by default all) write turned into a stub."""
    bodies = {
        target.name: f"project {project.number}, task {task.number}"
        for task in (project.tasks if tasks is None else tasks)
        for target in task.write
        if target.file == file
    }
    return make_stubs((project.folder / file).read_text(encoding="utf-8"), bodies)


def make_stubs(text: str, bodies: Mapping[str, str]) -> str:
    """The source with the bodies of some functions replaced; the rest of the text stays as it is.

    `bodies` maps `name` or `Class.name` to the start of the stub's message, such as "project 8, task 1".
    Raises KeyError naming a function that the source does not define.
    """
    return change_functions(text, set(bodies), lambda name, node: _stub(node, name, bodies[name]))


def put_functions(text: str, source: str, names: set[str]) -> str:
    """`text` with the functions `names` replaced by those that `source` defines under the same names.

    Raises KeyError naming a function that either of them lacks, cst.ParserSyntaxError for broken syntax.
    """
    found: dict[str, cst.FunctionDef] = {}

    def keep(name: str, node: cst.FunctionDef) -> cst.FunctionDef:
        found[name] = node
        return node

    change_functions(source, names, keep)
    # Comments above the learner's function are theirs and stay.
    return change_functions(
        text, names, lambda name, node: found[name].with_changes(leading_lines=node.leading_lines)
    )


def change_functions(
    text: str, names: set[str], change: Callable[[str, cst.FunctionDef], cst.FunctionDef]
) -> str:
    """The source with each of the functions `names` replaced by what `change` makes of it.

    Raises KeyError naming a function that the source does not define.
    """
    changer = _Changer(names, change)
    module = cst.parse_module(text).visit(changer)
    if missing := names - changer.done:
        raise KeyError(", ".join(sorted(missing)))
    return module.code


class _Changer(cst.CSTTransformer):
    """Applies `change` to each function among `names`; methods are named `Class.name`."""

    def __init__(self, names: set[str], change: Callable[[str, cst.FunctionDef], cst.FunctionDef]) -> None:
        super().__init__()
        self.names, self.change = names, change
        self.owners: list[str] = []
        self.done: set[str] = set()

    def visit_ClassDef(self, node: cst.ClassDef) -> None:  # noqa: N802 (libcst's names)
        self.owners.append(node.name.value)

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.ClassDef:  # noqa: N802
        self.owners.pop()
        return updated_node

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:  # noqa: N802
        # A function inside a function has two owners at least, so no task's name matches it by chance.
        self.owners += [node.name.value, "<locals>"]

    def leave_FunctionDef(  # noqa: N802
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.FunctionDef:
        self.owners.pop()
        name = ".".join(self.owners)
        self.owners.pop()
        if name not in self.names:
            return updated_node
        self.done.add(name)
        return self.change(name, updated_node)


def _stub(node: cst.FunctionDef, name: str, start: str) -> cst.FunctionDef:
    docstring = node.get_docstring()
    about = (docstring or "").strip().partition("\n")[0]
    statements = [_raise(f"{start}: {name}", about)]
    if docstring is not None:
        first = node.body.body[0]  # a line of its own, or the start of a body written on the def's line
        literal = first.body[0] if isinstance(first, cst.SimpleStatementLine) else first
        literal = cst.ensure_type(literal, cst.Expr).with_changes(semicolon=cst.MaybeSentinel.DEFAULT)
        statements.insert(0, cst.SimpleStatementLine([literal]))
    return node.with_changes(body=cst.IndentedBlock(statements))


def _raise(start: str, about: str) -> cst.SimpleStatementLine:
    dash = " — " if about else ""
    text = f"raise NotImplementedError({_quoted(start + dash + about)})"
    if len(text) > WIDTH:
        text = f"raise NotImplementedError(\n    {_quoted(start + dash)}\n    {_quoted(about)}\n)"
    return cst.ensure_type(cst.parse_statement(text), cst.SimpleStatementLine)


def _quoted(text: str) -> str:
    quote = "'" if '"' in text and "'" not in text else '"'
    escaped = text.replace("\\", "\\\\").replace(quote, "\\" + quote)
    return f"{quote}{escaped}{quote}"
