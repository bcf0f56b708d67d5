"""`ladder grade`: the instructor's own tests on each submission, in a sandbox, as points in CSV and JUnit XML.

A task is passed when every test of it that the reference passes is passed: a test that a submission skips, hangs
in or crashes counts for nothing. Whoever fools the tests instead of passing them gets no points, and the reason is
told. One bad submission never costs another its grade.
"""

import csv
import io
import os
import tempfile
import xml.etree.ElementTree as ElementTree
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

import libcst as cst
from rich import box
from rich.markup import escape
from rich.table import Table

from shared.files import write_text
from shared.ladder.grading.archives import shown
from shared.ladder.grading.exam import Exam, lay_out
from shared.ladder.grading.sandbox import find_sandbox
from shared.ladder.grading.submissions import Submission, read_submissions
from shared.ladder.house import LadderError, console, counted, say, short
from shared.ladder.project import Project, Task, root_folder
from shared.ladder.source import decode_source, function, is_stub
from shared.ladder.stubs import put_functions

CHEAT = "no points for the whole project"


@dataclass(frozen=True)
class Mark:
    """The result of one task of one submission. `follows` names the earlier tasks whose failure explains this one."""

    task: Task
    points: int
    seconds: float
    why_not: str
    follows: tuple[int, ...] = ()


