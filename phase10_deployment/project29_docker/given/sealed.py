"""Runs a folder that holds an image's files as a container would: process 1, another user, a root nobody can write to.

Linux namespaces for mounts and processes, by unshare(1) and chroot(1), which need root and no container engine. The
network is the machine's own, so that what listens on 127.0.0.1 can be asked.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

SCRIPT = r"""
set -e
root=$1; user=$2; shift 2
mount -n --make-rprivate /
mount -n --bind "$root" "$root"
mount -n -o remount,ro,bind "$root"
mount -n -t tmpfs -o mode=1777,size=256m tmp "$root/tmp"
new="$root/tmp/dev"
mkdir "$new"
mount -n -t tmpfs -o mode=755,size=64k dev "$new"
mkdir -m 1777 "$new/shm"
mount -n -t tmpfs -o mode=1777,size=64m shm "$new/shm"
for one in null zero full random urandom; do : >"$new/$one"; mount -n --bind /dev/$one "$new/$one"; done
ln -s /proc/self/fd "$new/fd"
mount -n --move "$new" "$root/dev"
rmdir "$new"
mount -n -t proc proc "$root/proc"
exec chroot --userspec="$user" "$root" "$@"
"""


def can_seal() -> bool:
    """Whether this machine lets us make namespaces."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    try:
        done = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False, timeout=20
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def start(
    root: Path,
    command: Sequence[str],
    environment: Mapping[str, str],
    user: str = "10001:10001",
    cwd: str = "/app",
    **pipes: object,
) -> subprocess.Popen[str]:
    """Start a command as process 1 of a sealed root. What it sees of the environment is `environment` alone.

    `pipes` are of subprocess.Popen. When the process that is returned ends, all in the namespace have ended.
    """
    inside = [
        "/usr/bin/env",
        "-i",
        f"--chdir={cwd}",
        *(f"{key}={value}" for key, value in environment.items()),
        *command,
    ]
    outside = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", SCRIPT, "seal"]
    return subprocess.Popen([*outside, str(root), user, *inside], text=True, **pipes)  # pyright: ignore


def process_one(outer: subprocess.Popen[str]) -> int:
    """The number that process 1 of a sealed root has outside. Raises ProcessLookupError where it has ended."""
    place = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    while outer.poll() is None:
        if children := place.read_text(encoding="utf-8").split():
            return int(children[0])
        time.sleep(0.005)  # it has not forked yet
    raise ProcessLookupError(f"{outer.pid} has ended")


def make_cold(root: Path) -> int:
    """Drop the files of a folder from the page cache, as if the machine had just started; returns their bytes."""
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    total += os.fstat(file.fileno()).st_size
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return total
