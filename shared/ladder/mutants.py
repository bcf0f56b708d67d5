"""Reads mutants.toml: mistakes that a project's tests must catch, and other right ways, which they must not.

It shows the solution, so no learner gets it.
"""

from dataclasses import dataclass

from shared.ladder.project import Project, ProjectError, Sources, Table, read_table

FILE = "mutants.toml"
ARROW = " => "


@dataclass(frozen=True)
class Mutant:
    """A change of the reference: `find` becomes `replace` in `file`.

    As a mutant it is a plausible mistake, and a test of the task must notice. As a variant it is another right way,
    and no test here or in a project above may notice.
    """

    task: int
    name: str
    file: str
    find: str
    replace: str


@dataclass(frozen=True)
class Equivalent:
    """Changes that `ladder mutate` makes of a function, `before => after`, and why no test can notice them."""

    function: str
    """`file.py:name`"""
    changes: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Mistakes:
    """The whole of mutants.toml."""

    mutants: tuple[Mutant, ...] = ()
    variants: tuple[Mutant, ...] = ()
    equivalents: tuple[Equivalent, ...] = ()


def read_mistakes(project: Project) -> Mistakes:
    """The project's mutants, variants and equivalent changes, none where it has no mutants.toml.

    Raises ProjectError for a broken file, a missing, unknown or badly typed key, and a `find` that does not occur
    exactly once.
    """
    path = project.folder / FILE
    if not path.is_file():
        return Mistakes()
    table = read_table(path)
    table.check_keys((), ("mutant", "variant", "equivalent"))
    sources = Sources(project.folder)
    targets = {str(target) for task in project.tasks for target in task.write}
    return Mistakes(
        tuple(_mutant(part, sources, len(project.tasks)) for part in table.parts("mutant")),
        tuple(_mutant(part, sources, len(project.tasks)) for part in table.parts("variant")),
        tuple(_equivalent(part, targets) for part in table.parts("equivalent")),
    )


def _mutant(table: Table, sources: Sources, tasks: int) -> Mutant:
    table.check_keys(("task", "name", "file", "find", "replace"))
    mutant = Mutant(
        task=table.integer("task"),
        name=table.text("name"),
        file=table.text("file"),
        find=table.text("find"),
        # An empty replacement is fair: a forgotten line is a common mistake.
        replace=table.text("replace", may_be_empty=True),
    )
    where = f"{table.where} ({mutant.name})"
    if not 1 <= mutant.task <= tasks:
        raise ProjectError(f"{where}: there is no task {mutant.task}; the project has {tasks}")
    count = sources.read(mutant.file, where).count(mutant.find)
    if count != 1:
        raise ProjectError(f"{where}: find occurs {count} times in {mutant.file}; it must occur exactly once")
    if mutant.find == mutant.replace:
        raise ProjectError(f"{where}: find and replace are the same text")
    return mutant


def _equivalent(table: Table, targets: set[str]) -> Equivalent:
    table.check_keys(("function", "changes", "why"))
    found = Equivalent(table.text("function"), table.texts("changes"), table.text("why"))
    if found.function not in targets:
        raise ProjectError(f"{table.where}: no task writes {found.function!r}")
    if wrong := [change for change in found.changes if ARROW not in change]:
        raise ProjectError(f"{table.where}: a change is `before{ARROW}after`, but there is {wrong[0]!r}")
    return found
