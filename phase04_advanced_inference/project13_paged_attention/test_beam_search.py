"""Beam search against every text that there is, and against transformers."""

import itertools

import pytest
import torch

from phase04_advanced_inference.project12_dynamic_batching.given.example import TINY, random_model
from phase04_advanced_inference.project13_paged_attention.beam_search import (
    Beam,
    Beams,
    beam_search,
    candidates,
    select,
)
from phase04_advanced_inference.project13_paged_attention.given.small import make_engine, make_runner
from phase04_advanced_inference.project13_paged_attention.paged_runner import PagedRunner
from shared.phase01 import Config, save_model
from shared.testing import raises

task = pytest.mark.task(12)
MODEL = random_model()
FEW = Config(vocab_size=4, context_length=12, layers=1, heads=2, kv_heads=1, dim=8, hidden_dim=12, head_dim=4)


def test_a_score():
    assert Beam([1, 2, 3, 4], -6.0).score(1.0) == -1.5
    assert Beam([1, 2, 3, 4], -6.0).score(0.5) == -3.0


@task
def test_candidates_by_hand():
    beams = [Beam([7], -1.0), Beam([8], -2.0)]
    logits = torch.tensor([[0.5, 0.25, 0.25], [0.9, 0.05, 0.05]]).double().log()
    found = candidates(beams, logits, 4)
    assert [(place, beam.tokens) for place, beam in found] == [
        (0, [7, 0]),
        (1, [8, 0]),
        (0, [7, 1]),
        (0, [7, 2]),
    ]
    assert [beam.logprob for _, beam in found] == pytest.approx(
        [-1 - 0.693147, -2 - 0.105361, -1 - 1.386294, -1 - 1.386294], abs=1e-6
    )
    assert len(candidates(beams, logits, 100)) == 6


@task
def test_candidates_need_no_normalised_logits():
    logits = torch.randn(2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    beams = [Beam([1], -0.5), Beam([2], -0.6)]
    one, other = candidates(beams, logits, 4), candidates(beams, logits + 7, 4)
    assert [beam.tokens for _, beam in one] == [beam.tokens for _, beam in other]
    assert one[0][1].logprob == pytest.approx(other[0][1].logprob, abs=1e-12)


@task
def test_candidates_are_summed_in_float64_and_equal_ones_stay_in_order():
    logits = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    [(at, beam)] = candidates([Beam([1], -0.5), Beam([2], -0.6)], logits, 1)
    expected = logits.double().log_softmax(dim=-1)[at, beam.tokens[-1]] + (-0.5, -0.6)[at]
    assert beam.logprob == pytest.approx(float(expected), abs=1e-12)
    found = candidates([Beam([1], 0.0), Beam([2], 0.0)], torch.zeros(2, 40), 60)
    assert [(at, beam.tokens[-1]) for at, beam in found] == [divmod(i, 40) for i in range(60)]


@task
def test_select_by_hand():
    found = [
        (0, Beam([1, 5], -1.0)),
        (1, Beam([2, 9], -2.0)),
        (0, Beam([1, 6], -3.0)),
        (1, Beam([2, 7], -4.0)),
    ]
    going, ended = select(found, 2, (9,), last=False)
    assert [place for place, _ in going] == [0, 0]
    assert ended == [found[1][1]]
    going, ended = select(found, 2, (6,), last=False)
    assert [beam.tokens for _, beam in going] == [[1, 5], [2, 9]]
    assert ended == [], "it was not among the first two"
    going, ended = select(found, 2, (), last=True)
    assert going == []
    assert ended == [found[0][1], found[1][1]]


def every_text(model, prompt, length, stop_ids, penalty):
    """The scores of all texts of so many tokens, or less where a stop token ends them."""
    found = {}
    for tokens in itertools.product(range(model.config.vocab_size), repeat=length):
        end = next((i + 1 for i, token in enumerate(tokens) if token in stop_ids), length)
        text = tokens[:end]
        if text not in found:
            with torch.no_grad():
                rows = model(torch.tensor([[*prompt, *text]]))[0].log_softmax(dim=-1)
            logprob = sum(float(rows[len(prompt) - 1 + i, token]) for i, token in enumerate(text))
            found[text] = Beam(list(text), logprob).score(penalty)
    return sorted(found.items(), key=lambda one: -one[1])


@task
@pytest.mark.parametrize(("stop_ids", "penalty"), [((), 1.0), ((2,), 1.0), ((2,), 0.0)])
def test_a_search_as_wide_as_there_are_texts_finds_the_best(stop_ids, penalty):
    model = random_model(FEW, seed=3)
    runner = make_runner(model, num_blocks=300, block_size=2)
    best = every_text(model, [1, 0, 3], 3, stop_ids, penalty)
    found = beam_search(runner, [1, 0, 3], 64, 3, penalty, stop_ids)
    assert [tuple(beam.tokens) for beam in found[:10]] == [text for text, _ in best[:10]]
    for beam, (_, score) in zip(found, best[:10], strict=False):
        assert beam.score(penalty) == pytest.approx(score, abs=1e-10)
    assert len(found) == len(best)


@task
def test_one_beam_is_greedy():
    runner = make_runner(MODEL, num_blocks=16)
    [beam] = beam_search(runner, [1, 2, 3], 1, 8)
    text = [1, 2, 3]
    for _ in range(8):
        with torch.no_grad():
            text.append(int(MODEL(torch.tensor([text]))[0, -1].argmax()))
    assert beam.tokens == text[3:]


def theirs(tmp_path, prompt, width, max_tokens, penalty, stop):
    """What transformers finds."""
    transformers = pytest.importorskip("transformers")
    save_model(MODEL, tmp_path)
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float64)
    found = model.generate(
        torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.int64), num_beams=width,
        num_return_sequences=width, max_new_tokens=max_tokens, do_sample=False, length_penalty=penalty,
        eos_token_id=stop, pad_token_id=0, early_stopping=False, output_scores=True, return_dict_in_generate=True,
    )  # fmt: skip
    texts = []
    for row in found.sequences[:, len(prompt) :].tolist():
        end = row.index(stop) + 1 if stop in row else len(row)
        texts.append(row[:end])
    return texts, found.sequences_scores.tolist()


