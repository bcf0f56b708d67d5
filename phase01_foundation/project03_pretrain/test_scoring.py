import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example as explicit
from hypothesis import given, settings
from hypothesis import strategies as st

from phase01_foundation.project03_pretrain.given.example import TINY, example
from phase01_foundation.project03_pretrain.hugging_face import save
from phase01_foundation.project03_pretrain.model import torch_attention
from phase01_foundation.project03_pretrain.scoring import (
    LogLikelihood,
    Perplexity,
    batches_by_length,
    greedy_batch,
    log_likelihoods,
    perplexity,
)
from shared.testing import raises

task = pytest.mark.task(9)
CONTEXT = TINY.context_length
ids = st.integers(0, TINY.vocab_size - 1)
pairs = st.lists(
    st.tuples(st.lists(ids, min_size=1, max_size=24), st.lists(ids, min_size=1, max_size=CONTEXT)), max_size=7
)


@pytest.fixture(scope="module")
def model():
    return example(dtype=torch.float64)[0].eval()  # float64, so that padding cannot tip a close choice


def slow_log_likelihood(model, context, continuation):
    """One text, one token at a time, each from a forward pass over what stands before it."""
    text = [*context, *continuation][-CONTEXT - 1 :]
    total, greedy = 0.0, True
    for place in range(len(text) - len(continuation), len(text)):
        with torch.no_grad():
            log_p = model(torch.tensor([text[:place]]))[0, -1].log_softmax(dim=-1)
        total += log_p[text[place]].item()
        greedy &= log_p.argmax().item() == text[place]
    return total, greedy


def slow_greedy(model, prompt, max_tokens, stop_ids):
    written = []
    for _ in range(max_tokens):
        with torch.no_grad():
            token = model(torch.tensor([[*prompt, *written][-CONTEXT:]]))[0, -1].argmax().item()
        if token in stop_ids:
            break
        written.append(token)
    return written


@task
@settings(deadline=None, max_examples=25)
@given(texts=pairs, batch_size=st.integers(1, 4))
def test_equals_one_token_at_a_time_whatever_the_batch_size(texts, batch_size):
    model = example(dtype=torch.float64)[0]
    found = log_likelihoods(model, texts, batch_size)
    assert len(found) == len(texts)
    for (total, greedy), (context, continuation) in zip(found, texts, strict=True):
        expected, likeliest = slow_log_likelihood(model, context, continuation)
        assert total == pytest.approx(expected, abs=1e-9)
        assert isinstance(total, float)
        assert greedy is likeliest


@task
def test_equals_transformers(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers, the reference, is not installed")
    model, tokens = example()
    save(model, tmp_path)
    theirs = transformers.LlamaForCausalLM.from_pretrained(tmp_path).eval()
    texts = [(row[:cut], row[cut:]) for row, cut in zip(tokens.tolist(), (1, 5, 12), strict=True)]
    found = log_likelihoods(model, texts, 2)
    for (context, continuation), one in zip(texts, found, strict=True):
        # transformers' loss is a mean over the labels that are not -100.
        labels = torch.tensor([[-100] * len(context) + continuation])
        loss = theirs(torch.tensor([context + continuation]), labels=labels).loss.item()
        assert one.total == pytest.approx(-loss * len(continuation), rel=1e-5)


@task
def test_the_greedy_continuation_is_told_from_others(model):
    (written,) = greedy_batch(model, [[3, 1, 4]], 6)
    other = [*written[:-1], (written[-1] + 1) % TINY.vocab_size]
    first = [(written[0] + 1) % TINY.vocab_size, *written[1:]]
    found = log_likelihoods(model, [([3, 1, 4], one) for one in (written, other, first)])
    assert [one.greedy for one in found] == [True, False, False]
    assert isinstance(found[0], LogLikelihood)


@task
def test_all_continuations_of_one_token_sum_to_one(model):
    found = log_likelihoods(model, [([2, 7, 5], [id]) for id in range(TINY.vocab_size)], 4)
    assert math.fsum(math.exp(one.total) for one in found) == pytest.approx(1)
    assert sum(one.greedy for one in found) == 1


@task
def test_a_text_may_have_one_token_more_than_the_context(model):
    text = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1, 2, 3, 4, 5, 6]
    assert len(text) == CONTEXT + 1
    short, cut = log_likelihoods(model, [(text[:4], text[4:]), ([9, 9, *text[:4]], text[4:])])
    assert short == cut
    assert short.total == pytest.approx(slow_log_likelihood(model, text[:4], text[4:])[0])


@task
def test_logits_are_computed_where_they_are_needed_alone(model, monkeypatch):
    seen = []
    logits = model.logits
    monkeypatch.setattr(model, "logits", lambda x: seen.append(x.shape[0] * x.shape[1]) or logits(x))
    log_likelihoods(model, [([1] * 10, [2]), ([3], [4, 5]), ([6] * 5, [7, 8, 9])])
    assert sum(seen) == 6


