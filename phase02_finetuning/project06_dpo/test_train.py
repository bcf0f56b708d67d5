"""The commands that train: they learn, publish, go on after a stop bit for bit, and say in a line what cannot be."""

import json
import math
import re

import pytest
import torch

from phase02_finetuning.project04_sft.given.chat_model import load_chat
from phase02_finetuning.project06_dpo import reinforce, style, train
from phase02_finetuning.project06_dpo.given.rollouts import RolloutBatches
from phase02_finetuning.project06_dpo.given.small_base import publish_small
from phase02_finetuning.project06_dpo.reference_cache import hash_of_weights

COMMANDS = {
    "train": (train, "smoke-dpo"),
    "style": (style, "smoke-style"),
    "reinforce": (reinforce, "smoke-grpo"),
}


@pytest.fixture(autouse=True)
def base(own_folders, monkeypatch):
    """A small chat model to begin with, and small chunks."""
    monkeypatch.setattr(style, "CHUNK", 24)
    monkeypatch.setattr(style, "HELD_OUT", 4)
    return publish_small()


@pytest.fixture
def command(capsys):
    """Run a command on its smoke preset; its exit code and what it printed, on one line."""

    def run(which, *arguments):
        code = 0
        try:
            COMMANDS[which][0].main(["--preset", "smoke", "--base", "tiny", "--threads", "1", *arguments])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, " ".join((captured.out + captured.err).split())

    return run


def card(folder, name):
    return json.loads((folder / "work" / "models" / name / "card.json").read_text())


def weights(name):
    return hash_of_weights(load_chat(name).model)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_preferences_are_learnt_and_the_first_loss_is_ln_2(command, own_folders, method):
    rate = "2e-2" if method == "lora" else "1e-3"
    more = "--steps", "12", "--evaluate-every", "6", "--learning-rate", rate, "--method", method
    code, said = command("train", *more, "--pairs", "8", "--batch-size", "8")
    assert code == 0, said
    assert "side by side" in said
    found = card(own_folders, "smoke-dpo")
    first = found["history"][0]
    assert first["train_loss"] < math.log(2)
    assert found["history"][-1]["train_loss"] < first["train_loss"]
    assert found["base"] == "tiny"
    assert weights("smoke-dpo") != weights("tiny")
    assert found["reference_weights"] == weights("tiny")
    files = list((own_folders / "work" / "cache" / "references").glob("*.safetensors"))
    assert len(files) == 2, "one for the pairs to train on, one for those held out"
    assert not (own_folders / "work" / "models" / "smoke-dpo" / "checkpoint.safetensors").exists()


def test_without_a_step_of_size_the_loss_stays_ln_2(command, own_folders):
    assert command("train", "--learning-rate", "1e-12")[0] == 0
    for entry in card(own_folders, "smoke-dpo")["history"]:
        assert entry["train_loss"] == pytest.approx(math.log(2), abs=1e-6)
        assert entry["validation_loss"] == pytest.approx(math.log(2), abs=1e-6)
        assert entry["accuracy"] == pytest.approx(0.5, abs=0.5)


def test_the_reference_from_disk_and_from_the_base_are_the_same(command):
    assert command("train", "--name", "cached")[0] == 0
    assert command("train", "--name", "live", "--cached", "false")[0] == 0
    one, other = (load_chat(name).model.state_dict() for name in ("cached", "live"))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("loss", ["hinge", "ipo", "simpo", "kto"])
def test_other_losses_run(command, own_folders, loss):
    code, said = command("train", "--loss", loss, "--nll", "0.1", "--steps", "2")
    assert code == 0, said
    assert math.isfinite(card(own_folders, "smoke-dpo")["validation_loss"])


def test_a_file_of_pairs_is_learnt_from(command, own_folders):
    path = own_folders / "pairs.jsonl"
    records = [{"prompt": f"Say {n}.", "chosen": f"{n}!", "rejected": "No."} for n in range(10)]
    path.write_text("\n".join(map(json.dumps, records)))
    code, said = command("train", "--data", str(path))
    assert code == 0, said
    assert card(own_folders, "smoke-dpo")["pairs"] == 8
    path.write_text('{"prompt": "a", "chosen": "b", "rejected": "b"}')
    code, said = command("train", "--data", str(path))
    assert code == 2
    assert str(path) in said
    assert re.search(r"\b1\b", said.replace(str(path), "")), "the line"


