"""Reads project.toml: what a project promises, and what its tasks write."""

import os
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from shared.ladder.source import definitions

ROOT = Path(__file__).resolve().parents[2]
PROJECT_FOLDERS = "phase??_*/project??_*"
GIVEN = "given"  # the folder in a project that holds what a learner is given and need not write

BUDGET = ("minutes_cpu", "minutes_gpu", "ram_gb", "hours")
REQUIRED = ("number", "title", "build", "promise", "headline", *BUDGET, "difficulty", "needs", "produces")
OPTIONAL = ("papers", "trace", "task")
DIFFICULTIES = ("easy", "medium", "hard")
MOST_HEADLINES = 4  # more are no headlines: they stand in the table below


class ProjectError(ValueError):
    """A project.toml that cannot be used, or a project that does not exist. The message is for people."""


@dataclass(frozen=True)
class Target:
    """One function that a task writes: `model.py:GPT.forward` is file `model.py`, name `GPT.forward`."""

    file: str
    name: str

    def __str__(self) -> str:
        return f"{self.file}:{self.name}"


@dataclass(frozen=True)
class Task:
    """One step of a project: functions to write, points, and hints from a nudge to nearly the answer."""

    number: int
    title: str
    write: tuple[Target, ...]
    points: int
    hints: tuple[str, ...]
    seconds: float = 2.0
    """what the slowest of its tests takes at most with the reference, on two cores"""


@dataclass(frozen=True)
class Project:
    """One project folder as its project.toml describes it. Times are in minutes and hours, memory in GiB."""

    number: int
    title: str
    build: str
    promise: str
    headline: tuple[str, ...]
    minutes_cpu: float
    minutes_gpu: float
    ram_gb: float
    hours: float
    difficulty: str
    needs: tuple[str, ...]
    produces: tuple[str, ...]
    papers: tuple[str, ...]
    trace: Target | None
    tasks: tuple[Task, ...]
    folder: Path

    @property
    def path(self) -> Path:
        """`phase01_foundation/project01_minimal_gpt`: the same below the root and below the work folder."""
        return Path(self.folder.parent.name, self.folder.name)

    @property
    def module(self) -> str:
        """The folder as an importable package name."""
        return f"{self.folder.parent.name}.{self.folder.name}"

    @property
    def phase(self) -> int:
        """The phase's number."""
        return int(self.folder.parent.name[5:7])

    @property
    def points(self) -> int:
        """Points of all tasks together."""
        return sum(task.points for task in self.tasks)

    @property
    def files(self) -> tuple[str, ...]:
        """The files that the tasks write, in the order of the tasks."""
        return tuple(dict.fromkeys(target.file for task in self.tasks for target in task.write))

    @property
    def sources(self) -> list[Path]:
        """All Python files of the folder, tests among them: those at its top, then those that are given."""
        return [*sorted(self.folder.glob("*.py")), *sorted(self.folder.glob(f"{GIVEN}/*.py"))]

    def task(self, number: int) -> Task:
        """The task with this number. Raises ProjectError naming those that exist."""
        for task in self.tasks:
            if task.number == number:
                return task
        known = ", ".join(str(task.number) for task in self.tasks) or "none"
        raise ProjectError(f"project {self.number} has no task {number}; its tasks: {known}")


def root_folder() -> Path:
    """The repository, or the folder that LADDER_ROOT names."""
    return Path(os.environ.get("LADDER_ROOT") or ROOT).resolve()


def projects(root: Path | None = None) -> list[Project]:
    """All projects below `root`, by number. Raises ProjectError on a bad file or a number used twice."""
    files = (root or root_folder()).glob(f"{PROJECT_FOLDERS}/project.toml")
    found = sorted((load(file.parent) for file in files), key=lambda project: project.number)
    for first, second in pairwise(found):
        if first.number == second.number:
            raise ProjectError(f"number {first.number} is used twice: {first.path} and {second.path}")
    return found


def find(number: int, root: Path | None = None) -> Project:
    """The project with this number. Raises ProjectError listing those that exist."""
    known = projects(root)
    for project in known:
        if project.number == number:
            return project
    listed = ", ".join(f"{project.number} ({project.title})" for project in known) or "none yet"
    raise ProjectError(f"there is no project {number}; projects here: {listed}")


