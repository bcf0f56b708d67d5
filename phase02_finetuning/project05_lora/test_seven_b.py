import json

import pytest
import torch
import typer
from typer.testing import CliRunner

from phase02_finetuning.project05_lora import seven_b
from phase02_finetuning.project05_lora.given.example import random_model
from phase02_finetuning.project05_lora.given.peers import HAS_BITSANDBYTES, HAS_PEFT
from shared import tinyworld
from shared.phase01 import ByteBPE, Config, Tokenizer, publish_base

pytestmark = pytest.mark.usefixtures("own_folders")
CONFIG = Config(291, 256, layers=1, heads=2, kv_heads=2, dim=16, hidden_dim=16)


@pytest.fixture
def base():
    text = tinyworld.text("train", 0, 20_000)
    tokenizer = Tokenizer(ByteBPE.train([text], 290, native=False), {"<|endoftext|>": 290})
    publish_base("tiny-base", random_model(CONFIG), tokenizer, {"data": "none"})


def run(*words):
    app = typer.Typer()
    app.command()(seven_b.main)
    return CliRunner().invoke(app, ["--device", "cpu", *words])


@pytest.mark.skipif(
    not (HAS_PEFT and HAS_BITSANDBYTES), reason="peft and bitsandbytes are not both installed"
)
def test_a_small_random_llama_goes_the_whole_way(base, own_folders):
    done = run("--steps", "2", "--accumulate", "2", "--rank", "2", "--name", "small")
    assert done.exit_code == 0, done.output
    assert "step     2" in done.output
    folder = own_folders / "work" / "models" / "small"
    content = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert (content["r"], content["lora_alpha"]) == (2, 4)
    assert (folder / "adapter_model.safetensors").is_file()


@pytest.mark.skipif(
    not (HAS_PEFT and HAS_BITSANDBYTES), reason="peft and bitsandbytes are not both installed"
)
@pytest.mark.filterwarnings("ignore")  # their own, of names that will change
def test_an_adapted_model_is_in_training_mode_where_checkpointing_works(tmp_path):
    folder = seven_b.make_random(tmp_path, 291)
    model = seven_b.adapted(str(folder), 2, torch.float32, torch.device("cpu"))
    assert all(part.training for part in model.modules())
    assert model.is_gradient_checkpointing


def test_rows_have_the_answer_and_the_end_to_learn(base):
    tokenizer = seven_b.Ours()
    pairs = [("a" * 300, " b"), ("Question: 1?\nAnswer:", " 2")]
    [row] = list(seven_b.rows(iter(pairs), tokenizer, 100, torch.device("cpu")))
    assert row["input_ids"][0, -1] == tokenizer.end
    learnt = row["labels"][0] != seven_b.IGNORED
    assert tokenizer.tokenizer.decode(row["input_ids"][0, learnt][:-1].tolist()) == " 2"
    assert torch.equal(row["labels"][0, learnt], row["input_ids"][0, learnt])


@pytest.mark.parametrize("line", ["", "{", "[1]", '{"prompt": "x"}', '{"prompt": "x", "answer": ""}'])
def test_data_that_cannot_be_read_is_named_by_its_line(tmp_path, line):
    path = tmp_path / "my.jsonl"
    path.write_text('{"prompt": "x", "answer": "y"}\n' + line + "\n", encoding="utf-8")
    done = run("--data", str(path))
    assert done.exit_code == 2
    assert "line 2" in done.output.replace("\n", " ")


def test_options_that_cannot_be_are_one_line_and_code_two():
    for words in (["--rank", "0"], ["--rate", "0"], ["--name", "../x"], ["--device", "nowhere"]):
        done = run(*words)
        assert done.exit_code == 2
        assert "error" in done.output
