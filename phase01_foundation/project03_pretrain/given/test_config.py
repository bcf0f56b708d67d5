"""What is given of the model: its config, its positions, and dropout by the unit."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phase01_foundation.project03_pretrain.given.example import TINY
from phase01_foundation.project03_pretrain.model import LLM, Config, UnitDropout, check_positions


def test_parameters_are_counted_once():
    model = LLM(TINY)
    block = 16 * (16 + 8 + 8 + 16) + 3 * 16 * 24 + 2 * 16
    assert model.parameter_count() == 2 * 11 * 16 + 2 * block + 16
    tied = LLM(replace(TINY, tied_embeddings=True))
    assert tied.parameter_count() == model.parameter_count() - 11 * 16
    assert tied.head.weight is tied.embedding.weight
    assert tied.double().head.weight is tied.embedding.weight


def test_without_a_word_angles_and_norms_are_llamas():
    assert (Config(11).rope_base, Config(11).norm_eps) == (10_000.0, 1e-5)


def test_positions_must_be_as_many_as_the_tokens():
    tokens = torch.zeros(1, 3, dtype=torch.long)
    assert check_positions(tokens, torch.tensor([5, 9, 7]), 2).tolist() == [5, 9, 7]
    with pytest.raises(ValueError, match="one position for each of its 3 tokens, not 1"):
        check_positions(tokens, torch.arange(1), 16)  # which torch would spread over all three
    with pytest.raises(ValueError, match="reads 1 to 16 tokens at once, not 0"):
        check_positions(tokens[:, :0], torch.arange(0), 16)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers must be at least 1, not 0"),
        ({"kv_heads": 0}, "kv_heads must be at least 1, not 0"),
        ({"kv_heads": 3}, "heads must be a multiple of kv_heads: 4 is none of 3"),
        ({"dim": 18}, "dim must be a multiple of heads: 18 is none of 4; or set head_dim"),
        ({"dim": 12}, "even width .* not 3"),
        ({"head_dim": 0}, "even width .* not 0"),
        ({"rope_base": 0.0}, "rope_base must be above 0"),
        ({"norm_eps": -1.0}, "norm_eps must be above 0"),
        ({"activation": "relu"}, "activation must be swiglu or squared_relu, not 'relu'"),
        ({"logit_softcap": 0.0}, "logit_softcap must be above 0, or None"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, not 1.0"),
        ({"dropout": -0.1}, "dropout must be at least 0 and below 1, not -0.1"),
        ({"dropout": math.nan}, "dropout must be a finite number, not nan"),
        ({"rope_base": math.inf}, "rope_base must be a finite number, not inf"),
        ({"norm_eps": math.inf}, "norm_eps must be a finite number, not inf"),
    ],
)
def test_an_impossible_shape_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Config.__post_init__(_unchecked(changes))


def _unchecked(changes):
    # Past the type checker of the tests, which would speak first of a wrong activation.
    config = object.__new__(Config)
    for name, value in {**TINY.__dict__, **changes}.items():
        object.__setattr__(config, name, value)
    return config


@given(st.floats(0.05, 0.95), st.sampled_from([torch.float32, torch.bfloat16, torch.float64]))
def test_units_are_dropped_in_whole_rows_and_the_others_scaled_up(share, dtype):
    torch.manual_seed(0)
    out = UnitDropout(share)(torch.ones(50, 3, 40, dtype=dtype))
    assert out.dtype == dtype
    assert torch.equal(out, out[:, :1].expand_as(out)), "the same units at every position"
    kept = out[out != 0].double()
    # Rounded to the model's precision, and to float32 on the way.
    rtol = 2**-8 if dtype == torch.bfloat16 else 2**-22
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - share)), rtol=rtol, atol=0)
    # 2,000 units are drawn, so the share that drops has a deviation of at most 0.011.
    assert abs((out[:, 0] == 0).double().mean().item() - share) < 0.05


def test_each_row_and_each_call_draws_its_own():
    torch.manual_seed(0)
    dropout, x = UnitDropout(0.5), torch.ones(2, 3, 40)
    first, second = dropout(x), dropout(x)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first, second)


def test_gradients_pass_where_values_do():
    torch.manual_seed(0)
    x = torch.ones(2, 3, 8, requires_grad=True)
    out = UnitDropout(0.5)(x)
    out.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, out)


def test_nothing_is_dropped_in_use_or_for_a_share_of_zero():
    x = torch.randn(2, 3, 8)
    assert UnitDropout(0.5).eval()(x) is x
    assert UnitDropout(0.0)(x) is x
