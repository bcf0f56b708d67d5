"""Rounding against torch's own conversion, bit for bit, and against the two neighbours of every number."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from phase03_core_inference.project07_mixed_precision.rounding import (
    FLOAT8,
    FLOAT16,
    MAGNITUDE,
    Format,
    round_magnitude,
    round_to_bfloat16,
    round_to_float8,
    round_to_float16,
    stochastic_round,
)
from shared.testing import raises

E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2
BFLOAT16 = Format(exponent=8, fraction=7, largest=0x7F7F, nan=0x7FC0, above=0x7F80)
# Around each place where one of the formats has a tie, in the lower half of a float32.
LOWER = (0x0000, 0x0001, 0x0FFF, 0x1000, 0x1001, 0x2000, 0x2FFF, 0x3000, 0x7FFF, 0x8000, 0x8001, 0xFFFF)
WAYS = {
    "bfloat16": (round_to_bfloat16, torch.bfloat16),
    "float16": (round_to_float16, torch.float16),
    "e4m3": (lambda x: round_to_float8(x, E4M3), E4M3),
    "e5m2": (lambda x: round_to_float8(x, E5M2), E5M2),
}
BITS = {1: torch.uint8, 2: torch.int16}


class NoConversion(TorchDispatchMode):
    """Inside, a floating-point tensor may not become one of another format: the bits are to be worked on."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket in (torch.ops.aten._to_copy, torch.ops.aten.copy_):
            source = args[1] if func.overloadpacket is torch.ops.aten.copy_ else args[0]
            both = source.is_floating_point() and out.is_floating_point()
            assert not (both and source.dtype != out.dtype), f"{source.dtype} was converted to {out.dtype}"
        return out


def every_upper_half(lower):
    """All 65,536 upper halves of a float32, with this lower one."""
    return ((torch.arange(1 << 16) << 16) | lower).to(torch.uint32).view(torch.float32)


def bits(x):
    return x.view(BITS[x.element_size()])


@pytest.mark.task(1)
@pytest.mark.parametrize("lower", LOWER)
@pytest.mark.parametrize("name", WAYS)
def test_every_upper_half_is_rounded_as_torch_rounds_it(name, lower):
    way, dtype = WAYS[name]
    x = every_upper_half(lower)
    with NoConversion():
        rounded = way(x)
    number = ~x.isnan()
    assert rounded.dtype == dtype
    assert torch.equal(bits(rounded)[number], bits(x.to(dtype))[number])
    assert rounded.float()[~number].isnan().all()
    assert torch.equal(rounded.float().signbit(), x.signbit()), "signs stay, that of NaN too"


@pytest.mark.task(1)
@pytest.mark.parametrize("name", WAYS)
def test_random_numbers_of_any_shape_are_rounded_as_torch_rounds_them(name):
    way, dtype = WAYS[name]
    generator = torch.Generator().manual_seed(0)
    x = (
        torch.randint(-(1 << 31), 1 << 31, (40, 50, 100), generator=generator)
        .to(torch.int32)
        .view(torch.float32)
    )
    x = x.nan_to_num(1.0)
    assert torch.equal(bits(way(x)), bits(x.to(dtype)))
    column = x[0].T  # not side by side in memory
    assert torch.equal(bits(way(column)), bits(column.to(dtype)))
    assert way(torch.tensor(1.5)).shape == ()
    assert way(torch.zeros(0, 3)).shape == (0, 3)


@pytest.mark.task(1)
@pytest.mark.parametrize("name", WAYS)
def test_rounding_again_changes_nothing_and_the_order_stays(name):
    way, _ = WAYS[name]
    x = torch.cat([every_upper_half(lower) for lower in (0, 0x8000)])
    x = x[x.isfinite()].sort().values
    once = way(x).float()
    assert torch.equal(way(once).float(), once)
    # Differences would be NaN between infinities.
    assert (once[1:] >= once[:-1]).all()


@pytest.mark.task(1)
@pytest.mark.parametrize("name", WAYS)
def test_a_tie_goes_to_the_even_neighbour(name):
    way, dtype = WAYS[name]
    patterns = torch.arange(1 << 8 * dtype.itemsize, dtype=torch.int32)
    numbers = patterns.to({1: torch.uint8, 2: torch.uint16}[dtype.itemsize]).view(dtype)
    values = numbers.float()
    pairs = (values[1:] > values[:-1]) & values[1:].isfinite() & (values[:-1] > 0)
    middle = (values[:-1].double() + values[1:].double())[pairs] / 2
    exact = middle.float().double() == middle  # below float32's own subnormal numbers there is none
    found = bits(way(middle.float()))[exact].to(torch.int32)
    assert exact.any()
    assert (found % 2 == 0).all()


