from dataclasses import dataclass, field

import pytest

from shared.config import parse


@dataclass
class Model:
    layers: int = 2
    """How many blocks."""
    kv_heads: int = 1
    width: int = 8


@dataclass
class Run:
    """A training run."""

    steps: int = 10
    """How many steps."""
    batch_size: int = 4
    rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    model: Model = field(default_factory=Model)

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f"steps must be 1 or more, not {self.steps}")


@dataclass
class NamedRun:
    steps: int = 10
    preset: str = ""


@pytest.fixture
def presets(tmp_path):
    (tmp_path / "cpu.yaml").write_text("steps: 5\nrate: 3e-4\nmodel:\n  layers: 3\n")
    (tmp_path / "smoke.yaml").write_text("steps: 1\n")
    (tmp_path / "typo.yaml").write_text("stepz: 5\n")
    (tmp_path / "wrong.yaml").write_text("model:\n  layers: many\n")
    (tmp_path / "torn.yaml").write_text("steps: [5\n")
    return tmp_path


def test_dataclass_then_preset_then_command_line(presets):
    run = parse(Run, presets, ["--model.layers", "7", "--betas", "[0.5, 0.6]"])
    assert run == Run(steps=5, rate=3e-4, betas=(0.5, 0.6), model=Model(layers=7, width=8))
    assert isinstance(run.model, Model)


@pytest.mark.parametrize(
    "argv",
    [
        ["--preset", "smoke", "--rate=0.5"],
        ["--rate=0.5", "--preset", "smoke"],
        ["--preset=cpu", "--rate=0.5", "--preset=smoke"],
    ],
)
def test_the_order_on_the_command_line_does_not_matter(presets, argv):
    assert parse(Run, presets, argv) == Run(steps=1, rate=0.5)


@pytest.mark.parametrize(
    "argv",
    [
        ["--batch-size", "3", "--model.kv-heads", "7"],
        ["--batch-size=3", "--model.kv-heads=7"],
        ["--batch_size=3", "--model.kv_heads", "7"],
    ],
)
def test_dashes_are_as_good_as_underscores(presets, argv):
    assert parse(Run, presets, argv) == Run(
        steps=5, batch_size=3, rate=3e-4, model=Model(layers=3, kv_heads=7)
    )


def test_a_value_keeps_its_dashes(presets, tmp_path):
    (tmp_path / "my-own").mkdir()
    (tmp_path / "my-own" / "a-b.yaml").write_text("steps: 99\n")
    assert parse(Run, presets, [f"--preset={tmp_path / 'my-own' / 'a-b.yaml'}"]).steps == 99
    assert parse(NamedRun, presets, [f"--preset={tmp_path / 'my-own' / 'a-b.yaml'}"]).preset == "a-b"


def test_the_command_line_beats_a_later_preset(presets):
    assert parse(Run, presets, ["--steps", "3", "--preset", "smoke"]).steps == 3


def test_arguments_come_from_the_command_line_of_the_process(presets, monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py", "--steps", "4"])
    assert parse(Run, presets, default="smoke") == Run(steps=4)


def test_a_file_of_ones_own(presets, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "big.yml").write_text("steps: 99\n")
    assert parse(Run, presets, ["--preset", str(tmp_path / "mine" / "big.yml")]).steps == 99


def test_a_field_called_preset_gets_its_name(presets):
    assert parse(NamedRun, presets, ["--preset", "smoke"]) == NamedRun(steps=1, preset="smoke")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--preset", "huge"], ["'huge'", "cpu, smoke, torn, typo, wrong"]),
        (["--preset", "typo"], ["in typo.yaml", "'stepz'"]),
        (["--preset", "wrong"], ["in wrong.yaml", "model.layers", "int", "many"]),
        (["--preset", "torn"], ["in torn.yaml", "parsing"]),
        (["--steps", "x"], ["steps", "int", "x"]),
        (["--steps", "0"], ["steps must be 1 or more, not 0"]),
        (["--stepz", "3"], ["there is no option --stepz; did you mean --steps?"]),
        (["--batch-sise=3"], ["there is no option --batch-sise; did you mean --batch_size?"]),
        (["--model.kv-head", "3", "x"], ["--model.kv-head; did you mean --model.kv_heads?"]),
        (["--zzz", "3"], ["there is no option --zzz (--help lists every setting)"]),
        (["stray"], ["unrecognized arguments: stray"]),
        (["--preset"], ["--preset", "expected one argument"]),
    ],
)
def test_a_mistake_is_one_clear_line_and_exit_code_2(presets, capsys, argv, words):
    with pytest.raises(SystemExit) as stop:
        parse(Run, presets, argv)
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert all(word in message for word in words), message


def test_no_presets_at_all(tmp_path, capsys):
    with pytest.raises(SystemExit):
        parse(Run, tmp_path, [])
    assert f"there is none in {tmp_path}" in capsys.readouterr().err


def test_help_explains_every_field(presets, capsys):
    with pytest.raises(SystemExit) as stop:
        parse(Run, presets, ["--help"], description="Train a model.")
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for words in ("Train a model.", "How many steps.", "How many blocks.", "--model.width", "cpu, smoke"):
        assert words in text
