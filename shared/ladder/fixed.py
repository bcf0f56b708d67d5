"""What a project must have around its code, as far as it can be seen without running anything."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from shared.ladder.house import counted
from shared.ladder.mutants import read_mistakes
from shared.ladder.project import Project
from shared.ladder.rooms import room_faults
from shared.ladder.source import function, is_stub, signature
from shared.ladder.stubs import stub_file

# A heading must hold the word (or one of the words) and come in this order.
README_SECTIONS = (
    "what you build",
    "budget",
    "needs",
    "shape",
    "idea",
    "tasks",
    "expected output",
    "measured",
    "where it wins",
    "common errors",
    "left out",
    "production",
    "papers",
    "check yourself|check-yourself|questions",
)


def fixed_faults(project: Project) -> list[str]:
    """What can be seen without running anything."""
    faults = [f"task {task.number} has fewer than two hints" for task in project.tasks if len(task.hints) < 2]
    known = read_mistakes(project)
    for kind, listed in (("mutant", known.mutants), ("variant", known.variants)):
        having = {one.task for one in listed}
        faults += [f"task {task.number} has no {kind}" for task in project.tasks if task.number not in having]
    if not project.tasks:
        faults.append("it has no task")
    faults += _unwritten_faults(project)
    faults += [f"{key} is 0" for key in ("minutes_cpu", "ram_gb", "hours") if not getattr(project, key)]
    faults += [
        f"there is no {name}"
        for name in ("benchmark.py", "explore.ipynb")
        if not (project.folder / name).is_file()
    ]
    configs = project.folder / "configs"
    if configs.is_dir() and not (configs / "smoke.yaml").is_file():
        faults.append("there is no configs/smoke.yaml")
    faults += [*_readme_faults(project.folder / "README.md"), *_signature_faults(project)]
    faults += [*_wording_faults(project), *room_faults(project)]
    return faults


def _wording_faults(project: Project) -> Iterator[str]:
    """Where a task's test asks for the words of an error: what a learner writes need only name the facts."""
    for file in project.sources:
        if not file.name.startswith("test_"):
            continue
        for test in ast.walk(ast.parse(file.read_bytes(), filename=str(file))):
            if isinstance(test, ast.FunctionDef) and any(
                "mark.task" in ast.unparse(d) for d in test.decorator_list
            ):
                for call in ast.walk(test):
                    if isinstance(call, ast.Call) and any(
                        keyword.arg == "match" for keyword in call.keywords
                    ):
                        name = file.relative_to(project.folder).as_posix()
                        yield (
                            f"{name}, line {call.lineno}: {test.name} asks for words by match=; "
                            "shared.testing.raises asks for the facts"
                        )


def _unwritten_faults(project: Project) -> Iterator[str]:
    """What `ladder new` has left to be written."""
    for task in project.tasks:
        for target in task.write:
            node = function((project.folder / target.file).read_text("utf-8"), target.name)
            if node is not None and is_stub(node):
                yield f"{target} is a stub in the reference itself"
    for file in sorted(project.folder.rglob("*")):
        if file.suffix in (".py", ".md", ".toml", ".yaml") and (
            count := file.read_text("utf-8").count("TODO")
        ):
            yield f"{file.relative_to(project.folder).as_posix()} has {counted(count, 'TODO')}"


def _readme_faults(readme: Path) -> Iterator[str]:
    if not readme.is_file():
        yield "there is no README.md"
        return
    headings = [
        line.lstrip("# ").lower() for line in re.findall(r"^##+ .*$", readme.read_text("utf-8"), re.M)
    ]
    position = 0
    for section in README_SECTIONS:
        matching = [
            i for i, heading in enumerate(headings) if any(word in heading for word in section.split("|"))
        ]
        if not matching:
            yield f"README.md has no section on: {section.partition('|')[0]}"
        elif not any(i >= position for i in matching):
            yield f"README.md has its section on {section.partition('|')[0]} too early"
        else:
            position = min(i for i in matching if i >= position)


def _signature_faults(project: Project) -> Iterator[str]:
    for task in project.tasks:
        for target in task.write:
            reference = function((project.folder / target.file).read_text("utf-8"), target.name)
            stub = function(stub_file(project, target.file), target.name)
            if reference is None or stub is None or signature(reference) != signature(stub):
                yield f"the stub of {target} differs from the reference in its signature or docstring"
            elif not ast.get_docstring(reference):
                yield f"{target} has no docstring, so its stub says nothing"
