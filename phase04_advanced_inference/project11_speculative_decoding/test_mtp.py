"""Heads that go on where the target ends: what each is told and has to predict, and what they propose."""

import pytest
import torch

from phase04_advanced_inference.project11_speculative_decoding.distribution import distribution, draw
from phase04_advanced_inference.project11_speculative_decoding.given.example import TINY, random_model
from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Draft
from phase04_advanced_inference.project11_speculative_decoding.mtp import (
    MTPHeads,
    MTPProposer,
    mtp_losses,
)
from phase04_advanced_inference.project11_speculative_decoding.speculation import speculate
from shared.phase01 import IGNORED, SamplingParams
from shared.phase03 import generate_tokens
from shared.testing import raises

task = pytest.mark.task(9)
GREEDY = SamplingParams(max_tokens=12, temperature=0)


def random_heads(count=3, seed=0, dim=TINY.dim):
    generator = torch.Generator().manual_seed(seed)
    heads = MTPHeads(dim, count).double()
    with torch.no_grad():
        for parameter in heads.parameters():
            mean = 1.0 if parameter.ndim == 1 else 0.0
            parameter.copy_(mean + 0.3 * torch.randn(parameter.shape, generator=generator))
    return heads


def random_tokens(*shape, seed=0):
    return torch.randint(TINY.vocab_size, shape, generator=torch.Generator().manual_seed(seed))


def chain(heads, model, stream, tokens):
    """The streams that the heads make of one place's stream, each told the next of the tokens; written out."""
    streams = []
    for i, token in enumerate(tokens):
        told = model.embedding.weight[token]
        parts = []
        head = heads.blocks[i]
        for x, norm in ((stream, head.stream_norm), (told, head.token_norm)):
            parts.append(x / (x.square().mean() + norm.eps).sqrt() * norm.weight)
        mixed = head.up.weight @ torch.cat(parts)
        stream = head.down.weight @ (mixed * mixed.sigmoid())
        streams.append(stream)
    return streams


