"""Packed texts: each gets what it gets alone, forward and backward."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phase03_core_inference.project09_flash_attention import flash
from phase03_core_inference.project09_flash_attention.flash import flash_attention
from phase03_core_inference.project09_flash_attention.packed import (
    check_cu_seqlens,
    packed_attend,
    packed_attention,
)
from shared.phase01 import LLM, Config
from shared.testing import raises

pytestmark = pytest.mark.task(6)


def ends(lengths):
    return torch.tensor([0, *lengths]).cumsum(0)


def random_rows(total, total_k=None, heads=4, kv_heads=2, dim=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = (total, heads), (total_k or total, kv_heads), (total_k or total, kv_heads), (total, heads)
    return [torch.randn(*shape, dim, dtype=torch.float64, generator=generator) for shape in shapes]


def alone(q, k, v, lengths, lengths_k, **settings):
    """Each text by itself."""
    pieces = [
        flash_attention(*(x.transpose(0, 1)[None] for x in parts), **settings)[0].transpose(0, 1)
        for parts in zip(q.split(lengths), k.split(lengths_k), v.split(lengths_k), strict=True)
    ]
    return torch.cat(pieces)


def test_a_list_of_ends_is_given_back_as_numbers():
    assert check_cu_seqlens(torch.tensor([0, 3, 3, 5], dtype=torch.int32), 5) == [0, 3, 3, 5]
    assert check_cu_seqlens(torch.tensor([0]), 0) == [0]


@settings(max_examples=20)
@given(lengths=st.lists(st.integers(0, 20), min_size=1, max_size=5), causal=st.booleans())
def test_packed_is_separate(lengths, causal):
    q, k, v, _ = random_rows(sum(lengths))
    out = packed_attention(q, k, v, ends(lengths), causal=causal)
    torch.testing.assert_close(out, alone(q, k, v, lengths, lengths, causal=causal), rtol=1e-12, atol=1e-12)


def test_gradients_too():
    lengths = [3, 0, 70, 1, 0]
    q, k, v, dout = random_rows(sum(lengths))
    leaves = [x.requires_grad_() for x in (q, k, v)]
    out = packed_attention(q, k, v, ends(lengths))
    expected = torch.autograd.grad(alone(q, k, v, lengths, lengths), leaves, dout)
    for one, other in zip(torch.autograd.grad(out, leaves, dout), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_a_text_may_have_more_keys_than_queries_or_none():
    lengths, lengths_k = [1, 4, 0, 2, 3], [9, 4, 5, 30, 0]
    q, k, v, _ = random_rows(sum(lengths), sum(lengths_k))
    out = packed_attention(q, k, v, ends(lengths), ends(lengths_k), window=8)
    torch.testing.assert_close(out, alone(q, k, v, lengths, lengths_k, window=8), rtol=1e-12, atol=1e-12)
    assert (out[-3:] == 0).all()


def test_no_text_sees_another():
    lengths = [5, 6, 7]
    q, k, v, _ = random_rows(18)
    before = packed_attention(q, k, v, ends(lengths), causal=False)
    k[5:11], v[5:11] = 50.0, float("nan")
    after = packed_attention(q, k, v, ends(lengths), causal=False)
    assert torch.equal(before[:5], after[:5])
    assert torch.equal(before[11:], after[11:])
    assert after[5:11].isnan().all()


def test_no_texts_and_no_tokens_give_nothing():
    q, k, v, _ = random_rows(0)
    assert packed_attention(q, k, v, ends([])).shape == (0, 4, 4)
    assert packed_attention(q, k, v, ends([0, 0])).shape == (0, 4, 4)


def test_bad_ends_are_named():
    for wrong in ([], [1, 5], [-1, 5]):
        with raises(ValueError, 0, *wrong[:1]):
            check_cu_seqlens(torch.tensor(wrong, dtype=torch.int64), 5)
    with raises(ValueError, 4, 2):
        check_cu_seqlens(torch.tensor([0, 4, 2, 5]), 5)
    for wrong in ([0, 3], [0, 3, 7], [0]):
        with raises(ValueError, wrong[-1], 5):
            check_cu_seqlens(torch.tensor(wrong), 5)


def test_bad_input_gets_one_line_before_any_work():
    q, k, v, _ = random_rows(5)
    for wrong in ([1, 5], [0, 4, 2, 5], [0, 3], [0, 7]):
        with raises(ValueError, wrong[-1] if wrong[-1] != 5 else wrong[-2]):
            packed_attention(q, k, v, torch.tensor(wrong))
        with raises(ValueError, wrong[-1] if wrong[-1] != 5 else wrong[-2]):
            packed_attention(q, k, v, torch.tensor([0, 5]), torch.tensor(wrong))
    with raises(ValueError, 1, 2):
        packed_attention(q, k, v, torch.tensor([0, 5]), torch.tensor([0, 2, 5]))
    with raises(ValueError, 0, 1):
        packed_attention(q[:0], k[:0], v[:0], torch.tensor([0]), window=0)
    with raises(ValueError, 4, 3):
        packed_attention(q, k.repeat(1, 2, 1)[:, :3], v.repeat(1, 2, 1)[:, :3], torch.tensor([0, 5]))


def test_a_model_reads_packed_texts_as_it_reads_them_alone():
    torch.manual_seed(0)
    model = LLM(
        Config(vocab_size=20, context_length=16, layers=2, heads=4, kv_heads=2, dim=16, hidden_dim=24)
    )
    model = model.double()
    for weight in model.parameters():  # the projections into the stream start at zero
        if weight.ndim == 2:
            torch.nn.init.normal_(weight, std=0.3)
    texts = [torch.randint(20, (1, length)) for length in (5, 1, 12)]
    positions = torch.cat([torch.arange(text.shape[1]) for text in texts])
    row = model(torch.cat(texts, dim=1), positions, packed_attend(ends([5, 1, 12])))
    expected = torch.cat([model(text) for text in texts], dim=1)
    torch.testing.assert_close(row, expected, rtol=1e-10, atol=1e-10)
    windowed = packed_attend(ends([5, 1, 12]), window=2)
    assert not torch.allclose(model(torch.cat(texts, dim=1), positions, windowed), expected)


def test_packed_texts_are_one_row():
    for rows in (0, 2, 3):
        q = torch.zeros(rows, 2, 5, 4)
        with raises(ValueError, rows):
            packed_attend(ends([5]))(0, q, q, q)


def test_the_backend_that_was_asked_for_computes():
    q = torch.zeros(1, 2, 5, 16, dtype=torch.float64)
    with raises(ValueError, "float64"):
        packed_attend(ends([5]), backend="cpu")(0, q, q, q)
    with raises(ValueError, "float64"):  # also where there is nothing to compute
        packed_attention(q[0, :0], q[0, :0], q[0, :0], ends([]), backend="cpu")


def test_every_text_goes_to_the_backend_that_was_asked_for(monkeypatch):
    fails = flash.BACKENDS["tiles"]._replace(forward=lambda *_: pytest.fail("another backend computes"))
    monkeypatch.setattr(flash, "BACKENDS", {**flash.BACKENDS, "cpu": fails})
    q = torch.ones(5, 2, 16)
    assert torch.equal(packed_attention(q, q, q, ends([2, 3]), backend="tiles"), q)
