"""Losses counted by token, greedy answers beside transformers' generate, scores and form."""

from dataclasses import replace

import pytest
import torch

from phase02_finetuning.project04_sft import answers
from phase02_finetuning.project04_sft.answers import (
    Written,
    exact_match_by_skill,
    form_of,
    format_compliance,
    held_out_loss,
    write_answers,
)
from phase02_finetuning.project04_sft.collate import collate
from phase02_finetuning.project04_sft.given.example import (
    TALK,
    TINY,
    random_examples,
    random_model,
    small_tokenizer,
)
from phase02_finetuning.project04_sft.loss import sft_loss
from phase02_finetuning.project04_sft.turns import Example, TooLongError, tokenize_turns
from shared.phase01 import IGNORED, save_model
from shared.testing import raises
from shared.tuning.tinyworld import evaluation, score

task = pytest.mark.task(7)
PROMPTS = [TALK[:2], TALK[:4], TALK[1:2], [{"role": "user", "content": "How much is 2 plus 3?"}]]


@pytest.fixture(scope="module")
def exercises():
    return evaluation("test", 2)


@task
def test_the_loss_is_that_of_all_trained_tokens_together():
    model, examples = random_model(), random_examples(9)
    expected = sft_loss(model, collate(examples))[0].item()
    for batch_size in (1, 2, 4, 100):
        assert held_out_loss(model, examples, batch_size) == pytest.approx(expected, rel=1e-9)
    assert held_out_loss(model, examples[::-1], 3) == pytest.approx(expected, rel=1e-9)


@task
def test_rows_with_one_target_and_with_many_weigh_by_their_tokens():
    model = random_model()
    one = Example([1, 2, 3, 4], [IGNORED, IGNORED, IGNORED, 4])
    many = Example([5, 6, 7, 8], [IGNORED, 6, 7, 8])
    loss = {id(one): sft_loss(model, collate([one]))[0], id(many): sft_loss(model, collate([many]))[0]}
    expected = (loss[id(one)] + 3 * loss[id(many)]).item() / 4
    assert held_out_loss(model, [one, many], batch_size=1) == pytest.approx(expected, rel=1e-9)
    silent = Example([1, 2], [IGNORED, IGNORED])
    assert held_out_loss(model, [silent, one, many], batch_size=1) == pytest.approx(expected, rel=1e-9)


@task
def test_like_lengths_go_together(monkeypatch):
    shapes = []

    def watched(examples, *rest):
        batch = collate(examples, *rest)
        shapes.append(tuple(batch["tokens"].shape))
        return batch

    monkeypatch.setattr(answers, "collate", watched)
    lengths = [3, 12, 4, 11]
    held_out_loss(
        random_model(), [Example([1] * n, [IGNORED, *[1] * (n - 1)]) for n in lengths], batch_size=2
    )
    assert shapes == [(2, 11), (2, 3)]


@task
@pytest.mark.parametrize("training", [True, False])
def test_the_loss_is_taken_without_dropout_and_the_mode_stays(training):
    config, examples = replace(TINY, dropout=0.5), random_examples(4)
    expected = held_out_loss(random_model(), examples)
    model = random_model(config).train(training)
    assert held_out_loss(model, examples) == pytest.approx(expected, rel=1e-9)
    assert model.training == training
    assert all(parameter.grad is None for parameter in model.parameters())


@task
def test_a_loss_of_nothing_is_refused():
    model = random_model()
    with raises(ValueError):
        held_out_loss(model, [])
    with raises(ValueError):
        held_out_loss(model, [Example([1, 2], [IGNORED, IGNORED])])
    for batch_size in (0, -1):
        with raises(ValueError, "batch_size", batch_size):
            held_out_loss(model, random_examples(1), batch_size)


@task
def test_products_of_the_loss_run_in_the_given_format():
    model, examples = random_model(dtype=torch.float32), random_examples(6)
    exact = held_out_loss(model, examples)
    rounded = held_out_loss(model, examples, dtype=torch.bfloat16)
    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=0.05)


