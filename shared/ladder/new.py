"""`ladder new`: the folder of a project to come. Nothing outside it is touched, but for the folder of a new phase."""

import keyword
import re
from pathlib import Path
from string import Template

from shared.files import write_text
from shared.ladder.house import LadderError, say, short
from shared.ladder.project import PROJECT_FOLDERS, projects, root_folder
from shared.ladder.scaffold import PHASE, PROJECT

PHASES = {
    "phase01_foundation": range(1, 4),
    "phase02_finetuning": range(4, 7),
    "phase03_core_inference": range(7, 10),
    "phase04_advanced_inference": range(10, 14),
    "phase05_quantization": range(14, 17),
    "phase06_compression": range(17, 20),
    "phase07_architecture": range(20, 23),
    "phase08_parallelism": range(23, 25),
    "phase09_compiler": range(25, 28),
    "phase10_deployment": range(28, 31),
}
TAKEN = ("benchmark", "conftest", "given")  # names of other things in a project's folder


def new(number: int, phase: str, name: str, title: str | None = None) -> None:
    """Make `<phase>/project<number>_<name>/`, and the phase's own files where they are missing.

    Raises LadderError, before anything is written, for a phase that is not planned, a number of another phase,
    a name that is no plain Python identifier, and a folder or number that is there already.
    """
    folder = _checked(number, phase, name)
    title = title or name.replace("_", " ").capitalize()
    if not title.strip() or not title.isprintable() or '"' in title or "\\" in title:
        raise LadderError(f"the title is {title!r}; it must be a line without quotes and backslashes")
    phase_title = phase.partition("_")[2].replace("_", " ")
    values = {
        "number": number,
        "name": name,
        "title": title,
        "Title": title[0].upper() + title[1:],
        "phase": int(phase[5:7]),
        "phase_two": phase[5:7],
        "phase_title": phase_title,
        "Phase_title": phase_title.capitalize(),
        "module": f"{phase}.{folder.name}",
        "path": f"{phase}/{folder.name}",
    }
    texts = {
        folder.parent / file: text for file, text in PHASE.items() if not (folder.parent / file).exists()
    }
    texts |= {folder / Template(file).substitute(values): text for file, text in PROJECT.items()}
    for path, text in texts.items():
        write_text(path, Template(text).substitute(values))
        say(f"[green]new[/]  {short(path)}")
    say()
    say(
        "Next: the promise and the tasks in project.toml, then the code and its tests. What to fill in says TODO."
    )
    say(f"What is missing:             [cyan]ladder selfcheck {number}[/]")
    say(f"Its tests and its benchmark: [cyan]make project{number:02} PRESET=smoke[/]")
    say("The tables in the READMEs:   [cyan]make report[/]")
    say('[dim]CONTRIBUTING.md, "Add a project", has the whole way.[/]')


def _checked(number: int, phase: str, name: str) -> Path:
    """The folder to make, once all that was asked for is allowed."""
    if phase not in PHASES:
        listed = ", ".join(f"{known} (projects {span[0]} to {span[-1]})" for known, span in PHASES.items())
        raise LadderError(f"there is no phase {phase!r}; allowed: {listed}")
    span = PHASES[phase]
    if number not in span:
        raise LadderError(f"{phase} has projects {span[0]} to {span[-1]}, and {number} is none of them")
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise LadderError(
            f"the name is {name!r}; it must be a Python identifier in small letters, such as kv_cache"
        )
    if name in TAKEN or name.startswith("test_"):
        raise LadderError(f"the name is {name!r}; {name}.py would be taken for something else: use another")
    root = root_folder()
    for there in sorted(root.glob(PROJECT_FOLDERS)):
        if there.name.startswith(f"project{number:02}_"):
            raise LadderError(f"project {number} is there already: {there.relative_to(root).as_posix()}")
    for project in projects(root):
        if project.number == number:
            raise LadderError(f"number {number} is in use already: {project.path.as_posix()}/project.toml")
    return root / phase / f"project{number:02}_{name}"
