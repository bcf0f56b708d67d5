"""A sealed root is what a container would give: process 1, another user, nothing to write to but /tmp and /dev/shm."""

import subprocess
from pathlib import Path

import pytest

from phase10_deployment.project29_docker.given import sealed

needs_namespaces = pytest.mark.skipif(not sealed.can_seal(), reason="needs root on Linux, and namespaces")

SCRIPT = """
echo pid $$
echo uid $(id -u)
for place in / /usr /etc /tmp /dev/shm /var/tmp; do
    if ( : > $place/ladder-written ) 2>/dev/null; then echo writes $place; fi
done
echo variables $(env | grep -c -v -E '^(PWD|OLDPWD|SHLVL|_|A)=')
echo a $A
"""


@needs_namespaces
def test_a_sealed_root():
    """This machine's own root, in namespaces of its own: nothing outside sees any of it."""
    process = sealed.start(
        Path("/"),
        ["/bin/sh", "-c", SCRIPT],
        {"A": "b"},
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, error = process.communicate(timeout=60)
    assert (out.split("\n")[:-1], process.returncode) == (
        ["pid 1", "uid 10001", "writes /tmp", "writes /dev/shm", "variables 0", "a b"], 0,
    ), error  # fmt: skip
    assert not Path("/tmp/ladder-written").exists()


@needs_namespaces
def test_its_exit_code_and_its_process_one():
    process = sealed.start(
        Path("/"), ["/bin/sh", "-c", "read line; exit 7"], {}, cwd="/", stdin=subprocess.PIPE
    )
    one = sealed.process_one(process)
    assert Path(f"/proc/{one}").exists()
    process.communicate("go\n", timeout=60)
    assert (process.returncode, Path(f"/proc/{one}").exists()) == (7, False)


def test_files_out_of_the_cache_are_still_there(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"x" * 5000)
    (tmp_path / "b").symlink_to("a")
    assert sealed.make_cold(tmp_path) == 5000
    assert (tmp_path / "a").read_bytes() == b"x" * 5000
