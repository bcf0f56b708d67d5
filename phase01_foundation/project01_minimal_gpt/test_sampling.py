import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phase01_foundation.project01_minimal_gpt.sampling import (
    SamplingParams,
    choose,
    keep_top_k,
    keep_top_p,
    penalize_repetition,
)

task = pytest.mark.task(9)
logit_lists = st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=30)
EXAMPLE = torch.tensor([1.0, 3.0, -1.0, 2.0, 0.0])


def draws(logits, params, count=2000):
    generator = torch.Generator().manual_seed(0)
    used = torch.tensor([0])
    return torch.tensor([choose(logits, used, params, generator) for _ in range(count)])


@task
def test_top_k_keeps_the_likeliest():
    kept = keep_top_k(EXAMPLE, 2)
    assert kept.tolist() == [float("-inf"), 3.0, float("-inf"), 2.0, float("-inf")]
    assert EXAMPLE[0] == 1.0, "the logits that were given were changed"


@task
def test_of_equal_logits_the_lower_ids_stay():
    logits = torch.zeros(64)  # a 64th each, without any rounding
    assert keep_top_k(logits, 16).isfinite().nonzero().flatten().tolist() == list(range(16))
    assert keep_top_p(logits, 1 / 4).isfinite().nonzero().flatten().tolist() == list(range(16))
    logits[40] = 1.0
    assert keep_top_k(logits, 3).isfinite().nonzero().flatten().tolist() == [0, 1, 40]


@task
@given(logit_lists, st.integers(1, 40))
def test_top_k_keeps_k_and_none_that_is_less_likely(values, k):
    logits = torch.tensor(values)
    kept = keep_top_k(logits, k).isfinite()
    assert kept.sum() == min(k, len(values))
    if not kept.all():
        assert logits[kept].min() >= logits[~kept].max()


@task
@pytest.mark.parametrize("k", [0, 5, 99])
def test_top_k_of_none_or_all_keeps_all(k):
    assert torch.equal(keep_top_k(EXAMPLE, k), EXAMPLE)


@task
def test_top_p_keeps_the_fewest_that_reach_p():
    logits = torch.tensor([0.15, 0.5, 0.05, 0.3]).log()
    expected = {0.4: [1], 0.51: [1, 3], 0.79: [1, 3], 0.81: [0, 1, 3], 0.96: [0, 1, 2, 3], 1.0: [0, 1, 2, 3]}
    for p, tokens in expected.items():
        assert keep_top_p(logits, p).isfinite().nonzero().flatten().tolist() == tokens, f"p = {p}"


@task
def test_a_top_p_that_is_reached_exactly_is_enough():
    logits = torch.zeros(4)  # a quarter each, without any rounding
    assert keep_top_p(logits, 0.5).tolist() == [0.0, 0.0, float("-inf"), float("-inf")]
    assert keep_top_p(logits, 0.25).tolist() == [0.0, float("-inf"), float("-inf"), float("-inf")]
    assert logits.tolist() == [0.0] * 4, "the logits that were given were changed"


@task
def test_a_top_p_of_one_keeps_all_though_the_others_sum_to_one_in_rounding():
    logits = torch.tensor([0.0, 100.0, 0.0])  # beside e^100, a float32 does not see the others
    assert torch.equal(keep_top_p(logits, 1.0), logits)


@task
@given(logit_lists, st.floats(0.01, 1))
def test_top_p_is_never_empty_and_never_more_than_it_must(values, p):
    logits = torch.tensor(values).double()
    kept = keep_top_p(logits, p).isfinite()
    probabilities = logits.softmax(0)
    assert kept.any()
    if p < 1:
        assert probabilities[kept].sum() >= p - 1e-9
        without_the_least = probabilities[kept].sum() - probabilities[kept].min()
        assert without_the_least < p + 1e-9
        if not kept.all():
            assert logits[kept].min() >= logits[~kept].max()


@task
def test_the_penalty_makes_used_tokens_less_likely_whatever_their_sign():
    used = torch.tensor([1, 2, 1, 1])
    penalized = penalize_repetition(EXAMPLE, used, 2.0)
    assert penalized.tolist() == [1.0, 1.5, -2.0, 2.0, 0.0]
    assert torch.equal(penalize_repetition(EXAMPLE, used, 1.0), EXAMPLE)
    assert penalize_repetition(torch.tensor([0.5, -0.5]), torch.tensor([0, 1]), 2.0).tolist() == [0.25, -1.0]
    assert EXAMPLE[1] == 3.0, "the logits that were given were changed"