@task
def test_a_head_moves_the_stream_one_place_on():
    model, heads = random_model(), random_heads()
    stream = torch.randn(2, 5, TINY.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    told = random_tokens(2, 5)
    found = heads.blocks[0](stream, model.embedding(told))
    torch.testing.assert_close(
        found[1, 3], chain(heads, model, stream[1, 3], [told[1, 3]])[0], rtol=1e-9, atol=1e-11
    )


@task
@torch.no_grad()
def test_each_head_predicts_one_place_further_and_is_told_what_came_before():
    model, heads, tokens = random_model(), random_heads(), random_tokens(2, 9)
    hidden, targets = model.hidden(tokens[:, :-1]), tokens[:, 1:]
    found = mtp_losses(heads, model, hidden, targets)
    sums, counts = [0.0] * 3, [0] * 3
    for row in range(2):
        for t in range(8):
            streams = chain(heads, model, hidden[row, t], tokens[row, t + 1 :].tolist()[:3])
            for i, stream in enumerate(streams):
                if t + 2 + i < 9:  # the model has read token t, is told t + 1 …, and predicts t + 2 + i
                    logits = model.logits(stream[None, None])[0, 0]
                    sums[i] -= float(logits.log_softmax(0)[tokens[row, t + 2 + i]])
                    counts[i] += 1
    assert counts == [14, 12, 10]
    torch.testing.assert_close(
        found.tolist(), [s / n for s, n in zip(sums, counts, strict=True)], rtol=1e-9, atol=0
    )


@task
def test_ignored_targets_do_not_count_and_targets_stay_as_they_are():
    model, heads, tokens = random_model(), random_heads(), random_tokens(2, 12)
    hidden, targets = model.hidden(tokens[:, :-1]), tokens[:, 1:].clone()
    short = targets.clone()
    short[:, 7:] = IGNORED
    before = short.clone()
    found = mtp_losses(heads, model, hidden, short)
    torch.testing.assert_close(
        found, mtp_losses(heads, model, hidden[:, :7], targets[:, :7]), rtol=1e-9, atol=0
    )
    assert torch.equal(short, before)


@task
def test_only_what_asks_for_them_gets_gradients():
    model, heads, tokens = random_model().requires_grad_(False), random_heads(), random_tokens(1, 8)
    mtp_losses(heads, model, model.hidden(tokens[:, :-1]), tokens[:, 1:]).sum().backward()
    for name, parameter in heads.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name


@task
def test_a_row_must_be_longer_than_there_are_heads():
    model, heads, tokens = random_model(), random_heads(), random_tokens(1, 4)
    with raises(ValueError, 3):
        mtp_losses(heads, model, model.hidden(tokens[:, :-1]), tokens[:, 1:])
    tokens = random_tokens(1, 5)
    assert mtp_losses(heads, model, model.hidden(tokens[:, :-1]), tokens[:, 1:]).shape == (3,)


@task
def test_heads_learn_a_sequence_that_repeats():
    """After a few steps each head knows what comes so many places later: the shift is right."""
    model = random_model().requires_grad_(False)
    heads = MTPHeads(TINY.dim, 2).double()
    tokens = torch.tensor([[3, 1, 4, 7, 5] * 4])
    hidden, targets = model.hidden(tokens[:, :-1]), tokens[:, 1:]
    optimizer = torch.optim.Adam(heads.parameters(), lr=0.1)
    first = mtp_losses(heads, model, hidden, targets)
    for _ in range(20):
        loss = mtp_losses(heads, model, hidden, targets).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (mtp_losses(heads, model, hidden, targets) < 0.5 * first).all()
    # They have read ... 7 and the model says 5 comes next; then 3, then 1.
    draft = Draft(0, [*tokens[0, :14].tolist(), 5], 2, GREEDY, hidden=hidden[0, 13])
    assert MTPProposer(model, heads).propose([draft])[0].tokens == [3, 1]


@task
@pytest.mark.parametrize("params", [GREEDY, SamplingParams(temperature=0.8, top_k=7, repetition_penalty=1.3)])
def test_it_proposes_along_the_chain(params):
    model, heads = random_model(), random_heads()
    streams = torch.randn(4, TINY.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    wanted, texts = [2, 5, 0, 3], [[1, 2], [3], [4, 4], [9, 9, 9]]
    drafts = [
        Draft(
            i, texts[i], wanted[i], params, torch.Generator().manual_seed(i), None if i == 3 else streams[i]
        )
        for i in range(4)
    ]
    found = MTPProposer(model, heads).propose(drafts)
    assert [len(one.tokens) for one in found] == [2, 3, 0, 0], "one a head at most, none without a stream"
    for i in range(2):
        generator, tokens = torch.Generator().manual_seed(i), []
        for number in range(len(found[i].tokens)):
            stream = chain(heads, model, streams[i], [*texts[i], *tokens][-1 - number :])[number]
            p = distribution(model.logits(stream[None, None])[0, 0], [*texts[i], *tokens], params)
            drawn = params.temperature > 0
            tokens.append(
                draw(p, torch.rand(1, generator=generator, dtype=torch.float64).item() if drawn else 0.5)
            )
            if drawn:
                probabilities = found[i].probabilities
                assert probabilities is not None
                assert probabilities.shape == (len(found[i].tokens), TINY.vocab_size)
                torch.testing.assert_close(probabilities[number], p, rtol=1e-8, atol=1e-10)
        assert found[i].tokens == tokens
        assert (found[i].probabilities is None) == (params.temperature == 0)
    assert found[2].probabilities is None
    assert MTPProposer(model, heads).propose([]) == []


@task
def test_with_heads_the_text_is_the_same():
    model, prompts = random_model(), [[3, 1, 4], [2], [7, 7]]
    proposer = MTPProposer(model, random_heads())
    written = list(speculate(model, prompts, GREEDY, proposer, 4))
    found = [[token for one in written if one.index == i for token in one.tokens] for i in range(3)]
    assert found == generate_tokens(model, prompts, GREEDY)
    assert {one.guessed for one in written} >= {0, 3}
    proposer.forget(0)


def test_heads_for_another_stream_are_refused():
    with raises(ValueError, 32, 24):
        MTPProposer(random_model(), MTPHeads(32, 2))
