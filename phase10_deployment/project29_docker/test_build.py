"""What can be tested of the build without an engine: sums, tables, and what it says where it cannot build."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from phase10_deployment.project29_docker import build
from phase10_deployment.project29_docker.given import engines, lint
from phase10_deployment.project29_docker.given.inside import Config, _without_address, tools
from phase10_deployment.project29_docker.layers import Layer
from phase10_deployment.project29_docker.slim import slim


def test_bytes_of_a_folder_count_each_file_once(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"123")
    (tmp_path / "c").hardlink_to(tmp_path / "a" / "b")
    (tmp_path / "d").symlink_to("c")
    (tmp_path / "e").write_bytes(b"4")
    assert build.folder_bytes(tmp_path) == 4


def test_tables_of_layers_and_folders():
    stack = [
        Layer(
            "RUN a",
            10,
            {"usr/lib/x": 5_000_000, "opt/venv/lib/python3/site-packages/torch/a": 7_000_000},
            (),
            (),
        )
    ]
    console = Console(record=True, width=120, file=io.StringIO())
    console.print(build.layer_table(stack), build.largest(stack))
    text = console.export_text()
    assert all(word in text for word in ("RUN a", "12.0", "usr/lib", "site-packages/torch", "7.0"))


def test_what_an_image_says_of_itself():
    config = Config.of(
        {
            "Entrypoint": ["init", "--"], "Cmd": ["serve", "--host", "0.0.0.0", "--port", "8000", "--model", "x"],
            "Env": ["A=1", "B=x=y"], "User": "1:1", "Healthcheck": {"Test": ["CMD", "check"]},
        }
    )  # fmt: skip
    assert (config.environment, config.user, config.healthcheck) == (
        {"A": "1", "B": "x=y"},
        "1:1",
        ("check",),
    )
    assert _without_address(config.command) == ["init", "--", "serve", "--model", "x"]
    assert Config.of({}) == Config((), {}, "", ())


def test_tools_that_an_image_should_not_have(tmp_path: Path):
    for name in ("usr/bin/gcc", "usr/bin/python3", "opt/venv/bin/pip"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "usr/bin/c++").symlink_to("/nowhere")
    assert sorted(tools(tmp_path)) == ["/opt/venv/bin/pip", "/usr/bin/c++", "/usr/bin/gcc"]


def test_slimming_takes_what_it_names_and_nothing_else(tmp_path: Path):
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    gone = ["pip/a.py", "torch/include/a.h", "numpy/tests/test_a.py", "a/b.pyi", "x/libx.a", "a/b/tests/t.py"]
    stay = [
        "torch/lib/libtorch.so",
        "torch/bin/torch_shm_manager",
        "pipeline/a.py",
        "torch/testing/a.py",
        "a/latest/b.py",
        "safetensors/a.py",
    ]
    for name in [*gone, *stay]:
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_bytes(b"12345")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pip3").touch()
    (tmp_path / "bin" / "python").touch()
    freed = slim(tmp_path)
    left = sorted(str(path.relative_to(packages)) for path in packages.rglob("*") if path.is_file())
    assert (sum(freed.values()), left) == (5 * len(gone), sorted(stay))
    assert [path.name for path in (tmp_path / "bin").iterdir()] == ["python"]


def test_without_an_engine_it_says_what_it_did_and_what_it_did_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(engines, "find_engine", lambda: "")
    monkeypatch.setattr(lint, "tools", dict)
    with pytest.raises(SystemExit) as ended:
        build.main()
    said = capsys.readouterr().out
    assert (ended.value.code, "Not built" in said, "own rules: right" in said) == (0, True, True), said
    assert "hadolint: not here" in said


def test_another_device_is_a_mistake(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        build.main(device="tpu")
    assert (ended.value.code, "tpu" in capsys.readouterr().out) == (2, True)
