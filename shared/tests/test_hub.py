import sys
from types import SimpleNamespace

import pytest

from shared.corpora import hub
from shared.corpora.catalogue import HubSplit
from shared.corpora.download import DownloadError
from shared.corpora.hub import described, hub_lines

SPLIT = HubSplit("some/text", "small-v1", "validation", "0123456789abcdef")


@pytest.fixture
def answering(monkeypatch):
    """A hub that answers; the list of what was asked of it."""
    asked = []
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    monkeypatch.setattr(hub, "reach", asked.append)
    return asked


def stand_in(monkeypatch, load):
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load))


def test_rows_become_lines(answering, monkeypatch):
    asked = []

    def load(*place, **options):
        asked.append((place, options))
        return [{"text": text} for text in ("", " = Title = \n", "no end")]

    stand_in(monkeypatch, load)
    assert list(hub_lines(SPLIT)) == ["\n", " = Title = \n", "no end\n"]
    assert answering == ["https://huggingface.co/api/datasets/some/text/revision/0123456789abcdef"]
    options = {"split": "validation", "revision": SPLIT.revision, "streaming": True}
    assert asked == [(("some/text", "small-v1"), options)]


def test_another_endpoint(answering, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.invalid")
    stand_in(monkeypatch, lambda *_, **__: [])
    assert list(hub_lines(SPLIT)) == []
    assert answering == ["https://hub.invalid/api/datasets/some/text/revision/0123456789abcdef"]


def test_only_what_is_asked_for_is_read(answering, monkeypatch):
    read = []

    def rows():
        for number in range(1000):
            read.append(number)
            yield {"text": f"{number}\n"}

    stand_in(monkeypatch, lambda *_, **__: rows())
    lines = hub_lines(SPLIT)
    assert [next(lines), next(lines)] == ["0\n", "1\n"]
    assert read == [0, 1]


def test_without_the_network_the_library_is_not_asked(monkeypatch):
    monkeypatch.setenv("LADDER_OFFLINE", "1")
    stand_in(monkeypatch, lambda *_, **__: pytest.fail("asked"))
    with pytest.raises(DownloadError, match="LADDER_OFFLINE is set"):
        hub_lines(SPLIT)


def test_the_library_is_missing(answering, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DownloadError, match=r"the library datasets cannot be imported .*`make setup`"):
        hub_lines(SPLIT)


def test_what_the_library_refuses(answering, monkeypatch):
    def load(*_, **__):
        raise ValueError("Unknown split")

    stand_in(monkeypatch, load)
    with pytest.raises(DownloadError, match=r"^ValueError: Unknown split$"):
        hub_lines(SPLIT)


def test_a_transfer_that_breaks_off(answering, monkeypatch):
    def rows():
        yield {"text": "one"}
        raise ConnectionError("reset")

    stand_in(monkeypatch, lambda *_, **__: rows())
    lines = hub_lines(SPLIT)
    assert next(lines) == "one\n"
    with pytest.raises(DownloadError, match=r"^ConnectionError: reset$"):
        next(lines)


def test_in_words():
    assert described(SPLIT) == "the hub's some/text, small-v1, validation, revision 01234567"


def test_the_real_library_reads_it(answering, monkeypatch, tmp_path):
    """From a folder that is laid out as the hub's repository is."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = {"text": ["", " = Title = \n", "", " text . \n"]}
    (tmp_path / "text").mkdir()
    datasets.Dataset.from_dict(rows).to_parquet(tmp_path / "text" / "small-v1" / "validation-0.parquet")
    card = """---
configs:
- config_name: small-v1
  data_files:
  - split: validation
    path: small-v1/validation-*
---
"""
    (tmp_path / "text" / "README.md").write_text(card)
    here = str(tmp_path / "text")
    lines = hub_lines(HubSplit(here, "small-v1", "validation", SPLIT.revision))
    assert list(lines) == ["\n", " = Title = \n", "\n", " text . \n"]
    with pytest.raises(DownloadError, match=r"Bad split: test. Available splits: \['validation'\]"):
        hub_lines(HubSplit(here, "small-v1", "test", SPLIT.revision))
