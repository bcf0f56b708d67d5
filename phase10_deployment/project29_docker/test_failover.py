"""One of two servers is ended in mid-load, with servers that have no model."""

import subprocess
import sys

import pytest

from phase10_deployment.project29_docker.failover import fail_over
from phase10_deployment.project29_docker.given import programs

pytestmark = pytest.mark.skipif(programs.program("nginx") is None, reason="needs nginx")


def test_a_kill_cuts_what_has_begun_and_loses_nothing_else():
    counts, _ = fail_over(6, 3.0, tokens=10, stand_in=True)
    assert (counts.refused, counts.unanswered, counts.cut <= 6) == (0, 0, True)
    assert counts.whole > 6
    assert counts.first_after


def test_a_server_that_drains_loses_nothing_and_ends_well():
    counts, code = fail_over(6, 3.0, tokens=10, end="drain", stand_in=True)
    assert (counts.refused, counts.unanswered, counts.cut, code) == (0, 0, 0, 0)


def test_a_mistake_in_what_was_typed_is_one_line():
    command = [sys.executable, "-m", "phase10_deployment.project29_docker.failover", "--end", "burn"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n"), "burn" in done.stderr) == (2, 1, True)
