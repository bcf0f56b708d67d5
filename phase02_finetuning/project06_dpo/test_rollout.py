"""Sampled answers: from the model's own distribution, each by itself, ended or not, and judged exactly."""

import pytest
import torch

from phase02_finetuning.project04_sft.templates import END
from phase02_finetuning.project04_sft.turns import TooLongError, tokenize_turns
from phase02_finetuning.project06_dpo import rollout as module
from phase02_finetuning.project06_dpo.given.example import (
    SMALL,
    TEMPLATE,
    random_model,
    small_chat,
    small_tokenizer,
    some_exercises,
)
from phase02_finetuning.project06_dpo.rollout import rollout, sample_answers
from shared.phase01 import IGNORED
from shared.testing import raises

task = pytest.mark.task(9)
PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13], [5, 6, 7]]


@task
def test_a_prompt_becomes_the_same_whatever_stands_beside_it():
    model = random_model(SMALL)
    together = sample_answers(model, PROMPTS, 9, {3}, seed=4)
    for batch_size in (1, 2, 3):
        assert sample_answers(model, PROMPTS, 9, {3}, seed=4, batch_size=batch_size) == together
    assert sample_answers(model, PROMPTS[:2], 9, {3}, seed=4) == together[:2]


def one_by_one(model, prompts, max_tokens, stop_ids, seed):
    """The same without a batch and without padding: each prompt with its own generator."""
    found = []
    for number, prompt in enumerate(prompts):
        draw, ids = torch.Generator().manual_seed(seed * 1_000_003 + number), []
        while len(ids) < max_tokens and not (ids and ids[-1] in stop_ids):
            with torch.no_grad():
                share = model(torch.tensor([[*prompt, *ids]]))[0, -1].softmax(dim=-1)
            ids.append(int(torch.multinomial(share, 1, generator=draw)))
        found.append(ids)
    return found


@task
def test_every_prompt_draws_from_a_generator_of_its_own():
    model = random_model(SMALL)
    for seed in (0, 3):
        found = sample_answers(model, PROMPTS, 7, {3, 4, 5}, seed=seed)
        assert found == one_by_one(model, PROMPTS, 7, {3, 4, 5}, seed)


@task
def test_rows_of_like_length_go_through_the_model_together():
    model, shapes = random_model(SMALL), []
    model.embedding.register_forward_hook(lambda *of: shapes.append(tuple(of[1][0].shape)))
    sample_answers(model, [[9], [5] * 9, [4, 4], [8] * 10], 1, set(), batch_size=2)
    assert sorted(shapes) == [(2, 2), (2, 10)]


@task
def test_equal_prompts_and_other_seeds_are_drawn_anew():
    model = random_model(SMALL)
    one = sample_answers(model, PROMPTS, 9, set(), seed=0)
    assert one[0] != one[3]
    assert sample_answers(model, PROMPTS, 9, set(), seed=1) != one
    assert sample_answers(model, PROMPTS, 9, set(), seed=0) == one


@task
def test_draws_are_those_of_the_softmax():
    model = random_model(SMALL)
    found = sample_answers(model, [[5, 6, 7]] * 1500, 1, set(), batch_size=500)
    with torch.no_grad():
        shares = model(torch.tensor([[5, 6, 7]]))[0, -1].softmax(dim=-1)
    counts = torch.bincount(torch.tensor(found).flatten(), minlength=len(shares)) / 1500
    likeliest = shares.topk(5).indices
    torch.testing.assert_close(counts[likeliest].double(), shares[likeliest], rtol=0.3, atol=0.03)
    assert len(set(map(tuple, found))) > 20


@task
def test_an_answer_has_its_end_or_as_many_tokens_as_allowed():
    model = random_model(SMALL)
    found = sample_answers(model, PROMPTS * 5, 6, set(range(0, 320, 3)))
    for ids in found:
        assert 1 <= len(ids) <= 6
        assert all(id % 3 for id in ids[:-1])
        assert len(ids) == 6 or ids[-1] % 3 == 0
    assert {len(ids) for ids in found} > {1, 2}


@task
def test_the_context_is_never_passed():
    model = random_model(SMALL)
    found = sample_answers(model, [[5] * 250, [5] * 255], 20, set())
    assert [len(ids) for ids in found] == [6, 1]


@task
@pytest.mark.parametrize("training", [True, False])
def test_no_dropout_acts_and_the_mode_stays(training):
    from dataclasses import replace

    model = random_model(replace(SMALL, dropout=0.5)).train(training)
    one = sample_answers(model, PROMPTS, 5, set())
    assert sample_answers(model, PROMPTS, 5, set()) == one
    assert model.training is training


