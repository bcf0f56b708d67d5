import json
import os
import re
import signal
import subprocess
import sys
from io import StringIO

import pytest
import torch
from rich.console import Console

from phase01_foundation.project02_tokenizer.given import fast
from phase01_foundation.project03_pretrain import train as train_command
from phase01_foundation.project03_pretrain.given import trainer
from phase01_foundation.project03_pretrain.given.pretrained import load_base
from phase01_foundation.project03_pretrain.given.settings import PretrainConfig
from phase01_foundation.project03_pretrain.train import CONFIGS, train
from shared import config
from shared.command import how_to_run
from shared.files import ROOT

TINY = {
    "name": "test",
    "corpus": "tinyworld",
    "characters": 2_000,
    "tokenizer": "char",
    "context_length": 16,
    "layers": 1,
    "heads": 2,
    "kv_heads": 1,
    "dim": 8,
    "hidden_dim": 12,
    "batch_size": 4,
    "steps": 12,
    "warmup": 2,
    "evaluate_every": 5,
    "validation_windows": 8,
    "dropout": 0.1,
    "dtype": "float32",
    "device": "cpu",
    "threads": 1,
    "tensorboard": False,
}

KILLED_WHILE_SAVING = """
import os, signal, sys
from pathlib import Path

real, saves = os.replace, []

def replace(source, target):
    if Path(target).name == "checkpoint.safetensors":
        saves.append(1)
        if len(saves) == 3:  # before step 1, at step 5, at step 10
            os.kill(os.getpid(), signal.SIGKILL)
    real(source, target)

os.replace = replace
from phase01_foundation.project03_pretrain import train
train.main(sys.argv[1:])
"""


@pytest.fixture(autouse=True, scope="module")
def kernels():
    fast.kernels()  # compiled where they always are, before the first test has folders of its own


@pytest.fixture(autouse=True)
def small_machine(own_folders, monkeypatch):
    """Folders of its own, and no time spent on measuring the machine's peak."""
    monkeypatch.setattr(train_command, "peak_flops", lambda dtype, device: 1e9)


@pytest.fixture
def checkpoint(own_folders):
    return own_folders / "work" / "models" / "test" / "checkpoint.safetensors"


@pytest.fixture
def preset(own_folders):
    """The tiny settings, as a preset of one's own."""
    path = own_folders / "tiny.yaml"
    path.write_text(json.dumps(TINY))  # JSON is YAML
    return path


@pytest.fixture
def command(capsys, preset):
    """Run the command on the tiny settings; its exit code and what it printed, on one line."""

    def run(*arguments):
        code = 0
        try:
            train_command.main(["--preset", str(preset), *arguments])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, " ".join((captured.out + captured.err).split())

    return run


def run(**changes):
    return train(PretrainConfig(**{**TINY, **changes}), Console(file=StringIO()))


def weights(name):
    model, _ = load_base(name)
    return model.state_dict()


