import copy
import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from phase02_finetuning.project05_lora.adapters import add_adapter, train_only
from phase02_finetuning.project05_lora.given.example import TINY, at, random_model, random_tokens, trained
from phase02_finetuning.project05_lora.lora import EVERYWHERE, LoRA, LoraConfig, LoRALinear, lora_layers
from shared.phase01 import make_optimizers, training_step
from shared.testing import raises

Q_AND_DOWN = LoraConfig(rank=2, alpha=4.0, targets=("q", "down"))


def names_of(model):
    return [name for name, _ in model.named_parameters()]


@pytest.mark.task(2)
def test_layers_are_found_by_the_end_of_their_names():
    model = random_model()
    added = add_adapter(model, Q_AND_DOWN)
    expected = [f"blocks.{i}.{part}" for i in range(2) for part in ("attention.q", "feed_forward.down")]
    assert added == expected
    assert list(lora_layers(model)) == expected
    assert isinstance(at(model, "blocks.1.attention.k"), nn.Linear)


@pytest.mark.task(2)
@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("attention.q", ["blocks.0.attention.q", "blocks.1.attention.q"]),
        ("blocks.1.attention.q", ["blocks.1.attention.q"]),
        ("0.attention.out", ["blocks.0.attention.out"]),
        ("head", ["head"]),
    ],
)
def test_a_target_may_be_any_end_of_whole_parts(target, expected):
    assert add_adapter(random_model(), replace(Q_AND_DOWN, targets=(target,))) == expected


@pytest.mark.task(2)
def test_by_default_all_layers_of_the_blocks_have_one():
    model = random_model()
    assert len(add_adapter(model, LoraConfig(rank=1))) == 2 * len(EVERYWHERE)
    assert isinstance(model.head, nn.Linear)


@pytest.mark.task(2)
@pytest.mark.parametrize("targets", [("q", "query", "value_proj"), ("uery", "query", "value_proj")])
def test_targets_that_are_nothing_are_refused_and_named_with_those_there_are(targets):
    model = random_model()
    before = names_of(model)
    with raises(ValueError, "query", "value_proj", *EVERYWHERE, "head") as caught:
        add_adapter(model, replace(Q_AND_DOWN, targets=targets))
    assert len(re.findall(r"\bdown\b", str(caught.value))) == 1, "each name once, not once a block"
    assert names_of(model) == before


@pytest.mark.task(2)
def test_an_end_in_the_middle_of_a_word_is_no_match():
    model = random_model()
    with raises(ValueError, "own"):
        add_adapter(model, replace(Q_AND_DOWN, targets=("own",)))
    with raises(ValueError, "tention.q"):
        add_adapter(model, replace(Q_AND_DOWN, targets=("tention.q",)))


@pytest.mark.task(2)
def test_a_fresh_adapter_changes_nothing_and_the_base_stays_the_same_layer():
    model, tokens = random_model(), random_tokens()
    query, before = at(model, "blocks.0.attention.q"), model(tokens)
    add_adapter(model, LoraConfig(rank=2))
    assert at(model, "blocks.0.attention.q").base is query
    assert torch.equal(model(tokens), before)


@pytest.mark.task(2)
def test_a_second_adapter_joins_the_first_and_is_in_use():
    model, tokens = random_model(), random_tokens()
    before = model(tokens)
    add_adapter(model, Q_AND_DOWN, "first")
    trained(model, "first")
    assert not torch.allclose(model(tokens), before)
    added = add_adapter(model, LoraConfig(rank=5, targets=("q", "k")), "second")
    assert added == [f"blocks.{i}.attention.{part}" for i in range(2) for part in "qk"]
    query, key, down = (lora_layers(model)[f"blocks.0.{part}"] for part in
                        ("attention.q", "attention.k", "feed_forward.down"))  # fmt: skip
    assert [list(one.adapters) for one in (query, key, down)] == [["first", "second"], ["second"], ["first"]]
    assert isinstance(query.base, nn.Linear)
    assert query.adapters["second"].A.shape == (5, 16)
    assert [one.chosen for one in (query, key, down)] == ["second"] * 3
    assert torch.equal(model(tokens), before), "the second is fresh, and the first not in use"


