import json
import os
import signal
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

from phase01_foundation.project01_minimal_gpt import generate as generate_command
from phase01_foundation.project01_minimal_gpt import train as train_command
from phase01_foundation.project01_minimal_gpt.attention import torch_attention
from phase01_foundation.project01_minimal_gpt.generation import generate
from phase01_foundation.project01_minimal_gpt.given import settings as settings_module
from phase01_foundation.project01_minimal_gpt.given.settings import TrainConfig
from phase01_foundation.project01_minimal_gpt.given.small_run import TINY, Sentences, quiet, run
from phase01_foundation.project01_minimal_gpt.sampling import SamplingParams
from phase01_foundation.project01_minimal_gpt.train import CONFIGS, train
from shared import artifacts, config
from shared.command import Interrupted


@pytest.fixture(autouse=True)
def corpus(own_folders, monkeypatch):
    """The corpus is a few sentences."""
    monkeypatch.setattr(train_command.corpora, "load", lambda name, **options: Sentences())


@pytest.fixture
def checkpoint(own_folders):
    return own_folders / "work" / "models" / "test" / "checkpoint.safetensors"


def interrupted_run(monkeypatch, step, number=signal.SIGINT):
    """Start a run, and send ourselves a signal in the middle of that step."""
    real, steps = train_command.training_step, []

    def step_with_signal(*arguments):
        result = real(*arguments)
        steps.append(1)
        if len(steps) == step:
            os.kill(os.getpid(), number)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(train_command, "training_step", step_with_signal)
        with pytest.raises(Interrupted, match=f"stopped at step {step}"):
            run()


