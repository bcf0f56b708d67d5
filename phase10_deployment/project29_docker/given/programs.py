"""nginx and Prometheus, as far as the machine has them: started on a free port, and ended."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 30.0


def free_port() -> int:
    """A port that nobody listens on now. (nginx and Prometheus cannot be told to choose one and say which.)"""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def program(name: str) -> str | None:
    """Where a program lies; those of administrators are often not on the path."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")


@contextmanager
def nginx(configuration: str, folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """nginx with this configuration, which listens on `port`. Raises OSError with its words where it fails."""
    found = program("nginx")
    if found is None:
        raise OSError("nginx is not installed")
    Path(folder).mkdir(parents=True, exist_ok=True)
    path = Path(folder) / "nginx.conf"
    path.write_text(configuration, encoding="utf-8")
    user = "user root;" if os.geteuid() == 0 else ""
    log = Path(folder) / "nginx.log"
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [found, "-e", "stderr", "-p", str(folder), "-c", str(path), "-g", f"daemon off; {user}"],
            stderr=out,
        )
        try:
            if not _answers(port, process):
                raise OSError(f"nginx did not start: {log.read_text(encoding='utf-8')[-1000:]}")
            yield process
        finally:
            _end(process)


@contextmanager
def prometheus(configuration: str, folder: Path) -> Iterator[str]:
    """A Prometheus with this configuration; gives its URL."""
    found = program("prometheus")
    if found is None:
        raise OSError("prometheus is not installed")
    Path(folder).mkdir(parents=True, exist_ok=True)
    path, port = Path(folder) / "prometheus.yml", free_port()
    path.write_text(configuration, encoding="utf-8")
    log = Path(folder) / "prometheus.log"
    command = [found, f"--config.file={path}", f"--storage.tsdb.path={folder}/data"]
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=out, stderr=out
        )
        try:
            if not _answers(port, process):
                raise OSError(f"prometheus did not start: {log.read_text(encoding='utf-8')[-1000:]}")
            url = f"http://127.0.0.1:{port}"
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/-/ready", timeout=5):
                    break
                time.sleep(0.1)
            yield url
        finally:
            _end(process)


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.02)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
