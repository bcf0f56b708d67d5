"""The cache: made once, found again, and never for another model, other pairs, or from a file that is not whole."""

from typing import Any

import pytest
import torch
from torch import nn

from phase02_finetuning.project04_sft.turns import Example
from phase02_finetuning.project05_lora.adapters import add_adapter
from phase02_finetuning.project05_lora.lora import LoraConfig
from phase02_finetuning.project06_dpo.given.example import SMALL, adapted_model, random_model, random_pairs
from phase02_finetuning.project06_dpo.pairs import PairExample
from phase02_finetuning.project06_dpo.reference_cache import ReferenceCache, hash_of_pairs, hash_of_weights
from shared.checkpoint import read, write
from shared.testing import raises

task = pytest.mark.task(4)
PAIRS = random_pairs(3)


def numbers(seed=0, count=3):
    return -torch.rand(count, 2, generator=torch.Generator().manual_seed(seed))


def never():
    raise AssertionError("the cache should have had it")


def model_of(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 4, bias=False))


def changed(name, value):
    model = model_of()
    model.get_parameter(name).data = value(model.get_parameter(name).data)
    return model


@task
def test_what_was_made_is_found_again_bit_for_bit(tmp_path):
    model, made = model_of(), []

    def make():
        made.append(1)
        return numbers().requires_grad_(True) * 1.0

    first = ReferenceCache(tmp_path / "cache").get(model, PAIRS, make)
    assert torch.equal(first, numbers())
    assert first.requires_grad is False
    again = ReferenceCache(tmp_path / "cache").get(model_of(), list(PAIRS), never)
    assert torch.equal(again, numbers())
    assert len(made) == 1


@task
def test_the_file_lies_at_its_path_and_says_what_it_is_of(tmp_path):
    cache, model = ReferenceCache(tmp_path), model_of()
    cache.get(model, PAIRS, numbers, torch.bfloat16)
    weights, pairs = hash_of_weights(model), hash_of_pairs(PAIRS)
    found = read(cache.path(weights, pairs, torch.bfloat16))
    assert (found["weights"], found["pairs"], found["dtype"]) == (weights, pairs, "torch.bfloat16")
    assert torch.equal(found["logprobs"], numbers())


@task
def test_one_bit_of_one_weight_is_another_model(tmp_path):
    cache = ReferenceCache(tmp_path)
    cache.get(model_of(), PAIRS, numbers)

    def nudged(weight):
        weight = weight.clone()
        weight.view(-1)[-1] = torch.nextafter(weight.view(-1)[-1], torch.tensor(9.0))
        return weight

    found = cache.get(changed("1.weight", nudged), PAIRS, lambda: numbers(1))
    assert torch.equal(found, numbers(1))
    assert torch.equal(cache.get(model_of(), PAIRS, never), numbers())


@task
@pytest.mark.parametrize(
    "other",
    [
        lambda: changed("0.weight", lambda one: one.flip(0)),
        lambda: changed("0.weight", lambda one: one.view(4, 3)),
        lambda: changed("0.weight", lambda one: one.double()),
        lambda: nn.Sequential(model_of()[0], nn.Identity(), model_of()[1]),
        lambda: nn.Sequential(*model_of(), nn.Linear(4, 1)),
    ],
    ids=["order", "shape", "dtype", "names", "more"],
)
def test_other_weights_have_another_hash(other):
    assert hash_of_weights(other()) != hash_of_weights(model_of())


@task
def test_buffers_and_tiny_differences_count():
    one, other = model_of(), model_of()
    one.register_buffer("level", torch.tensor(0.5))
    other.register_buffer("level", torch.tensor(0.5 + 1e-7))
    assert hash_of_weights(one) != hash_of_weights(other)


@task
def test_adapters_are_no_part_of_the_reference():
    plain: Any = random_model(SMALL)
    adapted: Any = adapted_model(move=0.3)
    assert hash_of_weights(adapted) == hash_of_weights(plain)
    add_adapter(adapted, LoraConfig(rank=1, targets=("q",)), "second")
    assert hash_of_weights(adapted) == hash_of_weights(plain)
    with torch.no_grad():
        adapted.blocks[1].attention.q.base.weight[0, 0] += 1.0
    assert hash_of_weights(adapted) != hash_of_weights(plain)


