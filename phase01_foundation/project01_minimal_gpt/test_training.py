import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phase01_foundation.project01_minimal_gpt import debug
from phase01_foundation.project01_minimal_gpt.attention import causal_attention
from phase01_foundation.project01_minimal_gpt.model import GPT, next_token_loss
from phase01_foundation.project01_minimal_gpt.training import (
    clip_gradients,
    evaluate,
    learning_rate,
    make_optimizer,
    sample_batch,
    training_step,
)
from shared.testing import raises


@pytest.mark.task(6)
def test_targets_are_the_tokens_one_later():
    data = torch.arange(100)
    tokens, targets = sample_batch(data, 32, 8, torch.Generator().manual_seed(0))
    assert tokens.shape == targets.shape == (32, 8)
    assert torch.equal(targets, tokens + 1), "data counts up, so each target is its token plus one"
    assert torch.equal(tokens, tokens[:, :1] + torch.arange(8)), "a piece is not one run of the text"
    assert len(tokens[:, 0].unique()) > 16, "the pieces are not from random places"


@pytest.mark.task(6)
def test_every_place_of_the_text_can_be_drawn():
    tokens, targets = sample_batch(torch.arange(12), 500, 8, torch.Generator().manual_seed(0))
    assert tokens[:, 0].unique().tolist() == [0, 1, 2, 3]
    assert targets.max() == 11, "the text's last token is never a target"


@pytest.mark.task(6)
def test_a_seed_draws_the_same_batches():
    first, second = (torch.Generator().manual_seed(7) for _ in range(2))
    batches = [sample_batch(torch.arange(1000), 4, 8, first)[0] for _ in range(3)]
    for i, batch in enumerate(batches):
        torch.manual_seed(i)  # torch's own generator has no part in it
        assert torch.equal(batch, sample_batch(torch.arange(1000), 4, 8, second)[0])
    assert not torch.equal(batches[0], batches[1]), "one batch again and again"


@pytest.mark.task(6)
def test_a_text_shorter_than_the_context_is_refused():
    with raises(ValueError, 8, 9):
        sample_batch(torch.arange(8), 1, 8, torch.Generator())


@pytest.mark.task(6)
def test_the_learning_rate_climbs_stays_and_falls():
    rates = [learning_rate(step, peak=1.0, warmup=4, steps=20, decay_share=0.5) for step in range(20)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4:11] == [1.0] * 7
    assert rates[10:] == pytest.approx([1 - i / 10 for i in range(10)])


@pytest.mark.task(6)
def test_where_warm_up_and_decay_overlap_the_lower_counts():
    rates = [learning_rate(step, peak=2.0, warmup=4, steps=6, decay_share=1.0) for step in range(6)]
    assert rates == pytest.approx([2 * share for share in (1 / 4, 2 / 4, 4 / 6, 3 / 6, 2 / 6, 1 / 6)])


@pytest.mark.task(6)
def test_the_decay_is_a_whole_number_of_steps():
    rates = [learning_rate(step, peak=3.0, warmup=0, steps=3, decay_share=0.9) for step in range(3)]
    assert rates == pytest.approx([3.0, 2.0, 1.0])  # 2.7 steps are 3
    assert [learning_rate(step, peak=3.0, warmup=0, steps=2, decay_share=0.0) for step in (0, 1)] == [3, 3]
    assert [learning_rate(step, peak=1.0, warmup=0, steps=10) for step in (2, 3, 4)] == pytest.approx(
        [1, 1, 6 / 7]
    )


@pytest.mark.task(6)
@given(st.integers(0, 50), st.integers(1, 200), st.floats(0, 1))
def test_the_learning_rate_is_above_zero_and_at_most_the_peak(warmup, steps, decay_share):
    rates = [
        learning_rate(step, peak=0.3, warmup=warmup, steps=steps, decay_share=decay_share)
        for step in range(steps)
    ]
    assert all(0 < rate <= 0.3 for rate in rates)
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def model_with_gradients(scale):
    model, tokens, targets = debug.example()
    (scale * next_token_loss(model(tokens), targets)).backward()
    return model