def load(folder: Path) -> Project:
    """Reads and checks `folder`/project.toml.

    Raises ProjectError for a missing or broken file, a missing, unknown or badly typed key, and a `write` target
    that its file does not define.
    """
    path = Path(folder).resolve() / "project.toml"
    where = "/".join(path.parts[-3:])
    table = read_table(path)
    table.check_keys(REQUIRED, OPTIONAL)

    sources = Sources(path.parent)
    tasks = tuple(_task(part, sources) for part in table.parts("task"))
    numbers = [task.number for task in tasks]
    if numbers != list(range(1, len(tasks) + 1)):
        raise ProjectError(f"{where}: tasks are numbered {numbers}; they must be 1, 2, 3, … in this order")
    for target, count in Counter(target for task in tasks for target in task.write).items():
        if count > 1:
            raise ProjectError(f"{where}: {target} is written {count} times; a function belongs to one task")
    difficulty = table.text("difficulty")
    if difficulty not in DIFFICULTIES:
        raise ProjectError(f"{where}: difficulty is {difficulty!r}; allowed: {', '.join(DIFFICULTIES)}")
    headline = table.texts("headline")
    if len(headline) > MOST_HEADLINES:
        raise ProjectError(
            f"{where}: headline names {len(headline)} figures; at most {MOST_HEADLINES} are allowed"
        )

    return Project(
        number=table.integer("number"),
        title=table.text("title"),
        build=table.text("build"),
        promise=table.text("promise"),
        headline=headline,
        minutes_cpu=table.number("minutes_cpu"),
        minutes_gpu=table.number("minutes_gpu"),
        ram_gb=table.number("ram_gb"),
        hours=table.number("hours"),
        difficulty=difficulty,
        needs=table.texts("needs"),
        produces=table.texts("produces"),
        papers=table.texts("papers"),
        trace=_target(table.text("trace"), f"{where}: trace", sources, GIVEN)
        if "trace" in table.values
        else None,
        tasks=tasks,
        folder=path.parent,
    )


def read_table(path: Path) -> "Table":
    """A TOML file of a project. Raises ProjectError for one that is missing or broken."""
    where = "/".join(path.parts[-3:])
    try:
        return Table(tomllib.loads(path.read_text(encoding="utf-8")), where)
    except FileNotFoundError:
        raise ProjectError(f"{where} does not exist") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProjectError(f"{where} is not valid TOML: {error}") from None


class Sources:
    """The project's Python files, each read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.texts: dict[str, str] = {}

    def read(self, file: str, where: str, subfolder: str = "") -> str:
        """The text of a file that lies directly in the project's folder, or in this subfolder of it.

        Raises ProjectError for any other file. What tasks write is never in a subfolder: that could not be overlaid,
        for the package search would find the reference's first.
        """
        name = file.removeprefix(f"{subfolder}/") if subfolder else file
        if not name.endswith(".py") or Path(name).name != name:
            place = "the project's folder" + (f" or its {subfolder}/" if subfolder else "")
            raise ProjectError(f"{where}: {file!r} is not a .py file directly in {place}")
        if file not in self.texts:
            try:
                self.texts[file] = (self.folder / file).read_text(encoding="utf-8")
            except FileNotFoundError:
                raise ProjectError(f"{where}: there is no file {file} in {self.folder.name}") from None
        return self.texts[file]


def _task(table: "Table", sources: Sources) -> Task:
    table.check_keys(("number", "title", "write", "points", "hints"), ("seconds",))
    write = tuple(_target(text, f"{table.where}: write", sources) for text in table.texts("write"))
    if not write:
        raise ProjectError(f"{table.where}: write is empty; name at least one 'file.py:function'")
    points = table.integer("points")
    if points < 1:
        raise ProjectError(f"{table.where}: points is {points}; it must be at least 1")
    seconds = table.number("seconds") if "seconds" in table.values else Task.seconds
    return Task(table.integer("number"), table.text("title"), write, points, table.texts("hints"), seconds)


def _target(text: str, where: str, sources: Sources, subfolder: str = "") -> Target:
    file, _, name = text.partition(":")
    if not name:
        raise ProjectError(f"{where}: {text!r} should be 'file.py:function' or 'file.py:Class.method'")
    defined = definitions(sources.read(file, where, subfolder))
    if defined[name] != 1:
        count = f"{defined[name]} times" if defined[name] else "not"
        listed = ", ".join(defined) or "none"
        raise ProjectError(f"{where}: function {name} is {count} defined in {file}; its functions: {listed}")
    return Target(file, name)


class Table:
    """A TOML table whose values are checked as they are taken out."""

    def __init__(self, values: dict[str, Any], where: str) -> None:
        self.values, self.where = values, where

    def check_keys(self, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
        allowed = (*required, *optional)
        if unknown := sorted(self.values.keys() - set(allowed)):
            listed = ", ".join(unknown)
            raise ProjectError(f"{self.where}: unknown key {listed}; allowed: {', '.join(allowed)}")
        if missing := [key for key in required if key not in self.values]:
            raise ProjectError(f"{self.where}: missing key {', '.join(missing)}")

    def parts(self, key: str) -> "Iterator[Table]":
        values = self.values.get(key, [])
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise self.error(key, f"tables, each begun by [[{key}]]")
        return (Table(value, f"{self.where}, {key} {i}") for i, value in enumerate(values, 1))

    def text(self, key: str, may_be_empty: bool = False) -> str:
        value = self.values[key]
        if not isinstance(value, str) or not (value.strip() or may_be_empty):
            raise self.error(key, "a text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(text, str) and text.strip() for text in value):
            raise self.error(key, "a list of texts")
        return tuple(value)

    def number(self, key: str) -> float:
        value = self.values[key]
        if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
            raise self.error(key, "a number, zero or more")
        return float(value)

    def integer(self, key: str) -> int:
        if not self.number(key).is_integer():
            raise self.error(key, "a whole number, zero or more")
        return int(self.values[key])

    def error(self, key: str, wanted: str) -> ProjectError:
        return ProjectError(f"{self.where}: {key} is {self.values[key]!r}; it must be {wanted}")
