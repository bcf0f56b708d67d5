"""A small model that writes ahead: what it proposes, and that its cache is always that of the text as it is now."""

from dataclasses import replace

import pytest
import torch

from phase04_advanced_inference.project11_speculative_decoding.distribution import distribution, draw
from phase04_advanced_inference.project11_speculative_decoding.draft_model import DraftProposer, guess
from phase04_advanced_inference.project11_speculative_decoding.given.example import (
    SHAPES,
    TINY,
    random_model,
    random_prompts,
)
from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Draft
from shared.phase01 import SamplingParams
from shared.phase03 import KVCache, generate_tokens, step
from shared.testing import raises

task = pytest.mark.task(3)
GREEDY = SamplingParams(max_tokens=100, temperature=0)
DRAWN = SamplingParams(temperature=0.9, top_k=9, top_p=0.95, repetition_penalty=1.2)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def draft(key, tokens, count=4, params=GREEDY, seed=0):
    return Draft(key, list(tokens), count, params, seeded(seed))


def without_cache(model, asked):
    """What is to be proposed, by a fresh pass for each token: tokens, and their distributions where they are drawn."""
    generator = seeded(0)
    generator.set_state(asked.generator.get_state())
    tokens, distributions = [], []
    for _ in range(asked.count):
        text = [*asked.tokens, *tokens]
        logits = model(torch.tensor([text]))[0, -1]
        p = distribution(logits, text, asked.params)
        distributions.append(p)
        drawn = asked.params.temperature > 0
        number = torch.rand(1, generator=generator, dtype=torch.float64).item() if drawn else 0.5
        tokens.append(draw(p, number))
    return tokens, torch.stack(distributions) if asked.params.temperature else None


def held_as_fresh(proposer, row, tokens):
    """The row of the proposer's cache is that of a model that has read these tokens, and no others, once."""
    fresh = KVCache(proposer.model.config, dtype=torch.float64)
    step(proposer.model, fresh, [tokens])
    assert proposer.read[row] == tokens
    assert proposer.cache.lengths[row] == len(tokens)
    for own, other in zip(
        [*proposer.cache.keys, *proposer.cache.values], [*fresh.keys, *fresh.values], strict=True
    ):
        torch.testing.assert_close(
            own[row, :, : len(tokens)], other[0, :, : len(tokens)], rtol=1e-9, atol=1e-11
        )


@task
@pytest.mark.parametrize("config", SHAPES)
@pytest.mark.parametrize("params", [GREEDY, replace(GREEDY, repetition_penalty=1.5), SamplingParams(), DRAWN])
def test_it_proposes_what_the_model_would_write(config, params):
    model = random_model(config)
    proposer = DraftProposer(model, rows=3)
    drafts = [draft(i, tokens, params=params, seed=i) for i, tokens in enumerate(random_prompts(3))]
    expected = [without_cache(model, one) for one in drafts]
    for proposal, (tokens, distributions) in zip(proposer.propose(drafts), expected, strict=True):
        assert proposal.tokens == tokens
        if distributions is None:
            assert proposal.probabilities is None
        else:
            assert proposal.probabilities is not None
            assert proposal.probabilities.dtype == torch.float64
            torch.testing.assert_close(proposal.probabilities, distributions, rtol=1e-9, atol=1e-11)


@task
def test_each_draft_has_its_own_settings_and_its_own_numbers():
    model = random_model()
    drafts = [
        draft(0, [1, 2], 3, GREEDY),
        draft(1, [1, 2], 5, SamplingParams(temperature=1.5), seed=1),
        draft(2, [1, 2], 1, DRAWN, seed=2),
        draft(3, [1, 2], 5, SamplingParams(temperature=1.5), seed=3),
    ]
    expected = [without_cache(model, one)[0] for one in drafts]
    found = DraftProposer(model, rows=4).propose(drafts)
    assert [one.tokens for one in found] == expected
    assert expected[1] != expected[3]


@task
def test_a_guess_is_drawn_with_one_number_from_the_distribution_after_what_was_guessed():
    logits = torch.randn(23, generator=seeded(5), dtype=torch.float64)
    asked = draft(0, [3, 1, 4], params=DRAWN, seed=6)
    token, probabilities = guess(logits, asked, [7, 7])
    expected = distribution(logits, [3, 1, 4, 7, 7], DRAWN)
    number = torch.rand(1, generator=seeded(6), dtype=torch.float64).item()
    assert token == draw(expected, number)
    torch.testing.assert_close(probabilities, expected, rtol=0, atol=0)
    after = torch.rand(2, generator=seeded(6), dtype=torch.float64)[1]
    assert torch.rand(1, generator=asked.generator, dtype=torch.float64)[0] == after


@task
@pytest.mark.parametrize("penalty", [1.0, 2.0, 4.0])
def test_a_greedy_guess_draws_nothing(penalty):
    logits = torch.tensor([1.0, 3.0, 2.0])
    asked = draft(0, [0], params=replace(GREEDY, repetition_penalty=penalty), seed=6)
    assert guess(logits, asked, [1]) == ({1.0: 1, 2.0: 2, 4.0: 2}[penalty], None)
    assert torch.equal(asked.generator.get_state(), seeded(6).get_state())


@task
@pytest.mark.parametrize("accepted", [0, 1, 2, 3, 4])
def test_the_cache_is_always_that_of_the_text_as_it_is_now(accepted):
    model = random_model()
    proposer = DraftProposer(model)
    text = [3, 1, 4, 1, 5]
    for _ in range(5):
        [proposal] = proposer.propose([draft(0, text)])
        held_as_fresh(proposer, 0, [*text, *proposal.tokens[:-1]])
        assert proposal.tokens == without_cache(model, draft(0, text))[0]
        # So many guesses stay, and one token more is written.
        text += [*proposal.tokens[:accepted], (sum(text) + 1) % 23]


