"""Pairs from files and records, as ids with labels on the answer alone, and as batches."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phase02_finetuning.project04_sft.turns import Example, TooLongError, tokenize_turns
from phase02_finetuning.project06_dpo.given.example import (
    TEMPLATE,
    pairs_by_hand,
    random_pairs,
    small_tokenizer,
    some_wishes,
)
from phase02_finetuning.project06_dpo.pairs import (
    Pair,
    PairExample,
    PairsError,
    collate_pairs,
    read_pairs,
    to_pair,
    tokenize_pair,
    tokenize_pairs,
)
from shared.phase01 import IGNORED
from shared.testing import raises

task = pytest.mark.task(6)
USER = [{"role": "user", "content": "Hello!"}]
TALK = [*USER, {"role": "assistant", "content": "Hello, Mia!"}, {"role": "user", "content": "Who are you?"}]
ANSWERS = {"chosen": "Hello! How are you?", "rejected": "What."}
BEN = Pair((USER[0],), ANSWERS["chosen"], ANSWERS["rejected"])


def answer(text):
    return [{"role": "assistant", "content": text}]


@task
@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "Hello!", **ANSWERS},
        {"prompt": USER, **ANSWERS},
        {"messages": USER, **ANSWERS},
        {
            "id": 7,
            "prompt": USER,
            "chosen": answer(ANSWERS["chosen"]),
            "rejected": answer(ANSWERS["rejected"]),
        },
        {
            "prompt": "Hello!",
            "chosen": ANSWERS["chosen"],
            "rejected": answer(ANSWERS["rejected"]),
            "score": 0.1,
        },
    ],
)
def test_every_form_is_the_same_pair(record):
    assert to_pair(record) == BEN


@task
def test_several_turns_and_a_rule_are_kept():
    pair = to_pair({"messages": TALK, "rule": "polite", **ANSWERS})
    assert pair.prompt == tuple(TALK)
    assert pair.rule == "polite"
    assert (pair.chosen, pair.rejected) == (ANSWERS["chosen"], ANSWERS["rejected"])
    assert to_pair({"messages": TALK, **ANSWERS}).rule == ""


WRONG = [
    (["Hello!"], ("list",)),
    ({"prompt": "Hello!", "chosen": "Yes."}, ("rejected", "prompt")),
    ({"prompt": "Hello!", "rejected": "Yes."}, ("chosen", "prompt")),
    (ANSWERS, ("prompt", "messages", "rejected")),
    ({"prompt": "Hello!", "messages": USER, **ANSWERS}, ("prompt", "messages")),
    ({"prompt": 3, **ANSWERS}, ("prompt", "int")),
    ({"messages": "Hello!", **ANSWERS}, ("messages", "str")),
    ({"messages": TALK[:2], **ANSWERS}, ("assistant",)),
    ({"messages": [{"role": "wizard", "content": "Hello!"}], **ANSWERS}, ("wizard",)),
    ({"prompt": " ", **ANSWERS}, ()),
    ({"prompt": "Hello!", **ANSWERS, "chosen": " \n"}, ("chosen",)),
    ({"prompt": "Hello!", **ANSWERS, "rejected": ""}, ("rejected",)),
    ({"prompt": "Hello!", **ANSWERS, "rejected": None}, ("rejected", "NoneType")),
    ({"prompt": "Hello!", **ANSWERS, "chosen": [*answer("a"), *answer("b")]}, ("chosen", "list")),
    ({"prompt": "Hello!", **ANSWERS, "chosen": [{"role": "user", "content": "a"}]}, ("chosen", "user")),
    ({"prompt": "Hello!", "chosen": "Yes.", "rejected": "Yes."}, ("Yes.",)),
    ({"prompt": "Hello!", "chosen": "Yes.", "rejected": " Yes.\n"}, ("Yes.",)),
    ({"prompt": "Hello!", "chosen": "Yes.\n", "rejected": "Yes."}, ("Yes.",)),
    ({"prompt": "Hello!", **ANSWERS, "rule": 3}, ("rule", "int")),
]


@task
@pytest.mark.parametrize(("record", "facts"), WRONG)
def test_what_is_no_pair_is_refused(record, facts):
    with raises(ValueError, *facts):
        to_pair(record)


@task
def test_a_file_is_a_list_or_lines(tmp_path):
    records = [{"prompt": f"Say {n}.", "chosen": f"{n}!", "rejected": "No."} for n in range(3)]
    lines, whole = tmp_path / "pairs.jsonl", tmp_path / "pairs.json"
    lines.write_text("\n".join(map(json.dumps, records)) + "\n\n")
    whole.write_bytes(b"\xef\xbb\xbf" + json.dumps(records, indent=1).encode())
    found = read_pairs(lines)
    assert [pair.chosen for pair in found] == ["0!", "1!", "2!"]
    assert read_pairs(whole) == found
    assert read_pairs(str(lines)) == found


@task
@pytest.mark.parametrize(
    ("last", "facts"),
    [
        ('{"prompt": "b", "chosen": "c", "rejected": "c"}', ("same",)),
        ('{"prompt": "b", "chosen": "", "rejected": "c"}', ("chosen",)),
        ('{"prompt": "b", "chosen": "a"}', ("rejected",)),
        ('{"prompt": "b", "chosen": "a", "rejected" "c"}', ()),
        ('["b"]', ("list",)),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path, last, facts):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prompt": "a", "chosen": "b", "rejected": "same"}\n\n' + last)
    with raises(PairsError, str(path), 3, *(fact for fact in facts if fact != "same")):
        read_pairs(path)


@task
def test_a_file_without_pairs_is_refused(tmp_path):
    path = tmp_path / "pairs.json"
    path.write_text("[]")
    with raises(PairsError, str(path)):
        read_pairs(path)
    with raises(FileNotFoundError):
        read_pairs(tmp_path / "none.json")


@task
@pytest.mark.parametrize("template", ["tinyworld", "chatml", "llama3", "alpaca", "question"])
@pytest.mark.parametrize("prompt", [USER, TALK], ids=["one turn", "three"])
def test_the_last_answer_alone_has_labels(template, prompt):
    tokenizer = small_tokenizer()
    pair = Pair(tuple(prompt), "I am Tom.", "Tom.")
    start = tokenize_turns(prompt, tokenizer, template, None, True).ids
    for example, text in zip(tokenize_pair(pair, tokenizer, template), ("I am Tom.", "Tom."), strict=True):
        whole = tokenize_turns([*prompt, {"role": "assistant", "content": text}], tokenizer, template)
        assert example.ids == whole.ids
        assert example.ids[: len(start)] == start
        assert set(example.labels[: len(start)]) == {IGNORED}
        assert example.labels[len(start) :] == whole.labels[len(start) :]
        written = tokenizer.decode([one for one in example.labels if one != IGNORED])
        assert text in written
        assert "Mia" not in written


@task
def test_a_pair_that_is_too_long_is_left_out_as_a_whole():
    tokenizer = small_tokenizer()
    short, long = Pair((USER[0],), "Yes.", "No."), Pair((USER[0],), "Yes.", "No. " * 60)
    with raises(TooLongError, 40):
        tokenize_pair(long, tokenizer, TEMPLATE, 40)
    examples, kept = tokenize_pairs([short, long, short], tokenizer, TEMPLATE, 40)
    assert kept == [short, short]
    assert examples == [tokenize_pair(short, tokenizer, TEMPLATE, 40)] * 2


@task
def test_tinyworlds_wishes_are_pairs():
    tokenizer = small_tokenizer()
    pairs = some_wishes(12)
    examples, kept = tokenize_pairs(pairs, tokenizer, TEMPLATE, 256)
    assert kept == pairs
    for pair, example in zip(pairs, examples, strict=True):
        for text, one in zip((pair.chosen, pair.rejected), example, strict=True):
            assert text in tokenizer.decode([label for label in one.labels if label != IGNORED])


@task
@given(st.integers(1, 6), st.integers(0, 50))
@settings(max_examples=20)
def test_a_batch_is_each_pair_place_by_place(count, seed):
    examples = random_pairs(count, seed)
    batch = collate_pairs(examples, 0)
    time = max(len(answer.ids) for pair in examples for answer in pair) - 1
    expected = pairs_by_hand(examples, time)
    assert batch["tokens"].shape == (count, 2, time)
    assert torch.equal(batch["tokens"], expected["tokens"])
    assert torch.equal(batch["targets"], expected["targets"])


@task
def test_the_chosen_answer_comes_first():
    pair = PairExample(Example([1, 2, 3], [IGNORED, IGNORED, 3]), Example([1, 2, 4], [IGNORED, IGNORED, 4]))
    batch = collate_pairs([pair])
    assert batch["targets"][:, 0].max().item() == 3
    assert batch["targets"][:, 1].max().item() == 4


@task
def test_rows_are_padded_with_the_id_that_is_asked_for():
    batch = collate_pairs(
        [PairExample(Example([1, 2, 3], [IGNORED, 2, 3]), Example([1, 4], [IGNORED, 4]))], 7
    )
    assert batch["tokens"].tolist() == [[[1, 2], [1, 7]]]
    assert batch["targets"].tolist() == [[[2, 3], [4, IGNORED]]]


@task
def test_no_pairs_are_no_batch():
    with raises(ValueError):
        collate_pairs([])
