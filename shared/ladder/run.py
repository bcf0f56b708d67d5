"""`ladder run`: one of a project's own commands, such as train or generate, on the learner's code."""

import subprocess
import sys
from collections.abc import Sequence

from rich.markup import escape

from shared.ladder import progress
from shared.ladder.check import refuse_broken_files
from shared.ladder.house import (
    LadderError,
    commands,
    environment,
    require_started,
    say,
    short,
    work_folder,
    yours,
)
from shared.ladder.project import Project, root_folder


def run(project: Project, command: str, arguments: Sequence[str]) -> int:
    """Run `python -m <project>.<command> <arguments>` with the learner's files in front; returns its exit code.

    Raises LadderError when the project is not started, has no such command, or a file of the learner's is broken.
    """
    require_started(project)
    known = commands(project)
    if command not in known:
        listed = ", ".join(known) or "none"
        raise LadderError(f"project {project.number} has no command {command!r}; its commands: {listed}")
    refuse_broken_files(project)
    say(f"[dim]{command} with your files in {short(yours(project))}[/]")
    if unwritten := [task for task in project.tasks if progress.stubs(project, task)]:
        titles = ", ".join(f"{task.number} ({escape(task.title)})" for task in unwritten)
        say(f"[yellow]It will stop where it needs a task that is still to write:[/] {titles}")
    root = root_folder()
    process = subprocess.Popen(
        [sys.executable, "-m", f"{project.module}.{command}", *arguments],
        cwd=root,
        env=environment(root, work_folder()),
    )
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # ctrl-C reaches the command as well, which knows best how to end
            continue