def greedy(model, prompt, end, max_tokens):
    ids, new = list(prompt), []
    while len(new) < max_tokens:
        token = int(model(torch.tensor([ids]))[0, -1].argmax())
        if token == end:
            return new, True
        ids.append(token)
        new.append(token)
    return new, False


@task
@pytest.mark.parametrize("template", ["tinyworld", "question"])
def test_answers_are_greedy_and_end_before_the_end_token(template):
    tokenizer, model = small_tokenizer(), random_model()
    prompts = [tokenize_turns(talk, tokenizer, template, None, True).ids for talk in PROMPTS]
    # A token that these answers really come to takes the end token's place.
    first, _ = greedy(model, prompts[0], -1, 12)
    name = {"tinyworld": "<|end|>", "question": "<|endoftext|>"}[template]
    end = tokenizer.special_tokens[name]
    model.head.weight.data[[end, first[5]]] = model.head.weight.data[[first[5], end]]
    expected = []
    for prompt in prompts:
        ids, ended = greedy(model, prompt, end, 12)
        expected.append(Written(tokenizer.decode(ids).strip(), ended))
    assert any(one.ended for one in expected)
    assert write_answers(model, tokenizer, template, PROMPTS, max_tokens=12) == expected
    assert write_answers(model, tokenizer, template, PROMPTS, max_tokens=12, batch_size=1) == expected


@task
def test_white_space_around_an_answer_is_no_part_of_it():
    tokenizer, model = small_tokenizer(), random_model()
    [prompt] = [tokenize_turns(PROMPTS[0], tokenizer, "tinyworld", None, True).ids]
    [space] = tokenizer.encode(" ")
    ids, _ = greedy(model, prompt, -1, 1)
    model.head.weight.data[[space, ids[0]]] = model.head.weight.data[[ids[0], space]]
    ids, ended = greedy(model, prompt, tokenizer.special_tokens["<|end|>"], 8)
    text = tokenizer.decode(ids)
    assert text.startswith(" ")
    assert write_answers(model, tokenizer, "tinyworld", PROMPTS[:1], 8) == [Written(text.strip(), ended)]


@task
def test_the_last_token_allowed_may_be_the_end_and_no_later_one():
    tokenizer, model = small_tokenizer(), random_model()
    end = tokenizer.special_tokens["<|end|>"]
    [prompt] = [tokenize_turns(PROMPTS[0], tokenizer, "tinyworld", None, True).ids]
    ids, _ = greedy(model, prompt, -1, 6)
    place = next(i for i, id in enumerate(ids) if id not in ids[:i] and i >= 2)
    model.head.weight.data[[end, ids[place]]] = model.head.weight.data[[ids[place], end]]
    found = [
        write_answers(model, tokenizer, "tinyworld", PROMPTS[:1], n)[0].ended for n in (place, place + 1)
    ]
    assert found == [False, True]


@task
def test_answers_equal_those_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers, the peer, is not installed")
    tokenizer, model = small_tokenizer(), random_model(replace(TINY, rope_base=10_000.0))
    save_model(model, tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float64).eval()
    found = write_answers(model, tokenizer, "chatml", PROMPTS, max_tokens=5)
    for talk, one in zip(PROMPTS, found, strict=True):
        prompt = tokenize_turns(talk, tokenizer, "chatml", None, True).ids
        expected = theirs.generate(
            torch.tensor([prompt]), max_new_tokens=5, do_sample=False, pad_token_id=0,
            eos_token_id=tokenizer.special_tokens["<|im_end|>"],
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        )  # fmt: skip
        written = [
            id for id in expected[0, len(prompt) :].tolist() if id != tokenizer.special_tokens["<|im_end|>"]
        ]
        assert one.text == tokenizer.decode(written).strip()


