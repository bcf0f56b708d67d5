"""Where a result came from: the command, the commit, the machine and the versions."""

import shlex
import shutil
import subprocess
import sys
from datetime import datetime
from importlib.metadata import version
from typing import Any

import torch

from shared.device import describe
from shared.files import ROOT

PACKAGES = ("torch", "numpy", "safetensors")


def provenance(device: torch.device | str = "cpu") -> dict[str, Any]:
    """The facts that a card or a results file carries, by name; `date` has seconds and the zone."""
    machine = describe(device)
    return {
        "command": command(),
        "commit": commit(),
        "device": machine["device"],
        "threads": machine["threads"],
        "machine": machine,
        "versions": {"python": machine["python"], **{name: version(name) for name in PACKAGES}},
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def command() -> str:
    """The command line of this process, as one would type it in the repository's root."""
    # The path of the interpreter and of the repository are this machine's own and help nobody.
    words = [word.replace(f"{ROOT}/", "") for word in sys.orig_argv[1:]]
    return shlex.join(["python", *words])


def commit() -> str:
    """The git commit of the code, "-dirty" where files differ from it, "unknown" outside a git checkout."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return "unknown"

    def ask(*words: str) -> str:
        done = subprocess.run([git, "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    head = ask("rev-parse", "--short=12", "HEAD") or "unknown"
    return f"{head}-dirty" if ask("status", "--porcelain") else head