def assert_bitwise(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def signal_in_step(monkeypatch, step):
    real = trainer.run_step

    def run_step(run, *arguments):
        if run.step == step - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return real(run, *arguments)

    monkeypatch.setattr(trainer, "run_step", run_step)


def test_a_run_learns_publishes_and_draws(checkpoint):
    finished, artifact = run(steps=60, learning_rate=0.02, evaluate_every=30, tokenizer="bpe", vocab_size=270)
    assert artifact
    losses = [entry["validation_loss"] for entry in finished.history]
    assert losses[1] < losses[0] < 5.5
    card = json.loads((artifact.folder / "card.json").read_text())
    assert card["data"] == "tinyworld"
    assert card["validation_loss"] == losses[-1]
    assert card["training_tokens"] == 60 * 4 * 16
    assert card["settings"]["learning_rate"] == 0.02
    assert card["history"] == finished.history
    assert (artifact.folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert not checkpoint.exists(), "a finished run leaves no checkpoint behind"
    model, tokenizer = load_base("test")
    assert_bitwise(model.state_dict(), finished.model.state_dict())
    assert tokenizer.vocab_size == model.config.vocab_size == 270
    assert tokenizer.special_tokens == {"<|endoftext|>": 269}


def test_the_validations_on_the_way_read_a_part_and_the_last_one_all(monkeypatch):
    real, asked = train_command.validation_batches, []

    def validation_batches(ids, batch_size, context_length, windows, *rest):
        asked.append(windows)
        return real(ids, batch_size, context_length, windows, *rest)

    monkeypatch.setattr(train_command, "validation_batches", validation_batches)
    run()
    assert asked == [8, 8, None]


def test_the_samples_go_on_from_the_prompt():
    finished, _ = run(prompt="The", steps=5)
    [sample] = finished.history[-1]["samples"]
    assert sample.startswith("The")
    assert len(sample) > len("The")


def test_a_skipped_stretch_still_gets_its_card_and_its_curve(monkeypatch):
    """A card is JSON, which has no infinity; a curve leaves out what is not known."""
    real, skipped = trainer.training_step, [trainer.Step(float("nan"), float("inf"), applied=False)] * 5
    monkeypatch.setattr(
        trainer, "training_step", lambda *given, **more: skipped.pop() if skipped else real(*given, **more)
    )
    finished, artifact = run()
    assert [entry["train_loss"] is None for entry in finished.history] == [True, False, False]
    assert artifact
    assert artifact.card["history"][0]["skipped_steps"] == 5
    assert (artifact.folder / "loss.png").exists()


# ---- the command, as a user gives it


def test_the_command_stops_says_how_to_go_on_and_does(command, checkpoint, monkeypatch):
    assert command("--name=whole")[0] == 0
    with monkeypatch.context() as patch:
        signal_in_step(patch, 7)
        code, printed = command()
    assert code == 130
    assert "stopped at step 7; the checkpoint is" in printed
    assert "Give the same command again to go on from there." in printed
    assert checkpoint.exists()
    code, printed = command()
    assert code == 0
    assert "resumed at step 7 from" in printed
    assert "validation loss" in printed
    assert f"{how_to_run(train_command.GENERATE)} --model test" in printed
    assert "A sample:" in printed
    assert printed.count("corpus:") == 1
    assert "trained already" not in printed
    assert_bitwise(weights("test"), weights("whole"))


def test_training_over_a_finished_model_says_so(command):
    command("--steps=2")
    code, printed = command("--steps=2")
    assert code == 0
    assert printed.index("trained already") < printed.index("validation loss")


def test_killed_while_a_checkpoint_is_written_it_goes_on_from_the_one_before(command, checkpoint, preset):
    arguments = [sys.executable, "-c", KILLED_WHILE_SAVING, "--preset", str(preset)]
    killed = subprocess.run(
        arguments, capture_output=True, text=True, check=False, cwd=config.__file__.rsplit("/", 2)[0]
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(list(checkpoint.parent.glob(".checkpoint*"))) == 1, "it was half written"
    code, printed = command()
    assert code == 0
    assert "resumed at step 5 from" in printed
    assert not list(checkpoint.parent.glob(".checkpoint*")), "what was half written is swept away"
    command("--name=whole")
    assert_bitwise(weights("test"), weights("whole"))


@pytest.mark.parametrize(
    ("argument", "message"),
    {
        "--context_length=40000": "context_length 40000 is too long: the train text of tinyworld has only",
        "--prompt=é": "the prompt cannot be encoded: ",
        "--prompt=It was a cold day in the town": "the prompt has 29 tokens; the model reads at most 16",
        "--device=tpu9": "unknown device 'tpu9'",
        "--dtype=int4": "unknown dtype 'int4'; use auto, float32, bfloat16, float16",
        "--dim=7": "dim must be a multiple of heads: 7 is none of 2",
        "--steps=0": "steps must be at least 1, not 0",
        "--batch_size=0": "batch_size must be at least 1, not 0",
        "--learning_rate=0": "learning_rate must be above 0, not 0",
        "--max_norm=-1": "max_norm must be above 0, not -1",
        "--learning_rate=.nan": "learning_rate must be a finite number, not nan",
        "--learning_rate=.inf": "learning_rate must be a finite number, not inf",
        "--weight_decay=.nan": "weight_decay must be a finite number, not nan",
        "--logit_softcap=.inf": "logit_softcap must be a finite number or nothing, not inf",
        "--warmup=-1": "warmup must be 0 or more, not -1",
        "--threads=-1": "threads must be 0 or more, not -1",
        "--micro_batch=-1": "micro_batch must be 0 or more, not -1",
        "--seed=-1": "seed must be from 0 to 4294967295, not -1",
        "--decay_share=1.5": "decay_share must be from 0 to 1, not 1.5",
        "--optimizer=sgd": "Expected a typing.Literal['muon', 'adamw']. Got value: sgd",
        "--parallel=tp": "parallel must be ddp or fsdp, not 'tp'",
        "--validation_windows=0": "validation_windows must be at least 1, not 0",
        "--characters=10": "characters must be at least 2,000, not 10",
        "--questions=1": "questions must be 0 or more and below 1, not 1",
        "--whole_documents=true": "whole_documents needs a tokenizer with <|endoftext|>",
        "--name=My model": "'My model' cannot name a model",
        "--fallback=bible": "fallback must be tinyworld or null, not 'bible'",
        "--corpus=bible": "there is no corpus 'bible'",
        "--tokenizer=mine": "there is no model 'mine'",
        "--wandb=true": "wandb is wanted and not installed",
        "--preset=huge": "there is no preset 'huge'",
        "--dimm=8": "dimm",
    }.items(),
)
def test_the_command_names_what_is_wrong_before_any_work(command, checkpoint, monkeypatch, argument, message):
    monkeypatch.setattr("phase01_foundation.project03_pretrain.given.settings.find_spec", lambda name: None)
    code, printed = command(argument)
    assert code == 2
    assert message in printed
    assert not checkpoint.exists()


def test_a_checkpoint_of_other_settings_is_named(command, checkpoint, monkeypatch):
    with monkeypatch.context() as patch:
        signal_in_step(patch, 2)
        command()
    code, printed = command("--weight_decay=0.2", "--characters=3000")
    assert code == 2
    for fact in ("weight_decay", "0.1", "0.2", "characters", "2000", "3000", "tokens", "restart"):
        assert fact in printed
    code, printed = command("--threads=1", "--micro_batch=2", "--checkpoint_minutes=1", "--compile=false")
    assert code == 0
    assert "resumed at step 2" in printed, "these say how a run is done, not what comes of it"


def test_a_run_that_comes_apart_ends_with_a_message(command, monkeypatch):
    monkeypatch.setattr(
        trainer,
        "training_step",
        lambda *arguments, **options: trainer.Step(float("nan"), float("nan"), False),
    )
    code, printed = command()
    assert code == 2
    assert re.search(r"error: .*\bnan\b", printed)


def test_a_folder_that_cannot_be_written_is_found_before_the_first_step(command, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LADDER_WORK", str(tmp_path / "file"))  # no folder fits in a file, not even root's
    monkeypatch.setattr(
        trainer, "training_step", lambda *arguments, **options: pytest.fail("a step was taken")
    )
    code, printed = command()
    assert code == 2
    assert "Not a directory" in printed


@pytest.mark.parametrize("preset", sorted(path.stem for path in CONFIGS.glob("*.yaml")))
def test_the_presets_can_be_read(preset):
    settings = config.parse(PretrainConfig, CONFIGS, ["--preset", preset])
    assert settings.model_config(4096).context_length == settings.context_length


def test_unchecked_settings_are_refused_too():
    """What the command line would not let through, but Python does."""
    for field, value in {"parallel": "tp", "checkpoint_minutes": float("nan")}.items():
        with pytest.raises(ValueError, match=field):
            PretrainConfig(**{**TINY, field: value})


def test_the_whole_command_with_two_processes_is_the_command_with_one(own_folders):
    options = (
        "--preset smoke --steps 6 --evaluate_every 3 --batch_size 4 --context_length 32 --characters 20000"
    )
    options += " --vocab_size 300 --dtype float32 --threads 1 --tensorboard false --micro_batch 1"
    options += " --device cpu"  # each of two processes would ask for a GPU of its own
    options = [*options.split(), "--name", "two"]
    module = "phase01_foundation.project03_pretrain.train"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    command += [module, *options, "--parallel", "fsdp"]
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert "processes: 2" in ended.stdout
    assert ended.stdout.count("validation loss") == 3, "one process speaks: two validations, and the end"
    assert ended.stderr.count("corpus:") == 1
    folder = own_folders / "work" / "models" / "two"
    two = json.loads((folder / "card.json").read_text())
    one, _ = train(
        config.parse(PretrainConfig, CONFIGS, [*options, "--name", "one"]), Console(file=StringIO())
    )
    assert two["processes"] == 2
    assert len(one.history) == 2
    for entry, expected in zip(two["history"], one.history, strict=True):
        # Muon rounds to bfloat16.
        assert entry["validation_loss"] == pytest.approx(expected["validation_loss"], rel=1e-4)
        assert entry["gradient_norm"] == pytest.approx(expected["gradient_norm"], rel=1e-2)
        # A sample can differ: a sum in another order may take a draw to the next token.
        assert len(entry["samples"]) == len(expected["samples"])
    assert not (folder / "checkpoint.safetensors").exists()