@pytest.mark.task(2)
@pytest.mark.parametrize("name", ["", "two words", "a.b", "ä/"])
def test_names_that_cannot_be_are_refused(name):
    with raises(ValueError, repr(name)):
        add_adapter(random_model(), Q_AND_DOWN, name)


@pytest.mark.task(2)
def test_a_name_that_is_taken_is_refused():
    model = random_model()
    add_adapter(model, Q_AND_DOWN, "mine")
    before = names_of(model)
    with raises(ValueError, "mine"):
        add_adapter(model, replace(Q_AND_DOWN, targets=("k",)), "mine")
    assert names_of(model) == before


@pytest.mark.task(2)
def test_a_layer_in_two_places_has_one_adapter():
    shared = nn.Linear(4, 4)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    assert add_adapter(model, replace(Q_AND_DOWN, targets=("0",))) == ["0"]
    assert model[0] is model[2]
    assert isinstance(model[2], LoRALinear)


@pytest.mark.task(2)
def test_adapters_take_the_bases_dtype_if_it_is_finer():
    model = random_model(dtype=torch.float64)
    add_adapter(model, Q_AND_DOWN)
    adapter = at(model, "blocks.0.attention.q.adapters.default")
    assert isinstance(adapter, LoRA)
    assert adapter.A.dtype == torch.float64


@pytest.mark.task(2)
def test_only_the_adapter_is_trained_and_the_rest_keeps_every_bit():
    model, tokens = random_model(), random_tokens()
    add_adapter(model, Q_AND_DOWN, "other")
    add_adapter(model, LoraConfig(rank=2), "mine")
    parameters = train_only(model, "mine")
    wanting = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert wanting == {name for name in names_of(model) if ".adapters.mine." in name}
    assert {id(one) for one in parameters} == {id(one) for one in model.parameters() if one.requires_grad}
    assert len(parameters) == 2 * 14
    before = copy.deepcopy(model.state_dict())
    optimizers = make_optimizers(model, "adamw")
    for _ in range(3):
        training_step(model, optimizers, {"tokens": tokens[:, :-1], "targets": tokens[:, 1:]}, 1e-2)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == wanting
    assert sum(len(one.state) for one in optimizers) == len(parameters), "no state for what is frozen"


@pytest.mark.task(2)
def test_training_another_adapter_freezes_the_first_and_uses_the_new_one():
    model = random_model()
    add_adapter(model, Q_AND_DOWN, "first")
    add_adapter(model, LoraConfig(rank=2, targets=("k",)), "second")
    train_only(model, "second")
    first = train_only(model, "first")
    assert [name for name, one in model.named_parameters() if one.requires_grad] == [
        name for name in names_of(model) if ".adapters.first." in name
    ]
    assert len(first) == 8
    assert {layer.chosen for layer in lora_layers(model).values()} == {"first"}


@pytest.mark.task(2)
def test_what_is_trained_is_not_merged():
    model, tokens = random_model(), random_tokens()
    add_adapter(model, Q_AND_DOWN, "mine")
    for layer in lora_layers(model).values():
        layer.merged["mine"] = copy.deepcopy(layer.base)
        layer.merged["other"] = copy.deepcopy(layer.base)
    parameters = train_only(model, "mine")
    assert [list(layer.merged) for layer in lora_layers(model).values()] == [["other"]] * 4
    model(tokens).sum().backward()
    assert all(one.grad is not None for one in parameters)


@pytest.mark.task(2)
def test_training_an_adapter_there_is_not_is_refused_and_freezes_nothing():
    model = random_model()
    add_adapter(model, Q_AND_DOWN, "mine")
    with raises(ValueError, "yours", "mine"):
        train_only(model, "yours")
    assert model.embedding.weight.requires_grad


@pytest.mark.task(2)
@pytest.mark.parametrize("training", [False, True])
def test_new_layers_are_in_the_mode_of_the_model(training):
    model = random_model().train(training)
    add_adapter(model, replace(Q_AND_DOWN, dropout=0.5), "first")
    add_adapter(model, replace(Q_AND_DOWN, dropout=0.5), "second")
    assert {module.training for module in model.modules()} == {training}


@pytest.mark.task(2)
def test_other_models_have_adapters_too():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, TINY.dim))
    x = torch.randn(2, 6)
    before = model(x)
    assert add_adapter(model, replace(Q_AND_DOWN, targets=("0", "2"))) == ["0", "2"]
    assert torch.equal(model(x), before)
