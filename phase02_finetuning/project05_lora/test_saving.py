import json
import re
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from phase02_finetuning.project05_lora import saving
from phase02_finetuning.project05_lora.adapters import add_adapter
from phase02_finetuning.project05_lora.given.example import at, random_model, random_tokens, trained
from phase02_finetuning.project05_lora.given.names import fingerprint
from phase02_finetuning.project05_lora.lora import LoraConfig, lora_layers
from phase02_finetuning.project05_lora.merging import merge, merge_and_unload
from phase02_finetuning.project05_lora.saving import load_adapter, save_adapter
from shared.artifacts import CheckpointError
from shared.testing import raises

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
SMALL = LoraConfig(rank=2, alpha=6.0, targets=("q", "down"), dropout=0.25)
PREFIX = "base_model.model.model.layers"


def saved(folder, config=SMALL, name="default", **options):
    """A model with a trained adapter, saved to the folder; what it says of the tokens."""
    model, tokens = random_model(), random_tokens()
    add_adapter(model, config, name)
    trained(model, name)
    save_adapter(model, folder, **options)
    return model, tokens, model(tokens)


def change(folder, **fields):
    path = folder / CONFIG
    content = json.loads(path.read_text(encoding="utf-8")) | fields
    path.write_text(json.dumps({k: v for k, v in content.items() if v != "absent"}), encoding="utf-8")


def change_tensors(folder, changes):
    with safe_open(folder / WEIGHTS, "pt") as file:
        metadata = file.metadata()
    tensors = {name: one for name, one in (load_file(folder / WEIGHTS) | changes).items() if one is not None}
    save_file(tensors, folder / WEIGHTS, metadata)


@pytest.mark.task(6)
@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        replace(SMALL, rslora=True),
        replace(SMALL, dora=True),
        LoraConfig(rank=1, alpha=0.3),
        replace(SMALL, targets=("blocks.1.attention.q", "gate")),
        replace(SMALL, targets=("attention.q", "0.feed_forward.up")),
    ],
)
def test_what_was_saved_says_the_same_again(tmp_path, config):
    _, tokens, expected = saved(tmp_path, config)
    model = random_model()
    found = load_adapter(model, tmp_path)
    assert torch.equal(model(tokens), expected)
    assert replace(found, targets=config.targets) == config
    again = random_model()
    assert add_adapter(again, replace(config, targets=found.targets)) == add_adapter(random_model(), config)


@pytest.mark.task(6)
def test_the_files_are_as_peft_has_them(tmp_path):
    model, _, _ = saved(tmp_path, base="tiny-base")
    assert {path.name for path in tmp_path.iterdir()} == {CONFIG, WEIGHTS}
    content = json.loads((tmp_path / CONFIG).read_text(encoding="utf-8"))
    fields = {"peft_type": "LORA", "r": 2, "lora_alpha": 6, "lora_dropout": 0.25, "bias": "none"}
    fields |= {"use_rslora": False, "use_dora": False, "base_model_name_or_path": "tiny-base"}
    assert {name: content[name] for name in fields} == fields
    assert sorted(content["target_modules"]) == ["down_proj", "q_proj"]
    tensors = load_file(tmp_path / WEIGHTS)
    assert sorted(tensors) == sorted(
        f"{PREFIX}.{i}.{part}.lora_{which}.weight"
        for i in range(2) for part in ("self_attn.q_proj", "mlp.down_proj") for which in "AB"
    )  # fmt: skip
    adapter = at(model, "blocks.1.attention.q.adapters.default")
    assert torch.equal(tensors[f"{PREFIX}.1.self_attn.q_proj.lora_A.weight"], adapter.A)
    assert torch.equal(tensors[f"{PREFIX}.1.self_attn.q_proj.lora_B.weight"], adapter.B)
    with safe_open(tmp_path / WEIGHTS, "pt") as file:
        assert file.metadata() == {"format": "pt", "base": fingerprint(random_model())}


@pytest.mark.task(6)
def test_a_magnitude_has_its_own_name(tmp_path):
    model, _, _ = saved(tmp_path, replace(SMALL, dora=True))
    tensors = load_file(tmp_path / WEIGHTS)
    assert len(tensors) == 3 * 4
    magnitude = at(model, "blocks.0.attention.q.adapters.default").magnitude
    assert torch.equal(tensors[f"{PREFIX}.0.self_attn.q_proj.lora_magnitude_vector"], magnitude)


@pytest.mark.task(6)
def test_some_layers_of_a_kind_are_named_in_full(tmp_path):
    saved(tmp_path, replace(SMALL, targets=("blocks.1.attention.q", "up")))
    content = json.loads((tmp_path / CONFIG).read_text(encoding="utf-8"))
    assert "q_proj" not in content["target_modules"]
    assert "model.layers.1.self_attn.q_proj" in content["target_modules"]