@task
@pytest.mark.parametrize(
    ("width", "penalty", "stop"), [(3, 1.0, 28), (4, 0.0, 5), (2, 2.0, 11), (5, 1.0, 17)]
)
def test_transformers_finds_the_same(tmp_path, width, penalty, stop):
    prompts = [[1, 2, 3], [4] * 9, [7, 1, 20, 3, 11, 6]]
    for prompt in prompts:
        runner = make_runner(MODEL, num_blocks=40)
        found = beam_search(runner, prompt, width, 9, penalty, (stop,))
        texts, scores = theirs(tmp_path, prompt, width, 9, penalty, stop)
        assert [beam.tokens for beam in found] == texts
        assert [beam.score(penalty) for beam in found] == pytest.approx(scores, abs=1e-4)


@task
def test_blocks_are_shared_and_come_back():
    runner = make_runner(MODEL, num_blocks=24)
    pool, most = runner.manager.pool, []
    real = runner.move

    def move():
        most.append(pool.num_blocks - pool.num_free)
        real()

    runner.move = move
    beam_search(runner, list(range(18)), 4, 6)
    assert most[0] == 5
    assert max(most) <= 4 + 4 * 2, "the prompt's four full blocks are there once"
    assert pool.num_free == 24
    assert runner.manager.tables == runner.manager.keys == {}


@task
def test_go_on_forks_and_frees():
    runner = make_runner(MODEL)
    beams = Beams(runner, [1, 2, 3, 4, 5], 9)
    beams.compute()
    beams.go_on([(0, Beam([7], -1.0)), (0, Beam([8], -2.0))])
    assert [one.tokens for one in beams.sequences] == [[1, 2, 3, 4, 5, 7], [1, 2, 3, 4, 5, 8]]
    assert [one.num_computed for one in beams.sequences] == [5, 5]
    first, second = (runner.manager.tables[one.key] for one in beams.sequences)
    assert first == second
    assert [runner.manager.pool.references[block] for block in first] == [2, 2]
    beams.compute()
    assert runner.copied == 1, "the last to write has the block for its own"
    beams.go_on([(1, Beam([8, 9], -2.0))])
    assert len(runner.manager.tables) == 1
    beams.free()
    assert runner.manager.pool.num_free == 16


