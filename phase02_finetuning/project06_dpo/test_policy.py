"""Policy and reference in one model: the adapter off, no gradient, no dropout, and nothing changed afterwards."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from phase02_finetuning.project05_lora.adapters import add_adapter
from phase02_finetuning.project05_lora.lora import LoraConfig
from phase02_finetuning.project06_dpo.given.example import (
    SMALL,
    adapted_model,
    pairs_by_hand,
    random_model,
    random_pairs,
)
from phase02_finetuning.project06_dpo.losses import dpo_loss
from phase02_finetuning.project06_dpo.policy import pair_logprobs, reference_logprobs, reference_of
from phase02_finetuning.project06_dpo.reference_cache import hash_of_weights
from shared.phase01 import IGNORED, log_likelihoods
from shared.testing import raises

task = pytest.mark.task(5)


class PowerCutError(Exception):
    """What may happen inside; a RuntimeError would be taken for that of a stub."""


def by_project_3(model, examples):
    """Each answer's log-likelihood as project 3 measures it, (pair, 2)."""
    texts = []
    for pair in examples:
        for ids, labels in pair:
            start = next(place for place, label in enumerate(labels) if label != IGNORED)
            texts.append((ids[:start], ids[start:]))
    totals = [one.total for one in log_likelihoods(model, texts)]
    return torch.tensor(totals, dtype=torch.float64).view(-1, 2)


@task
def test_pairs_have_the_log_likelihoods_of_project_3():
    model, examples = random_model(SMALL), random_pairs(5)
    found = pair_logprobs(model, pairs_by_hand(examples))
    torch.testing.assert_close(found.sums, by_project_3(model, examples), rtol=1e-9, atol=1e-9)
    lengths = [[sum(one != IGNORED for one in answer.labels) for answer in pair] for pair in examples]
    assert found.counts.tolist() == lengths


@task
def test_both_answers_go_through_the_model_at_once():
    model, passes = random_model(SMALL), []
    model.register_forward_hook(lambda *of: passes.append(of[1][0].shape))
    pair_logprobs(model, pairs_by_hand(random_pairs(3), time=16))
    assert passes == [(6, 16)]


@task
def test_longer_padding_changes_nothing_beyond_rounding():
    model, examples = random_model(SMALL), random_pairs(4)
    short = pair_logprobs(model, pairs_by_hand(examples, 18)).sums
    torch.testing.assert_close(
        pair_logprobs(model, pairs_by_hand(examples, 40)).sums, short, rtol=1e-12, atol=1e-12
    )


@task
def test_inside_it_is_the_base():
    base, model, batch = random_model(SMALL), adapted_model(move=0.3), pairs_by_hand(random_pairs(3))
    expected, policy = pair_logprobs(base, batch).sums, pair_logprobs(model, batch).sums
    assert (policy - expected).abs().max() > 0.01
    with reference_of(model) as reference:
        found = pair_logprobs(reference, batch).sums
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert found.requires_grad is False
    assert torch.equal(pair_logprobs(model, batch).sums, policy)


@task
def test_no_dropout_of_the_base_or_of_adapters_acts_in_it():
    torch.manual_seed(0)
    model = random_model(replace(SMALL, dropout=0.5))
    add_adapter(model, LoraConfig(rank=2, dropout=0.5))
    model.train()
    batch = pairs_by_hand(random_pairs(3))
    with reference_of(model):
        one, two = pair_logprobs(model, batch).sums, pair_logprobs(model, batch).sums
    assert torch.equal(one, two)
    assert not torch.equal(pair_logprobs(model, batch).sums, pair_logprobs(model, batch).sums)


@task
@pytest.mark.parametrize("crash", [False, True])
def test_each_module_is_then_in_the_mode_it_was_in(crash):
    model = adapted_model().train()
    model.blocks[0].eval()
    before = {name: module.training for name, module in model.named_modules()}
    chosen = [module.chosen for module in model.modules() if hasattr(module, "chosen")]
    try:
        with reference_of(model):
            assert not any(module.training for module in model.modules())
            assert torch.is_grad_enabled() is False
            if crash:
                raise PowerCutError
    except PowerCutError:
        pass
    assert {name: module.training for name, module in model.named_modules()} == before
    assert [module.chosen for module in model.modules() if hasattr(module, "chosen")] == chosen
    assert torch.is_grad_enabled() is True


@task
def test_a_model_without_adapters_has_no_reference_in_it():
    model = random_model(SMALL).train()
    with raises(ValueError), reference_of(model):
        pass
    assert model.training is True


@task
def test_training_the_policy_moves_it_and_not_its_reference():
    """The loss leaves ln 2 because the policy moves; a reference that moved along would hold it there."""
    model, batch = adapted_model(torch.float32), pairs_by_hand(random_pairs(6))
    model.requires_grad_(False)
    trained = [one for name, one in model.named_parameters() if ".adapters." in name]
    for one in trained:
        one.requires_grad_(True)
    optimizer, losses = torch.optim.AdamW(trained, lr=1e-2), []
    with reference_of(model):
        first = pair_logprobs(model, batch).sums
    weights = hash_of_weights(model)
    for _ in range(8):
        with reference_of(model):
            reference = pair_logprobs(model, batch).sums
        assert torch.equal(reference, first)
        policy = pair_logprobs(model, batch).sums
        loss = dpo_loss(policy[:, 0], policy[:, 1], reference[:, 0], reference[:, 1], 0.5).losses.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(math.log(2), abs=1e-6)
    assert losses[-1] < 0.8 * losses[0]
    assert hash_of_weights(model) == weights


@task
def test_a_references_logprobs_come_batch_by_batch_without_a_gradient():
    torch.manual_seed(0)
    model = random_model(replace(SMALL, dropout=0.5), torch.float32).train()
    examples = random_pairs(5)
    found = reference_logprobs(model, [pairs_by_hand(examples[:2]), pairs_by_hand(examples[2:])])
    still = copy.deepcopy(model).eval()
    torch.testing.assert_close(found, pair_logprobs(still, pairs_by_hand(examples)).sums.detach())
    assert found.shape == (5, 2)
    assert found.requires_grad is False
    assert model.training is True
    reference_logprobs(model.eval(), [pairs_by_hand(examples)])
    assert model.training is False


@task
def test_a_references_matrix_products_run_in_the_dtype():
    model, batches = random_model(SMALL, torch.float32), [pairs_by_hand(random_pairs(4))]
    exact = reference_logprobs(model, batches)
    coarse = reference_logprobs(model, batches, torch.bfloat16)
    off = (coarse - exact).abs().max().item()
    assert 1e-4 < off < 1.0
    assert coarse.dtype == torch.float32
    assert isinstance(model, nn.Module)
