import json

import pytest

from phase02_finetuning.project05_lora.given.peft_config import CONFIG, read_config, write_config
from phase02_finetuning.project05_lora.lora import LoraConfig
from shared.artifacts import CheckpointError
from shared.testing import raises

SMALLEST = {"peft_type": "LORA", "r": 4, "lora_alpha": 12, "target_modules": ["q_proj"]}


def put(folder, content):
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / CONFIG).write_text(text, encoding="utf-8")
    return folder


def test_the_smallest_that_peft_opens_is_read(tmp_path):
    assert read_config(put(tmp_path, SMALLEST)) == LoraConfig(4, 12.0, ("q_proj",))


def test_what_was_written_is_read(tmp_path):
    config = LoraConfig(3, 0.5, ("a.q",), 0.1, True, True)
    put(tmp_path, write_config(config, ["a.q"], ["a.q", "b.q"], None))
    assert read_config(tmp_path) == config


def test_what_makes_no_difference_may_be_there(tmp_path):
    more = {"inference_mode": False, "peft_version": "0.21.2", "rank_pattern": {}, "a_new_field": None}
    more |= {"exclude_modules": None, "qalora_group_size": 16, "init_lora_weights": "gaussian"}
    assert read_config(put(tmp_path, SMALLEST | more)).rank == 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bias", "all"),
        ("peft_type", "IA3"),
        ("fan_in_fan_out", True),
        ("modules_to_save", ["lm_head"]),
        ("alpha_pattern", {"q_proj": 3}),
        ("layers_to_transform", [0]),
        ("init_lora_weights", "pissa"),
        ("a_new_field", "yes"),
        ("target_modules", "all-linear"),
        ("target_modules", [1]),
        ("r", 0),
        ("r", "8"),
        ("r", None),
        ("lora_alpha", -1),
        ("lora_dropout", 1.5),
        ("use_dora", "yes"),
    ],
)
def test_what_changes_the_function_is_refused_by_name(tmp_path, name, value):
    said = {"r": ("r", "rank"), "lora_alpha": ("lora_alpha", "alpha"), "lora_dropout": ("dropout",)}.get(
        name, name
    )
    with raises(CheckpointError, said):
        read_config(put(tmp_path, SMALLEST | {name: value}))


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 5000, '{"r": 1}'])
def test_what_is_no_config_is_refused(tmp_path, text):
    with raises(CheckpointError, CONFIG):
        read_config(put(tmp_path, text))


def test_a_folder_without_one_is_no_adapter(tmp_path):
    with raises(CheckpointError, CONFIG):
        read_config(tmp_path)