def test_a_run_learns_publishes_and_draws(tmp_path):
    finished, artifact = run(steps=200, learning_rate=0.02, evaluate_every=50, dropout=0.0)
    losses = [entry["validation_loss"] for entry in finished.history]
    assert [entry["step"] for entry in finished.history] == [50, 100, 150, 200]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.5, "some thirty words are not learnt by heart"
    assert artifact.card["data"] == "cats and dogs"
    assert artifact.card["validation_loss"] == losses[-1]
    assert json.loads((artifact.folder / "card.json").read_text()) == artifact.card
    assert (artifact.folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert not (artifact.folder / "checkpoint.safetensors").exists()

    model, tokenizer = generate_command.load("test", "cpu")
    params = SamplingParams(max_tokens=20, temperature=0)
    assert generate(model, tokenizer, ["The "], params) == generate(
        finished.model, tokenizer, ["The "], params
    )


def test_every_step_has_the_rate_of_its_schedule_and_the_history_their_mean_loss(monkeypatch):
    real, rates, losses = train_command.training_step, [], []

    def step(model, optimizer, tokens, targets, rate, *arguments):
        loss, norm = real(model, optimizer, tokens, targets, rate, *arguments)
        rates.append(rate)
        losses.append(loss)
        return loss, norm

    monkeypatch.setattr(train_command, "training_step", step)
    finished, _ = run(learning_rate=0.01, decay_share=0.5)
    assert rates == pytest.approx([0.005] + [0.01] * 6 + [0.01 * i / 6 for i in (5, 4, 3, 2, 1)])
    means = [sum(part) / len(part) for part in (losses[:5], losses[5:10], losses[10:])]
    assert [entry["train_loss"] for entry in finished.history] == pytest.approx(means)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_interrupted_and_resumed_ends_bitwise_as_one_that_was_not(monkeypatch, checkpoint, number):
    expected, _ = run(name="whole")
    interrupted_run(monkeypatch, 7, number)
    assert checkpoint.exists()
    printed = StringIO()
    resumed, _ = train(TrainConfig(**TINY), quiet(printed))
    assert "resumed at step 7" in printed.getvalue()
    for name, tensor in expected.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    whole, parts = ([{**entry, "seconds": 0} for entry in one.history] for one in (expected, resumed))
    assert whole == parts
    assert not checkpoint.exists(), "a finished run leaves no checkpoint behind"


def test_restart_begins_anew(monkeypatch, checkpoint):
    interrupted_run(monkeypatch, 7)
    printed = StringIO()
    train(TrainConfig(**TINY, restart=True), quiet(printed))
    assert "resumed" not in printed.getvalue()


def test_a_checkpoint_of_other_settings_is_refused_and_kept(monkeypatch, checkpoint):
    interrupted_run(monkeypatch, 7)
    before = checkpoint.read_bytes()
    with pytest.raises(artifacts.CheckpointError, match=r"other settings \(dim 8 → 16, seed 0 → 1\)"):
        run(dim=16, seed=1)
    assert checkpoint.read_bytes() == before


# ---- the best weights


def validations(monkeypatch, *losses):
    """Let the validations find these losses, and note the weights that each was of."""
    weights, real = [], train_command.evaluate

    def evaluate(model, *arguments, **options):
        real(model, *arguments, **options)
        weights.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return losses[len(weights) - 1]

    monkeypatch.setattr(train_command, "evaluate", evaluate)
    return weights


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


@pytest.mark.parametrize(
    ("losses", "best"),
    [((3.0, 2.0, 2.5), 1), ((3.0, 2.0, 1.0), 2), ((2.0, 2.0, 2.0), 0), ((1.0, 3.0, 2.0), 0)],
)
def test_the_weights_of_the_best_validation_are_published(monkeypatch, losses, best):
    weights = validations(monkeypatch, *losses)
    finished, artifact = run()  # validated at steps 5, 10 and 12
    assert_same(artifact.tensors(), weights[best])
    assert_same(finished.model.state_dict(), weights[best])
    assert artifact.card["validation_loss"] == losses[best]
    assert artifact.card["published_step"] == (5, 10, 12)[best]
    assert len(artifact.card["history"]) == 3, "the whole curve is kept"


def test_without_keep_best_the_last_weights_are_published(monkeypatch):
    weights = validations(monkeypatch, 3.0, 2.0, 2.5)
    _, artifact = run(keep_best=False)
    assert_same(artifact.tensors(), weights[2])
    assert (artifact.card["validation_loss"], artifact.card["published_step"]) == (2.5, 12)


def test_the_best_weights_outlive_a_stop(monkeypatch, checkpoint):
    weights = validations(monkeypatch, 2.0, 3.0, 2.5)
    interrupted_run(monkeypatch, 7)
    _, artifact = run()
    assert_same(artifact.tensors(), weights[0])
    assert artifact.card["published_step"] == 5


def test_a_checkpoint_from_before_the_best_was_kept_goes_on(monkeypatch, checkpoint):
    interrupted_run(monkeypatch, 7)
    state = artifacts.read(checkpoint)
    del state["best"], state["best_entry"]
    artifacts.write(checkpoint, state)
    finished, _ = run()
    assert finished.step == 12
    assert finished.best_entry["step"] in (10, 12)


def test_a_file_that_is_no_checkpoint_of_a_run_is_named(capsys, monkeypatch, checkpoint):
    interrupted_run(monkeypatch, 7)
    whole = artifacts.read(checkpoint)
    odd = [{**whole, name: 5} for name in ("settings", "alphabet", "model", "optimizer", "random", "losses")]
    for state in ([1, 2], {"settings": whole["settings"]}, *odd):
        artifacts.write(checkpoint, state)
        code, printed = command(capsys)
        assert code == 2
        assert checkpoint.name in printed
        assert "Traceback" not in printed


# ---- attention, and what does not fit


def test_training_validation_and_samples_take_the_attention_that_is_set(monkeypatch):
    fused = []
    monkeypatch.setattr(
        settings_module,
        "torch_attention",
        lambda layer, *heads: fused.append(len(heads[0])) or torch_attention(layer, *heads),
    )
    written, _ = run(name="written")
    assert not fused
    finished, _ = run(attention="fused")
    assert {4, 1} <= set(fused), "batches of training, and samples of one row"
    assert finished.history[-1]["validation_loss"] == pytest.approx(
        written.history[-1]["validation_loss"], abs=1e-3
    )


@pytest.mark.parametrize("step", [1, 7])
def test_out_of_memory_names_the_settings_and_leaves_the_checkpoint(capsys, monkeypatch, checkpoint, step):
    real, taken = train_command.training_step, []

    def large(*arguments):
        taken.append(1)
        if len(taken) == step:
            raise torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has 79.11 GiB."
            )
        return real(*arguments)

    monkeypatch.setattr(train_command, "training_step", large)
    code, printed = command(capsys)
    assert code == 2
    line = printed.strip().splitlines()[-1]
    assert line.startswith(
        "error: out of memory on cpu: 20.00 GiB more were asked for; lower batch_size (it is 4)"
    )
    assert "Traceback" not in printed
    assert artifacts.read(checkpoint)["step"] == step // 5 * 5