def test_style_and_rewards_are_learnt_from(command, own_folders):
    code, said = command("style", "--steps", "12", "--learning-rate", "1e-2", "--evaluate-every", "6")
    assert code == 0, said
    losses = [entry["validation_loss"] for entry in card(own_folders, "smoke-style")["history"]]
    assert losses[-1] < losses[0]
    code, said = command("reinforce")
    assert code == 0, said
    found = card(own_folders, "smoke-grpo")
    assert len(found["rewards"]) == 2, "four steps, two on each batch of answers"
    assert (own_folders / "work" / "models" / "smoke-grpo" / "reward.png").is_file()
    load_chat("smoke-grpo")


def test_rewards_that_differ_move_the_policy(command, monkeypatch):
    """Against any checker's: answers with an even number of tokens are rewarded."""
    import phase02_finetuning.project06_dpo.given.rollouts as module

    real = module.rollout

    def even(*arguments, **more):
        tried = real(*arguments, **more)
        counts = (tried.targets != -100).sum(dim=1).view(tried.rewards.shape)
        return tried._replace(rewards=((counts + torch.arange(counts.shape[1])) % 2).float())

    monkeypatch.setattr(module, "rollout", even)
    assert command("reinforce", "--learning-rate", "1e-2")[0] == 0
    assert weights("smoke-grpo") != weights("tiny")


@pytest.mark.parametrize("which", ["train", "reinforce", "style"])
def test_a_stopped_run_goes_on_bit_for_bit(command, monkeypatch, which):
    name = COMMANDS[which][1]
    more = "--steps", "6", "--evaluate-every", "3"
    assert command(which, *more)[0] == 0
    expected = weights(name)
    source = {"train": train.PairBatches, "reinforce": RolloutBatches, "style": style.ExampleBatches}[which]
    real, taken = source.next, []

    def stop(self):
        taken.append(1)
        if len(taken) == 6:
            raise RuntimeError("power cut")
        return real(self)

    monkeypatch.setattr(source, "next", stop)
    with pytest.raises(RuntimeError, match="power cut"):
        command(which, *more)
    code, said = command(which, *more)
    assert code == 0, said
    assert "resumed at step 3" in said
    assert weights(name) == expected


@pytest.mark.parametrize(
    ("which", "words", "said"),
    [
        ("train", ("--base", "nobody"), "nobody"),
        ("train", ("--beta", "0"), "beta"),
        ("train", ("--loss", "dpo"), "sigmoid"),
        ("train", ("--rules", '["loud"]'), "loud"),
        ("train", ("--method", "full", "--cached", "false"), "lora"),
        ("train", ("--name", "tiny"), "tiny"),
        ("train", ("--label-smoothing", "0.5"), "label_smoothing"),
        ("train", ("--data", "none.jsonl"), "none.jsonl"),
        ("train", ("--learning-rat", "1"), "learning_rate"),
        ("style", ("--keep", "1"), "keep"),
        ("style", ("--context-length", "400"), "256"),
        ("reinforce", ("--group-size", "1"), "group_size"),
        ("reinforce", ("--skills", '["flying"]'), "flying"),
        ("reinforce", ("--average", "mean"), "average"),
        ("reinforce", ("--low", "2"), "low"),
    ],
)
def test_what_cannot_be_is_one_line(command, which, words, said):
    code, printed = command(which, *words)
    assert code == 2
    assert said in printed
    assert "Traceback" not in printed


def test_another_base_begins_anew(command, monkeypatch):
    real, taken = train.PairBatches.next, []

    def stop(self):
        taken.append(1)
        if len(taken) == 4:
            raise RuntimeError("power cut")
        return real(self)

    monkeypatch.setattr(train.PairBatches, "next", stop)
    with pytest.raises(RuntimeError):
        command("train")
    other = load_chat("tiny").model
    with torch.no_grad():
        other.norm.weight[0] += 1.0
    from phase02_finetuning.project04_sft.given.chat_model import publish_chat

    publish_chat("tiny", load_chat("tiny")._replace(model=other), {})
    code, said = command("train")
    assert code == 2
    assert "weights" in said
    assert command("train", "--restart", "true")[0] == 0