@task
def test_texts_of_like_length_share_a_batch(model, monkeypatch):
    seen = []
    hidden = model.hidden
    monkeypatch.setattr(model, "hidden", lambda x, **more: seen.append(tuple(x.shape)) or hidden(x, **more))
    log_likelihoods(model, [([1] * length, [2]) for length in (3, 12, 2, 11)], 2)
    assert sorted(seen) == [(2, 3), (2, 12)]
    # How long a text is, is what of it is left once it was cut: 17 tokens at most, of which 16 are read.
    for texts, shapes in (
        ([([1] * 8, [2] * 8), ([1] * 7, [2])], [(2, 15)]),
        ([([1] * 20, [2]), ([1] * 8, [2])], [(2, 16)]),
        ([([1] * 20, [2]), ([1] * 7, [2])], [(1, 7), (1, 16)]),
    ):
        seen.clear()
        log_likelihoods(model, texts)
        assert sorted(seen) == shapes


@task
def test_dropout_is_off_and_the_mode_comes_back():
    model = example(replace(TINY, dropout=0.5), torch.float64)[0]
    for training in (True, False):
        model.train(training)
        first, second = (log_likelihoods(model, [([1, 2], [3, 4])]) for _ in range(2))
        assert first == second
        assert perplexity(model, [1, 2, 3]) == perplexity(model, [1, 2, 3])
        assert model.training is training


@task
def test_the_attention_given_is_used(model):
    layers = []

    def attend(layer, q, k, v):
        layers.append(layer)
        return torch_attention(layer, q, k, v)

    texts = [([1, 2, 3], [4]), ([5], [6, 7])]
    for ours, theirs in zip(
        log_likelihoods(model, texts, attend=attend), log_likelihoods(model, texts), strict=True
    ):
        assert ours.total == pytest.approx(theirs.total)
    assert layers == [0, 1]
    perplexity(model, [1, 2, 3], attend=attend)
    assert layers == [0, 1] * 2


@task
def test_all_tensors_are_on_the_models_device(model, monkeypatch):
    """What is made without a word about its device is on the default one, which is none that can compute here."""
    monkeypatch.setattr(
        model, "hidden", lambda x, **_: model.embedding(x)
    )  # the model's own parts are not asked
    texts = [([1, 2, 3], [4, 5]), ([6], [7])]
    expected = log_likelihoods(model, texts), perplexity(model, [1, 2, 3])
    with torch.device("meta"):
        assert (log_likelihoods(model, texts), perplexity(model, [1, 2, 3])) == expected


@task
def test_products_run_in_the_dtype():
    model = example()[0]
    texts = [([1, 2, 3], [4, 5, 6])]
    (exact,), (half,) = log_likelihoods(model, texts), log_likelihoods(model, texts, dtype=torch.bfloat16)
    assert half.total != exact.total
    assert half.total == pytest.approx(exact.total, rel=0.05)


@task
@pytest.mark.parametrize(
    ("texts", "number"),
    [([([1], [2]), ([], [3])], 2), ([([1], [2])] * 4 + [([1], [])], 5), ([([1], [2]), ([1], [2] * 17)], 2)],
    ids=["empty context", "empty continuation", "long continuation"],
)
def test_texts_that_cannot_be_scored_are_refused_before_any_work(model, monkeypatch, texts, number):
    monkeypatch.setattr(model, "hidden", lambda *_, **__: pytest.fail("the model was asked"))
    with raises(ValueError, number):
        log_likelihoods(model, texts)


@task
def test_other_impossible_arguments_are_refused(model):
    with raises(ValueError, "batch_size", 0):
        log_likelihoods(model, [([1], [2])], 0)
    with raises(ValueError, 11):
        log_likelihoods(model, [([1], [11])])
    for tokens in ([], [1]):
        with raises(ValueError, len(tokens)):
            perplexity(model, tokens)
    for stride in (0, 17):
        with raises(ValueError, 16, stride):
            perplexity(model, [1, 2, 3], stride)


@task
@pytest.mark.parametrize("length", [2, 16, 17, 18, 33, 50])
def test_windows_stand_side_by_side(model, length):
    text = torch.arange(length) * 7 % TINY.vocab_size
    found = perplexity(model, text, batch_size=2)
    nats = 0.0
    for inputs, targets in zip(text[:-1].split(CONTEXT), text[1:].split(CONTEXT), strict=True):
        nats += F.cross_entropy(model(inputs[None])[0], targets, reduction="sum").item()
    assert found.loss == pytest.approx(nats / (length - 1), rel=1e-12)
    assert found.tokens == length - 1
    assert found == perplexity(model, text.tolist(), CONTEXT, batch_size=2)
    assert found == perplexity(model, text.numpy().astype(np.uint16), batch_size=2)


@task
@settings(deadline=None, max_examples=25)
@given(length=st.integers(2, 60), seed=st.integers(0, 9), stride=st.integers(1, CONTEXT))
@explicit(length=40, seed=0, stride=1)
def test_perplexity_with_a_stride_equals_a_slow_loop(length, seed, stride):
    model = example(dtype=torch.float64)[0]
    text = np.random.default_rng(seed).integers(TINY.vocab_size, size=length).tolist()
    nats = 0.0
    for place in range(1, len(text)):
        # The first window that reads as far as the token before this one predicts it.
        window = max(0, math.ceil((place - CONTEXT) / stride))
        nats -= slow_log_likelihood(model, text[window * stride : place], [text[place]])[0]
    found = perplexity(model, text, stride, batch_size=3)
    assert found.tokens == len(text) - 1
    assert found.loss * found.tokens == pytest.approx(nats)


