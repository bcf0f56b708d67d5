import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase02_finetuning.project04_sft.given.talks import talks
from phase02_finetuning.project04_sft.records import RecordsError, read_records, to_messages
from shared.testing import raises

task = pytest.mark.task(5)

ASKED = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "I."}]
MESSAGES = {"messages": ASKED}
SHAREGPT = {"id": 7, "conversations": [{"from": "human", "value": "Who?"}, {"from": "gpt", "value": "I."}]}
ALPACA = {"instruction": "Who?", "input": "", "output": "I."}
FORMS = [MESSAGES, SHAREGPT, ALPACA]


def turn(speaker: str, value: str | None = "Hello."):
    return {"from": speaker, "value": value}


@pytest.fixture
def write(tmp_path):
    """Write a file; returns its path."""

    def write(content, name="data.json"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@task
@pytest.mark.parametrize("record", FORMS)
def test_three_forms_are_one_conversation(record):
    assert to_messages(record) == ASKED


@task
def test_an_input_stands_below_the_instruction():
    record = {"instruction": "Sort these.", "input": "b, a\n", "response": "a, b", "source": "x"}
    assert to_messages(record) == [
        {"role": "user", "content": "Sort these.\n\nb, a\n"},
        {"role": "assistant", "content": "a, b"},
    ]
    for nothing in ({}, {"input": None}, {"input": " \n"}):
        assert to_messages({"instruction": "Who?", "output": "I.", **nothing}) == ASKED


@task
def test_speakers_have_several_names():
    turns = [turn("system"), turn("human"), turn("gpt"), turn("user"), turn("assistant")]
    found = to_messages({"conversations": turns})
    assert [one["role"] for one in found] == ["system", "user", "assistant", "user", "assistant"]
    assert {one["content"] for one in found} == {"Hello."}


@task
def test_the_records_own_lists_are_not_handed_out():
    found = to_messages(MESSAGES)
    found[0]["content"] = "changed"
    found.append({})
    assert ASKED[0]["content"] == "Who?"
    assert len(ASKED) == 2


@task
@pytest.mark.parametrize(
    ("record", "facts"),
    [
        ("Who?", ("str",)),
        ([ASKED], ("list",)),
        ({}, ()),
        ({"question": "Who?", "answer": "I."}, ("question", "answer")),
        ({**MESSAGES, **ALPACA}, ("messages", "instruction")),
        ({**MESSAGES, **SHAREGPT}, ("messages", "conversations")),
        ({"instruction": "Who?", "answer": "I."}, ("instruction", "answer")),
        ({"instruction": "Who?", "output": 7}, ("output",)),
        ({"instruction": "Who?", "output": None}, ("output",)),
        ({"instruction": None, "output": "I."}, ("instruction",)),
        ({"instruction": "Who?", "input": ["a"], "output": "I."}, ("input",)),
        ({"instruction": "Who?", "input": 0, "output": "I."}, ("input",)),
        ({"instruction": "Who?", "output": " "}, (2,)),
        ({"messages": {"role": "user"}}, ("messages",)),
        ({"messages": []}, ()),
        ({"messages": [{"role": "tool", "content": "x"}]}, (1, "tool")),
        ({"messages": [{"role": "user", "content": "Who?", "name": "Mia"}]}, (1, "name")),
        ({"messages": [{"role": "system", "content": "x"}] * 2}, (2,)),
        ({"messages": ASKED[:1]}, ()),
        ({"conversations": "Who?"}, ("conversations",)),
        ({"conversations": [turn("bot")]}, ("bot", "human", "gpt")),
        ({"conversations": [{"from": "human"}]}, ("from",)),
        ({"conversations": [{**turn("human"), "weight": 0}]}, ("weight",)),
        ({"conversations": ["Who?"]}, ()),
        ({"conversations": [turn("gpt"), turn("human")]}, (1, "assistant", "user")),
        ({"conversations": [turn("human", None), turn("gpt")]}, (1,)),
    ],
)
def test_a_record_that_is_no_conversation_is_refused(record, facts):
    with raises(ValueError, *facts):
        to_messages(record)


@task
@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_and_lines_hold_the_same(write, indent):
    lines = "\n".join(json.dumps(record) for record in FORMS)
    assert read_records(write(json.dumps(FORMS, indent=indent))) == [ASKED] * 3
    assert read_records(write(lines + "\n\n", "data.jsonl")) == [ASKED] * 3
    assert read_records(str(write("\n \r\n" + lines.replace("\n", "\r\n"), "data.jsonl"))) == [ASKED] * 3
    assert read_records(write(b"\xef\xbb\xbf" + lines.encode())) == [ASKED] * 3


@task
@given(many=st.lists(talks(), min_size=1, max_size=4), ascii_only=st.booleans(), as_list=st.booleans())
def test_what_was_written_is_read(tmp_path_factory, many, ascii_only, as_list):
    path = tmp_path_factory.mktemp("records") / "data"
    records = [{"messages": talk} for talk in many]
    texts = [json.dumps(record, ensure_ascii=ascii_only) for record in records]
    text = json.dumps(records, ensure_ascii=ascii_only, indent=1) if as_list else "\n".join(texts)
    path.write_text(text, encoding="utf-8", newline="")
    assert read_records(path) == many


GOOD = json.dumps(ALPACA)


@task
@pytest.mark.parametrize(
    ("content", "facts"),
    [
        ("", (1,)),
        ("[]", (1,)),
        ("\n\n", (1,)),
        (f"{GOOD}\n{GOOD}\n{{broken", (3,)),
        (f"{GOOD}\n\n{GOOD[:-1]}", (3,)),
        (f"{GOOD} {GOOD}", (1,)),
        (f'{GOOD}\n{{"instruction": "Who?", "output": ""}}\n{GOOD}', (2,)),
        (f'[\n  {GOOD},\n\n  {{"instruction": "Who?",\n   "output": ""}}]', (4, 2)),
        (f'[\n  {GOOD},\n  {{"instruction": "Who?",\n   "output": "\n"}}]', (4,)),
        (f"[{GOOD},\n{GOOD}\n{GOOD}]", (3,)),
        (f"[{GOOD},\n]", (2,)),
        (f"[{GOOD},\n{GOOD}", (2,)),
        (f"[{GOOD}]\n\nmore", (3, "more")),
        (f"[{GOOD},\n7]", (2, "int")),
        (f"{GOOD}\n" + '{"instruction": "a", "instruction": "b", "output": "c"}', (2, "instruction")),
        (f"{GOOD}\n" + '{"instruction": NaN, "output": "c"}', (2, "NaN")),
        (f"{GOOD}\n{GOOD}\n".encode() + b'{"instruction": "\xff"}', (3, "0xff")),
        (f"{GOOD}\n" + "[" * 100_000, (2,)),
        ('{"messages": [{"role": "system", "content": "a"}, {"role": "system", "content": "b"}]}', (1, 2)),
    ],
)  # fmt: skip
def test_a_broken_file_is_named_with_the_line(write, content, facts):
    path = write(content)
    with raises(RecordsError, str(path), *facts):
        read_records(path)


@task
def test_a_missing_file_is_an_error_of_the_system(tmp_path):
    with raises(OSError):
        read_records(tmp_path / "none.json")


@task
def test_real_instruction_sets_are_read_whole():
    mirror = os.environ.get("LADDER_DATA_MIRROR")
    folder = Path(mirror or "LADDER_DATA_MIRROR") / "instruction"
    if not mirror or not (folder / "instruction-data.json").is_file():
        pytest.skip(f"there is no {folder / 'instruction-data.json'}")
    assert len(read_records(folder / "instruction-data.json")) == 1100