@task
def test_prompts_and_limits_that_cannot_be_are_refused():
    model = random_model(SMALL)
    with raises(ValueError, 2):
        sample_answers(model, [[5], []], 3, set())
    with raises(ValueError, 1, 256):
        sample_answers(model, [[5] * 256], 3, set())
    with raises(ValueError, "max_tokens", 0):
        sample_answers(model, PROMPTS, 0, set())
    with raises(ValueError, "batch_size", 0):
        sample_answers(model, PROMPTS, 3, set(), batch_size=0)


@task
def test_rows_are_prompt_and_answer_group_by_group():
    model, tokenizer, _ = small_chat()
    exercises = some_exercises(3)
    found = rollout(model, tokenizer, TEMPLATE, exercises, 2, max_tokens=7, seed=3)
    assert found.rewards.shape == (3, 2)
    assert found.rewards.dtype == torch.float32
    assert found.tokens.shape == found.targets.shape
    assert len(found.tokens) == len(found.texts) == len(found.ended) == 6
    end = tokenizer.special_tokens[END[TEMPLATE]]
    prompts = [
        tokenize_turns([{"role": "user", "content": one.prompt}], tokenizer, TEMPLATE, None, True).ids
        for one in exercises
    ]
    written = sample_answers(model, [ids for ids in prompts for _ in range(2)], 7, {end}, seed=3)
    for row, ids in enumerate(written):
        whole = [*prompts[row // 2], *ids]
        assert found.tokens[row, : len(whole) - 1].tolist() == whole[:-1]
        assert found.targets[row][found.targets[row] != IGNORED].tolist() == ids
        start = len(prompts[row // 2]) - 1
        assert found.targets[row, start : start + len(ids)].tolist() == ids
        assert found.ended[row] == (ids[-1] == end)
        assert found.texts[row] == tokenizer.decode([id for id in ids if id != end]).strip()


@task
def test_so_many_rows_go_through_the_model_at_once():
    model, tokenizer, _ = small_chat()
    rows = []
    model.embedding.register_forward_hook(lambda *of: rows.append(len(of[1][0])))
    rollout(model, tokenizer, TEMPLATE, some_exercises(3), 4, max_tokens=1, batch_size=5)
    assert rows == [5, 5, 2]


def written_by_hand(monkeypatch, texts, ended):
    """As if these had been sampled, row by row."""
    tokenizer = small_tokenizer()
    end = tokenizer.special_tokens[END[TEMPLATE]]
    rows = [
        tokenizer.encode(" " + text) + ([end] if over else [])
        for text, over in zip(texts, ended, strict=True)
    ]
    monkeypatch.setattr(module, "sample_answers", lambda *of, **more: rows)
    return tokenizer


@task
def test_right_answers_that_have_ended_are_worth_1(monkeypatch):
    one, other = some_exercises(2)
    texts = [
        one.answer,
        f"Let me see. So {one.answer}",
        "nothing",
        other.answer,
        one.answer + "x",
        other.answer,
    ]
    ended = [True, True, True, True, True, False]
    tokenizer = written_by_hand(monkeypatch, texts, ended)
    found = rollout(random_model(SMALL), tokenizer, TEMPLATE, [one, other], 3)
    assert found.rewards.tolist() == [[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    assert found.ended == ended
    assert found.texts == texts


@task
def test_the_end_is_learnt_too(monkeypatch):
    (one,) = some_exercises(1)
    tokenizer = written_by_hand(monkeypatch, [one.answer, "no"], [True, False])
    found = rollout(random_model(SMALL), tokenizer, TEMPLATE, [one], 2)
    end = tokenizer.special_tokens[END[TEMPLATE]]
    last = [[one for one in row.tolist() if one != IGNORED][-1] for row in found.targets]
    assert last[0] == end
    assert last[1] != end


@task
def test_what_cannot_be_tried_is_refused():
    model, tokenizer, _ = small_chat()
    with raises(ValueError, "group_size", 1):
        rollout(model, tokenizer, TEMPLATE, some_exercises(2), 1)
    with raises(ValueError):
        rollout(model, tokenizer, TEMPLATE, [], 2)
    (long,) = some_exercises(1, "retrieval")
    from dataclasses import replace

    short = random_model(replace(SMALL, context_length=20))
    with raises(TooLongError, 19):
        rollout(short, tokenizer, TEMPLATE, [long], 2)
