"""KahanAdamW against AdamW written out for one number in float64, and against torch's AdamW in float32."""

import pytest
import torch

from phase03_core_inference.project07_mixed_precision.kahan import KahanAdamW, adamw_update, lost_share
from shared.testing import raises

B16, NAN = torch.bfloat16, float("nan")


def example(count=64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.Parameter(torch.randn(count, generator=generator).to(B16))


def gradient_of(step, count=64):
    return torch.randn(count, generator=torch.Generator().manual_seed(100 + step)).to(B16)


def whole(optimizer, parameter):
    """The weight with what rounding left over."""
    return parameter.detach().float() + optimizer.state[parameter]["compensation"].float()


@pytest.mark.task(7)
@pytest.mark.parametrize("rate", [1e-2, 1e-4])
def test_weight_and_compensation_follow_torch_s_adamw_in_float32(rate):
    narrow = example()
    wide = torch.nn.Parameter(narrow.detach().float())
    options = {"lr": rate, "betas": (0.9, 0.99), "eps": 1e-6, "weight_decay": 0.1}
    ours, theirs = KahanAdamW([narrow], **options), torch.optim.AdamW([wide], **options)
    for step in range(50):
        narrow.grad = gradient_of(step)
        wide.grad = narrow.grad.float()
        ours.step()
        theirs.step()
    # 16 bits of weight and compensation together: an error of up to 2^-17 of the weight for each step.
    torch.testing.assert_close(whole(ours, narrow), wide.detach(), rtol=50 * 2**-17, atol=50 * 2**-20)
    assert narrow.dtype == B16


@pytest.mark.task(7)
def test_each_step_is_the_formula():
    parameter = example(count=8)
    lr, beta1, beta2, eps, decay = 1e-3, 0.8, 0.95, 0.1, 0.2
    optimizer = KahanAdamW([parameter], lr, (beta1, beta2), eps, decay)
    mean, square = torch.zeros(8, dtype=torch.float64), torch.zeros(8, dtype=torch.float64)
    for step in range(1, 6):
        before = parameter.detach().double()
        state = optimizer.state[parameter]
        left = state["compensation"].double() if state else torch.zeros(8).double()
        parameter.grad = gradient_of(step, 8)
        gradient = parameter.grad.double()
        optimizer.step()
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient**2
        direction = (mean / (1 - beta1**step)) / ((square / (1 - beta2**step)).sqrt() + eps)
        update = -lr * (direction + decay * (before + left))
        state = optimizer.state[parameter]
        assert state["step"] == step
        torch.testing.assert_close(state["exp_avg"], mean.float(), rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(state["exp_avg_sq"], square.float(), rtol=1e-5, atol=1e-7)
        assert {state[name].dtype for name in ("exp_avg", "exp_avg_sq")} == {torch.float32}
        assert state["compensation"].dtype == B16
        # To the last place of the compensation, which is 2^-16 of the weight and less.
        expected = before + left + update
        torch.testing.assert_close(whole(optimizer, parameter).double(), expected, rtol=2**-16, atol=1e-7)
        # Half a last place is up to 2^-8 of the number.
        torch.testing.assert_close(parameter.detach().double(), expected, rtol=1.01 * 2**-8, atol=0)


@pytest.mark.task(7)
def test_small_steps_add_up_where_bfloat16_alone_stands_still():
    plain, helped = (torch.nn.Parameter(torch.ones(5, dtype=B16)) for _ in range(2))
    alone = torch.optim.AdamW([plain], lr=1e-3, weight_decay=0.0)
    ours = KahanAdamW([helped], lr=1e-3, weight_decay=0.0)
    for _ in range(100):
        plain.grad = helped.grad = torch.ones(5, dtype=B16)
        alone.step()
        ours.step()
    assert torch.equal(plain, torch.ones(5, dtype=B16))
    torch.testing.assert_close(whole(ours, helped), torch.full((5,), 0.9), rtol=0, atol=2e-4)


@pytest.mark.task(7)
def test_weight_decay_alone_is_felt():
    parameter = torch.nn.Parameter(torch.full((4,), 2.0, dtype=B16))
    optimizer = KahanAdamW([parameter], lr=1e-3, weight_decay=0.1)
    for _ in range(300):
        parameter.grad = torch.zeros(4, dtype=B16)
        optimizer.step()
    torch.testing.assert_close(
        whole(optimizer, parameter), torch.full((4,), 2 * (1 - 1e-4) ** 300), rtol=2e-3, atol=0
    )


@pytest.mark.task(7)
def test_groups_and_parameters_without_gradients():
    first, second, third = example(seed=1), example(seed=2), example(seed=3)
    groups = [{"params": [first, second]}, {"params": [third], "lr": 0.0}]
    optimizer = KahanAdamW(groups, lr=0.1)
    before = [parameter.detach().clone() for parameter in (first, second, third)]
    first.grad, third.grad = gradient_of(0), gradient_of(0)
    optimizer.step()
    assert not torch.equal(first, before[0])
    assert torch.equal(second, before[1])
    assert second not in optimizer.state
    assert torch.equal(third, before[2]), "a rate of 0"
    assert torch.equal(first.grad, gradient_of(0)), "the gradient stays as it is"


@pytest.mark.task(7)
def test_the_update_is_not_added_and_not_rounded():
    parameter = example(count=16)
    state = {
        "step": 0,
        "exp_avg": torch.zeros(16),
        "exp_avg_sq": torch.zeros(16),
        "compensation": torch.full((16,), 2.0**-12, dtype=B16),
    }
    parameter.grad = gradient_of(0, 16)
    before = parameter.detach().clone()
    group = {"lr": 0.37, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.5}
    update = adamw_update(parameter, state, group)
    expected = -0.37 * (parameter.grad.double().sign() + 0.5 * (before.double() + 2.0**-12))
    torch.testing.assert_close(update, expected.float(), rtol=1e-5, atol=1e-6)
    assert update.dtype == torch.float32
    assert not torch.equal(update, update.to(B16).float())
    assert torch.equal(parameter, before)
    assert torch.equal(state["compensation"], torch.full((16,), 2.0**-12, dtype=B16))
    assert state["step"] == 1


@pytest.mark.task(7)
def test_the_share_of_lost_updates():
    weights = torch.tensor([1.0, 1.0, 1.0, 1.0, 2.0], dtype=B16)
    # Half a last place below 1 is 2^-9, above it 2^-8, and a tie goes to the even number, which 1 is.
    updates = torch.tensor([-(2.0**-9), -(2.0**-8), 2.0**-8, 0.0, 2.0**-6])
    assert lost_share(weights, updates) == pytest.approx(2 / 4)
    assert lost_share(weights, torch.zeros(5)) == 0.0
    assert lost_share(torch.ones(100, dtype=B16), torch.full((100,), -1e-3)) == 1.0
    one = torch.ones(1, dtype=B16)  # its neighbour above is twice as far away as the one below
    assert lost_share(one, torch.tensor([0.003])) == 1.0
    assert lost_share(one, torch.tensor([-0.003])) == 0.0


@pytest.mark.parametrize(
    ("name", "value"),
    [("lr", -1.0), ("eps", -1.0), ("weight_decay", -0.5), ("betas", (0.9, 1.0)), ("lr", NAN)],
)
def test_impossible_settings_are_refused(name, value):
    with raises(ValueError, name):
        KahanAdamW([example()], **{name: value})


def test_other_weights_are_refused():
    with raises(TypeError, "torch.float32"):
        KahanAdamW([torch.nn.Parameter(torch.ones(2))])