@task
def test_perplexity_takes_the_counts_of_words_and_bytes(model):
    found = perplexity(model, [1, 2, 3], words=5, bytes=9)
    assert (found.words, found.bytes) == (5, 9)


# ---- what is given


@given(st.lists(st.integers(1, 100)), st.integers(1, 5))
def test_batches_hold_every_text_once_and_little_padding(lengths, batch_size):
    batches = batches_by_length(lengths, batch_size)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= batch_size
        assert 2 * min(lengths[i] for i in batch) >= lengths[batch[0]]
    assert [lengths[i] for batch in batches for i in batch] == sorted(lengths, reverse=True)
    if lengths and 2 * min(lengths) >= max(lengths):  # no batch ends early
        assert len(batches) == math.ceil(len(lengths) / batch_size)


def test_the_figures_of_a_perplexity():
    found = Perplexity(loss=2 * math.log(2), tokens=30, words=20, bytes=100)
    assert found.per_token == pytest.approx(4)
    assert found.per_word == pytest.approx(2**3)  # 60 bits over 20 words
    assert found.bits_per_byte == pytest.approx(0.6)
    assert (Perplexity(1.0, 3).per_word, Perplexity(1.0, 3).bits_per_byte) == (None, None)
    assert (Perplexity(1.0, 3, 0, 0).per_word, Perplexity(1.0, 3, 0, 0).bits_per_byte) == (None, None)


def test_a_perplexity_too_large_for_a_float_is_infinite():
    found = Perplexity(loss=10.0, tokens=1000, words=1)
    assert (found.per_token, found.per_word) == (pytest.approx(math.exp(10)), math.inf)
    assert Perplexity(loss=1000.0, tokens=1).per_token == math.inf
    assert Perplexity(loss=math.inf, tokens=1).per_token == math.inf


@settings(deadline=None, max_examples=25)
@given(
    prompts=st.lists(st.lists(ids, min_size=1, max_size=20), max_size=6),
    max_tokens=st.integers(0, 6),
    stop_ids=st.sets(ids, max_size=3),
    batch_size=st.integers(1, 4),
)
def test_greedy_answers_equal_one_prompt_at_a_time(prompts, max_tokens, stop_ids, batch_size):
    model = example(dtype=torch.float64)[0]
    found = greedy_batch(model, prompts, max_tokens, stop_ids, batch_size)
    assert found == [slow_greedy(model, prompt, max_tokens, stop_ids) for prompt in prompts]


def test_each_row_stops_by_itself(model):
    prompts = [[1, 2, 3], [4, 5], [6, 7, 8]]
    whole = greedy_batch(model, prompts, 12)
    for stop in range(TINY.vocab_size):
        stopped = greedy_batch(model, prompts, 12, [stop])
        assert stopped == [row[: row.index(stop)] if stop in row else row for row in whole]
    assert any(len(set(map(len, greedy_batch(model, prompts, 12, [stop])))) > 1 for stop in whole[0])


def test_prompts_that_cannot_be_gone_on_from_are_refused(model):
    with pytest.raises(ValueError, match="batch_size must be at least 1, not -1"):
        greedy_batch(model, [[1]], 3, batch_size=-1)
    with pytest.raises(ValueError, match="prompt 2 is empty"):
        greedy_batch(model, [[1], []], 3)
    with pytest.raises(ValueError, match="max_tokens must be at least 0, not -1"):
        greedy_batch(model, [[1]], -1)


def test_greedy_drops_nothing_out_and_leaves_the_mode_as_it_was():
    model = example(replace(TINY, dropout=0.5), torch.float64)[0]
    for training in (True, False):
        model.train(training)
        assert greedy_batch(model, [[1, 2]], 9) == greedy_batch(model, [[1, 2]], 9)
        assert model.training is training


def test_greedy_takes_the_attention_and_few_logits(model, monkeypatch):
    layers, rows, shapes = [], [], []
    hidden, logits = model.hidden, model.logits

    def attend(layer, q, k, v):
        layers.append(layer)
        return torch_attention(layer, q, k, v)

    assert greedy_batch(model, [[1, 2, 3]], 2, attend=attend) == greedy_batch(model, [[1, 2, 3]], 2)
    assert layers == [0, 1] * 2
    monkeypatch.setattr(model, "logits", lambda x: rows.append(x.shape[0] * x.shape[1]) or logits(x))
    monkeypatch.setattr(model, "hidden", lambda x, **more: shapes.append(tuple(x.shape)) or hidden(x, **more))
    greedy_batch(model, [[1] * 10, [2] * 3], 4)
    assert sum(rows) == 8
    shapes.clear()
    greedy_batch(model, [[1] * length for length in (3, 12, 2, 11)], 1, batch_size=2)
    assert sorted(shapes) == [(2, 3), (2, 12)]
