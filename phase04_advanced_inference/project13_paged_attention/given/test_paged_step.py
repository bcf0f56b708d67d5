"""A whole step over blocks in one call: what the model's modules say, project 8's bits, and what is refused."""

import copy

import pytest
import torch

from phase04_advanced_inference.project13_paged_attention.given.example import (
    WIDE,
    empty_store,
    random_model,
    shuffled_tables,
)
from phase04_advanced_inference.project13_paged_attention.given.paged_step import PagedStepDecode
from phase04_advanced_inference.project13_paged_attention.paged_attention import PagedAttention, PagedStep
from shared.phase03 import MOST_ROWS, DecodeStep, KVCache
from shared.testing import raises

STEPS = [([0, 0, 0], [3, 5, 1]), ([3, 5, 1], [1, 2, 1]), ([4, 7, 2], [4, 1, 1]), ([8, 8, 3], [1, 1, 9])]


def random_step(number, config, tables):
    starts, counts = STEPS[number]
    generator = torch.Generator().manual_seed(number)
    tokens = torch.randint(config.vocab_size, (sum(counts),), generator=generator).tolist()
    places = [p for start, count in zip(starts, counts, strict=True) for p in range(start, start + count)]
    return PagedStep(counts, starts, tables), tokens, torch.tensor(places)


def by_modules(model, store, step, tokens):
    attend = PagedAttention(store)
    places = attend.plan(step)
    with torch.no_grad():
        return model(torch.tensor([tokens]), places, attend)[0]


@pytest.mark.parametrize("config", WIDE)
def test_a_step_equals_the_models_modules(config):
    model = random_model(config, torch.float32)
    one_call, tables = PagedStepDecode(model), shuffled_tables([20, 20, 20], 4, 30)
    mine, theirs = (empty_store(config, 30, 4, torch.float32) for _ in range(2))
    for number in range(len(STEPS)):
        step, tokens, places = random_step(number, config, tables)
        found, expected = one_call(mine, step, tokens, places), by_modules(model, theirs, step, tokens)
        torch.testing.assert_close(found, expected, rtol=3e-5, atol=3e-5)
    for ours, others in ((mine.keys, theirs.keys), (mine.values, theirs.values)):
        for one, other in zip(ours, others, strict=True):
            torch.testing.assert_close(one, other, rtol=3e-5, atol=3e-5, equal_nan=True)


def test_in_bfloat16_a_step_is_as_near_to_the_exact_one_as_the_modules():
    config = WIDE[0]
    model = random_model(config, torch.bfloat16)
    exact, one_call = copy.deepcopy(model).double(), PagedStepDecode(model)
    tables = shuffled_tables([20, 20, 20], 4, 30)
    stores = [empty_store(config, 30, 4, dtype) for dtype in (torch.bfloat16, torch.bfloat16, torch.float64)]
    errors = []
    for number in range(len(STEPS)):
        step, tokens, places = random_step(number, config, tables)
        expected = by_modules(exact, stores[2], step, tokens)
        found = one_call(stores[0], step, tokens, places), by_modules(model, stores[1], step, tokens)
        errors.append([(one - expected).norm() / expected.norm() for one in found])
    ours, theirs = torch.tensor(errors).mean(0)
    assert ours < 1.2 * theirs
    assert ours < 0.03


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_gives_what_project_8s_step_gives(dtype):
    """The same tokens, one a text and step, in a cache with a row each and in blocks without any order.

    But for rounding: a learner's kernel of project 8 may sum in another order.
    """
    config, rows = WIDE[2], 3
    model = random_model(config, dtype)
    theirs, ours = DecodeStep(model), PagedStepDecode(model)
    if ours.kernel is None:
        pytest.skip("there is no C++ compiler")
    cache, store = KVCache(config, rows, dtype=dtype), empty_store(config, 12, 4, dtype)
    tables = shuffled_tables([9] * rows, 4, 12)
    for place, token in enumerate((3, 1, 4, 1, 5, 9, 2, 6, 5)):
        tokens = [(token + row) % config.vocab_size for row in range(rows)]
        expected = theirs(cache, [[one] for one in tokens])
        step = PagedStep([1] * rows, [place] * rows, tables)
        found = ours(store, step, tokens, torch.full((rows,), place))
        assert (found - expected).norm() < (1e-5 if dtype == torch.float32 else 0.03) * expected.norm()


def test_a_step_of_many_tokens_goes_through_the_modules():
    model, config = random_model(WIDE[0], torch.float32), WIDE[0]
    one_call = PagedStepDecode(model)
    assert not one_call.fits(MOST_ROWS + 1)
    stores = [empty_store(config, 20, 4, torch.float32) for _ in range(2)]
    tokens = [i % 29 for i in range(MOST_ROWS + 1)]
    step = PagedStep([len(tokens)], [0], [list(range(9))])
    found = one_call(stores[0], step, tokens, torch.arange(len(tokens)))
    assert torch.equal(found, by_modules(model, stores[1], step, tokens))


@pytest.mark.parametrize(
    ("step", "tokens", "places", "facts"),
    [
        (PagedStep([2], [3], [[0]]), [1, 2], 2, (5, 4)),
        (PagedStep([2], [0], [[9]]), [1, 2], 2, (9,)),
        (PagedStep([2], [0], [[0]]), [1], 2, (2, 1)),
        (PagedStep([2], [0], [[0]]), [1, 2], 3, (2, 3)),
        (PagedStep([2], [0], [[0]]), [1, 29], 2, (29, 28)),
        (PagedStep([2], [0], [[0]]), [-1, 2], 2, (-1, 28)),
    ],
)
def test_a_wrong_step_is_refused_and_nothing_is_written(step, tokens, places, facts):
    store = empty_store(WIDE[0], 9, 4, torch.float32)
    with raises(ValueError, *facts):
        PagedStepDecode(random_model(WIDE[0], torch.float32))(store, step, tokens, torch.arange(places))
    assert all(buffer.isnan().all() for buffer in store.keys)


def test_another_models_store_is_refused():
    one_call = PagedStepDecode(random_model(WIDE[0], torch.float32))
    step = PagedStep([1], [0], [[0]])
    for store, facts in [
        (empty_store(WIDE[2], 9, 4, torch.float32), ("layers", 2, 3)),
        (empty_store(WIDE[0], 9, 4, torch.bfloat16), ("float32", "bfloat16")),
        (empty_store(WIDE[0], 9, 4), ("float64",)),
    ]:
        with raises(ValueError, *facts):
            one_call(store, step, [1], torch.arange(1))