def grade(
    project: Project, folder: Path, out: Path, seconds: float, memory_gb: float, independent: bool = False
) -> None:
    """Grade every submission in `folder` and write grades.csv and grades.xml into `out`.

    `seconds` and `memory_gb` are limits of each task of each submission; where the reference takes long, three times
    its time is the limit. A task that fails only because an earlier
    one did gets its points where `independent` says so. Raises LadderError when there is no submission, or when the
    reference fails its own tests here.
    """
    submissions, others = read_submissions(folder, project)
    if not hasattr(os, "fork"):
        raise LadderError("this command forks processes, which this system cannot: use Linux, macOS or WSL")
    sandbox = find_sandbox()
    say(escape(sandbox.told()))
    if others:
        say(f"Left out, as no submission: {escape(', '.join(others))}")
    marks: dict[str, list[Mark]] = {}
    at_once = min(os.cpu_count() or 1, 8)
    with (
        tempfile.TemporaryDirectory(prefix="ladder-") as name,
        console.status("running the reference …") as status,
    ):
        temporary = Path(name).resolve()
        outside = [root_folder(), folder.resolve(), temporary]
        exam = Exam(project, temporary / "house", sandbox, memory_gb, at_once, outside)
        try:
            exam.prepare(temporary / "reference")
            with ThreadPoolExecutor(min(at_once, len(submissions))) as pool:
                share = max(1, at_once // len(submissions))
                started: dict[Future[list[Mark]], str] = {
                    pool.submit(
                        _graded, exam, one, temporary / str(i), seconds, independent, share
                    ): one.student
                    for i, one in enumerate(submissions)
                }
                try:
                    for done, future in enumerate(as_completed(started), 1):
                        marks[started[future]] = future.result()
                        status.update(f"{done} of {counted(len(submissions), 'submission')}")
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
        finally:
            exam.end()
    write_text(out / "grades.csv", as_csv(project, submissions, marks))
    write_text(out / "grades.xml", as_junit(project, marks))
    _show(project, submissions, marks)
    say(
        f"{counted(len(submissions), 'submission')}: {short(out / 'grades.csv')}, {short(out / 'grades.xml')}"
    )


def _graded(
    exam: Exam, submission: Submission, folder: Path, seconds: float, independent: bool, at_once: int
) -> list[Mark]:
    """The marks of one submission, whose files are laid out in `folder` while its tests run."""
    project = exam.project
    overlay = lay_out(project, submission.files, folder / "own")
    runs = exam.run(folder, [(task.number, overlay) for task in project.tasks], seconds, at_once)
    cheats = [cheat for run in runs for cheat in exam.cheats(run)]
    marks = []
    for task, run in zip(project.tasks, runs, strict=True):
        why = _one_line(exam.fault(run))
        marks.append(Mark(task, 0 if why else task.points, run.seconds, why))
        submission.notes += [
            f"task {task.number}: look at it: {_one_line(note)}" for note in dict.fromkeys(run.notes)
        ]
    if not cheats:
        marks, cheats = _follow_ups(exam, submission, marks, folder, seconds, independent)
    if cheats:
        why = _one_line("; ".join(dict.fromkeys(cheats)))
        submission.notes.insert(0, f"{CHEAT}: {why}")
        return [replace(mark, points=0, why_not=f"{CHEAT}: {why}", follows=()) for mark in marks]
    return marks


def _follow_ups(
    exam: Exam, submission: Submission, marks: list[Mark], folder: Path, seconds: float, independent: bool
) -> tuple[list[Mark], list[str]]:
    """Runs each failed task again, with the reference's functions in place of those earlier tasks that failed first.

    What passes then only followed from those. Returns the marks, and what shows that the submission cheats.
    """
    judged: list[Mark] = []
    for mark in marks:
        roots = [earlier.task for earlier in judged if earlier.why_not and not earlier.follows]
        files = _mended(exam.project, submission, roots, mark.task) if mark.why_not and roots else None
        if files is not None:
            numbers = tuple(task.number for task in roots)
            work = folder / f"{mark.task.number}-on-reference"
            overlay = lay_out(exam.project, files, work)
            (run,) = exam.run(folder, [(mark.task.number, overlay)], seconds)
            if cheats := exam.cheats(run):
                return marks, cheats
            if not exam.fault(run):
                points = mark.task.points if independent else 0
                mark = replace(mark, points=points, follows=numbers)
        judged.append(mark)
    return judged, []


def _mended(
    project: Project, submission: Submission, roots: list[Task], task: Task
) -> dict[str, bytes] | None:
    """The submission's files with the reference's functions of some tasks; None where this cannot tell anything.

    That is where the task itself is not written, or the files are so different that nothing can be put into them.
    """
    try:
        texts = {name: decode_source(submission.files[name]) for name in project.files}
        nodes = [function(texts[target.file], target.name) for target in task.write]
        if not all(node is not None and not is_stub(node) for node in nodes):
            return None
        files = dict(submission.files)
        for name in project.files:
            names = {target.name for root in roots for target in root.write if target.file == name}
            if names:
                reference = (project.folder / name).read_text(encoding="utf-8")
                files[name] = put_functions(texts[name], reference, names).encode()
        return files
    except (SyntaxError, KeyError, cst.ParserSyntaxError, RecursionError, UnicodeError):
        return None


def reason(mark: Mark) -> str:
    """Why a task got no points, or got them on the reference's earlier tasks; empty when it simply passed."""
    if not mark.follows:
        return mark.why_not
    earlier = f"task{'s' * (len(mark.follows) > 1)} {', '.join(map(str, mark.follows))}"
    if mark.points:
        return f"passes on the reference's {earlier}"
    return f"follows only from {earlier}: {mark.why_not}"


def as_csv(project: Project, submissions: list[Submission], marks: dict[str, list[Mark]]) -> str:
    """A line for each student: points by task, with the most there are in the heading, their sum, and notes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    tasks = (f"task {task.number} (of {task.points})" for task in project.tasks)
    writer.writerow(["student", *tasks, "total", "of", "notes"])
    for submission in submissions:
        points = [mark.points for mark in marks[submission.student]]
        notes = "; ".join([*submission.notes, *_reasons(marks[submission.student])])
        writer.writerow([submission.student, *points, sum(points), project.points, notes])
    return text.getvalue()


def as_junit(project: Project, marks: dict[str, list[Mark]]) -> str:
    """A test suite for each student, a test case for each task."""
    suites = ElementTree.Element("testsuites", name=f"project {project.number}: {project.title}")
    for student, listed in marks.items():
        failed = sum(not mark.points for mark in listed)
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
            if not mark.points:
                ElementTree.SubElement(case, "failure", message=reason(mark))
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _show(project: Project, submissions: list[Submission], marks: dict[str, list[Mark]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("student, points by task")
    for task in project.tasks:
        table.add_column(f"{task.number}", justify="right")
    table.add_column(f"of {project.points}", justify="right")
    for submission in submissions:
        points = [mark.points for mark in marks[submission.student]]
        table.add_row(escape(submission.student), *map(str, points), f"[bold]{sum(points)}[/]")
    most = (f"[dim]{task.points}[/]" for task in project.tasks)
    table.add_row("[dim]the most there is[/]", *most, f"[dim]{project.points}[/]")
    console.print(table)
    for submission in submissions:
        lines = [*submission.notes, *_reasons(marks[submission.student])]
        for line in lines:
            say(f"[bold]{escape(submission.student)}[/]  {escape(line)}")


def _reasons(marks: list[Mark]) -> list[str]:
    """A reason for each failure, once where all have the same."""
    if marks and all(mark.why_not.startswith(CHEAT) for mark in marks):
        return []  # the notes begin with it
    return [f"task {mark.task.number}: {reason(mark)}" for mark in marks if reason(mark)]


def _one_line(text: str) -> str:
    # XML has no way to write control characters, and a student's message may hold any.
    return shown(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
