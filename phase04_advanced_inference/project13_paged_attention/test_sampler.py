"""From logits to tokens: against transformers and plain numbers, and with a draft against the exact distribution."""

import itertools
import math
from collections import defaultdict
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Proposal
from phase04_advanced_inference.project12_dynamic_batching.sequence import Sequence
from phase04_advanced_inference.project13_paged_attention import sampler as module
from phase04_advanced_inference.project13_paged_attention.sampler import (
    Sampler,
    TokenLogprobs,
    judge,
    process,
    token_logprobs,
)
from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams
from shared.phase01 import SamplingParams as PlainParams
from shared.testing import raises

task = pytest.mark.task(8)
VOCAB = 7
PIECES = [b"a", b"b", b"c", b"d", b"ab", b"1", b""]  # the last one ends a text
END = 6


def random_logits(places, seed=0, vocab_size=VOCAB):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(places, vocab_size, generator=generator, dtype=torch.float64)


def sequence(params, prompt=(0, 1, 1), written=(), draft=(), limit=100, seed=0):
    made = Sequence(0, list(prompt), params, limit, generator=torch.Generator().manual_seed(seed))
    made.tokens += written
    made.draft = list(draft)
    return made


# ---- the chain


@task
@pytest.mark.parametrize("penalty", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("written", [[], [2], [2, 3, 3, 5]])
def test_penalty_bias_and_least_length_are_those_of_transformers(penalty, written):
    transformers = pytest.importorskip("transformers", reason="transformers, the peer, is not installed")
    prompt, logits = [0, 1, 1], random_logits(1)
    params = SamplingParams(
        repetition_penalty=penalty, logit_bias={3: 2.5, 0: -1.0}, min_tokens=3, stop_ids=(END, 4)
    )
    chain = [
        transformers.RepetitionPenaltyLogitsProcessor(penalty),
        transformers.SequenceBiasLogitsProcessor([[[3], 2.5], [[0], -1.0]]),
        transformers.MinNewTokensLengthLogitsProcessor(3, 3, [END, 4], device="cpu"),
    ]
    expected = logits
    for part in chain:
        expected = part(torch.tensor([[*prompt, *written]]), expected)
    found = process(logits[0], [*prompt, *written], 3, params)
    torch.testing.assert_close(found, expected[0], rtol=1e-12, atol=0)


def plainly(logits, tokens, num_prompt, params, mask):
    """The docstring's five points with plain numbers."""
    values, written = logits.tolist(), tokens[num_prompt:]
    for t in range(len(values)):
        if t in tokens:
            values[t] *= params.repetition_penalty if values[t] <= 0 else 1 / params.repetition_penalty
        values[t] -= params.frequency_penalty * written.count(t)
        values[t] -= params.presence_penalty * (t in written)
        values[t] += params.logit_bias.get(t, 0)
    others = [t for t in range(len(values)) if t not in params.stop_ids and (mask is None or mask[t])]
    for t in range(len(values)):
        early = t in params.stop_ids and len(written) < params.min_tokens and others
        if early or (mask is not None and not mask[t]):
            values[t] = -math.inf
    return torch.tensor(values, dtype=torch.float64)


OPTIONS = st.fixed_dictionaries(
    {
        "repetition_penalty": st.sampled_from([0.7, 1.0, 1.5]),
        "presence_penalty": st.sampled_from([-1.5, 0.0, 0.5, 2.0]),
        "frequency_penalty": st.sampled_from([-0.5, 0.0, 1.25]),
        "logit_bias": st.dictionaries(
            st.integers(0, VOCAB - 1), st.sampled_from([-100.0, 3.0, 100]), max_size=3
        ),
        "min_tokens": st.integers(0, 4),
        "stop_ids": st.sampled_from([(), (END,), (END, 2)]),
    }
)
MASKS = st.none() | st.sets(st.integers(0, VOCAB - 1), min_size=1)


@task
@given(OPTIONS, st.lists(st.integers(0, VOCAB - 1), max_size=5), MASKS, st.integers(0, 100))
@settings(max_examples=80, deadline=None)
def test_the_chain_is_what_plain_numbers_give(options, written, allowed, seed):
    params = SamplingParams(**options)
    logits = random_logits(1, seed)[0]
    mask = None if allowed is None else torch.tensor([t in allowed for t in range(VOCAB)])
    before = logits.clone()
    found = process(logits, [0, 1, 1, *written], 3, params, mask)
    torch.testing.assert_close(
        found, plainly(logits, [0, 1, 1, *written], 3, params, mask), rtol=1e-12, atol=1e-12
    )
    assert torch.equal(logits, before)
    assert bool(found.isfinite().any())


@task
def test_presence_and_frequency_see_the_output_alone_and_the_repetition_penalty_the_prompt_too():
    logits = torch.tensor([1.0, 1.0, 1.0, 1.0])
    params = SamplingParams(presence_penalty=0.5, frequency_penalty=0.25)
    assert process(logits, [0, 0, 1, 2, 2], 3, params).tolist() == [1.0, 1.0, 0.0, 1.0]
    assert process(logits, [0, 0, 1, 2, 2], 2, params).tolist() == [1.0, 0.25, 0.0, 1.0]
    assert process(logits, [0, 0], 2, params).tolist() == [1.0] * 4
    both = process(logits, [0, 0, 1, 2, 2], 3, SamplingParams(repetition_penalty=2.0))
    assert both.tolist() == [0.5, 0.5, 0.5, 1.0]


@task
def test_a_complete_text_may_end_though_it_is_short():
    params = SamplingParams(min_tokens=3, stop_ids=(3,))
    only_the_end = torch.tensor([False, False, False, True])
    found = process(torch.zeros(4), [0], 1, params, only_the_end)
    assert found.tolist() == [-math.inf] * 3 + [0.0]
    more = torch.tensor([False, True, False, True])
    assert process(torch.zeros(4), [0], 1, params, more).tolist() == [-math.inf, 0.0, -math.inf, -math.inf]
    assert process(torch.zeros(4), [0, 1, 1, 1], 1, params, more).tolist() == [-math.inf, 0.0, -math.inf, 0.0]


@task
def test_the_dtype_stays():
    params = SamplingParams(presence_penalty=1.0, logit_bias={1: 0.5}, repetition_penalty=1.5)
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        assert process(torch.zeros(3, dtype=dtype), [0, 1], 1, params).dtype == dtype
    biased = process(torch.zeros(3, dtype=torch.float64), [0], 1, SamplingParams(logit_bias={1: 0.1}))
    assert float(biased[1]) == 0.1, "and a bias is as exact as the logits"


# ---- judging, exactly


def law_of_two(first_of, second_of, q1, q2):
    """The exact law of the next two tokens, if the numbers' borders are multiples of a half, a third and a sixth.

    `first_of` are processed logits (vocab), `second_of[g]` those after the guess g, and so on; q1 and q2 whole numbers.
    """
    params, law = SamplingParams(), defaultdict(Fraction)
    grids = [[(i + 0.5) / parts for i in range(parts)] for parts in (2, 3, 6)]
    exact = [torch.tensor(q, dtype=torch.float64) / sum(q) for q in (q1, q2)]
    for guess, again in itertools.product(range(3), repeat=2):
        weight = Fraction(q1[guess], sum(q1)) * Fraction(q2[again], sum(q2))
        if not weight:
            continue
        rows = torch.stack([first_of, second_of[guess], torch.zeros(3)])
        for numbers in itertools.product(*grids):
            tokens = judge(rows, [guess, again], torch.stack(exact), params, numbers)
            share = weight * Fraction(1, 36)
            if len(tokens) > 1:
                law[tuple(tokens[:2])] += share
                continue
            for token, chance in enumerate(
                second_of[tokens[0]].softmax(0).tolist()
            ):  # it is drawn in the next step
                law[tokens[0], token] += share * Fraction(chance).limit_denominator(1000)
    return law


@task
def test_with_a_draft_two_tokens_have_exactly_the_processed_distribution():
    """Presence by ln 2 halves a weight; the mask takes token 0 away; what was guessed first counts at the second."""
    params = SamplingParams(presence_penalty=math.log(2))
    mask = torch.tensor([False, True, True])

    def processed(weights, written, mask=None):
        logits = torch.tensor(weights, dtype=torch.float64).log()
        return process(logits, [0, *written], 1, params, mask)

    first = processed([2.0, 4.0, 6.0], [1], mask)  # 0 : 2 : 6
    second = {
        0: processed([4.0, 4.0, 1.0], [1, 0]),  # 2 : 2 : 1, and never seen
        1: processed([1.0, 2.0, 1.0], [1, 1]),  # 1 : 1 : 1
        2: processed([1.0, 2.0, 4.0], [1, 2]),  # 1 : 1 : 2
    }
    law = law_of_two(first, second, [1, 2, 1], [1, 1, 2])
    expected = {
        (a, b): Fraction([0, 1, 3][a], 4) * Fraction(weights[b], sum(weights))
        for a, weights in ((1, [1, 1, 1]), (2, [1, 1, 2]))
        for b in range(3)
    }
    assert {pair: share for pair, share in law.items() if share} == expected


@task
def test_without_guesses_it_is_one_draw():
    rows = torch.tensor([[1.0, 2.0, 1.0]]).log()
    drawn = [judge(rows, [], None, SamplingParams(), [number]) for number in (0.2, 0.3, 0.7, 0.8)]
    assert drawn == [[0], [1], [1], [2]]


@task
def test_temperature_top_k_and_top_p_are_applied_and_no_penalty_twice():
    rows = torch.tensor([[4.0, 2.0, 1.0, 1.0]]).log()
    grid = [(i + 0.5) / 200 for i in range(200)]

    def shares(**options):
        tokens = [judge(rows, [], None, SamplingParams(**options), [number])[0] for number in grid]
        return [tokens.count(token) for token in range(4)]

    assert shares() == [100, 50, 25, 25]
    assert shares(temperature=0.5) == [145, 37, 9, 9]  # 16 : 4 : 1 : 1
    assert shares(top_k=2) == [133, 67, 0, 0]
    assert shares(top_p=0.7) == [133, 67, 0, 0]
    penalties = {"repetition_penalty": 2.0, "presence_penalty": 1.0, "logit_bias": {0: -5.0}}
    assert shares(**penalties) == shares()


@task
def test_greedy_judges_by_the_likeliest():
    rows = torch.tensor([[0.0, 1.0, 1.0], [2.0, 0.0, 1.0], [0.0, 0.0, 3.0]])
    params = SamplingParams(temperature=0, top_k=1)
    assert judge(rows, [1, 0], None, params, []) == [1, 0, 2]
    assert judge(rows, [1, 2], None, params, []) == [1, 0]
    assert judge(rows, [2, 0], None, params, []) == [1]
    assert judge(rows[:1], [], None, params, []) == [1]


# ---- the sampler

SETTINGS = [
    {},
    {"temperature": 0},
    {"temperature": 0, "repetition_penalty": 1.8, "frequency_penalty": 0.7},
    {"temperature": 0.7, "top_k": 4, "top_p": 0.9, "presence_penalty": 0.8},
    {"logit_bias": {2: 3.0, 5: -100.0}, "min_tokens": 4, "repetition_penalty": 1.3},
    {"regex": "(?:a|b|ab1)+c", "frequency_penalty": 0.5},
    {"temperature": 0, "choices": ("abba", "abd1", "cc")},
]


@task
@pytest.mark.parametrize("options", SETTINGS)
@pytest.mark.parametrize("guessed", [0, 1, 3])
def test_each_place_is_processed_with_the_guesses_before_it(options, guessed):
    params = SamplingParams(stop_ids=(END,), max_tokens=50, **options)
    for seed in range(12):
        generator = torch.Generator().manual_seed(seed)
        draft = torch.randint(VOCAB - 1, (guessed,), generator=generator).tolist()
        drawn = torch.rand(guessed, VOCAB, generator=generator, dtype=torch.float64).softmax(-1)
        logits, sampler = random_logits(guessed + 1, seed), Sampler(PIECES)
        made = sequence(params, written=[0] if seed % 2 else [], draft=draft, seed=seed)
        guide, rows = sampler.guide(params), []
        for i, row in enumerate(logits):
            tokens = [*made.tokens, *draft[:i]]
            mask = None if guide is None else guide.allowed(b"".join(PIECES[t] for t in tokens[3:]))
            rows.append(plainly(row, tokens, 3, params, mask if mask is None or mask.any() else None))
        numbers = torch.rand(guessed + 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        expected = judge(torch.stack(rows), draft, drawn, params, numbers.tolist())
        sampler.proposals[0] = Proposal(draft, drawn)
        assert sampler(made, logits) == sampler.cut(made, expected)
        assert sampler.proposals == {}
        own = torch.Generator().manual_seed(seed)
        if params.temperature:
            torch.rand(guessed + 1, generator=own, dtype=torch.float64)
        assert made.generator is not None
        assert torch.equal(made.generator.get_state(), own.get_state()), "a number a place, whatever stays"


@task
def test_greedy_with_a_draft_is_greedy_without():
    params = SamplingParams(temperature=0, frequency_penalty=1.5, regex="[abcd1]{9}", stop_ids=(END,))
    for seed in range(10):
        logits, alone = random_logits(4, seed), sequence(params)
        for row in logits:
            alone.tokens += Sampler(PIECES)(alone, row[None])
        for right in range(4):
            draft = alone.written[:right] + [END] * (3 - right)
            found = Sampler(PIECES)(sequence(params, draft=draft), logits)
            assert found == alone.written[: right + 1]


@task
def test_a_guess_that_the_guide_forbids_goes_and_the_residual_takes_its_place():
    params = SamplingParams(choices=("a1", "b1"), stop_ids=(END,))
    logits = torch.zeros(3, VOCAB, dtype=torch.float64)
    q = torch.zeros(2, VOCAB, dtype=torch.float64)
    q[:, 2], q[0, 0], q[0, 1] = 0.5, 0.375, 0.125  # half of the time the forbidden "c"; else "a" too often
    counts = defaultdict(int)
    for seed in range(20):
        sampler, made = Sampler(PIECES), sequence(params, draft=[2, 2], seed=seed)
        sampler.proposals[0] = Proposal([2, 2], q)
        counts[tuple(sampler(made, logits))] += 1
    # max(0, p - q) has 0.125 for "a" and 0.375 for "b".
    numbers = [
        torch.rand(3, generator=torch.Generator().manual_seed(s), dtype=torch.float64)[-1] for s in range(20)
    ]
    assert counts == {(0,): sum(n < 0.25 for n in numbers), (1,): sum(n >= 0.25 for n in numbers)}


@task
def test_only_guesses_that_the_step_has_read_are_judged():
    params = SamplingParams(temperature=0)
    logits = torch.eye(VOCAB, dtype=torch.float64)[[3, 2, 5]]
    assert Sampler(PIECES)(sequence(params, draft=[3, 2, 5, 5]), logits) == [3, 2, 5]
    assert Sampler(PIECES)(sequence(params, draft=[3, 2, 5, 5]), logits[:1]) == [3]
    assert Sampler(PIECES)(sequence(params, draft=[3]), logits[:0]) == []
    for seed in range(20):  # a draw with one number, and no guess that stays or goes by it
        drawn, plain = (
            Sampler(PIECES)(sequence(SamplingParams(), draft=draft, seed=seed), random_logits(1))
            for draft in ([3, 2], [])
        )
        assert drawn == plain


@task
def test_a_proposal_of_another_draft_is_refused():
    sampler = Sampler(PIECES)
    sampler.proposals[0] = Proposal([1, 2], torch.full((2, VOCAB), 1 / VOCAB, dtype=torch.float64))
    with raises(ValueError, "[1, 3]", "[1, 2]"):
        sampler(sequence(SamplingParams(), draft=[1, 3]), random_logits(3))


@task
@pytest.mark.parametrize(
    ("options", "chosen", "expected"),
    [
        ({}, [0, 1, 2], [0, 1, 2]),
        ({"stop_ids": (1,)}, [0, 1, 2], [0, 1]),
        ({"max_tokens": 4}, [0, 1, 2], [0, 1]),
        ({"max_tokens": 4, "stop_ids": (2,)}, [0, 1, 2], [0, 1]),
        ({"choices": ("cdab",)}, [0, 1, 2], [0, 1]),
        ({"choices": ("cdab1",), "stop_ids": (END,)}, [4, 5, 2], [4, 5]),
        ({"choices": ("cdab", "cdab1"), "stop_ids": (END,)}, [0, 1, 5, 0], [0, 1, 5]),
        ({"choices": ("cdab", "cdab1")}, [0, 1, 5, 0], [0, 1]),
    ],
)
def test_tokens_after_the_end_are_cut(options, chosen, expected):
    params = SamplingParams(**options)
    assert Sampler(PIECES).cut(sequence(params, written=[2, 3]), chosen) == expected


@task
def test_tokens_beyond_the_context_are_cut_and_its_last_one_is_chosen():
    made = sequence(SamplingParams(), written=[2, 3], limit=6)
    assert Sampler(PIECES).cut(made, [0, 1, 2]) == [0, 1]
    made.advance(5, [0, 1])
    assert made.finished


@task
def test_a_guided_text_becomes_a_match_alone_and_with_any_draft():
    params = SamplingParams(regex="(?:ab|1d?)+c", stop_ids=(END,), min_tokens=3, max_tokens=60)
    for seed in range(8):
        sampler, made = Sampler(PIECES), sequence(params, seed=seed)
        draws = torch.Generator().manual_seed(seed)
        while not made.finished and not sampler.finished(made):
            count = int(torch.randint(4, (1,), generator=draws)) if seed % 2 else 0
            made.draft = torch.randint(VOCAB, (count,), generator=draws).tolist()
            logits = torch.randn(count + 1, VOCAB, generator=draws, dtype=torch.float64)
            written = sampler(made, logits)
            assert written
            made.advance(count + 1, written)
        text, guide = sampler.text(made.written), sampler.guide(params)
        assert guide is not None
        assert guide.pattern.matches(text) or len(made.written) == 60


@task
def test_a_guided_text_that_is_complete_must_have_ended():
    params = SamplingParams(choices=("ab",))
    sampler, made = Sampler(PIECES), sequence(params)
    made.tokens += sampler(made, random_logits(1))
    if not sampler.finished(made):
        made.tokens += sampler(made, random_logits(1))
    assert sampler.text(made.written) == b"ab"
    assert sampler.finished(made)
    with raises(ValueError, 0):
        sampler(made, random_logits(1))


# ---- log-probabilities


@task
def test_log_probabilities_are_the_models_own():
    logits = torch.tensor([1.0, 3.0, 3.0, 0.0], dtype=torch.float32)
    expected = logits.double().log_softmax(0).tolist()
    found = token_logprobs(logits, 3, 2)
    assert (found.token, found.top) == (3, ((1, expected[1]), (2, expected[2])))
    assert found.logprob == expected[3]
    assert token_logprobs(logits, 0, 0) == TokenLogprobs(0, expected[0], ())
    assert [token for token, _ in token_logprobs(logits, 0, 20).top] == [1, 2, 0, 3]
    assert [token for token, _ in token_logprobs(torch.zeros(80), 0, 60).top] == list(range(60))


@task
def test_they_are_kept_for_each_token_that_was_chosen():
    params = SamplingParams(temperature=0, logprobs=2, stop_ids=(END,), logit_bias={0: 50.0}, max_tokens=9)
    sampler, made = Sampler(PIECES), sequence(params, draft=[0, 0])
    logits = random_logits(3)
    assert sampler(made, logits) == [0, 0, 0]
    logits[1, END] += 100
    more = sampler(sequence(params, written=[0, 0, 0], draft=[0, 3]), logits)
    assert more == [0, END]
    rows = [random_logits(3)[0], random_logits(3)[1], random_logits(3)[2], logits[0], logits[1]]
    tokens = [0, 0, 0, 0, END]
    assert sampler.logprobs == {0: [token_logprobs(row, t, 2) for row, t in zip(rows, tokens, strict=True)]}
    sampler.forget(0)
    sampler.forget(0)
    assert sampler.logprobs == {}


@task
@pytest.mark.parametrize(
    ("options", "kept"),
    [({}, None), ({"logprobs": 0}, 0), ({"n": 2, "best_of": 3}, 0), ({"n": 2}, None), ({"logprobs": 3}, 3)],
)
def test_they_are_kept_where_somebody_needs_them(options, kept):
    sampler = Sampler(PIECES)
    [token] = sampler(sequence(SamplingParams(temperature=0, **options)), random_logits(1))
    expected = {} if kept is None else {0: [token_logprobs(random_logits(1)[0], token, kept)]}
    assert sampler.logprobs == expected


# ---- what is given


def test_a_request_is_checked_before_it_is_taken_in():
    sampler = Sampler(PIECES)
    sampler.check(SamplingParams(choices=("ab", "cd"), logit_bias={6: 1.0}, stop_ids=(END,)))
    with raises(ValueError, "logit_bias", 7, 6):
        sampler.check(SamplingParams(logit_bias={7: 1.0}))
    with raises(ValueError, "ax"):
        sampler.check(SamplingParams(choices=("ax",)))
    sampler.check(SamplingParams(choices=("ax", "ab")))
    with raises(ValueError, "[^a-d1]"):
        sampler.check(SamplingParams(regex="[^a-d1]+", stop_ids=(END,)))


@task
def test_project_1s_settings_do():
    plain, more = PlainParams(temperature=0.7, seed=4), SamplingParams(temperature=0.7, seed=4)
    chosen = [Sampler(PIECES)(Sequence(0, [0, 1], params, 9), random_logits(1)) for params in (plain, more)]
    assert chosen[0] == chosen[1]


def test_guides_are_shared_and_so_many_are_kept(monkeypatch):
    monkeypatch.setattr(module, "MOST_GUIDES", 2)
    sampler = Sampler(PIECES)
    first = sampler.guide(SamplingParams(regex="a+", seed=1))
    assert sampler.guide(SamplingParams(regex="a+", temperature=0.5)) is first
    assert sampler.guide(SamplingParams(regex="a+", stop_ids=(END,))) is not first
    assert sampler.guide(SamplingParams(regex="a+")) is first
    assert sampler.guide(SamplingParams(choices=("a",))) is not first
    assert len(sampler.guides) == 2
    assert sampler.guide(SamplingParams(regex="a+")) is first
    assert sampler.guide(SamplingParams()) is None