# ---- the commands, as a user gives them


def command(capsys, *arguments):
    """Run the train command on the tiny settings; its exit code and what it printed."""
    preset = Path(os.environ["LADDER_DATA"]) / "tiny.yaml"
    preset.parent.mkdir(exist_ok=True)
    preset.write_text(json.dumps(TINY))  # JSON is YAML
    code = 0
    try:
        train_command.main(["--preset", str(preset), *arguments])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_the_command_trains_and_streams_a_sample(capsys):
    code, printed = command(capsys, "--steps", "6")
    assert code == 0
    assert "validation loss" in printed
    assert "generate --model test" in printed
    assert "trained already" not in printed
    sample = printed.split("A sample, as it is written:\n")[1]
    assert len(sample) > 100


def test_a_finished_model_is_named_before_it_is_replaced(capsys, monkeypatch):
    run(steps=6)
    trained = artifacts.find("test").tensors()
    loads = []
    monkeypatch.setattr(
        train_command, "load_data", lambda settings: loads.append(capsys.readouterr().out) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        train(TrainConfig(**TINY), Console(soft_wrap=True))
    assert "test is trained already" in loads[0], "said before any work"
    assert "work/models/test" in loads[0]
    assert_same(artifacts.find("test").tensors(), trained)


def test_the_command_says_how_to_go_on_after_an_interrupt(capsys, monkeypatch):
    real = train_command.training_step

    def step_with_signal(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return real(*arguments)

    monkeypatch.setattr(train_command, "training_step", step_with_signal)
    code, printed = command(capsys)
    assert code == 130
    assert "stopped at step 1" in printed
    assert "Give the same command again" in printed


def test_the_command_names_what_is_wrong_before_any_work(capsys, checkpoint):
    for argument, message in {
        "--context_length=400": "context_length 400 is too long: the validation text",
        "--prompt=é": "the prompt cannot be encoded",
        "--device=tpu9": "unknown device 'tpu9'",
        "--dim=7": "dim must be a multiple of 2 × heads",
        "--steps=0": "steps must be at least 1, not 0",
        "--learning_rate=0": "learning_rate and max_norm must be above 0",
        "--learning_rate=.nan": "learning_rate must be a finite number, not nan",
        "--max_norm=.inf": "max_norm must be a finite number, not inf",
        "--weight_decay=.nan": "weight_decay must be a finite number, not nan",
        "--dropout=.nan": "dropout must be a finite number, not nan",
        "--seed=-1": "seed must be from 0 to 4294967295, not -1",
        "--warmup=-1": "warmup and weight_decay must be 0 or more",
        "--preset=huge": "there is no preset 'huge'",
        "--dimm=8": "dimm",
    }.items():
        code, printed = command(capsys, argument)
        assert code == 2, argument
        assert message in " ".join(printed.split()), argument
    assert not checkpoint.exists()


def test_a_checkpoint_cut_short_is_named(capsys, monkeypatch, checkpoint):
    interrupted_run(monkeypatch, 7)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    code, printed = command(capsys)
    assert code == 2
    assert "is cut short" in " ".join(printed.split())


def test_a_folder_that_cannot_be_written_is_found_before_the_first_step(capsys, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LADDER_WORK", str(tmp_path / "file"))  # no folder fits in a file, not even root's
    monkeypatch.setattr(train_command, "training_step", lambda *arguments: pytest.fail("a step was taken"))
    code, printed = command(capsys)
    assert code == 2
    assert "Not a directory" in printed


@pytest.mark.parametrize("preset", sorted(path.stem for path in CONFIGS.iterdir()))
def test_the_presets_can_be_read(preset):
    settings = config.parse(TrainConfig, CONFIGS, ["--preset", preset])
    assert settings.model_config(65).context_length == settings.context_length