@pytest.mark.task(1)
@pytest.mark.parametrize("format", [BFLOAT16, FLOAT16, *FLOAT8.values(), Format(3, 4, 0x6F, 0x7F, 0x70)])
def test_the_general_way_takes_the_nearest_number_of_any_format(format):
    width = 1 << (format.exponent + format.fraction)
    # All numbers of the format, by its definition, in float64.
    pattern = torch.arange(format.largest + 1)
    exponent, fraction = pattern >> format.fraction, pattern & ((1 << format.fraction) - 1)
    one = torch.where(exponent > 0, 1.0, 0.0).double()
    power = exponent.clamp(min=1) - format.bias
    numbers = (one + fraction.double() / (1 << format.fraction)) * torch.pow(2.0, power.double())
    x = torch.cat([every_upper_half(lower)[: 1 << 15] for lower in (0, 0x0FFF, 0x8000)])
    x = x[x.isfinite() & (x.double() <= numbers[-1])]
    found = round_magnitude(x.view(torch.int32) & MAGNITUDE, format).long()
    assert found.max() < width
    right = torch.searchsorted(numbers, x.double()).clamp(max=format.largest)
    left = (right - 1).clamp(min=0)
    nearer = torch.where(x - numbers[left] < numbers[right] - x, left, right)
    tie = (x - numbers[left]) == (numbers[right] - x)
    nearer = torch.where(tie, torch.where(left % 2 == 0, left, right), nearer)
    assert torch.equal(found, nearer)
    nan = torch.tensor([0x7F800001, 0x7FFFFFFF], dtype=torch.int32)
    assert (round_magnitude(nan, format) == format.nan).all()
    assert (round_magnitude(torch.tensor([0x7F800000], dtype=torch.int32), format) == format.above).all()


@pytest.mark.task(1)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", WAYS)
def test_only_float32_is_rounded(name, dtype):
    with raises(TypeError, str(dtype)):
        WAYS[name][0](torch.ones(3).to(dtype))


@pytest.mark.task(1)
def test_another_format_of_8_bits_is_refused():
    with raises(ValueError, "torch.float16"):
        round_to_float8(torch.ones(3), torch.float16)


@pytest.mark.task(2)
@pytest.mark.parametrize("lower", [0x0001, 0x4000, 0x8000, 0xFFFF])
def test_stochastic_rounding_takes_one_of_the_two_neighbours(lower):
    x = every_upper_half(lower)
    rounded = stochastic_round(x, torch.Generator().manual_seed(1))
    toward, away = every_upper_half(0), every_upper_half(0).view(torch.int32) + (1 << 16)
    number = ~x.isnan() & ~toward.isinf()
    found = rounded.float().view(torch.int32)[number]
    assert rounded.dtype == torch.bfloat16
    assert ((found == toward.view(torch.int32)[number]) | (found == away[number])).all()
    assert rounded[x.isnan()].isnan().all()


@pytest.mark.task(2)
def test_what_is_a_bfloat16_already_never_moves():
    x = every_upper_half(0)
    number = ~x.isnan()
    for seed in range(3):
        rounded = stochastic_round(x, torch.Generator().manual_seed(seed))
        assert torch.equal(bits(rounded)[number], bits(x.bfloat16())[number])


@pytest.mark.task(2)
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("sixteenths", [1, 4, 8, 15])
def test_the_neighbour_away_from_zero_comes_as_often_as_the_way_to_it_is_long(sixteenths, sign):
    count, share = 40_000, sixteenths / 16
    x = torch.full((count,), sign * (1.0 + share * 2**-7))
    rounded = stochastic_round(x, torch.Generator().manual_seed(2)).float()
    away = (rounded.abs() > 1.0).double().mean().item()
    assert abs(away - share) < 5 * (share * (1 - share) / count) ** 0.5


@pytest.mark.task(2)
def test_every_number_is_drawn_for_by_itself_and_from_the_generator():
    x = torch.full((1000,), 1.0 + 2**-8)
    one = stochastic_round(x, torch.Generator().manual_seed(3))
    assert 400 < (one > 1).sum() < 600
    assert torch.equal(one, stochastic_round(x, torch.Generator().manual_seed(3)))
    assert not torch.equal(one, stochastic_round(x, torch.Generator().manual_seed(4)))
    torch.manual_seed(5)
    assert 400 < (stochastic_round(x) > 1).sum() < 600, "without a generator, torch's own"


@pytest.mark.task(2)
def test_the_draws_are_made_where_the_numbers_are():
    x = torch.ones(3, device="meta")  # a device that has shapes and no numbers, on every machine
    assert stochastic_round(x).device.type == "meta"


@pytest.mark.task(2)
def test_a_sum_of_small_steps_moves_on_average():
    nearest, drawn = torch.ones(400), torch.ones(400)
    generator = torch.Generator().manual_seed(6)
    for _ in range(100):
        drawn = stochastic_round(drawn - 0.001, generator).float()
        nearest = (nearest - 0.001).bfloat16().float()
    assert (nearest == 1).all()
    assert abs(drawn.mean().item() - 0.9) < 0.005


@pytest.mark.task(2)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_only_float32_is_rounded_stochastically(dtype):
    with raises(TypeError, str(dtype)):
        stochastic_round(torch.ones(3).to(dtype))
