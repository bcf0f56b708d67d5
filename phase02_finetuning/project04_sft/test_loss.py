import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from phase02_finetuning.project04_sft.collate import collate
from phase02_finetuning.project04_sft.given.example import TINY, random_examples, random_model
from phase02_finetuning.project04_sft.loss import sft_loss
from phase02_finetuning.project04_sft.packing import pack, packed_batch
from phase02_finetuning.project04_sft.turns import Example
from shared.phase01 import IGNORED, save_model, training_step

task = pytest.mark.task(6)


def packed(examples, context=60):
    rows = pack([len(example.ids) - 1 for example in examples], context)
    return packed_batch([[examples[i] for i in row] for row in rows], context)


def by_hand(model, examples):
    """The mean over all trained tokens, one example after the other, one token after the other."""
    losses = []
    for ids, labels in examples:
        log_p = F.log_softmax(model(torch.tensor([ids]))[0], dim=-1)
        losses += [-log_p[t, label] for t, label in enumerate(labels[1:]) if label != IGNORED]
    return torch.stack(losses).mean()


@task
def test_it_is_the_mean_over_the_trained_tokens():
    model, examples = random_model(), random_examples(5)
    loss, metrics = sft_loss(model, collate(examples))
    torch.testing.assert_close(loss, by_hand(model, examples))
    assert metrics["weight"].item() == sum(
        label != IGNORED for example in examples for label in example.labels[1:]
    )


@task
@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_packed_or_padded_loss_and_gradient_are_the_same(seed):
    examples = random_examples(7, seed)
    found = []
    for batch in (collate(examples), packed(examples)):
        model = random_model()
        loss, metrics = sft_loss(model, batch)
        loss.backward()
        found.append((loss, metrics["weight"], [parameter.grad for parameter in model.parameters()]))
    assert found[0][1] == found[1][1]
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found[0][2], found[1][2], rtol=1e-8, atol=1e-9)


@task
def test_in_single_precision_packed_and_padded_agree_to_five_digits():
    examples = random_examples(7, seed=8)
    losses = [
        sft_loss(random_model(dtype=torch.float32), batch)[0]
        for batch in (collate(examples), packed(examples))
    ]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=1e-5)


@task
@pytest.mark.parametrize("make", [collate, packed])
def test_a_step_is_the_same_however_the_batch_is_cut(make):
    # Rows of very different weight: one target, or twenty.
    examples = [Example(ids, [IGNORED] * (len(ids) - 1) + ids[-1:]) for ids, _ in random_examples(4, seed=1)]
    examples += [Example(ids, list(ids)) for ids, _ in random_examples(4, seed=2)]
    batch = make(examples)
    steps, weights = [], []
    for rows in (0, 1, 3):
        model = random_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        steps.append(training_step(model, [optimizer], batch, 0.1, loss_fn=sft_loss, micro_batch=rows))
        weights.append(model.embedding.weight.detach().clone())
    for step, weight in zip(steps[1:], weights[1:], strict=True):
        assert step.loss == pytest.approx(steps[0].loss, rel=1e-6)
        torch.testing.assert_close(weight, weights[0], rtol=1e-6, atol=1e-7)
    whole = by_hand(random_model(), examples).item()
    assert steps[0].loss == pytest.approx(whole, rel=1e-5)


@task
@pytest.mark.parametrize("make", [collate, packed])
def test_without_a_target_the_loss_is_zero_and_gives_no_gradient(make):
    model = random_model()
    loss, metrics = sft_loss(model, make([Example([1, 2, 3], [IGNORED] * 3)]))
    assert loss.item() == 0
    assert metrics["weight"].item() == 0
    loss.backward()
    assert all(parameter.grad is None or parameter.grad.abs().max() == 0 for parameter in model.parameters())


@task
def test_no_number_is_read_back():
    loss, metrics = sft_loss(random_model(), collate(random_examples(2)))
    assert isinstance(loss, torch.Tensor)
    assert isinstance(metrics["weight"], torch.Tensor)


@task
def test_it_equals_the_loss_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers, the peer, is not installed")
    model, examples = random_model(dtype=torch.float32), random_examples(5, seed=3)
    save_model(model, tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    longest = max(len(example.ids) for example in examples)
    ids = torch.tensor([example.ids + [0] * (longest - len(example.ids)) for example in examples])
    labels = torch.tensor(
        [example.labels + [IGNORED] * (longest - len(example.labels)) for example in examples]
    )
    seen = torch.tensor([[1] * len(one.ids) + [0] * (longest - len(one.ids)) for one in examples])
    expected = theirs(input_ids=ids, attention_mask=seen, labels=labels).loss
    for batch in (collate(examples), packed(examples)):
        torch.testing.assert_close(sft_loss(model, batch)[0], expected, rtol=1e-5, atol=1e-5)


@task
def test_a_wrapped_model_is_called_and_not_its_parts():
    model, calls = random_model(), []
    model.register_forward_hook(lambda *_: calls.append(1))
    sft_loss(model, collate(random_examples(2)))
    sft_loss(model, packed(random_examples(2)))
    assert calls == [1, 1]
    assert TINY.vocab_size == model.config.vocab_size
