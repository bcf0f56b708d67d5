"""Reads mutants.toml: which mistakes a project's tests must catch. It shows the solution, so no learner gets it."""

from dataclasses import dataclass

from shared.ladder.project import Project, ProjectError, Sources, Table, read_table

FILE = "mutants.toml"


@dataclass(frozen=True)
class Mutant:
    """A plausible mistake: `find` becomes `replace` in `file`, and a test of the task must notice."""

    task: int
    name: str
    file: str
    find: str
    replace: str


def read_mutants(project: Project) -> tuple[Mutant, ...]:
    """The project's mutants, none where it has no mutants.toml.

    Raises ProjectError for a broken file, a missing, unknown or badly typed key, and a `find` that does not occur
    exactly once.
    """
    path = project.folder / FILE
    if not path.is_file():
        return ()
    table = read_table(path)
    table.check_keys((), ("mutant",))
    sources = Sources(project.folder)
    return tuple(_mutant(part, sources, len(project.tasks)) for part in table.parts("mutant"))


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
