"""Folders in compressed-tensors' layout: what was saved comes back, other tools read it, broken ones are refused."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from phase05_quantization.project14_ptq.given.example import (
    SHAPES,
    random_matrix,
    random_model,
    random_tokens,
)
from phase05_quantization.project14_ptq.given.methods import as_floats
from phase05_quantization.project14_ptq.given.peers import HAS, compressed_tensors
from phase05_quantization.project14_ptq.grids import Grid, nearest
from phase05_quantization.project14_ptq.packing import pack, unpack
from phase05_quantization.project14_ptq.quant_linear import model_bytes, quantize_embedding, quantize_linears
from phase05_quantization.project14_ptq.saving import (
    grid_of,
    load_quantized,
    read_weight,
    save_quantized,
    scheme,
    weight_tensors,
    words,
)
from shared.checkpoint import CheckpointError
from shared.phase01 import load_model
from shared.testing import raises

task = pytest.mark.task(9)
GRIDS = [
    Grid(4, 8),
    Grid(8),
    Grid(3, 7, False),
    Grid(2, "tensor"),
    Grid(4, "tensor", False),
    Grid(4, 8, False, torch.float16),
]
grids = pytest.mark.parametrize("grid", GRIDS, ids=str)


def quantized_model(config=SHAPES[0], grid=GRIDS[0], embedding=None, only=""):
    model = random_model(config)
    quantize_linears(model, lambda name, linear: nearest(linear.weight, grid) if only in name else None)
    if embedding is not None:
        quantize_embedding(model, embedding)
    return model


def change_config(folder, change):
    content = json.loads((folder / "config.json").read_text())
    change(content)
    (folder / "config.json").write_text(json.dumps(content))


def change_tensors(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


@task
@grids
def test_a_matrix_in_the_layouts_words(grid):
    made = nearest(random_matrix(5, 20), grid)
    found = weight_tensors(made)
    assert torch.equal(found["weight_packed"], pack(made.codes, grid.bits).view(torch.int32))
    assert found["weight_packed"].dtype == torch.int32
    assert found["weight_shape"].tolist() == [5, 20]
    assert found["weight_shape"].dtype == torch.int64
    whole = grid.group == "tensor"
    assert found["weight_scale"].shape == ((1,) if whole else (5, grid.groups(20)))
    assert torch.equal(found["weight_scale"].flatten(), made.qparams.scale.flatten())
    assert ("weight_zero_point" in found) == (not grid.symmetric)
    assert all(tensor.is_contiguous() for tensor in found.values())
    if not grid.symmetric and not whole:
        zero = found["weight_zero_point"]
        assert zero.dtype == torch.int32
        down = zero.T.contiguous().view(torch.uint8)
        assert torch.equal(unpack(down, grid.bits, 5).T, made.qparams.zero)
    if not grid.symmetric and whole:
        assert found["weight_zero_point"].tolist() == [made.qparams.zero.item()]


def test_words_are_the_same_bytes():
    packed = torch.tensor([[1, 2, 0, 128], [255, 255, 255, 255]], dtype=torch.uint8)
    assert words(packed).tolist() == [[1 + 2 * 256 - 2**31], [-1]]


@task
@grids
def test_a_matrix_comes_back(grid):
    made = nearest(random_matrix(5, 20), grid)
    found = read_weight(weight_tensors(made), grid, "x")
    assert torch.equal(found.codes, made.codes)
    assert torch.equal(found.qparams.scale, made.qparams.scale)
    assert torch.equal(found.qparams.zero, made.qparams.zero)
    assert found.grid == grid


@task
@grids
def test_a_grid_in_the_layouts_words(grid):
    found = scheme(grid)
    assert grid_of(found, "x") == grid
    assert found["num_bits"] == grid.bits
    assert found["type"] == "int"
    assert found["symmetric"] == grid.symmetric
    assert found["strategy"] == ("group" if isinstance(grid.group, int) else grid.group)
    assert found["group_size"] == (grid.group if isinstance(grid.group, int) else None)
    assert found["dynamic"] is False
    assert json.loads(json.dumps(found)) == found


@task
@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"strategy": "block"}, "block"),
        ({"type": "float"}, "float"),
        ({"num_bits": 16}, 16),
        ({"group_size": None}, "x"),
        ({"scale_dtype": "torch.int8"}, "int8"),
        ({"dynamic": True}, "True"),
    ],
)
def test_a_grid_that_is_none(change, fact):
    with raises(CheckpointError, "x", fact):
        grid_of({**scheme(Grid(4, 8)), **change}, "x")


@task
@pytest.mark.parametrize("config", SHAPES)
@pytest.mark.parametrize("embedding", [None, Grid(8), Grid(4, 8, False, torch.float16)])
@grids
def test_a_model_comes_back(tmp_path, grid, embedding, config):
    model, tokens = quantized_model(config, grid, embedding), random_tokens(3)
    save_quantized(model, tmp_path / "model")
    found = load_quantized(tmp_path / "model")
    assert found.config == config
    assert not found.training
    assert torch.equal(found(tokens), model(tokens))
    assert model_bytes(found) == model_bytes(model)
    assert not any(parameter.is_meta for parameter in [*found.parameters(), *found.buffers()])
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]


@task
def test_the_config_says_which_layer_has_which_grid(tmp_path):
    model = random_model()
    coarse, fine = Grid(2, 8), Grid(8)
    quantize_linears(
        model,
        lambda name, linear: (
            None if name.endswith(".v") else nearest(linear.weight, fine if ".q" in name else coarse)
        ),
    )
    save_quantized(model, tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    about = content["quantization_config"]
    assert about["quant_method"] == "compressed-tensors"
    assert about["format"] == "pack-quantized"
    assert about["quantization_status"] == "compressed"
    assert about["ignore"] == [
        "model.layers.0.self_attn.v_proj",
        "model.layers.1.self_attn.v_proj",
        "lm_head",
    ]
    groups = about["config_groups"]
    assert list(groups) == ["group_0", "group_1"]
    assert groups["group_0"]["weights"] == scheme(fine)
    assert groups["group_0"]["targets"] == [
        "model.layers.0.self_attn.q_proj",
        "model.layers.1.self_attn.q_proj",
    ]
    assert groups["group_1"]["weights"] == scheme(coarse)
    assert "model.layers.1.mlp.down_proj" in groups["group_1"]["targets"]
    tensors = load_file(tmp_path / "model.safetensors")
    assert "lm_head.weight" not in tensors
    assert "model.layers.0.self_attn.v_proj.weight" in tensors
    assert "model.layers.0.self_attn.q_proj.weight" not in tensors
    assert tensors["model.layers.0.self_attn.q_proj.weight_packed"].dtype == torch.int32


@task
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_floats_are_stored_in_the_dtype_asked_for_and_scales_are_not(tmp_path, dtype):
    model = quantized_model()
    save_quantized(model, tmp_path, dtype)
    tensors = load_file(tmp_path / "model.safetensors")
    assert tensors["model.embed_tokens.weight"].dtype == dtype
    assert tensors["model.layers.0.mlp.up_proj.weight_scale"].dtype == torch.float32
    name = str(dtype).removeprefix("torch.")
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == name
    found = load_quantized(tmp_path)
    assert next(found.parameters()).dtype == torch.float32
    torch.testing.assert_close(found(random_tokens()), model(random_tokens()), rtol=0.1, atol=0.1)


@task
def test_a_head_that_was_tied_is_tied_again(tmp_path):
    for embedding in (None, Grid(8)):
        save_quantized(quantized_model(embedding=embedding), tmp_path)
        found = load_quantized(tmp_path)
        if embedding is None:
            assert found.head.weight is found.embedding.weight
        else:
            assert found.head.packed_weight is found.embedding.packed_weight


@task
def test_an_older_config_is_gone_before_new_weights_come(tmp_path, monkeypatch):
    from phase05_quantization.project14_ptq import saving

    save_quantized(quantized_model(), tmp_path)

    def fails(*_):
        assert not (tmp_path / "config.json").exists()
        raise OSError("no room left")

    monkeypatch.setattr(saving, "save_file", fails)
    with pytest.raises(OSError, match="no room"):
        save_quantized(quantized_model(), tmp_path)
    assert not (tmp_path / "config.json").exists()


@task
def test_a_model_of_floats_is_refused(tmp_path):
    with raises(ValueError):
        save_quantized(random_model(), tmp_path / "new")
    assert not (tmp_path / "new").exists()


Q = "model.layers.0.self_attn.q_proj"


@task
def test_a_file_that_says_four_bits_and_holds_eight(tmp_path):
    save_quantized(quantized_model(grid=Grid(8, 8)), tmp_path)

    def says_four(content):
        content["quantization_config"]["config_groups"]["group_0"]["weights"]["num_bits"] = 4

    change_config(tmp_path, says_four)
    with raises(CheckpointError, Q, 4):
        load_quantized(tmp_path)


@task
@pytest.mark.parametrize("part", ["weight_packed", "weight_scale", "weight_shape", "weight_zero_point"])
def test_a_part_of_a_matrix_is_missing(tmp_path, part):
    save_quantized(quantized_model(grid=Grid(4, 8, False)), tmp_path)
    change_tensors(tmp_path, lambda tensors: tensors.pop(f"{Q}.{part}"))
    with raises(CheckpointError, Q, part):
        load_quantized(tmp_path)


@task
def test_parts_that_do_not_fit(tmp_path):
    made = weight_tensors(nearest(random_matrix(5, 20), Grid(4, 8)))
    for part, wrong in (
        ("weight_scale", torch.ones(5, 2)),
        ("weight_scale", torch.ones(5, 3).half()),
        ("weight_packed", torch.zeros(4, 3, dtype=torch.int32)),
        ("weight_packed", torch.zeros(5, 3, dtype=torch.int64)),
        ("weight_zero_point", torch.zeros(1, 3, dtype=torch.int32)),
    ):
        with raises(CheckpointError, "here"):
            read_weight({**made, part: wrong}, Grid(4, 8), "here")


@task
def test_tensors_that_are_missing_of_another_shape_or_too_many(tmp_path):
    name = "model.norm.weight"
    for change, fact in (
        (lambda tensors: tensors.pop(name), name),
        (lambda tensors: tensors.update({name: torch.ones(23)}), name),
        (lambda tensors: tensors.update({"surplus": torch.ones(2)}), "surplus"),
        (lambda tensors: tensors.update({f"{Q}.weight_shape": torch.tensor([23, 24])}), Q),
    ):
        save_quantized(quantized_model(), tmp_path)
        change_tensors(tmp_path, change)
        with raises(CheckpointError, fact):
            load_quantized(tmp_path)


@task
def test_a_config_of_another_kind(tmp_path):
    def other(what, value):
        return lambda content: content["quantization_config"].update({what: value})

    for change, fact in (
        (other("quant_method", "gptq"), "gptq"),
        (other("format", "int-quantized"), "int-quantized"),
        (lambda content: content.pop("quantization_config"), "None"),
        (
            lambda content: content["quantization_config"]["config_groups"]["group_0"]["targets"].append(
                "no.such"
            ),
            "no.such",
        ),
        (lambda content: content.update(model_type="gpt2"), "gpt2"),
        (lambda content: content.pop("hidden_size"), "hidden_size"),
    ):
        save_quantized(quantized_model(), tmp_path)
        change_config(tmp_path, change)
        with raises(CheckpointError, fact):
            load_quantized(tmp_path)


@task
def test_folders_that_are_none(tmp_path):
    with raises(CheckpointError):
        load_quantized(tmp_path / "nothing")
    save_quantized(quantized_model(), tmp_path)
    for text in ("{", "[]"):
        (tmp_path / "config.json").write_text(text)
        with raises(CheckpointError):
            load_quantized(tmp_path)


@task
def test_project_3_refuses_it(tmp_path):
    save_quantized(quantized_model(), tmp_path)
    with raises(CheckpointError, "quantization_config"):
        load_model(tmp_path)


@pytest.mark.skipif(not HAS["compressed_tensors"], reason="compressed_tensors is not installed")
@task
@pytest.mark.parametrize("grid", [Grid(4, 8), Grid(8), Grid(3, 8, False), Grid(2, 4)], ids=str)
def test_compressed_tensors_reads_the_same_weights(tmp_path, grid):
    theirs = compressed_tensors()
    model = quantized_model(SHAPES[1], grid)
    save_quantized(model, tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())["quantization_config"]
    groups = theirs.QuantizationConfig.model_validate(content).config_groups
    twin = as_floats(model)
    tensors = load_file(tmp_path / "model.safetensors")
    for name, place in (
        (Q, "blocks.0.attention.q"),
        ("model.layers.1.mlp.down_proj", "blocks.1.feed_forward.down"),
    ):
        parts = {part.removeprefix(f"{name}."): one for part, one in tensors.items() if part.startswith(name)}
        found = theirs.decompress(parts, groups["group_0"])["weight"]
        torch.testing.assert_close(
            found, twin.get_submodule(place).get_parameter("weight").detach(), rtol=1e-6, atol=1e-6
        )
