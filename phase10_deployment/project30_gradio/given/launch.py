"""Servers as processes of their own, for as long as a block lasts."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from shared.files import ROOT

PAGE = "phase10_deployment.project30_gradio.page"
PRETEND = "phase10_deployment.project30_gradio.given.pretend"
SERVE = "phase10_deployment.project28_serving.serve"


@dataclass(frozen=True)
class Started:
    """A server that is up."""

    url: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> str:
        return self.url.rpartition(":")[2]

    def stop(self, seconds: float = 20.0) -> None:
        """End it, kindly at first."""
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def started(module: str, *arguments: str) -> Iterator[Started]:
    """Run a module that says its address, `http://…`, in a line on stdout when it is ready; it ends with the block.

    Raises ValueError where it ends without having said so: its own words stand on stderr.
    """
    command = [sys.executable, "-P", "-m", module, *arguments]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        assert process.stdout is not None
        found = None
        try:
            for line in process.stdout:
                if found := re.search(r"http://[\w.:-]+", line):
                    break
            if found is None:
                raise ValueError(f"{module} did not start with {' '.join(arguments)}")
            yield Started(found[0], process)
        finally:
            Started("", process).stop()
