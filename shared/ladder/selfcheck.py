"""`ladder selfcheck`: a project keeps its word to learners, which tests of the reference alone cannot show.

The reference passes. Every test of a task fails on that task's stub, for the right reason. Every mutant is
killed. What belongs around it is there: hints, points, README sections, benchmark, smoke preset. The folder
exported alone passes.
"""

import ast
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich import box
from rich.markup import escape
from rich.table import Table

from shared.ladder import jobs
from shared.ladder.export import export_passes
from shared.ladder.house import console, counted, say
from shared.ladder.jobs import Job, Outcome
from shared.ladder.mutants import Mutant, read_mutants
from shared.ladder.project import Project
from shared.ladder.runner import test_files
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
REFERENCE, STUB, MUTANT = "the reference", "stub of task", "mutant"


def selfcheck(projects: list[Project], at_once: int | None = None) -> bool:
    """Check the projects, print a line for each thing that was checked, and what is wrong. True: no fault."""
    at_once = at_once or min(os.cpu_count() or 1, 8)
    faults: dict[int, list[str]] = {project.number: fixed_faults(project) for project in projects}
    killed = dict.fromkeys(faults, 0)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ladder-") as folder, console.status("selfcheck …") as status:
        work = [job for project in projects for job in _jobs(project, Path(folder))]
        for done, outcome in enumerate(jobs.run(work, at_once), 1):
            number, name = outcome.job.project.number, outcome.job.name
            status.update(f"{done} of {len(work)}: project {number}, {escape(name)}")
            found = list(run_faults(outcome))
            faults[number] += found
            killed[number] += name.startswith(MUTANT) and not found
    for project in projects:
        if not faults[project.number]:  # its tests are known to be good only now
            faults[project.number] += export_passes(project)
    _show(projects, faults, killed, time.monotonic() - began)
    return not any(faults.values())


def run_faults(outcome: Outcome) -> Iterator[str]:
    """What is wrong with how a job ended."""
    name = outcome.job.name
    if name.startswith(MUTANT):
        yield from _mutant_faults(outcome)
        return
    if outcome.why_cut_off:
        yield f"{name}: {outcome.why_cut_off}: {_tail(outcome.results.output)}"
        return
    for broken in outcome.results.broken:
        yield f"{name}: {broken['file']} cannot be imported: {_first_line(broken['failure']['message'])}"
    if not outcome.results.broken:
        yield from _reference_faults(outcome) if name == REFERENCE else _stub_faults(outcome)


def _reference_faults(outcome: Outcome) -> Iterator[str]:
    results, project = outcome.results, outcome.job.project
    for test in results.failures():
        yield f"the reference fails {test['name']}: {_first_line(test['failure']['message'])}"
    known = {0, *(task.number for task in project.tasks)}
    for test in results.collected:
        path, _, name = test["id"].partition("::")
        if test["task"] not in known:
            yield f"{name} is marked with task {test['task']}, which does not exist"
        elif Path(path).name not in {file.name for file in test_files(project, [test["task"]])}:
            yield f"{name}: its file does not say task({test['task']}), so `ladder check --task` would miss it"
    for task in project.tasks:
        tests = results.of(task.number)
        if not tests:
            yield f"no test is marked with task {task.number}"
        elif all(test["outcome"] == "skipped" for test in tests):
            yield f"every test of task {task.number} is skipped on a CPU: {tests[0].get('reason', '')}"


def _stub_faults(outcome: Outcome) -> Iterator[str]:
    for test in outcome.results.tests:
        where = f"{outcome.job.name}: {test['name']}"
        if test["outcome"] == "passed":
            yield f"{where} passes, so it does not need the task"
        elif test["outcome"] == "failed" and test["failure"]["kind"] not in ("stub", "mismatch"):
            failure = test["failure"]
            yield f"{where} fails for a wrong reason: {failure['error']}: {_first_line(failure['message'])}"


def _mutant_faults(outcome: Outcome) -> Iterator[str]:
    if outcome.why_cut_off.startswith("stopped after"):
        return  # an endless loop cannot pass for an answer
    if outcome.why_cut_off or outcome.results.broken:
        yield f"{outcome.job.name} breaks the import, so any test would notice: no plausible mistake"
    elif not outcome.results.tests:
        yield f"{outcome.job.name}: its task has no test"
    elif not outcome.results.failures():
        yield f"{outcome.job.name} survives"


def fixed_faults(project: Project) -> list[str]:
    """What can be seen without running anything."""
    faults = [f"task {task.number} has fewer than two hints" for task in project.tasks if len(task.hints) < 2]
    faults += [
        f"task {task.number} has no mutant"
        for task in project.tasks
        if task.number not in {mutant.task for mutant in read_mutants(project)}
    ]
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
    return [*faults, *_readme_faults(project.folder / "README.md"), *_signature_faults(project)]


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


def _jobs(project: Project, folder: Path) -> Iterator[Job]:
    yield Job(REFERENCE, project, overlay=None, seconds=jobs.WHOLE_SECONDS)
    for task in project.tasks:
        stubbed = {target.file: stub_file(project, target.file, [task]) for target in task.write}
        work = _overlay(project, folder / f"{project.number}-stub-{task.number}", stubbed)
        yield Job(f"{STUB} {task.number}", project, work, (task.number,))
    for number, mutant in enumerate(read_mutants(project)):  # two tasks may have mutants of one name
        changed = {mutant.file: _mutated(project, mutant)}
        work = _overlay(project, folder / f"{project.number}-mutant-{number}", changed)
        yield Job(f"{MUTANT} {mutant.name}", project, work, (mutant.task,), stop_at_first=True)


def _mutated(project: Project, mutant: Mutant) -> str:
    text = (project.folder / mutant.file).read_text(encoding="utf-8")
    return text.replace(mutant.find, mutant.replace)


def _overlay(project: Project, work: Path, changed: dict[str, str]) -> Path:
    """A work folder that holds the reference's files, but for the changed ones."""
    folder = work / project.path
    folder.mkdir(parents=True)
    for file in {*project.files, *changed}:
        text = changed.get(file) or (project.folder / file).read_text(encoding="utf-8")
        (folder / file).write_text(text, encoding="utf-8")
    return work


def _show(
    projects: Iterable[Project], faults: dict[int, list[str]], killed: dict[int, int], seconds: float
) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("project")
    for heading in ("tasks", "points", "mutants killed", "faults"):
        table.add_column(heading, justify="right")
    for project in projects:
        found = len(faults[project.number])
        table.add_row(
            str(project.number),
            escape(project.title),
            str(len(project.tasks)),
            str(project.points),
            f"{killed[project.number]}/{len(read_mutants(project))}",
            f"[red]{found}[/]" if found else "[green]none[/]",
        )
    console.print(table)
    for project in projects:
        for fault in faults[project.number]:
            say(f"[red]✗[/] project {project.number}: {escape(fault)}")
    total = sum(map(len, faults.values()))
    say(f"{counted(total, 'fault') if total else 'No faults'}, after {seconds:.0f} s.")


def _first_line(text: str) -> str:
    return text.partition("\n")[0][:200]


def _tail(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no output"