@task
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_of_every_dtype_have_a_hash(dtype):
    one = model_of().to(dtype)
    assert hash_of_weights(one) == hash_of_weights(model_of().to(dtype))
    assert hash_of_weights(one) != hash_of_weights(model_of())


@task
def test_weights_have_one_hash_however_they_lie():
    straight = model_of()
    turned = changed("0.weight", lambda one: one.t().contiguous().t())
    assert hash_of_weights(turned) == hash_of_weights(straight)


@task
def test_other_pairs_have_another_hash():
    chosen, rejected = Example([1, 2, 3, 4], [-100, -100, 3, 4]), Example([1, 2, 9], [-100, -100, 9])
    pair = PairExample(chosen, rejected)
    others = {
        "swapped": [PairExample(rejected, chosen)],
        "twice": [pair, pair],
        "no labels": [PairExample(Example(chosen.ids, [-100, -100, -100, 4]), rejected)],
        "cut elsewhere": [
            PairExample(Example([1, 2, 3], [-100, -100, 3]), Example([4, 1, 2, 9], [4, -100, -100, 9]))
        ],
        "joined digits": [PairExample(Example([1, 2, 34], [-100, -100, 34]), rejected)],
        "none": [],
    }
    mine = hash_of_pairs([pair])
    assert hash_of_pairs([PairExample(Example([1, 2, 3, 4], [-100, -100, 3, 4]), rejected)]) == mine
    hashes = {mine, *map(hash_of_pairs, others.values())}
    assert len(hashes) == 1 + len(others)
    second = PairExample(rejected, chosen)
    assert hash_of_pairs([pair, second]) != hash_of_pairs([second, pair])


@task
def test_other_pairs_and_other_dtypes_never_hit(tmp_path):
    cache, model = ReferenceCache(tmp_path), model_of()
    cache.get(model, PAIRS, numbers)
    assert torch.equal(cache.get(model, PAIRS[::-1], lambda: numbers(1)), numbers(1))
    assert torch.equal(cache.get(model, PAIRS, lambda: numbers(2), torch.bfloat16), numbers(2))
    assert torch.equal(cache.get(model, PAIRS, never), numbers())


def only_file(folder):
    (path,) = folder.glob("*.safetensors")
    return path


@task
@pytest.mark.parametrize("spoil", ["cut", "empty", "other weights", "other pairs", "other dtype", "fewer"])
def test_a_file_that_cannot_be_trusted_is_made_anew(tmp_path, spoil):
    cache, model = ReferenceCache(tmp_path), model_of()
    cache.get(model, PAIRS, numbers)
    path = only_file(tmp_path)
    if spoil == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    elif spoil == "empty":
        path.write_bytes(b"")
    elif spoil == "fewer":
        write(path, {**read(path), "logprobs": numbers()[:2].clone()})
    else:
        write(path, {**read(path), spoil.removeprefix("other "): "another"})
    assert torch.equal(cache.get(model, PAIRS, lambda: numbers(5)), numbers(5))
    assert torch.equal(cache.get(model, PAIRS, never), numbers(5))


@task
def test_what_is_no_answer_is_not_kept(tmp_path):
    cache, model = ReferenceCache(tmp_path), model_of()
    with raises(ValueError, 3, 2):
        cache.get(model, PAIRS, lambda: numbers(count=2))
    with raises(ValueError):
        cache.get(model, PAIRS, lambda: numbers() / 0.0 * 0.0)
    assert list(tmp_path.iterdir()) == []
    assert torch.equal(cache.get(model, PAIRS, numbers), numbers())


@task
def test_a_crash_while_making_leaves_nothing(tmp_path):
    cache = ReferenceCache(tmp_path / "cache")

    def crash():
        raise RuntimeError("power cut")

    with raises(RuntimeError, "power cut"):
        cache.get(model_of(), PAIRS, crash)
    assert not (tmp_path / "cache").exists() or list((tmp_path / "cache").iterdir()) == []