def gradients(model):
    found = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert len(found) == len(list(model.parameters()))
    return found


@pytest.mark.task(7)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_clipping_equals_torch(scale):
    ours, torchs = model_with_gradients(scale), model_with_gradients(scale)
    norm = clip_gradients(list(ours.parameters()), 1.0)
    assert norm == pytest.approx(torch.nn.utils.clip_grad_norm_(torchs.parameters(), 1.0).item(), rel=1e-5)
    torch.testing.assert_close(gradients(ours), gradients(torchs), rtol=1e-5, atol=1e-9)


@pytest.mark.task(7)
def test_gradients_within_the_limit_are_not_touched():
    model = model_with_gradients(1e-3)
    before = [gradient.clone() for gradient in gradients(model)]
    assert clip_gradients(list(model.parameters()), 1.0) < 1
    assert all(map(torch.equal, gradients(model), before))


@pytest.mark.task(7)
def test_parameters_without_a_gradient_are_passed_over():
    used, unused = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    used.grad = torch.tensor([3.0, 4.0])
    assert clip_gradients([used, unused], 1.0) == pytest.approx(5.0)
    torch.testing.assert_close(used.grad, torch.tensor([0.6, 0.8]))
    assert unused.grad is None


@pytest.mark.task(7)
def test_steps_equal_the_ones_written_with_torch():
    (ours, tokens, targets), (torchs, *_) = debug.example(), debug.example()
    optimizer = make_optimizer(ours, weight_decay=0.1)
    blocks = list(torchs.blocks.parameters())
    rest = [*torchs.embedding.parameters(), *torchs.head.parameters()]
    reference = torch.optim.AdamW(
        [{"params": blocks, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}], betas=(0.9, 0.95)
    )
    for rate in (1e-2, 3e-3, 1e-3):  # several, so that a gradient left over from the step before would show
        loss, norm = training_step(ours, optimizer, tokens, targets, rate, max_norm=0.5)
        reference.zero_grad()
        expected = next_token_loss(torchs(tokens), targets)
        expected.backward()
        expected_norm = torch.nn.utils.clip_grad_norm_(torchs.parameters(), 0.5)
        for group in reference.param_groups:
            group["lr"] = rate
        reference.step()
        assert loss == pytest.approx(expected.item(), rel=1e-5)
        assert norm == pytest.approx(expected_norm.item(), rel=1e-4)
    for mine, theirs in zip(ours.parameters(), torchs.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.task(7)
def test_a_step_runs_with_dropout_even_after_an_evaluation():
    model, tokens, targets = debug.example(replace(debug.TINY, dropout=0.5))
    torch.manual_seed(1)
    expected = next_token_loss(model.train()(tokens), targets).item()
    model.eval()
    torch.manual_seed(1)
    loss, _ = training_step(model, make_optimizer(model, 0.0), tokens, targets, rate=0.0)
    assert loss == pytest.approx(expected, rel=1e-6)
    assert model.training


@pytest.mark.task(7)
def test_a_loss_that_is_not_finite_stops_before_the_weights_change():
    model, tokens, targets = debug.example()
    with torch.no_grad():
        model.head.weight[0, 0] = math.inf
    before = [parameter.clone() for parameter in model.parameters()]
    with raises(FloatingPointError, "nan"):
        training_step(model, make_optimizer(model, 0.1), tokens, targets, rate=0.1)
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))


@pytest.mark.task(7)
def test_a_norm_that_is_not_finite_stops_as_well_though_the_loss_is():
    model, tokens, targets = debug.example()
    model.head.weight.register_hook(lambda gradient: torch.full_like(gradient, math.inf))
    before = [parameter.clone() for parameter in model.parameters()]
    with raises(FloatingPointError, "inf"):
        training_step(model, make_optimizer(model, 0.1), tokens, targets, rate=0.1)
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))


def attend_that_notes(calls):
    """An `attend` that notes how it is asked: the layer, how many texts, and the dtype of the values."""

    def attend(layer, q, k, v):
        calls.append((layer, len(v), v.dtype))
        return causal_attention(layer, q, k, v)

    return attend


