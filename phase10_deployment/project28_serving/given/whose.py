"""Whose code answers: for each project, the learner's own files or the reference's."""

import os
from collections.abc import Iterator
from pathlib import Path

from shared.files import ROOT
from shared.ladder.project import projects


def whose_code() -> Iterator[str]:
    """A line for each project up to this one."""
    work = os.environ.get("LADDER_OVERLAY")
    known = [project for project in projects(ROOT) if project.number <= 28]
    width = max(len(project.title) for project in known)
    for project in known:
        own = Path(work, project.path) if work else None
        files = sorted(file.name for file in own.glob("*.py")) if own is not None and own.is_dir() else []
        files = [name for name in files if (project.folder / name).is_file() and not name.startswith("test_")]
        whose = f"yours: {', '.join(files)}" if files else "the reference"
        yield f"project {project.number:2d}  {project.title:{width}s}  {whose}"
