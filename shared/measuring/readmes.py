"""Writes what was measured into the READMEs: `make report`, or `python -m shared.measuring.readmes [--check]`.

Each table stands between two marks, such as `<!-- results:start -->` and `<!-- results:end -->`:

- `results`, in every project's README: the headline figures, and below them all that was measured, folded away
- `projects`, in every phase's README: a row for each of its projects
- `scoreboard`, in the root README: a row for each project, with what it promised and what was measured
"""

import argparse
import html
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.files import write_text
from shared.ladder.project import Project, ProjectError, projects, root_folder
from shared.measuring.report import met, number, target


class ReportError(Exception):
    """A README has no marks, or a results file cannot be read."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 when all is well, 1 when `--check` finds a stale README, 2 when something is broken."""
    parser = argparse.ArgumentParser(
        prog="python -m shared.measuring.readmes", description="Write results into the READMEs."
    )
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit with 1 if a README is stale"
    )
    check = parser.parse_args(argv).check
    root = root_folder()
    try:
        stale = update(root, check)
    except (ReportError, ProjectError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    for path in stale:
        print(f"{path.relative_to(root)}: {'stale; run make report' if check else 'brought up to date'}")
    if not stale:
        print("every README is up to date")
    return 1 if check and stale else 0


def update(root: Path, check: bool = False) -> list[Path]:
    """Bring the READMEs under `root` up to date, or with `check` only look; returns those that were stale.

    All are worked out before the first is written. Raises ReportError for a README without its marks and for
    a results file that cannot be read.
    """
    built = projects(root)
    records = {project.number: read_records(project.folder) for project in built}
    wanted = {
        project.folder / "README.md": ("results", results(project, records[project.number]))
        for project in built
    }
    for phase in dict.fromkeys(project.folder.parent for project in built):
        inside = [project for project in built if project.folder.parent == phase]
        wanted[phase / "README.md"] = ("projects", projects_table(inside))
    wanted[root / "README.md"] = ("scoreboard", scoreboard(root, built, records))
    texts = {path: insert(path, mark, table) for path, (mark, table) in wanted.items()}
    stale = [path for path, text in texts.items() if text != path.read_text(encoding="utf-8")]
    if not check:
        for path in stale:
            write_text(path, texts[path])
    return stale


def read_records(folder: Path) -> list[dict[str, Any]]:
    """A project's results, one record a device, in the order of the file names. Raises ReportError."""
    return [_read_record(path) for path in sorted((folder / "results").glob("*.json"))]


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        lacking = {"device", "machine", "versions", "measured", "peers"} - record.keys()
        for figure in record.get("measured", {}).values():
            lacking |= {
                "value",
                "unit",
                "target",
                "met",
                "note",
                "threads",
                "date",
                "command",
            } - figure.keys()
    except (ValueError, AttributeError):
        raise ReportError(f"{path} is no results file; delete it and run the benchmark again") from None
    if lacking:
        raise ReportError(f"{path} lacks {', '.join(sorted(lacking))}; run the benchmark again")
    return record


def results(project: Project, records: Sequence[dict[str, Any]]) -> str:
    """The Markdown that a project's README shows: the headline figures, then all of each device, folded away."""
    if not records:
        return "Nothing is measured yet: run the benchmark."
    rows = [["figure", "measured", "target", "met", "peers", "device"]]
    rows += [
        [*_figure(record, name), record["device"]]
        for name in project.headline
        for record in records
        if name in record["measured"]
    ]
    headlines = [_markdown(rows)] if len(rows) > 1 else []
    return "\n\n".join([*headlines, *map(_device, records)])


def _figure(record: dict[str, Any], name: str) -> list[str]:
    """A figure's cells: its name, value, target, whether that was met, and its peers."""
    figure, peers = record["measured"][name], record["peers"].get(name, {})
    value = f"{number(figure['value'])} {figure['unit']}".strip()
    rivals = "<br>".join(f"{peer}: {number(other)}" for peer, other in peers.items())
    return [name, value, target(figure["target"]), met(figure["met"]), rivals]


def _device(record: dict[str, Any]) -> str:
    """All figures of a device, its runs and the notes, behind one line that opens them."""
    machine, measured = record["machine"], record["measured"]
    rows = [["figure", "measured", "target", "met", "peers", "run"]]
    runs: list[str] = []  # figures of one run have its command, date and threads in common: said once below
    for name, figure in measured.items():
        run = f"`{figure['command']}`, {figure['date'][:10]}, threads: {figure['threads']}"
        runs += [] if run in runs else [run]
        rows.append([*_figure(record, name), str(runs.index(run) + 1)])
    place = f"**{record['device']}**, {machine['cores']} cores, {machine['memory']} GiB, {machine['os']}"
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    commands = "\n".join(f"- run {i}: {run}" for i, run in enumerate(runs, 1))
    summary = f"All figures, commands and notes ({html.escape(record['device'])})"
    # Markdown inside HTML is read as such only after a blank line.
    parts = [
        f"<details><summary>{summary}</summary>",
        f"{place}; {versions}",
        _markdown(rows),
        commands,
    ]
    notes: dict[str, list[str]] = {}
    for name, figure in measured.items():
        if figure["note"]:
            notes.setdefault(figure["note"], []).append(name)
    if notes:
        parts.append(
            "Notes:\n\n" + "\n".join(f"- {'; '.join(names)}: {note}" for note, names in notes.items())
        )
    return "\n\n".join([*parts, "</details>"])


def projects_table(built: Sequence[Project]) -> str:
    """The Markdown of a phase's README: what each of its projects builds, and what it needs."""
    rows = [["#", "project", "what you build", "needs"]]
    for project in built:
        link = f"[{project.title}]({project.folder.name}/)"
        rows.append([str(project.number), link, project.build, ", ".join(project.needs) or "nothing"])
    return _markdown(rows)


def scoreboard(root: Path, built: Sequence[Project], records: dict[int, list[dict[str, Any]]]) -> str:
    """The Markdown of the root README: what each project builds, promises, and has measured."""
    rows = [["#", "project", "what you build", "promised", "measured"]]
    for project in built:
        link = f"[{project.title}]({project.folder.relative_to(root).as_posix()}/)"
        measured = "<br>".join(_headlines(project, records[project.number])) or "not yet"
        rows.append([str(project.number), link, project.build, project.promise, measured])
    return _markdown(rows)


def _headlines(project: Project, records: Sequence[dict[str, Any]]) -> list[str]:
    """The figures that project.toml names as headlines, on every device they were measured on."""
    found = []
    for name in project.headline:
        for record in records:
            if figure := record["measured"].get(name):
                value = f"{number(figure['value'])} {figure['unit']}".strip()
                missed = " (missed)" if figure["met"] is False else ""
                found.append(f"{name}: {value}{missed}, {record['device']}")
    return found


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def insert(path: Path, mark: str, content: str) -> str:
    """The README's text with `content` between its marks. Raises ReportError unless each is there once."""
    if not path.is_file():
        raise ReportError(f"{path} is missing")
    text = path.read_text(encoding="utf-8")
    start, end = f"<!-- {mark}:start -->", f"<!-- {mark}:end -->"
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise ReportError(f"{path} must have the lines {start} and {end}, once each and in this order")
    before, rest = text.split(start)
    after = rest.split(end)[1]
    return f"{before}{start}\n\n{content}\n\n{end}{after}"


if __name__ == "__main__":
    sys.exit(main())
