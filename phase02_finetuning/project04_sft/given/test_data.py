import json

import pytest

from phase02_finetuning.project04_sft.given.ahead import Ahead
from phase02_finetuning.project04_sft.given.data import load_data, tinyworld_chunk
from phase02_finetuning.project04_sft.given.example import small_tokenizer
from phase02_finetuning.project04_sft.given.hub import hub_records
from phase02_finetuning.project04_sft.given.settings import SFTConfig
from phase02_finetuning.project04_sft.records import RecordsError
from phase02_finetuning.project04_sft.templates import check_messages
from shared.tuning.tinyworld import WORKED, exercises

TOKENIZER = small_tokenizer()


@pytest.fixture
def file(tmp_path):
    """A file of so many records; returns its path."""

    def write(count, words=3):
        records = [
            {"instruction": f"Say {number}.", "output": "word " * words + str(number)}
            for number in range(count)
        ]
        path = tmp_path / "records.json"
        path.write_text(json.dumps(records))
        return str(path)

    return write


def test_the_mix_is_the_same_for_a_seed_and_another_for_another():
    settings = SFTConfig()
    one = tinyworld_chunk(settings, 3, size=60)
    assert one == tinyworld_chunk(settings, 3, size=60)
    assert one != tinyworld_chunk(settings, 4, size=60)
    assert one != tinyworld_chunk(SFTConfig(seed=1), 3, size=60)
    for talk in one:
        check_messages(talk)
        assert talk[-1]["role"] == "assistant"


def test_shares_are_what_the_settings_say():
    talks = tinyworld_chunk(SFTConfig(conversations=0.5, items=0.0), 0, size=300)
    several = sum(len(talk) > 2 for talk in talks) / 300
    assert 0.25 < several <= 0.55
    only = tinyworld_chunk(SFTConfig(conversations=0.0, items=0.0, reading=1.0), 0, size=20)
    assert all(len(talk[0]["content"]) > 100 for talk in only)
    none = tinyworld_chunk(SFTConfig(conversations=0.0, items=1.0), 0, size=20)
    assert all(len(talk) == 2 for talk in none)


def test_with_worked_answers_steps_are_written_out():
    worked = tinyworld_chunk(SFTConfig(worked=True, conversations=0.0, items=0.0, reading=0.0), 0, size=200)
    direct = tinyworld_chunk(SFTConfig(conversations=0.0, items=0.0, reading=0.0), 0, size=200)
    assert sum("So " in talk[1]["content"] for talk in worked) > 80
    assert sum("So " in talk[1]["content"] for talk in direct) < 5
    assert next(exercises("train", 1, ["sums"])).skill in WORKED


def test_the_last_records_of_a_file_are_held_out(file):
    data = load_data(SFTConfig(data=file(40), template="chatml", validation_examples=5), TOKENIZER)
    assert len(data.validation) == 5
    assert len(data.chunk(0)) == 35
    assert data.chunk(0) == data.chunk(7)
    texts = [TOKENIZER.decode(example.ids) for example in data.validation]
    assert all(f"Say {number}." in text for number, text in zip(range(35, 40), texts, strict=True))
    other = load_data(SFTConfig(data=file(41), template="chatml", validation_examples=5), TOKENIZER)
    assert other.identity != data.identity


def test_what_is_too_long_is_counted(file):
    path = file(40)
    sizes = sorted(
        len(example.ids) for example in load_data(SFTConfig(data=path, template="chatml"), TOKENIZER).chunk(0)
    )
    data = load_data(SFTConfig(data=path, template="chatml", context_length=sizes[20]), TOKENIZER)
    assert data.too_long[0] == sum(size > sizes[20] for size in sizes)
    with pytest.raises(ValueError, match="fits into 30"):
        load_data(SFTConfig(data=file(40, words=30), template="chatml", context_length=30), TOKENIZER)
    with pytest.raises(ValueError, match="at least 5"):
        load_data(SFTConfig(data=file(4), template="chatml"), TOKENIZER)


def test_where_data_cannot_be_had_it_says_so(monkeypatch, tmp_path):
    monkeypatch.delenv("LADDER_DATA_MIRROR", raising=False)
    monkeypatch.setenv("LADDER_OFFLINE", "1")
    with pytest.raises(ValueError, match="LADDER_DATA_MIRROR"):
        load_data(SFTConfig(data="mirror:a.json", template="chatml"), TOKENIZER)
    with pytest.raises(OSError, match=r"none\.json"):
        load_data(SFTConfig(data=str(tmp_path / "none.json"), template="chatml"), TOKENIZER)
    with pytest.raises(RecordsError, match="hub:somebody/something"):
        hub_records("somebody/something")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"template": "vicuna"}, "vicuna"),
        ({"conversations": 0.7, "items": 0.6}, "above 1"),
        ({"reading": 1.5}, "reading"),
        ({"hard": 0.0}, "hard"),
        ({"context_length": 1}, "context_length"),
        ({"warmup": 700}, "warmup"),
        ({"base": "No Model"}, "No Model"),
    ],
)
def test_settings_that_cannot_be_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        SFTConfig(**change)


def test_made_ahead_it_is_the_same():
    settings = SFTConfig()
    ahead = Ahead(tinyworld_chunk, settings, 2)
    try:
        for number in (3, 4, 6):  # as after a resume, and with one passed over
            assert ahead(number) == tinyworld_chunk(settings, number)
    finally:
        ahead.close()
    assert SFTConfig(workers=2).identity() == settings.identity()


def test_workers_below_none_are_refused():
    with pytest.raises(ValueError, match="workers must be 0 or more, not -1"):
        SFTConfig(workers=-1)
