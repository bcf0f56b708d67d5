"""Other right ways to write what tasks write, and other words for their errors: no test may notice either.

First the reference takes a learner's place, checked as a learner's files are. Then they are tried all at once, here and
in every project above: the first variant of each function, of this project and of those below that it imports, with
every error reworded; then the second ones. Only what fails is taken apart.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

from shared.ladder.imports import closure, lower
from shared.ladder.jobs import Job, Outcome, first_line, write_overlay
from shared.ladder.mutants import Mutant, read_mistakes
from shared.ladder.project import Project, root_folder
from shared.ladder.reworded import reworded
from shared.ladder.runner import test_files

RIGHT = "it is right, but fails"
WORDS = "a test is to ask for facts, and never for wording:"


@dataclass(frozen=True)
class Way:
    """One variant of a project's function, or without one all errors of the project in other words.

    Or the project's files `as_they_are`: the reference in a learner's place.
    """

    project: Project
    variant: Mutant | None = None
    as_they_are: bool = False

    @property
    def words(self) -> bool:
        """Whether it is the errors in other words."""
        return self.variant is None and not self.as_they_are

    @cached_property
    def name(self) -> str:
        """What it is, for messages."""
        if self.as_they_are:
            return f"the reference of project {self.project.number} in a learner's place"
        if self.variant is None:
            return f"errors of project {self.project.number} in other words"
        return f"variant {self.variant.name} of project {self.project.number}, task {self.variant.task}"


class Ways:
    """The runs that try other right ways on a project: each round on each of its test files."""

    TOGETHER, APART = "other right ways, round ", "other right way, "

    def __init__(self, project: Project, folder: Path) -> None:
        self.project, self.folder = project, folder
        self.faults: list[str] = []
        self._said: set[str] = set()
        self._running: dict[str, tuple[Way, ...]] = {}  # by the run's name
        self._apart: dict[Path, list[tuple[Way, ...]]] = {}  # by test file: the rounds that failed
        self._together: dict[
            Path, str
        ] = {}  # by test file: what a round failed with, but no way of it alone so far

    def is_one(self, job: Job) -> bool:
        """Whether it is a run of these."""
        return job.name.startswith((self.TOGETHER, self.APART))

    def jobs(self) -> Iterator[Job]:
        """The runs to begin with."""
        own = [Way(self.project, as_they_are=True)]
        for file in test_files(self.project, None):
            yield from self._try(f"{self.APART}checked as a learner does", own, file, records=True)
        for number, ways in enumerate(rounds(self.project), 1):
            for file in test_files(self.project, None):
                yield from self._try(f"{self.TOGETHER}{number}", ways, file)

    def then(self, outcome: Outcome) -> list[Job]:
        """Take note of how a run ended; returns those that take a round apart."""
        (file,), (first, *others) = outcome.job.files, self._running.pop(outcome.job.name)
        found = outcome.cut_off_or_broken() or [
            f"{test['name']}: {first_line(test['failure']['message'])}" for test in outcome.results.failures()
        ]
        if found and others and not first.as_they_are:
            self._together[file] = f"{outcome.job.name}: what passes one by one fails together: {found[0]}"
            self._apart.setdefault(file, []).append((first, *others))
            everyone = dict.fromkeys([self.project, *(way.project for way in others)])
            plain = [Way(project, as_they_are=True) for project in everyone]
            name = f"{self.APART}{plain[0].name}"
            if f"{name}, {self._short(file)}" in self._running:
                return []  # another round has failed as well, and waits for it
            return list(self._try(name, plain, file))
        plain_one = first.as_they_are and not outcome.job.records
        rounds_of = self._apart.pop(file, []) if plain_one else []
        if not found and rounds_of:  # one cause for all, if it fails as it is: no use to try each
            ways = dict.fromkeys(way for ways in rounds_of for way in ways)
            return [job for way in ways for job in self._try(f"{self.APART}{way.name}", [way], file)]
        if found:
            self._together.pop(file, None)
            said = f"{first.name}, {found[0].partition(':')[0]}"
            if said not in self._said:
                self.faults.append(f"{first.name}: {WORDS if first.words else RIGHT} {found[0]}")
            self._said.add(said)
        ending = f", {self._short(file)}"
        if not any(name.startswith(self.APART) and name.endswith(ending) for name in self._running):
            self.faults += [text for text in [self._together.pop(file, "")] if text]
        return []

    def _short(self, file: Path) -> str:
        return file.relative_to(self.project.folder).as_posix()

    def _try(self, name: str, ways: Sequence[Way], file: Path, records: bool = False) -> Iterator[Job]:
        work = self.folder / f"{self.project.number} {name}".replace(" ", "-")
        try:
            if not work.is_dir():
                write_ways(ways, work)
        except ValueError as error:
            self.faults.append(str(error))
            return
        name = f"{name}, {self._short(file)}"
        self._running[name] = tuple(ways)
        yield Job(name, self.project, work, files=(file,), stop_at_first=True, records=records)


def rounds(project: Project) -> list[tuple[Way, ...]]:
    """What is tried together, on all tests of `project`: at most one variant of each function."""
    ways: list[list[Way]] = []
    reached = closure(project.folder.rglob("*.py"), root_folder())
    for rung in [*lower(project), project]:
        of_function: dict[tuple[str, int], list[Way]] = {}
        for variant in read_mistakes(rung).variants:
            if rung.folder / variant.file not in reached:
                continue
            place = variant.file, _function_at(rung, variant)
            of_function.setdefault(place, []).append(Way(rung, variant))
        ways += [*of_function.values(), [Way(rung)]]
    return [tuple(filter(None, row)) for row in zip_longest(*ways)]


def _function_at(project: Project, variant: Mutant) -> int:
    """The line where the function begins that holds the variant's text, the first one of several."""
    text = (project.folder / variant.file).read_text(encoding="utf-8")
    line = text[: text.index(variant.find)].count("\n") + 1
    tree = ast.walk(ast.parse(text))
    found = [node for node in tree if isinstance(node, ast.FunctionDef) and line <= (node.end_lineno or 0)]
    return min((node.lineno for node in found), default=0)


def write_ways(ways: Sequence[Way], work: Path) -> None:
    """Write the files of all projects that the ways change into a work folder.

    Raises ValueError where a variant does not fit, as another one has changed the same place.
    """
    for project in dict.fromkeys(way.project for way in ways):
        variants = [way.variant for way in ways if way.project == project and way.variant]
        changed: dict[str, str] = {}
        for variant in variants:
            text = changed.get(variant.file) or (project.folder / variant.file).read_text(encoding="utf-8")
            if text.count(variant.find) != 1:
                raise ValueError(f"{Way(project, variant).name} and another one change the same text")
            changed[variant.file] = text.replace(variant.find, variant.replace)
        if Way(project) in ways:
            for file in project.files:
                text = changed.get(file) or (project.folder / file).read_text(encoding="utf-8")
                changed[file] = reworded(text, _written(project, file))
        write_overlay(project, work, changed)


def _written(project: Project, file: str) -> Iterator[str]:
    return (target.name for task in project.tasks for target in task.write if target.file == file)
