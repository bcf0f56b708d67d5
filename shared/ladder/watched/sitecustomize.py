"""Run by every Python that is started with this folder on its path: it notes which files are opened."""

import os
from pathlib import Path

from shared.ladder import opened

if value := os.environ.get(opened.VARIABLE):
    root, _, out = value.partition(os.pathsep)
    opened.note(Path(root), Path(out))