class Says(PagedRunner):
    """A runner whose model always says the same; it counts the beams of each step."""

    def __init__(self, runner, *chances):
        vars(self).update(vars(runner))
        self.logits, self.beams = torch.tensor([chances], dtype=torch.float64).log(), []

    def __call__(self, scheduled):
        self.manager.copies.clear()
        self.beams.append(len(scheduled))
        return [self.logits for _ in scheduled]


@task
def test_it_is_over_when_nothing_that_goes_on_is_better():
    for chances in ((0.6, 0.3, 0.1), (0.45, 0.45, 0.1)):
        runner = Says(make_runner(MODEL), *chances)
        assert [beam.tokens for beam in beam_search(runner, [1], 1, 5, 1.0, (0,))] == [[0]]
        assert runner.beams == [1]


@task
def test_it_goes_on_while_something_may_become_better():
    """Two tokens end a text. In the second step three of the four likeliest candidates do, and there are more."""
    runner = Says(make_runner(MODEL), 0.30, 0.24, 0.26, 0.15, 0.05)
    found = beam_search(runner, [1], 2, 3, 1.3, (0, 1))
    assert runner.beams == [1, 2, 2]
    assert [beam.tokens for beam in found] == [[2, 2, 0], [2, 2, 2]]


@task
@pytest.mark.parametrize(("tokens", "needed"), [(3, 5), (4, 9)])
def test_it_takes_no_more_blocks_than_it_said(tokens, needed):
    runner = make_runner(MODEL, num_blocks=needed - 1)
    with raises(ValueError, needed, needed - 1):
        beam_search(runner, [1] * 6, 4, tokens)
    assert len(beam_search(make_runner(MODEL, num_blocks=needed), [1] * 6, 4, tokens)) == 4


@task
def test_one_token():
    assert len(beam_search(make_runner(MODEL), [1, 2], 2, 1)) == 2


@task
def test_the_context_ends_it():
    runner = make_runner(MODEL, num_blocks=40)
    prompt = [1] * (TINY.context_length - 2)
    assert {len(beam.tokens) for beam in beam_search(runner, prompt, 2, 9)} == {3}


@task
def test_bad_input():
    runner = make_runner(MODEL, num_blocks=8)
    for width, most, odd in ((0, 3, 0), (2, 0, 0)):
        with raises(ValueError, odd):
            beam_search(runner, [1], width, most)
    with raises(ValueError, 8):
        beam_search(runner, [1] * 10, 4, 20)
    assert runner.manager.pool.num_free == 8


@task
def test_a_step_that_raises_gives_the_blocks_back(monkeypatch):
    runner = make_runner(MODEL)
    calls = []

    def broken(plan):
        calls.append(plan)
        if len(calls) == 3:
            raise ArithmeticError("as a step may")
        return type(runner.attention).plan(runner.attention, plan)

    monkeypatch.setattr(runner.attention, "plan", broken)
    with raises(ArithmeticError):
        beam_search(runner, [1, 2, 3], 3, 6)
    assert runner.manager.pool.num_free == 16


def test_beams_in_an_engine_beside_others():
    engine = make_engine(MODEL)
    alone = engine.beam_search("the cat", width=3, max_tokens=5)
    key = engine.add("the cat")
    engine.step()
    again = engine.beam_search("the cat", width=3, max_tokens=5)
    assert [text for text, _ in again] == [text for text, _ in alone]
    assert [text for text, _ in alone] == [engine.tokenizer.decode(beam.tokens) for _, beam in alone]
    assert engine.abort(key)
    with raises(ValueError):
        engine.beam_search([], width=3)