@task
def test_a_prompt_without_room_is_refused():
    tokenizer = small_tokenizer()
    size = len(tokenize_turns(TALK[:4], tokenizer, "tinyworld", None, True).ids)
    model = random_model(replace(TINY, context_length=size + 1))
    assert len(write_answers(model, tokenizer, "tinyworld", [TALK[:4]], max_tokens=1)) == 1
    with raises(TooLongError, size, size - 1):
        write_answers(
            random_model(replace(TINY, context_length=size)), tokenizer, "tinyworld", [TALK[:4]], max_tokens=1
        )


@task
def test_exercises_are_asked_as_they_are_and_scored(monkeypatch, exercises):
    asked = []

    def answered(model, tokenizer, template, conversations, *_, **__):
        asked.extend(conversations)
        by_prompt = {one.prompt: one for one in exercises}
        right = [by_prompt[talk[0]["content"]] for talk in conversations]
        return [Written(one.worked if one.skill != "sums" else "nonsense", True) for one in right]

    monkeypatch.setattr(answers, "write_answers", answered)
    found, written = exact_match_by_skill(random_model(), small_tokenizer(), "tinyworld", exercises)
    assert asked == [[{"role": "user", "content": one.prompt}] for one in exercises]
    assert found.by_skill["sums"] == 0
    assert {share for skill, share in found.by_skill.items() if skill != "sums"} == {100}
    assert len(written) == len(exercises)


@task
def test_what_is_scored_is_what_write_answers_writes(exercises):
    model, tokenizer = random_model(), small_tokenizer()
    few = [one for one in exercises if len(one.prompt) < 60][:4]
    talks = [[{"role": "user", "content": one.prompt}] for one in few]
    found, written = exact_match_by_skill(model, tokenizer, "tinyworld", few, 3)
    assert written == write_answers(model, tokenizer, "tinyworld", talks, 3)
    assert found == score(few, [one.text for one in written])


@task
def test_exact_match_passes_its_settings_on(monkeypatch, exercises):
    seen = []

    def answered(
        model, tokenizer, template, conversations, max_tokens=64, batch_size=32, dtype=torch.float32
    ):
        seen.append((template, len(conversations), max_tokens, batch_size, dtype))
        return [Written("", False)] * len(exercises)

    monkeypatch.setattr(answers, "write_answers", answered)
    exact_match_by_skill(random_model(), small_tokenizer(), "chatml", exercises, 7, 3, torch.bfloat16)
    assert seen == [("chatml", len(exercises), 7, 3, torch.bfloat16)]


@task
@pytest.mark.parametrize(
    ("answer", "form"),
    [
        ("65", "number"), ("0", "number"), ("yes", "yes or no"), ("No", "yes or no"), ("a, b", "list"),
        ("Mia", "words"), ("the red hat", "words"), ("", "words"), ("-3", "words"), ("yes, no", "list"),
    ],
)  # fmt: skip
def test_the_form_of_an_answer(answer, form):
    assert form_of(answer) == form


@task
def test_what_is_in_form_is_counted_right_or_wrong(exercises):
    [one] = [one for one in exercises if one.skill == "sums"][:1]
    number = replace(one, answer="65")
    cases = {
        Written("65", True): 1,
        Written("64", True): 1,
        Written("60 and 5 make 65. So 65", True): 1,
        Written("65", False): 0,
        Written("", True): 0,
        Written("sixty", True): 0,
        Written("6\n5", True): 0,
        Written("So 60\nSo 5", True): 0,
    }
    for written, expected in cases.items():
        assert format_compliance([number], [written]) == expected, written
    assert format_compliance([number] * len(cases), list(cases)) == 3 / 8
    lines = replace(one, answer="a\nb")
    assert format_compliance([lines], [Written("c\nd", True)]) == 1
    assert format_compliance([replace(one, answer="yes")], [Written("no", True)]) == 1
    assert format_compliance([replace(one, answer="yes")], [Written("maybe", True)]) == 0


@task
@pytest.mark.parametrize("count", [0, 1])
def test_each_exercise_needs_its_answer(exercises, count):
    with raises(ValueError, count + 1, count):
        format_compliance(exercises[:count], [Written("", True)] * (count + 1))
    with raises(ValueError):
        format_compliance([], [])
