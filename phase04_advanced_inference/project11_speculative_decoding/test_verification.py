"""Guesses judged: greedy against a loop of choices; sampling against the target's own distribution, exactly.

No test draws many times and looks at frequencies. Where all probabilities are multiples of one fraction, so are all
borders of the numbers that decide; then a sum over a grid of numbers, one in the middle of each part, is the exact
distribution of what comes out. For any other probabilities, the law is summed up over all that may be guessed.
"""

import itertools
import math
from collections import defaultdict
from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from phase04_advanced_inference.project11_speculative_decoding.distribution import distribution
from phase04_advanced_inference.project11_speculative_decoding.expected import overlap
from phase04_advanced_inference.project11_speculative_decoding.given.example import random_distribution
from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Proposal
from phase04_advanced_inference.project11_speculative_decoding.verification import (
    rejection_sample,
    residual,
    targets,
    verify,
    verify_greedy,
)
from shared.phase01 import SamplingParams, choose

GREEDY = SamplingParams(temperature=0)


def random_logits(places, vocab_size=7, seed=0):
    return torch.randn(places, vocab_size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def exact(weights):
    """Whole numbers, made a distribution."""
    return torch.tensor(weights, dtype=torch.float64) / sum(weights)


# ---- greedy


def one_by_one(logits, text, guessed, penalty):
    """Project 1's choice at each place, for as long as the guesses are these."""
    written = []
    for row in logits:
        used = torch.tensor([*text, *written])
        params = replace(GREEDY, repetition_penalty=penalty)
        written.append(choose(row, used, params, torch.Generator()))
        if written != list(guessed[: len(written)]):
            break
    return written


@pytest.mark.task(4)
@pytest.mark.parametrize("penalty", [1.0, 1.7])
@pytest.mark.parametrize("right", range(5))
def test_greedy_is_choosing_one_by_one(penalty, right):
    for seed in range(8):
        logits, text = random_logits(5, seed=seed), [seed % 7, 3]
        guessed = []
        for place in range(4):  # so many right ones, and then another token, and then again right ones
            best = one_by_one(logits[: place + 1], text, guessed, penalty)[-1]
            guessed.append(best if place != right else (best + 1) % 7)
        expected = one_by_one(logits, text, guessed, penalty)
        assert len(expected) == right + 1
        assert verify_greedy(logits, text, guessed, penalty) == expected


@pytest.mark.task(4)
def test_without_guesses_it_is_one_choice():
    logits = random_logits(1)
    assert verify_greedy(logits, [1, 2], []) == [int(logits[0].argmax())]


@pytest.mark.task(4)
def test_of_equal_logits_the_first_is_chosen():
    logits = torch.tensor([[0.0, 1.0, 1.0], [2.0, 2.0, 0.0]])
    assert verify_greedy(logits, [0], [1]) == [1, 0]
    assert verify_greedy(logits, [0], [2]) == [1]


@pytest.mark.task(4)
def test_a_right_guess_after_a_wrong_one_is_worth_nothing():
    logits = torch.eye(3)[[0, 1, 2]]
    assert verify_greedy(logits, [0], [1, 1]) == [0]
    assert verify_greedy(logits, [0], [0, 1]) == [0, 1, 2]
    assert verify_greedy(logits, [0], [0, 2]) == [0, 1]


@pytest.mark.task(4)
def test_the_penalty_counts_the_text_and_the_guesses_before_and_no_later_ones():
    logits = torch.tensor([[2.0, 1.9, 0.8], [2.0, 1.9, 0.8], [2.0, 1.9, 1.8]])
    assert verify_greedy(logits, [2], [0, 1], 2.0) == [0, 1, 0]
    assert verify_greedy(logits, [0], [1, 0], 2.0) == [1, 0, 2]


# ---- the residual, and the law


@pytest.mark.task(5)
def test_the_residual_is_what_p_has_more():
    found = residual(exact([5, 3, 2, 0]), exact([2, 4, 1, 3]))
    torch.testing.assert_close(found, exact([3, 0, 1, 0]), rtol=1e-14, atol=0)
    apart = exact([1, 1, 0, 0])
    torch.testing.assert_close(residual(apart, exact([0, 0, 1, 3])), apart, rtol=1e-14, atol=0)


@pytest.mark.task(5)
def test_where_nothing_is_left_the_residual_is_p():
    p = exact([1, 2, 3])
    assert torch.equal(residual(p, p), p)
    assert torch.equal(residual(p, p + 1e-17), p)


@pytest.mark.task(5)
@pytest.mark.parametrize("zeros", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("vocab_size", range(2, 7))
def test_accepted_and_residual_make_up_the_target(vocab_size, zeros):
    """For one guess: q·min(1, p/q) + (1 - Σ min(p, q)) · residual = p."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        p = random_distribution(vocab_size, generator, zeros)
        q = random_distribution(vocab_size, generator, zeros)
        law = p.minimum(q) + (1 - p.minimum(q).sum()) * residual(p, q)
        torch.testing.assert_close(law, p, rtol=0, atol=1e-12)


def table(seed, vocab_size, depth):
    """Made-up logits after each possible text of up to so many tokens: a model small enough to be summed up."""
    generator = torch.Generator().manual_seed(seed)
    return {
        text: 1.5 * torch.randn(vocab_size, generator=generator, dtype=torch.float64)
        for length in range(depth + 1)
        for text in itertools.product(range(vocab_size), repeat=length)
    }


SETTINGS = [
    SamplingParams(),
    SamplingParams(temperature=0.6),
    SamplingParams(temperature=1.4, top_k=2),
    SamplingParams(top_p=0.7),
    SamplingParams(temperature=0.8, top_k=3, top_p=0.8, repetition_penalty=1.6),
]


@pytest.mark.task(5)
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("params", SETTINGS)
@pytest.mark.parametrize("pair", ["different", "the same", "other settings"])
def test_the_law_of_a_pass_is_the_targets_with_all_settings(count, params, pair):
    """Over all guesses, weighed by how likely they are; what is not written yet is added from the target's own law."""
    vocab_size, prompt = 4 if count < 3 else 3, [0, 1]
    target = table(1, vocab_size, count + 1)
    draft = target if pair == "the same" else table(2, vocab_size, count)
    theirs = SamplingParams(temperature=2.0) if pair == "other settings" else params

    def p(text):
        return distribution(target[text], [*prompt, *text], params).tolist()

    law = defaultdict(float)

    def write(text, weight):
        """Texts of count + 1 tokens, from the target's own distribution."""
        if weight and len(text) == count + 1:
            law[text] += weight
        elif weight:
            for token, chance in enumerate(p(text)):
                write((*text, token), weight * chance)

    for guessed in itertools.product(range(vocab_size), repeat=count):
        q = [distribution(draft[guessed[:i]], [*prompt, *guessed[:i]], theirs) for i in range(count)]
        weight = math.prod(float(q[i][token]) for i, token in enumerate(guessed))
        if not weight:
            continue
        logits = torch.stack([target[guessed[:i]] for i in range(count + 1)])
        found = targets(logits, prompt, guessed, params)
        for i, token in enumerate(guessed):
            stays = min(1.0, float(found[i][token] / q[i][token]))
            for other, chance in enumerate(residual(found[i], q[i]).tolist()):
                write((*guessed[:i], other), weight * (1 - stays) * chance)
            weight *= stays
        for other, chance in enumerate(found[count].tolist()):
            write((*guessed, other), weight * chance)
    for text in itertools.product(range(vocab_size), repeat=count + 1):
        expected = math.prod(p(text[:i])[token] for i, token in enumerate(text))
        assert abs(law[text] - expected) < 1e-12, text


@pytest.mark.task(5)
def test_targets_count_the_guesses_before_each_place_and_no_later_ones():
    logits, params = random_logits(4), SamplingParams(temperature=0.7, top_p=0.9, repetition_penalty=1.8)
    found = targets(logits, [1, 2], [5, 2, 6], params)
    assert found.dtype == torch.float64
    for i, used in enumerate(([1, 2], [1, 2, 5], [1, 2, 5, 2], [1, 2, 5, 2, 6])):
        torch.testing.assert_close(found[i], distribution(logits[i], used, params), rtol=0, atol=0)


# ---- what the numbers decide


def by_the_grid(target, guessed, probabilities, parts):
    """The exact distribution of what rejection_sample gives, where borders are multiples of 1 over a number's parts."""
    found = defaultdict(Fraction)
    for numbers in itertools.product(*([(part + 0.5) / each for part in range(each)] for each in parts)):
        found[tuple(rejection_sample(target, guessed, probabilities, numbers))] += Fraction(
            1, math.prod(parts)
        )
    return found


@pytest.mark.task(5)
@pytest.mark.parametrize(
    ("p", "q"),
    [
        ([2, 1, 1], [1, 2, 1]),
        ([3, 1, 0], [1, 1, 2]),
        ([2, 2, 0], [2, 2, 0]),  # the same: all guesses stay
        ([0, 4, 0], [2, 0, 2]),  # nothing in common: none does
        ([1, 1, 2], [4, 0, 0]),  # the residual has two tokens
    ],
)
def test_one_guess_has_the_targets_distribution_by_the_grid(p, q):
    target, drawn = torch.stack([exact(p), exact([1, 0, 3])]), exact(q)[None]
    law = defaultdict(Fraction)
    for token in range(3):
        if q[token]:
            for tokens, share in by_the_grid(target, [token], drawn, (12, 12)).items():
                law[tokens[0]] += Fraction(q[token], sum(q)) * share
                assert len(tokens) == 1 or tokens[0] == token
    assert [law[token] for token in range(3)] == [Fraction(weight, sum(p)) for weight in p]


@pytest.mark.task(5)
def test_two_guesses_have_the_targets_distribution_by_the_grid():
    """The target's second place depends on the first guess, as it does in a model."""
    first, q1 = [2, 2], [3, 1]
    second, q2 = {0: [1, 3], 1: [4, 0]}, {0: [2, 2], 1: [1, 3]}
    third = {text: [1, 1 + 2 * text[0]] for text in itertools.product(range(2), repeat=2)}
    law = defaultdict(Fraction)
    for guessed in itertools.product(range(2), repeat=2):
        weight = Fraction(q1[guessed[0]], 4) * Fraction(q2[guessed[0]][guessed[1]], 4)
        target = torch.stack([exact(first), exact(second[guessed[0]]), exact(third[guessed])])
        drawn = torch.stack([exact(q1), exact(q2[guessed[0]])])
        for tokens, share in by_the_grid(target, guessed, drawn, (6, 6, 4)).items():
            if len(tokens) == 1:  # the second token will be drawn from the target
                for token in range(2):
                    law[tokens[0], token] += weight * share * Fraction(second[tokens[0]][token], 4)
            else:
                law[tokens[:2]] += weight * share
            if len(tokens) == 3:
                assert tokens[:2] == guessed
    for a, b in itertools.product(range(2), repeat=2):
        assert law[a, b] == Fraction(first[a], 4) * Fraction(second[a][b], 4)


@pytest.mark.task(5)
def test_the_last_token_has_the_targets_last_distribution():
    target = torch.stack([exact([1, 0, 0]), exact([0, 1, 0]), exact([1, 2, 1])])
    found = by_the_grid(target, [0, 1], target[:2], (1, 1, 4))
    assert found == {(0, 1, 0): Fraction(1, 4), (0, 1, 1): Fraction(1, 2), (0, 1, 2): Fraction(1, 4)}


@pytest.mark.task(5)
def test_guesses_that_were_not_drawn_had_probability_1():
    target = torch.stack([exact([1, 2, 1]), exact([2, 2, 0])])
    certain = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64)
    found = by_the_grid(target, [1], None, (4, 4))
    assert found == by_the_grid(target, [1], certain, (4, 4))
    law = [sum(share for tokens, share in found.items() if tokens[0] == token) for token in range(3)]
    assert law == [Fraction(1, 4), Fraction(1, 2), Fraction(1, 4)]


@pytest.mark.task(5)
def test_which_number_decides_what():
    p, q = exact([1, 3]), exact([2, 2])
    target, drawn = torch.stack([p, p, exact([1, 1])]), torch.stack([q, q])
    assert rejection_sample(target, [0, 0], drawn, [0.49, 0.49, 0.6]) == [0, 0, 1]
    assert rejection_sample(target, [0, 0], drawn, [0.49, 0.49, 0.4]) == [0, 0, 0]
    assert rejection_sample(target, [0, 0], drawn, [0.51, 0.0, 0.0]) == [1]
    assert rejection_sample(target, [0, 0], drawn, [0.49, 0.51, 0.0]) == [0, 1]
    assert rejection_sample(target, [1, 1], drawn, [0.99, 0.99, 0.0]) == [1, 1, 0]
    assert rejection_sample(target[:1], [], None, [0.3]) == [1]
    # What is impossible in the target never stays, not with a number of 0 either.
    assert rejection_sample(torch.stack([exact([0, 1]), p]), [0], exact([1, 0])[None], [0.0, 0.0]) == [1]


@pytest.mark.task(5)
def test_how_often_a_guess_stays_is_the_overlap():
    p, q = exact([3, 1, 0]), exact([1, 1, 2])
    stays = Fraction(0)
    for token in range(3):
        found = by_the_grid(torch.stack([p, p]), [token], q[None], (12, 2))
        stays += Fraction([1, 1, 2][token], 4) * sum(share for out, share in found.items() if len(out) == 2)
    assert float(stays) == overlap(p, q) == 0.5


# ---- all of it


@pytest.mark.task(5)
@pytest.mark.parametrize("params", SETTINGS)
def test_verify_judges_by_as_many_numbers_as_there_are_places(params):
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        logits, guessed = random_logits(4, seed=seed), [seed % 7, 2, 5]
        probabilities = torch.stack([random_distribution(7, generator) + 0.05 for _ in guessed])
        proposal = Proposal(guessed, probabilities / probabilities.sum(-1, keepdim=True))
        state = generator.get_state()
        found = verify(logits, [1, 2], proposal, params, generator)
        own = torch.Generator().manual_seed(0)
        own.set_state(state)
        numbers = torch.rand(4, generator=own, dtype=torch.float64).tolist()
        target = targets(logits, [1, 2], guessed, params)
        assert found == rejection_sample(target, guessed, proposal.probabilities, numbers)
        assert torch.equal(generator.get_state(), own.get_state()), "four numbers, whatever stays"


@pytest.mark.task(5)
@pytest.mark.parametrize("penalty", [1.0, 1.6])
def test_verify_is_greedy_with_temperature_0_and_draws_nothing(penalty):
    params, generator = replace(GREEDY, repetition_penalty=penalty), torch.Generator().manual_seed(4)
    before = generator.get_state()
    for seed in range(10):
        logits, guessed = random_logits(3, seed=seed), [seed % 7, 3]
        found = verify(logits, [1, 2], Proposal(guessed), params, generator)
        assert found == verify_greedy(logits, [1, 2], guessed, penalty)
        # The same by sampling from distributions of one token each.
        target = targets(logits, [1, 2], guessed, params)
        assert found == rejection_sample(target, guessed, None, [0.7, 0.2, 0.9])
    assert torch.equal(generator.get_state(), before)


@pytest.mark.task(5)
def test_without_guesses_one_number_draws_one_token():
    logits, generator = random_logits(1), torch.Generator().manual_seed(2)
    [token] = verify(logits, [1], Proposal(), SamplingParams(), generator)
    number = torch.rand(1, generator=torch.Generator().manual_seed(2), dtype=torch.float64).item()
    sums = logits[0].softmax(0).cumsum(0)
    assert token == int((sums <= number).sum())


@pytest.mark.task(5)
def test_what_takes_a_guesses_place_is_drawn_with_the_last_number():
    target = exact([0, 1, 1]).repeat(4, 1)
    assert rejection_sample(target, [0, 1, 2], None, [0.5, 0.1, 0.2, 0.9]) == [2]
    assert rejection_sample(target, [0, 1, 2], None, [0.5, 0.9, 0.8, 0.1]) == [1]


@pytest.mark.task(5)
def test_greedy_verification_goes_by_the_penalty():
    logits = torch.tensor([[2.0, 1.9, 0.8], [2.0, 1.9, 0.8], [2.0, 1.9, 1.8]])
    params = replace(GREEDY, repetition_penalty=2.0)
    assert verify(logits, [2], Proposal([0, 1]), params, torch.Generator()) == [0, 1, 0]
    assert verify(logits, [0], Proposal([1, 0]), params, torch.Generator()) == [1, 0, 2]
