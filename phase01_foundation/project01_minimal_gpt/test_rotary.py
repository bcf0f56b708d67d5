import math

import pytest
import torch

from phase01_foundation.project01_minimal_gpt.rotary import rotary_angles, rotate
from shared.testing import raises

pytestmark = pytest.mark.task(3)


def random_vectors(time=9, dim=8):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, time, dim, dtype=torch.float64, generator=generator)


def test_the_angles_are_those_of_the_paper():
    angles = rotary_angles(torch.tensor([0, 1, 10]), head_dim=4, base=100.0)
    # Two pairs: one turns by 100^0 = 1 radian a position, one by 100^(-1/2) = 0.1.
    torch.testing.assert_close(angles, torch.tensor([[0.0, 0.0], [1.0, 0.1], [10.0, 1.0]]))


def test_the_base_is_ten_thousand_unless_given():
    torch.testing.assert_close(rotary_angles(torch.tensor([1]), 4), torch.tensor([[1.0, 0.01]]))


def test_angles_of_far_positions_keep_their_digits():
    angles = rotary_angles(torch.tensor([0, 999, 4095]), head_dim=64)
    assert angles.dtype == torch.float32
    expected = [[p * math.pow(10_000, -2 * pair / 64) for pair in range(32)] for p in (0, 999, 4095)]
    torch.testing.assert_close(angles, torch.tensor(expected), rtol=2e-6, atol=0)


def test_half_precision_is_for_the_result_not_for_the_angles():
    x, angles = random_vectors(), rotary_angles(torch.arange(4000, 4009), 8)
    # Rounded to bfloat16, an angle of 4,000 radians is off by a full turn or more.
    torch.testing.assert_close(rotate(x.bfloat16(), angles).double(), rotate(x, angles), rtol=0, atol=0.05)


def test_angles_are_made_where_the_positions_are():
    positions = torch.arange(3, device="meta")  # a device that has shapes and no numbers, on every machine
    assert rotary_angles(positions, 4).device.type == "meta"


def test_turning_is_multiplication_of_complex_numbers():
    x, angles = random_vectors(), rotary_angles(torch.arange(9), 8)
    pairs = torch.complex(x[..., :4], x[..., 4:]) * torch.polar(torch.ones(9, 4).double(), angles.double())
    expected = torch.cat([pairs.real, pairs.imag], dim=-1)
    torch.testing.assert_close(rotate(x, angles.double()), expected)


def test_position_zero_is_left_as_it_is():
    x = random_vectors(time=1)
    torch.testing.assert_close(rotate(x, rotary_angles(torch.tensor([0]), 8)), x)


def test_turning_keeps_lengths_and_dtype():
    x = random_vectors()
    turned = rotate(x, rotary_angles(torch.arange(9), 8))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1), rtol=1e-6, atol=1e-6)
    assert rotate(x.bfloat16(), rotary_angles(torch.arange(9), 8)).dtype == torch.bfloat16


@pytest.mark.parametrize("shift", [1, 7, 500])
def test_products_depend_on_the_distance_alone(shift):
    q, k = random_vectors(), random_vectors().flip(0)

    def products(first):
        angles = rotary_angles(torch.arange(first, first + 9), 8).double()
        return rotate(q, angles) @ rotate(k, angles).transpose(-2, -1)

    torch.testing.assert_close(products(0), products(shift), rtol=1e-4, atol=1e-4)
    assert (products(0) - q @ k.transpose(-2, -1)).abs().max() > 0.1, "positions make no difference"


def test_an_odd_head_dimension_is_refused():
    with raises(ValueError, 5):
        rotary_angles(torch.arange(3), 5)