@task
def test_temperature_zero_takes_the_likeliest_after_the_penalty():
    assert set(draws(EXAMPLE, SamplingParams(temperature=0), 5).tolist()) == {1}
    penalized = SamplingParams(temperature=0, repetition_penalty=4.0)
    assert choose(EXAMPLE, torch.tensor([1]), penalized, torch.Generator()) == 3
    generator = torch.Generator()
    before = generator.get_state()
    choose(EXAMPLE, torch.tensor([1]), penalized, generator)
    assert torch.equal(generator.get_state(), before), "something was drawn"


@task
def test_the_penalty_counts_in_draws_as_well():
    generator = torch.Generator().manual_seed(0)
    params = SamplingParams(repetition_penalty=3.0)
    logits = torch.tensor(
        [30.0, 20.0]
    )  # 10 and 20 after the penalty: the other one, but for one draw in 22,000
    assert {choose(logits, torch.tensor([0]), params, generator) for _ in range(20)} == {1}


@task
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_tempered_distribution(temperature):
    counts = draws(EXAMPLE, SamplingParams(temperature=temperature)).bincount(minlength=5)
    expected = (EXAMPLE / temperature).softmax(0)
    torch.testing.assert_close(counts / 2000, expected, rtol=0, atol=0.035)


@task
@pytest.mark.parametrize("temperature", [1e-6, 1e6])
@pytest.mark.parametrize("penalty", [1e-6, 1e6])
def test_the_widest_settings_still_draw(temperature, penalty):
    logits = torch.tensor([0.0, 1e4, -1e4, -math.inf, 0.0])
    params = SamplingParams(temperature=temperature, repetition_penalty=penalty, seed=2**64 - 1)
    generator = torch.Generator().manual_seed(params.seed)
    drawn = {choose(logits, torch.tensor([0, 1, 2]), params, generator) for _ in range(20)}
    assert drawn <= {0, 1, 2, 4}
    assert temperature > 1 or drawn == {1}


@task
def test_ruled_out_tokens_are_never_drawn():
    assert set(draws(EXAMPLE, SamplingParams(top_k=2), 300).tolist()) == {1, 3}
    assert set(draws(EXAMPLE, SamplingParams(top_p=0.3), 300).tolist()) == {1}
    hot = SamplingParams(temperature=50.0, top_k=3)
    assert set(draws(EXAMPLE, hot, 300).tolist()) == {0, 1, 3}


@task
def test_top_p_counts_after_the_temperature():
    # At temperature 1 the first token has 0.64 of the probability; at 10 it has 0.26, so a second must join it.
    assert set(draws(EXAMPLE, SamplingParams(top_p=0.5), 300).tolist()) == {1}
    assert len(set(draws(EXAMPLE, SamplingParams(top_p=0.5, temperature=10.0), 300).tolist())) > 1


@task
def test_top_p_counts_what_top_k_has_left():
    logits = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()
    # Of all, the first has 0.4; of the two that top-k leaves, 0.57: it reaches 0.5 alone.
    assert set(draws(logits, SamplingParams(top_k=2, top_p=0.5), 300).tolist()) == {0}


@task
def test_the_same_seed_draws_the_same_tokens():
    torch.manual_seed(1)
    first = draws(EXAMPLE, SamplingParams(), 50)
    torch.manual_seed(2)  # torch's own generator has no part in it
    assert torch.equal(first, draws(EXAMPLE, SamplingParams(), 50))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"max_tokens": 0}, "max_tokens must be at least 1, not 0"),
        ({"temperature": -1.0}, "temperature must be 0 .greedy., or from 0.000001 to 1,000,000, not -1.0"),
        *(({"temperature": odd}, "temperature must be 0") for odd in (1e-39, math.inf, math.nan)),
        ({"top_k": -1}, "top_k must be 0"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1"),
        ({"top_p": 1.5}, "top_p must be above 0 and at most 1"),
        ({"repetition_penalty": 0.0}, "repetition_penalty must be from 0.000001 to 1,000,000, not 0.0"),
        *(({"repetition_penalty": odd}, "repetition_penalty must") for odd in (1e-39, math.inf, math.nan)),
        ({"seed": -1}, "seed must be from 0"),
        ({"seed": 2**64}, "seed must be from 0"),
        ({"stop": ("\n", "")}, "stop must be texts of at least one character"),
        ({"stop_ids": (3, -1)}, "stop_ids must be ids of tokens, 0 or more"),
    ],
)
def test_a_setting_out_of_range_is_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        SamplingParams(**setting)
