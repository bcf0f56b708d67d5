import torch
from hypothesis import given
from hypothesis import strategies as st

from phase01_foundation.project03_pretrain.dropout import UnitDropout


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
