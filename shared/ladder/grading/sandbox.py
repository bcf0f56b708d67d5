"""Where submissions run: inside bubblewrap or a container engine, where one is installed and works here.

Inside there is Python, the compiler, a copy of the house without the solution, and the submission, all read-only; a
scratch folder in memory; no network, and no process that outlives the run.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from shared.ladder.project import root_folder

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store")
SETTINGS = (
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "alternatives",
    "localtime",
    "passwd",
    "group",
    "nsswitch.conf",
)
SCRATCH_BYTES = 2**31
PROBE_SECONDS = 60
IMAGE = "ladder-empty"  # of a container: nothing, as all that it needs is the machine's own
KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "CC", "CXX", "TERM")
NOT_HELD_BACK = (
    "what a submission does with the network, with your files (it can read the solution where it finds it, by another "
    "process or by C) and with processes of its own is not held back"
)


@dataclass(frozen=True)
class Sandbox:
    """A way to run a command: `bwrap`, `docker`, `podman`, or nothing, and why nothing."""

    engine: str = ""
    why_none: str = ""

    def command(
        self, arguments: Sequence[str], reads: Sequence[Path], writes: Sequence[Path] = (), name: str = ""
    ) -> list[str]:
        """The command line that runs `arguments` where only the system, Python, `reads` and `writes` can be seen."""
        if self.engine == "bwrap":
            return [*_bubblewrap(reads, writes), *arguments]
        if self.engine:
            return [*_container(self.engine, reads, writes, name), *arguments]
        return list(arguments)

    @property
    def is_container(self) -> bool:
        """Whether it is a client that asks an engine to run the command."""
        return self.engine in ("docker", "podman")

    def end(self, name: str) -> None:
        """End a container that is still there: killing the client does not."""
        if self.is_container:
            subprocess.run([self.engine, "rm", "--force", name], capture_output=True, check=False)

    def told(self) -> str:
        """One line for the instructor."""
        if self.engine:
            return f"Each submission runs inside {self.engine}: no network, no file of yours, no process left over."
        return f"No sandbox ({self.why_none}): {NOT_HELD_BACK}."


@cache
def find_sandbox() -> Sandbox:
    """The first engine that is installed and can run this Python."""
    reasons = []
    for engine in ("bwrap", "docker", "podman"):
        if not shutil.which(engine):
            continue
        sandbox = Sandbox(engine)
        if engine != "bwrap" and not _has_image(engine):
            reasons.append(f"{engine} does not work here")
            continue
        name = f"ladder-{uuid.uuid4().hex}"
        command = sandbox.command([python(), "-c", "import ctypes; print('it works')"], [], name=name)
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PROBE_SECONDS)
            if done.returncode == 0 and "it works" in done.stdout:
                return sandbox
            reasons.append(f"{engine} does not work here")
        except (OSError, subprocess.TimeoutExpired):
            sandbox.end(name)
            reasons.append(f"{engine} does not work here")
    return Sandbox(why_none="; ".join(reasons) or "neither bubblewrap nor a container engine is installed")


def python() -> str:
    """This Python, by a path without links to what may not be seen inside."""
    executable, prefix = Path(sys.executable).absolute(), Path(sys.prefix).absolute()
    if not executable.is_relative_to(prefix):
        return str(executable)
    return str(prefix.resolve() / executable.relative_to(prefix))


def environment() -> dict[str, str]:
    """What a submission gets to see of the environment: nothing that names keys, tokens or the solution's place."""
    values = {key: os.environ[key] for key in KEPT if key in os.environ}
    return {**values, "HOME": "/tmp", "TMPDIR": "/tmp"}


def _seen() -> tuple[list[Path], list[Path]]:
    """The folders of the system and of Python, and those inside of them that are to be empty: the solution's."""
    prefixes = [Path(path).resolve() for path in (sys.base_prefix, sys.base_exec_prefix, sys.prefix)]
    sites = [Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib")]
    seen = [path for path in dict.fromkeys([*map(Path, SYSTEM), *prefixes]) if path.exists()]
    seen += [site for site in dict.fromkeys(sites) if not any(site.is_relative_to(path) for path in seen)]
    # Where the house was installed as a package, the solution lies among the libraries as well.
    hidden = {folder for site in sites for folder in site.glob("phase[0-9][0-9]_*") if folder.is_dir()}
    return seen, sorted(hidden)


def _bubblewrap(reads: Sequence[Path], writes: Sequence[Path]) -> list[str]:
    seen, hidden = _seen()
    root = root_folder()
    arguments = [
        "bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
        "--proc",
        "/proc",
    ]
    arguments += ["--dev", "/dev", *_sized(), "--tmpfs", "/tmp", "--dir", "/etc"]
    for name in SETTINGS:
        arguments += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    inside, others = [], []
    for path in seen:
        (inside if path.is_relative_to(root) else others).append(path)
    for path in others:
        if path.is_symlink():
            arguments += ["--symlink", os.readlink(path), str(path)]
        else:
            arguments += ["--ro-bind", str(path), str(path)]
    if any(root.is_relative_to(path) for path in others if not path.is_symlink()):
        hidden = [root, *hidden]
    arguments += [word for path in hidden for word in ("--tmpfs", str(path))]
    # A virtual environment within the house comes after the house was hidden.
    arguments += [word for path in [*inside, *reads] for word in ("--ro-bind", str(path), str(path))]
    arguments += [word for path in writes for word in ("--bind", str(path), str(path))]
    return [*arguments, "--chdir", "/tmp", "--"]


@cache
def _sized() -> list[str]:
    """The size of the scratch folder, where this bubblewrap is new enough to take one."""
    said = subprocess.run(["bwrap", "--help"], capture_output=True, text=True, check=False)
    return ["--size", str(SCRATCH_BYTES)] if "--size" in said.stdout + said.stderr else []


def _container(engine: str, reads: Sequence[Path], writes: Sequence[Path], name: str) -> list[str]:
    seen, hidden = _seen()
    root = root_folder()
    arguments = [engine, "run", "--rm", "--interactive", "--name", name, "--network", "none", "--read-only"]
    arguments += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "512"]
    arguments += ["--user", f"{os.getuid()}:{os.getgid()}", "--tmpfs", f"/tmp:rw,exec,size={SCRATCH_BYTES}"]
    arguments += [word for key, value in environment().items() for word in ("--env", f"{key}={value}")]
    settings = [Path("/etc", each) for each in SETTINGS if Path("/etc", each).exists()]
    for path in [*seen, *settings, *reads]:
        arguments += ["--volume", f"{path.resolve()}:{path}:ro"]
    arguments += [word for path in writes for word in ("--volume", f"{path}:{path}")]
    if any(root.is_relative_to(path) for path in seen):
        hidden = [root, *hidden]
    arguments += [word for path in hidden for word in ("--tmpfs", str(path))]
    return [*arguments, "--workdir", "/tmp", IMAGE]


def _has_image(engine: str) -> bool:
    """Whether there is an image without content, made here where it is not: nothing is downloaded."""
    try:
        run = {"capture_output": True, "check": False, "timeout": PROBE_SECONDS}
        if subprocess.run([engine, "image", "inspect", IMAGE], **run).returncode == 0:
            return True
        return subprocess.run([engine, "import", "-", IMAGE], input=bytes(10240), **run).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