@pytest.mark.task(6)
def test_an_adapters_name_and_the_others_are_not_in_the_file(tmp_path):
    model, tokens, expected = saved(tmp_path / "one", name="one")
    add_adapter(model, LoraConfig(rank=3, targets=("q", "k")), "two")
    trained(model, "two", seed=3)
    second = model(tokens)
    save_adapter(model, tmp_path / "two")
    save_adapter(model, tmp_path / "again", "one")
    assert load_file(tmp_path / "again" / WEIGHTS).keys() == load_file(tmp_path / "one" / WEIGHTS).keys()
    other = random_model()
    load_adapter(other, tmp_path / "two", "b")
    assert torch.equal(other(tokens), second)
    load_adapter(other, tmp_path / "one", "a")
    assert torch.equal(other(tokens), expected)
    assert {layer.chosen for layer in lora_layers(other).values()} == {"a"}
    with raises(ValueError, "a"):
        load_adapter(other, tmp_path / "two", "a")
    with raises(ValueError, "none of that"):
        save_adapter(model, tmp_path / "three", "none of that")
    assert not (tmp_path / "three").exists()


@pytest.mark.task(6)
def test_a_merged_adapter_is_saved_as_an_adapter(tmp_path):
    model, tokens, expected = saved(tmp_path / "one")
    merge(model)
    save_adapter(model, tmp_path / "two")
    one, two = (load_file(tmp_path / folder / WEIGHTS) for folder in ("one", "two"))
    assert all(torch.equal(one[name], tensor) for name, tensor in two.items())
    assert one.keys() == two.keys()
    other = random_model()
    load_adapter(other, tmp_path / "two")
    assert torch.equal(other(tokens), expected)


@pytest.mark.task(6)
def test_it_is_half_the_size_in_bfloat16_and_read_in_float32(tmp_path):
    _, tokens, expected = saved(tmp_path, dtype=torch.bfloat16)
    assert {one.dtype for one in load_file(tmp_path / WEIGHTS).values()} == {torch.bfloat16}
    model = random_model()
    load_adapter(model, tmp_path)
    assert at(model, "blocks.0.attention.q.adapters.default").A.dtype == torch.float32
    torch.testing.assert_close(model(tokens), expected, rtol=0.1, atol=0.1)


@pytest.mark.task(6)
@pytest.mark.parametrize("made", ["other numbers", "one number", "merged"])
def test_another_base_is_refused(tmp_path, made):
    adapted, tokens, _ = saved(tmp_path)
    other = random_model(seed=1 if made == "other numbers" else 0)
    if made == "one number":
        with torch.no_grad():
            at(other, "blocks.1.feed_forward.up").weight[3, 3] += 1
    if made == "merged":
        other = merge_and_unload(adapted)
    before = other(tokens)
    with raises(CheckpointError, "any_base"):
        load_adapter(other, tmp_path)
    assert torch.equal(other(tokens), before)
    assert not lora_layers(other)
    load_adapter(other, tmp_path, any_base=True)
    assert not torch.equal(other(tokens), before)


@pytest.mark.task(6)
def test_the_same_base_in_another_dtype_or_with_adapters_is_the_same(tmp_path):
    model = random_model().bfloat16()
    add_adapter(model, SMALL)
    save_adapter(model, tmp_path)
    wide = random_model().bfloat16().float()
    add_adapter(wide, LoraConfig(rank=1, targets=("q", "k")), "another")
    merge(wide)
    load_adapter(wide, tmp_path, "mine")


@pytest.mark.task(6)
def test_a_file_without_a_fingerprint_is_read(tmp_path):
    _, tokens, expected = saved(tmp_path)
    save_file(load_file(tmp_path / WEIGHTS), tmp_path / WEIGHTS, {"format": "pt"})
    model = random_model()
    load_adapter(model, tmp_path)
    assert torch.equal(model(tokens), expected)


KEY = f"{PREFIX}.1.self_attn.q_proj.lora_A.weight"
EXTRA = f"{PREFIX}.1.self_attn.k_proj.lora_A.weight"


