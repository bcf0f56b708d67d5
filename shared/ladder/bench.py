"""`ladder bench`: a project's benchmark on the learner's code beside the reference's."""

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from shared.ladder.house import (
    LadderError,
    console,
    environment,
    has_reference,
    require_started,
    say,
    short,
    work_folder,
)
from shared.ladder.project import Project, root_folder


def bench(project: Project, preset: str, rounds: int = 2) -> None:
    """Run benchmark.py with the reference's files and with the learner's, by turns, and compare the figures.

    A machine grows slower as it warms up, so each goes first as often as the other; of a figure's `rounds` values the
    mean counts. All runs write their results below the work folder: the committed ones are the reference's alone.
    Raises LadderError when the project is not started or has no benchmark, and when a run fails.
    """
    require_started(project)
    if not (project.folder / "benchmark.py").is_file():
        raise LadderError(f"{project.path} has no benchmark.py")
    arms: dict[str, Path | None] = {"reference": None, "yours": work_folder()}
    if not has_reference(project):
        say("There is no reference here to compare with: yours alone.")
        del arms["reference"]
    figures: dict[str, list[dict[str, Any]]] = {whose: [] for whose in arms}
    for i in range(rounds):
        for whose in arms if i % 2 == 0 else reversed(arms):
            results = work_folder() / "results" / whose / project.path
            label = "Your code" if whose == "yours" else "The reference's"
            turn = f", preset {escape(preset)}, {i + 1} of {rounds}"
            say(f"[bold]{label}[/]{turn}  [dim]results: {short(results)}[/]")
            figures[whose].append(_run(project, preset, arms[whose], results))
            say()
    console.print(_table(*(_mean(figures.get(whose, [])) for whose in ("yours", "reference"))))


def _run(project: Project, preset: str, overlay: Path | None, results: Path) -> dict[str, Any]:
    root = root_folder()
    command = [sys.executable, "-m", f"{project.module}.benchmark", "--preset", preset]
    values = environment(root, overlay) | {"LADDER_RESULTS": str(results), "PYTHONUNBUFFERED": "1"}
    last = ""
    with subprocess.Popen(
        command, cwd=root, env=values, stdout=subprocess.PIPE, text=True, encoding="utf-8", errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:  # minutes may pass: each line is shown when it comes, but for the last
            if last:
                say(f"  {escape(last.rstrip())}")
            last = line
    try:
        figures = json.loads(last)["measured"]
        return {name: figure | {"value": float(figure["value"])} for name, figure in figures.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        if last:
            say(f"  {escape(last.rstrip())}")
    what = (
        f"ended with exit code {process.returncode}"
        if process.returncode
        else "printed no line of figures last"
    )
    raise LadderError(f"{' '.join(command[1:])} {what}" + (" on your code" if overlay else ""))


def _mean(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of the last run, each with the mean of what all runs have measured."""
    if not runs:
        return {}
    values = {name: [run[name]["value"] for run in runs if name in run] for name in runs[-1]}
    return {name: figure | {"value": statistics.mean(values[name])} for name, figure in runs[-1].items()}


def _table(yours: dict[str, Any], reference: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("figure")
    for heading in ("yours", "the reference's", "ratio"):
        table.add_column(heading, justify="right")
    table.add_column("unit")
    table.add_column("better")
    for name in [*reference, *(name for name in yours if name not in reference)]:
        mine, theirs = yours.get(name), reference.get(name)
        unit = (mine or theirs or {}).get("unit", "")
        better = str((mine or theirs or {}).get("better", ""))
        ratio = f"{mine['value'] / theirs['value']:.2f}" if mine and theirs and theirs["value"] else "—"
        table.add_row(escape(name), _value(mine), _value(theirs), ratio, escape(str(unit)), better)
    return table


def _value(figure: dict[str, Any] | None) -> str:
    return f"{figure['value']:,.4g}" if figure else "—"
