"""The command: what it is told, before anything starts."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from phase10_deployment.project30_gradio.page import own_server, read_key
from shared.files import ROOT


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "phase10_deployment.project30_gradio.page", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


def test_a_key_is_the_first_line(tmp_path: Path):
    file = tmp_path / "key"
    file.write_text("\n sk-abc \nmore\n", encoding="utf-8")
    assert read_key(file) == "sk-abc"
    assert read_key(None) == ""
    file.write_text(" \n", encoding="utf-8")
    with pytest.raises(ValueError, match="no key"):
        read_key(file)


def test_where_a_server_is_given_none_is_started():
    with own_server("no-such-model", True) as url:
        assert url == ""


needs_gradio = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None, reason="gradio is not installed"
)


@needs_gradio
def test_an_address_that_is_none_is_one_line():
    done = run("--server", "localhost:8000")
    assert done.returncode == 2
    assert "localhost:8000" in done.stderr
    assert "Traceback" not in done.stderr


@needs_gradio
def test_a_key_file_that_is_not_there_is_one_line(tmp_path: Path):
    done = run("--server", "http://127.0.0.1:9", "--api-key-file", str(tmp_path / "none"))
    assert done.returncode == 2
    assert "none" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(importlib.util.find_spec("gradio") is not None, reason="gradio is installed")
def test_without_gradio_it_is_one_line():
    done = run()
    assert done.returncode == 2
    assert "gradio is not installed" in done.stderr