@pytest.mark.task(6)
@pytest.mark.parametrize(
    ("fields", "tensors", "facts"),
    [
        ({"r": 4}, {}, ("lora_A", "(2, 16)", "(4, 16)")),
        ({"target_modules": ["q_proj", "k_proj", "down_proj"]}, {}, ("k_proj",)),
        ({"target_modules": ["q_proj"]}, {}, ("down_proj",)),
        ({"target_modules": ["q_proj", "query"]}, {}, ("query", "q_proj")),
        ({"target_modules": ["q", "down"]}, {}, ("q_proj",)),
        ({"use_dora": True}, {}, ("lora_magnitude_vector",)),
        ({}, {KEY: None}, (KEY,)),
        ({}, {EXTRA: torch.zeros(2, 16)}, (EXTRA,)),
        ({}, {KEY: torch.zeros(2, 17)}, (KEY, "(2, 17)", "(2, 16)")),
        ({}, {KEY: torch.zeros(2, 16, dtype=torch.int32)}, (KEY, "int32")),
    ],
)
def test_files_that_do_not_fit_are_refused_and_the_model_is_as_it_was(tmp_path, fields, tensors, facts):
    saved(tmp_path)
    change(tmp_path, **fields)
    change_tensors(tmp_path, tensors)
    model = random_model()
    with raises(CheckpointError, *facts):
        load_adapter(model, tmp_path, any_base=True)
    assert not lora_layers(model)
    assert all(one.requires_grad for one in model.parameters())


@pytest.mark.task(6)
def test_a_layer_that_is_not_there_is_named_with_those_there_are_each_once(tmp_path):
    saved(tmp_path)
    change(tmp_path, target_modules=["query"])
    with raises(CheckpointError, "query", "q_proj", "down_proj") as caught:
        load_adapter(random_model(), tmp_path)
    assert len(re.findall(r"\bdown_proj\b", str(caught.value))) == 1, "not once a block"


@pytest.mark.task(6)
def test_a_folder_may_be_a_text(tmp_path):
    model, tokens = random_model(), random_tokens()
    add_adapter(model, SMALL)
    trained(model)
    save_adapter(model, str(tmp_path / "adapter"))
    other = random_model()
    load_adapter(other, str(tmp_path / "adapter"))
    assert torch.equal(other(tokens), model(tokens))


@pytest.mark.task(6)
def test_fields_that_change_the_function_are_refused(tmp_path):
    saved(tmp_path)
    change(tmp_path, rank_pattern={"q_proj": 4})
    model = random_model()
    with raises(CheckpointError, "rank_pattern"):
        load_adapter(model, tmp_path)
    assert not lora_layers(model)


@pytest.mark.task(6)
def test_a_save_that_is_cut_short_leaves_a_whole_adapter_or_none(tmp_path, monkeypatch):
    model, tokens, expected = saved(tmp_path)

    def cut(*arguments):
        raise OSError("no space left")

    monkeypatch.setattr(saving, "save_file", cut)
    with raises(OSError, "no space"):
        save_adapter(model, tmp_path)
    again = random_model()
    load_adapter(again, tmp_path)
    assert torch.equal(again(tokens), expected), "the config is the same, so the old adapter is still one"
    add_adapter(model, LoraConfig(rank=5), "other")
    with raises(OSError, "no space"):
        save_adapter(model, tmp_path)
    with raises(CheckpointError, CONFIG):
        load_adapter(random_model(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {WEIGHTS}


@pytest.mark.task(6)
def test_the_config_comes_after_the_weights(tmp_path, monkeypatch):
    seen = []
    real = saving.save_file

    def look(*arguments):
        seen.append((tmp_path / CONFIG).exists())
        return real(*arguments)

    monkeypatch.setattr(saving, "save_file", look)
    saved(tmp_path)
    saved(tmp_path, replace(SMALL, rank=3))
    assert seen == [False, False]
    assert json.loads((tmp_path / CONFIG).read_text(encoding="utf-8"))["r"] == 3


@pytest.mark.task(6)
@pytest.mark.parametrize("broken", [CONFIG, WEIGHTS])
@pytest.mark.parametrize("how", ["missing", "cut", "nonsense"])
def test_broken_files_are_refused(tmp_path, broken, how):
    saved(tmp_path)
    path = tmp_path / broken
    content = path.read_bytes()
    path.unlink()
    if how != "missing":
        path.write_bytes(content[: len(content) // 2] if how == "cut" else b"\x80\x04nonsense" * 9)
    with raises(CheckpointError):
        load_adapter(random_model(), tmp_path)


@pytest.mark.task(6)
def test_layers_of_other_models_keep_their_names(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4))
    copy = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4))
    copy.load_state_dict(model.state_dict())
    add_adapter(model, LoraConfig(rank=2, targets=("1",)))
    trained(model)
    save_adapter(model, tmp_path)
    assert sorted(load_file(tmp_path / WEIGHTS)) == [
        f"base_model.model.1.lora_{which}.weight" for which in "AB"
    ]
    load_adapter(copy, tmp_path)
    x = torch.randn(2, 6)
    assert torch.equal(copy(x), model(x))
