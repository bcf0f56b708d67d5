"""The command: it learns, publishes, goes on after a stop, and follows the schedule."""

import json
import os
import re
import signal
from dataclasses import replace

import pytest
import torch

from phase02_finetuning.project04_sft import train as train_command
from phase02_finetuning.project04_sft.given import data, rates
from phase02_finetuning.project04_sft.given.chat_model import load_chat
from phase02_finetuning.project04_sft.given.example import TINY, random_model, small_tokenizer
from phase02_finetuning.project04_sft.schedule import cosine
from shared.phase01 import load_base, publish_base

SETTINGS = {
    "name": "chatty", "base": "base", "context_length": 128, "steps": 6, "batch_size": 2, "warmup": 2,
    "evaluate_every": 3, "validation_examples": 8, "dtype": "float32", "device": "cpu", "threads": 1,
    "tensorboard": False, "conversations": 0.1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def base(own_folders, monkeypatch):
    """A small base model, and chunks of few conversations."""
    tokenizer = small_tokenizer(control=("<|endoftext|>",))
    publish_base(
        "base", random_model(replace(TINY, vocab_size=291), torch.float32), tokenizer, {"data": "none"}
    )
    whole = data.tinyworld_chunk
    monkeypatch.setattr(
        data, "tinyworld_chunk", lambda *of: whole(*of, size=24) if len(of) < 4 else whole(*of)
    )


@pytest.fixture
def command(capsys, own_folders):
    """Run the command on the small settings; its exit code and what it printed, on one line."""
    path = own_folders / "tiny.yaml"
    path.write_text(json.dumps(SETTINGS))  # JSON is YAML

    def run(*arguments):
        code = 0
        try:
            train_command.main(["--preset", str(path), *arguments])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, " ".join((captured.out + captured.err).split())

    return run


def weights(name):
    return load_base(name)[0].state_dict()


def assert_bitwise(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def card(own_folders, name="chatty"):
    return json.loads((own_folders / "work" / "models" / name / "card.json").read_text())


def test_a_run_learns_and_publishes_a_chat_model(command, own_folders):
    code, said = command("--steps", "24", "--learning-rate", "0.01", "--evaluate-every", "12")
    assert code == 0, said
    found = card(own_folders)
    losses = [entry["validation_loss"] for entry in found["history"]]
    assert losses[1] < losses[0] < 6
    assert found["template"] == "tinyworld"
    assert found["base"] == "base"
    assert found["settings"]["schedule"] == "cosine"
    assert "talk with it" in said
    chat = load_chat("chatty")
    assert chat.template == "tinyworld"
    assert chat.model.config.vocab_size == chat.tokenizer.vocab_size == 295
    folder = own_folders / "work" / "models" / "chatty"
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "chat_template.jinja").is_file()
    assert not (folder / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("packed", ["true", "false"])
def test_a_stopped_run_goes_on_bit_for_bit(command, monkeypatch, packed):
    assert command("--name", "whole", "--packed", packed)[0] == 0
    real, steps = train_command.sft_loss, []

    def stopping(model, batch):
        steps.append(1)
        if len(steps) == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return real(model, batch)

    monkeypatch.setattr(train_command, "sft_loss", stopping)
    code, said = command("--packed", packed)
    assert code == 130, said
    assert "step 4" in said
    code, said = command("--packed", packed)
    assert code == 0, said
    assert "resumed at step 4" in said
    assert len(steps) == 6
    assert_bitwise(weights("whole"), weights("chatty"))


def test_every_step_takes_the_cosines_rate(command, monkeypatch, own_folders):
    rates = []
    real = torch.optim.AdamW.step

    def step(self, *arguments):
        rates.append(self.param_groups[0]["lr"])
        return real(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    assert command("--learning-rate", "0.5e-3", "--floor", "0.1")[0] == 0
    expected = [0.5e-3 * cosine(number, 6, 2, 0.1) for number in range(6)]
    assert rates == pytest.approx(expected)
    assert card(own_folders)["history"][-1]["rate"] == pytest.approx(expected[-1])
    rates.clear()
    assert command("--schedule", "linear", "--decay-share", "0.5", "--name", "straight")[0] == 0
    assert rates == pytest.approx([7e-4 * share for share in (0.5, 1, 1, 1, 2 / 3, 1 / 3)])


def test_a_rate_at_a_step_is_that_of_the_schedule():
    settings = train_command.SFTConfig(steps=10, warmup=0, learning_rate=1.0)
    assert rates.rate_at(5, settings) == pytest.approx(0.5)


def test_a_file_of_records_is_learnt_from(command, own_folders):
    path = own_folders / "records.jsonl"
    path.write_text("\n".join(json.dumps({"instruction": f"Say {n}.", "output": f"{n}!"}) for n in range(30)))
    code, said = command("--data", str(path), "--template", "chatml", "--name", "mine")
    assert code == 0, said
    assert load_chat("mine").template == "chatml"
    path.write_text('{"instruction": "Say 1.", "output": "1"}\n{"instruction": "Say 2."}\n')
    code, said = command("--data", str(path))
    assert code == 2
    assert str(path) in said
    assert re.search(r"\b2\b", said.replace(str(path), ""))  # the line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--base", "nobody"), "there is no model 'nobody'"),
        (("--context-length", "400"), "base reads 160"),
        (("--template", "vicuna"), "vicuna"),
        (("--learning-rat", "1"), "did you mean --learning_rate"),
        (("--data", "none.json"), "none.json"),
    ],
)
def test_what_cannot_be_is_one_line(command, words, message):
    code, said = command(*words)
    assert code == 2
    assert message in said
    assert "Traceback" not in said


def test_another_base_begins_anew(command, monkeypatch):
    real = train_command.sft_loss
    monkeypatch.setattr(
        train_command, "sft_loss", lambda *of: (os.kill(os.getpid(), signal.SIGINT), real(*of))[1]
    )
    assert command()[0] == 130
    monkeypatch.setattr(train_command, "sft_loss", real)
    other = random_model(replace(TINY, vocab_size=291), torch.float32, seed=5)
    publish_base("base", other, small_tokenizer(control=("<|endoftext|>",)), {"data": "none"})
    code, said = command()
    assert code == 2
    assert "weights" in said
    assert command("--restart", "true")[0] == 0