@pytest.mark.task(7)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_step_attends_as_it_is_told(dtype):
    model, tokens, targets = debug.example()
    calls = []
    training_step(
        model, make_optimizer(model, 0.0), tokens, targets, 1e-3, dtype=dtype, attend=attend_that_notes(calls)
    )
    assert calls == [(0, 3, dtype), (1, 3, dtype)]


@pytest.mark.task(7)
def test_a_bfloat16_step_is_close_and_keeps_float32_weights():
    losses = []
    for dtype in (torch.float32, torch.bfloat16):
        model, tokens, targets = debug.example()
        losses.append(
            training_step(model, make_optimizer(model, 0.0), tokens, targets, rate=1e-3, dtype=dtype)[0]
        )
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[1] != losses[0], "the products were not in bfloat16"


@pytest.mark.task(8)
@pytest.mark.parametrize("length", [2, 16, 17, 18, 100])
def test_evaluation_predicts_every_token_but_the_first_once(length):
    model, _, _ = debug.example()
    data = torch.randint(debug.TINY.vocab_size, (length,))
    context = debug.TINY.context_length
    total = 0.0
    for start in range(0, length - 1, context):  # window by window, token by token
        window = data[start : start + context]
        logits = model(window[None])[0]
        for i in range(len(window)):
            if start + i + 1 < length:
                total -= logits[i].log_softmax(0)[data[start + i + 1]].item()
    assert evaluate(model, data, batch_size=2) == pytest.approx(total / (length - 1), rel=1e-5)


@pytest.mark.task(8)
def test_the_windows_are_brought_to_where_the_model_is(monkeypatch):
    with torch.device("meta"):  # a device that has shapes and no numbers, on every machine
        model = GPT(debug.TINY)
    for reading in ("item", "tolist", "__float__"):
        monkeypatch.setattr(torch.Tensor, reading, lambda self: 1.0)
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: self)
    evaluate(model, torch.zeros(40, dtype=torch.long))  # torch raises for tensors of two devices


@pytest.mark.task(8)
def test_evaluation_leaves_the_model_as_it_was():
    model, _, _ = debug.example(replace(debug.TINY, dropout=0.5))
    data = torch.randint(debug.TINY.vocab_size, (40,))
    for training in (True, False):
        model.train(training)
        assert evaluate(model, data) == evaluate(model, data)
        assert model.training is training
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.task(8)
def test_evaluation_attends_as_it_is_told_and_reads_so_many_windows_at_once():
    model, _, _ = debug.example()
    data = torch.randint(
        debug.TINY.vocab_size, (5 * debug.TINY.context_length + 4,)
    )  # 5 windows and 3 tokens
    calls = []
    evaluate(model, data, batch_size=2, attend=attend_that_notes(calls))
    assert sorted(count for layer, count, _ in calls if layer == 1) == [1, 1, 2, 2]
    assert {dtype for *_, dtype in calls} == {torch.float32}


@pytest.mark.task(8)
def test_evaluation_in_bfloat16_is_close():
    model, _, _ = debug.example()
    data, calls = torch.randint(debug.TINY.vocab_size, (100,)), []
    loss = evaluate(model, data, dtype=torch.bfloat16, attend=attend_that_notes(calls))
    assert {dtype for *_, dtype in calls} == {torch.bfloat16}
    assert loss == pytest.approx(evaluate(model, data), rel=0.02)


@pytest.mark.task(8)
@pytest.mark.parametrize("count", [0, 1])
def test_too_few_tokens_to_evaluate_are_refused(count):
    with raises(ValueError, count):
        evaluate(debug.example()[0], torch.zeros(count, dtype=torch.long))


def test_only_the_blocks_decay():
    model, _, _ = debug.example()
    decaying, others = make_optimizer(model, 0.3).param_groups
    assert decaying["weight_decay"] == 0.3
    assert others["weight_decay"] == 0
    assert {id(p) for p in others["params"]} == {id(model.embedding.weight), id(model.head.weight)}
    assert len(decaying["params"]) + len(others["params"]) == len(list(model.parameters()))
