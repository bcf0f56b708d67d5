import json
import math
import os
from pathlib import Path

import pytest
import torch

from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain.given import multiple_choice as module
from phase01_foundation.project03_pretrain.given.example import example
from phase01_foundation.project03_pretrain.given.multiple_choice import (
    Question,
    accuracy,
    clean,
    load_arc_easy,
    load_hellaswag,
    parse_arc,
    parse_hellaswag,
)
from phase01_foundation.project03_pretrain.scoring import LogLikelihood, log_likelihoods

TOKENIZER = Tokenizer(CharTokenizer("abcdefghi "), {"<|endoftext|>": 10})
MIRROR = Path(os.environ.get("LADDER_DATA_MIRROR") or "none")


@pytest.fixture(scope="module")
def model():
    return example(dtype=torch.float64)[0]


def totals(model, question):
    """The log-likelihood of each choice, one at a time."""
    context = [10, *TOKENIZER.encode(question.context)]
    return [
        log_likelihoods(model, [(context, TOKENIZER.encode(" " + one))])[0].total for one in question.choices
    ]


def test_the_likeliest_choice_and_the_likeliest_a_character(model):
    question = Question("abc", ("d", "efgh", "ih", "bbbbbb"), 0)
    sums = totals(model, question)
    means = [total / len(choice) for total, choice in zip(sums, question.choices, strict=True)]
    best, best_norm = sums.index(max(sums)), means.index(max(means))
    assert best != best_norm  # or this would test nothing
    for gold in range(4):
        found = accuracy(model, TOKENIZER, [Question("abc", question.choices, gold)])
        assert (found.acc, found.acc_norm) == (float(gold == best), float(gold == best_norm))
        assert (found.count, found.stderr, found.stderr_norm) == (1, None, None)


def test_a_character_counts_once_however_many_bytes_it_has(model, monkeypatch):
    """As in lm-evaluation-harness: by bytes, of which é has two, the first would be the likelier one."""
    found = iter([LogLikelihood(-3.0, False), LogLikelihood(-4.0, False)])
    monkeypatch.setattr(module, "log_likelihoods", lambda *given: found)
    choices = Tokenizer(CharTokenizer("aéb "), {"<|endoftext|>": 4})
    assert accuracy(model, choices, [Question("a", ("éé", "aab"), 1)]).acc_norm == 1.0


def test_the_share_of_many_and_its_standard_error(model):
    choices = ("d", "efgh", "ih")
    sums = totals(model, Question("abc", choices, 0))
    best = sums.index(max(sums))
    questions = [Question("abc", choices, gold) for gold in (best, best, (best + 1) % 3, best)]
    two = Question("a", ("b", "c"), 0)
    two = Question("a", two.choices, int(totals(model, two)[1] > totals(model, two)[0]))
    found = accuracy(model, TOKENIZER, [*questions, two], batch_size=3)
    assert found.acc == 0.8
    outcomes = torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0])
    assert found.stderr == pytest.approx(outcomes.std().item() / math.sqrt(5))
    assert found.chance == pytest.approx((4 / 3 + 1 / 2) / 5)


def test_of_equally_likely_choices_the_first_counts(model, monkeypatch):
    monkeypatch.setattr(
        module, "log_likelihoods", lambda model, texts, *more: [LogLikelihood(-2.0, False)] * len(texts)
    )
    assert [accuracy(model, TOKENIZER, [Question("a", ("b", "c"), gold)]).acc for gold in (0, 1)] == [
        1.0,
        0.0,
    ]


def test_no_questions_are_refused(model):
    with pytest.raises(ValueError, match="no questions"):
        accuracy(model, TOKENIZER, [])


def test_hellaswag_is_read_and_cleaned_as_lm_eval_does():
    text = (
        "Canoeing: A man sits. Two people are seen! the child from New York\n2\n"
        "are then [step] shown.\n[title] b.\nc [title] d.\n  e  \n"
        "Health: How to sleep. Go to bed. It is late.\n0\nf.\ng.\nh.\ni.\n"
    )
    assert parse_hellaswag(text) == [
        # lm-eval capitalises the unfinished sentence by str.capitalize, which makes all other letters small.
        Question(
            "Canoeing: A man sits. Two people are seen! The child from new york",
            ("are then shown.", " b.", "c. d.", "e"),
            2,
        ),
        Question("Health: How to sleep. Go to bed. It is late.", ("f.", "g.", "h.", "i."), 0),
    ]
    assert clean(" a [header] b [title] c") == "a b. c"


@pytest.mark.parametrize(
    "text", ["a: b\n0\nc\nd\ne\n", "a: b\n4\nc\nd\ne\nf\n", "", "a: b\n1\nc\nd\ne\nf\ng\n"]
)
def test_a_text_that_is_not_hellaswag_is_refused(text):
    with pytest.raises(ValueError, match="does not begin a question of six lines"):
        parse_hellaswag(text)


def test_an_ending_that_cleaning_leaves_empty_is_named():
    question = "a: b\n0\nc\nd\ne\nf\n"
    with pytest.raises(ValueError, match=r"line 7: .*none of them empty"):
        parse_hellaswag(question + question.replace("d", "[step]"))


def test_arc_is_read():
    line = json.dumps({"query": "Question: Why?", "choices": ["a", "b c"], "gold": 1})
    assert parse_arc(f"{line}\n{line}\n") == [Question("Question: Why?\nAnswer:", ("a", "b c"), 1)] * 2
    changes = ({"choices": 5}, {"choices": ["a", ""]}, {"choices": ["a"]}, {"gold": 2}, {"gold": True})
    broken = [json.dumps({**json.loads(line), **change}) for change in changes]
    for wrong in ("{", '{"query": "a"}', "[]", "[" * 200_000, *broken):
        with pytest.raises(ValueError, match="line 2 is no question"):
            parse_arc(f"{line}\n{wrong}")


def test_a_line_of_json_ends_at_a_new_line_alone():
    odd = "a\u2028b\x85c\u2029d"
    line = json.dumps({"query": odd, "choices": [odd, "b"], "gold": 0}, ensure_ascii=False)
    assert parse_arc(f"{line}\r\n{line}\n") == [Question(f"{odd}\nAnswer:", (odd, "b"), 0)] * 2


@pytest.mark.parametrize(
    ("choices", "gold"), [(("a", ""), 0), (("a",), 0), (("a", "b"), 2), (("a", "b"), -1)]
)
def test_what_is_no_question_is_refused(choices, gold):
    with pytest.raises(ValueError, match="choice"):
        Question("a", choices, gold)


@pytest.mark.skipif(
    not (MIRROR / module.HELLASWAG.path).is_file(), reason="needs HellaSwag in LADDER_DATA_MIRROR"
)
def test_the_whole_of_hellaswag():
    questions = load_hellaswag()
    assert len(questions) == 10_042
    assert {len(one.choices) for one in questions} == {4}
    assert questions[0].context == "Roof shingle removal: A man is sitting on a roof. He"
    # 3,243 questions are from videos, and only these break off in a sentence.
    assert sum(not one.context.endswith((".", "!", "?", '"', ")", ":")) for one in questions) >= 3200


@pytest.mark.skipif(not (MIRROR / module.ARC_EASY.path).is_file(), reason="needs ARC in LADDER_DATA_MIRROR")
def test_the_whole_of_arc_easy():
    questions = load_arc_easy()
    assert len(questions) == 2376
    assert all(one.context.startswith("Question: ") for one in questions)
    assert all(0 <= one.gold < len(one.choices) for one in questions)