@task
def test_it_reads_nothing_twice():
    model, seen = random_model(), []
    model.embedding.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    proposer = DraftProposer(model)
    [first] = proposer.propose([draft(0, [3, 1, 4], 3)])
    assert seen == [3, 1, 1], "the text, then all guesses but the last"
    seen.clear()
    text = [3, 1, 4, *first.tokens, 9]
    [second] = proposer.propose([draft(0, text, 2)])
    assert seen == [2, 1], "the last guess, which stayed, and what was written after it"
    seen.clear()
    proposer.propose([draft(0, [*text, (second.tokens[0] + 1) % 23], 1)])
    assert seen == [1]
    seen.clear()
    proposer.propose([draft(0, [3, 1, 4], 1)])
    assert seen == [1], "the last token's logits are wanted, though it was read"


@task
def test_rewinding_gives_back_what_is_to_be_read():
    proposer = DraftProposer(random_model(), rows=2)
    assert proposer.rewind(1, [5, 6, 7]) == [5, 6, 7]
    step(proposer.model, proposer.cache, [[], [5, 6, 7, 8]])
    proposer.read[1] = [5, 6, 7, 8]
    assert proposer.rewind(1, [5, 6, 9, 8, 1]) == [9, 8, 1]
    assert (proposer.read[1], proposer.cache.lengths) == ([5, 6], [0, 2])
    assert proposer.rewind(1, [5, 6]) == [6]
    assert (proposer.read[1], proposer.cache.lengths) == ([5], [0, 1])
    assert proposer.rewind(1, (4,)) == [4]
    assert (proposer.read[1], proposer.cache.lengths) == ([], [0, 0])


@task
def test_many_texts_at_different_places_do_not_see_each_other():
    model = random_model()
    proposer = DraftProposer(model, rows=3)
    generator = seeded(7)
    texts = dict(enumerate(random_prompts(3, seed=4)))
    for turn in range(8):
        keys = [[2, 0, 1], [1], [0, 2], [2, 1, 0]][turn % 4]
        drafts = [draft(key, texts[key], count=1 + (key + turn) % 4) for key in keys]
        for one, proposal in zip(drafts, proposer.propose(drafts), strict=True):
            assert proposal.tokens == without_cache(model, one)[0]
            kept = int(torch.randint(one.count + 1, (1,), generator=generator))
            texts[one.key] += [*proposal.tokens[:kept], int(torch.randint(23, (1,), generator=generator))]


@task
def test_a_key_without_a_row_takes_that_of_the_one_asked_for_longest_ago():
    model = random_model()
    proposer = DraftProposer(model, rows=2)
    for key, tokens in (
        (10, [1, 2]),
        (11, [3]),
        (10, [1, 2, 5]),
        (12, [4, 4]),
        (10, [1, 2, 5]),
        (11, [3, 6]),
    ):
        [proposal] = proposer.propose([draft(key, tokens)])
        assert proposal.tokens == without_cache(model, draft(key, tokens))[0]
    assert proposer.rows == {10: 0, 11: 1}
    proposer.forget(10)
    proposer.forget(99)
    proposer.propose([draft(13, [7])])
    assert proposer.rows == {11: 1, 13: 0}


@task
def test_near_the_end_of_its_context_it_proposes_less():
    model = random_model()
    proposer = DraftProposer(model, rows=4)
    texts = [[1] * length for length in (37, 40, 41, 60)]
    drafts = [draft(i, text) for i, text in enumerate(texts)]
    assert [proposer.room(one) for one in drafts] == [4, 1, 0, 0]
    assert [len(one.tokens) for one in proposer.propose(drafts)] == [4, 1, 0, 0]
    assert proposer.cache.lengths[:2] == [40, 40]
    expected = generate_tokens(model, [texts[0]], GREEDY)[0]
    assert proposer.propose(drafts[:1])[0].tokens == expected


@task
def test_a_draft_of_no_tokens_costs_nothing():
    model, seen = random_model(), []
    model.embedding.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    proposer = DraftProposer(model)
    found = proposer.propose([draft(0, [1, 2], 0), draft(1, [3], 2), draft(2, [4], 0)])
    assert [len(one.tokens) for one in found] == [0, 2, 0]
    assert all(one.probabilities is None for one in found)
    assert seen == [1, 1]
    assert proposer.propose([]) == []
    assert proposer.rows == {1: 0}


@task
def test_it_reads_by_a_step_of_ones_own_and_without_dropout():
    model, asked = random_model(replace(TINY, dropout=0.5)), []

    def decode(cache, new):
        asked.append(new)
        return step(model, cache, new)

    proposer = DraftProposer(model.train(), 2, decode)
    [proposal] = proposer.propose([draft(5, [1, 2], 2)])
    assert asked == [[[1, 2], []], [proposal.tokens[:1], []]]
    assert proposal.tokens == without_cache(model.eval(), draft(5, [1, 2], 2))[0]


@task
def test_more_texts_than_rows_are_refused_and_so_is_a_key_that_comes_twice():
    proposer = DraftProposer(random_model(), rows=2)
    with raises(ValueError, 3, 2):
        proposer.propose([draft(i, [1]) for i in range(3)])
    with raises(ValueError, 77):
        proposer.propose([draft(77, [1]), draft(77, [2])])
    assert proposer.rows == {}
