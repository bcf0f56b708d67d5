"""`ladder grade`: the instructor's own tests on each submission, isolated, as points in CSV and JUnit XML.

A task is passed when every test of it that the reference passes is passed: a test that a submission skips, hangs
in or crashes counts for nothing. The limits guard against accidents. Code that means harm needs a container.
"""

import csv
import io
import os
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.markup import escape
from rich.table import Table

from shared.files import write_text
from shared.ladder import jobs
from shared.ladder.house import LadderError, console, counted, say, short
from shared.ladder.jobs import Job, Outcome
from shared.ladder.project import Project, Task
from shared.ladder.submissions import Submission, read_submissions


@dataclass(frozen=True)
class Mark:
    """The result of one task of one submission."""

    task: Task
    points: int
    seconds: float
    why_not: str


def grade(project: Project, folder: Path, out: Path, seconds: float, memory_gb: float) -> None:
    """Grade every submission in `folder` and write grades.csv and grades.xml into `out`.

    `seconds` and `memory_gb` are limits of each task of each submission. Raises LadderError when there is no
    submission, or when the reference fails its own tests here.
    """
    submissions = read_submissions(folder, project)
    marks: dict[str, list[Mark]] = {submission.student: [] for submission in submissions}
    if len(marks) < len(submissions):
        raise LadderError(f"{folder} has a folder and a zip of the same name; keep one of them")
    with tempfile.TemporaryDirectory(prefix="ladder-") as temporary, console.status("grading …") as status:
        wanted = _reference_tests(project)
        work: list[Job] = []
        for i, submission in enumerate(submissions):
            overlay = _laid_out(submission, Path(temporary, str(i)) / project.path).parents[1]
            for task in project.tasks:
                tasks = (task.number,)
                work.append(
                    Job(
                        submission.student,
                        project,
                        overlay,
                        tasks,
                        stop_at_first=True,
                        seconds=seconds,
                        memory_gb=memory_gb,
                    )
                )
        for done, outcome in enumerate(jobs.run(work, at_once=min(os.cpu_count() or 1, 8)), 1):
            status.update(f"{done} of {len(work)}: {escape(outcome.job.name)}")
            task = project.task((outcome.job.tasks or (0,))[0])
            marks[outcome.job.name].append(_mark(task, wanted[task.number], outcome))
    for listed in marks.values():
        listed.sort(key=lambda mark: mark.task.number)
    write_text(out / "grades.csv", as_csv(project, submissions, marks))
    write_text(out / "grades.xml", as_junit(project, marks))
    console.print(_table(project, submissions, marks))
    say(
        f"{counted(len(submissions), 'submission')}: {short(out / 'grades.csv')}, {short(out / 'grades.xml')}"
    )


def as_csv(project: Project, submissions: list[Submission], marks: dict[str, list[Mark]]) -> str:
    """A line for each student: points by task, their sum, the most there are, and notes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["student", *(f"task {task.number}" for task in project.tasks), "total", "of", "notes"])
    for submission in submissions:
        points = [mark.points for mark in marks[submission.student]]
        why = [
            f"task {mark.task.number}: {mark.why_not}" for mark in marks[submission.student] if mark.why_not
        ]
        notes = "; ".join([*submission.notes, *why])
        writer.writerow([submission.student, *points, sum(points), project.points, notes])
    return text.getvalue()


def as_junit(project: Project, marks: dict[str, list[Mark]]) -> str:
    """A test suite for each student, a test case for each task."""
    suites = ElementTree.Element("testsuites", name=f"project {project.number}: {project.title}")
    for student, listed in marks.items():
        failed = sum(bool(mark.why_not) for mark in listed)
        seconds = sum(mark.seconds for mark in listed)
        suite = ElementTree.SubElement(
            suites,
            "testsuite",
            name=student,
            tests=str(len(listed)),
            failures=str(failed),
            time=f"{seconds:.3f}",
        )
        for mark in listed:
            name = f"task {mark.task.number}: {mark.task.title}"
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=f"{student}.project{project.number}",
                name=name,
                time=f"{mark.seconds:.3f}",
            )
            if mark.why_not:
                ElementTree.SubElement(case, "failure", message=_printable(mark.why_not))
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _reference_tests(project: Project) -> dict[int, set[str]]:
    """The tests of each task that the reference passes on this machine."""
    (outcome,) = jobs.run([Job("the reference", project, overlay=None, seconds=jobs.WHOLE_SECONDS)])
    results = outcome.results
    if outcome.why_cut_off or results.broken or results.failures():
        names = (
            ", ".join(test["name"] for test in results.failures())
            or outcome.why_cut_off
            or results.broken[0]["file"]
        )
        raise LadderError(f"the reference fails here, so nothing can be graded: {names}")
    passed = {task.number: set[str]() for task in project.tasks}
    for test in results.tests:
        if test["task"] in passed and test["outcome"] == "passed":
            passed[test["task"]].add(test["id"])
    if empty := [number for number, tests in passed.items() if not tests]:
        raise LadderError(f"no test of task {empty[0]} runs here, so it cannot be graded")
    return passed


def _mark(task: Task, wanted: set[str], outcome: Outcome) -> Mark:
    results = outcome.results
    passed = {test["id"] for test in results.tests if test["outcome"] == "passed"}
    why = ""
    if outcome.why_cut_off:
        why = outcome.why_cut_off
    elif results.broken:
        failure = results.broken[0]["failure"]
        why = f"fails while imported: {failure['error']}: {failure['message'].partition(chr(10))[0]}"
    elif failures := results.failures():
        failure = failures[0]["failure"]
        message = failure["message"].partition("\n")[0][:200]
        why = (
            "not written"
            if failure["kind"] == "stub"
            else f"{failures[0]['name']}: {failure['error']}: {message}"
        )
    elif missing := wanted - passed:
        why = f"{counted(len(missing), 'test')} did not pass"
    return Mark(task, 0 if why else task.points, outcome.seconds, why)


def _laid_out(submission: Submission, folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name, text in submission.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def _table(project: Project, submissions: list[Submission], marks: dict[str, list[Mark]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("student, points by task")
    for task in project.tasks:
        table.add_column(str(task.number), justify="right")
    table.add_column(f"of {project.points}", justify="right")
    table.add_column("notes")
    for submission in submissions:
        points = [mark.points for mark in marks[submission.student]]
        total = f"[bold]{sum(points)}[/]"
        table.add_row(
            escape(submission.student), *map(str, points), total, escape("; ".join(submission.notes))
        )
    return table


def _printable(text: str) -> str:
    # XML has no way to write control characters, and a student's message may hold any.
    return "".join(letter if letter.isprintable() else " " for letter in text)
