import hashlib
from dataclasses import replace

import pytest

from phase01_foundation.project02_tokenizer import train as tokenizer_command
from phase01_foundation.project02_tokenizer.given import fast
from phase01_foundation.project02_tokenizer.given.trained import TRAIN
from phase01_foundation.project02_tokenizer.given.training import train_tokenizer
from phase01_foundation.project02_tokenizer.tokenizer_json import to_json
from phase01_foundation.project03_pretrain import token_file
from phase01_foundation.project03_pretrain.given.pretrained import publish_base
from phase01_foundation.project03_pretrain.given.pretraining_data import (
    load_data,
    pick_tokenizer,
    tinyworld_characters,
)
from phase01_foundation.project03_pretrain.given.settings import PretrainConfig
from phase01_foundation.project03_pretrain.model import LLM, Config
from phase01_foundation.project03_pretrain.parallel import Processes
from phase01_foundation.project03_pretrain.token_file import END_OF_TEXT
from shared import artifacts, corpora
from shared.command import how_to_run
from shared.corpora import catalogue, pinned

pytestmark = pytest.mark.usefixtures("own_folders")

SETTINGS = PretrainConfig(corpus="tinyworld", characters=8_000, vocab_size=270, context_length=16)
TEXTS = {"train": "The cat sat on the mat.\n" * 30, "validation": "The dog sat on the log.\n" * 5}


@pytest.fixture(autouse=True, scope="module")
def kernels():
    fast.kernels()  # compiled where they always are, before the first test has folders of its own


@pytest.fixture
def cats(monkeypatch):
    """ "shakespeare" is a few sentences about a cat."""

    def reader(name, splits, fallback):
        return corpora.Reader(name, {split: lambda split=split: iter([TEXTS[split]]) for split in splits}, {})

    monkeypatch.setattr(corpora, "reader", reader)
    return replace(SETTINGS, corpus="shakespeare")


@pytest.fixture
def encoded(monkeypatch):
    """The files of ids that are written, by name."""
    real, written = token_file.write_tokens, []

    def write_tokens(path, texts, tokenizer):
        written.append(path.name.rsplit("-", 1)[0])
        return real(path, texts, tokenizer)

    monkeypatch.setattr(token_file, "write_tokens", write_tokens)
    return written


def test_documents_are_led_by_the_end_of_text():
    text = load_data(SETTINGS)
    end = text.tokenizer.special_tokens[END_OF_TEXT]
    documents = list(corpora.stream("tinyworld", "train", characters=8_000))
    assert text.corpus == "tinyworld"
    assert (text.train == end).sum() == len(documents)
    assert text.tokenizer.decode(text.train.tolist()) == "".join(END_OF_TEXT + text for text in documents)
    assert 3_000 < len(text.tokenizer.decode(text.validation.tolist())) < 10_000
    assert text.tokenizer.vocab_size == 270


def test_the_second_time_the_ids_are_read_and_not_made(encoded):
    first = load_data(SETTINGS)
    assert [name.split("-")[2] for name in encoded] == ["train", "validation"]
    again = load_data(replace(SETTINGS, steps=7))
    assert len(encoded) == 2
    assert (first.train == again.train).all()
    assert first.identity == again.identity
    load_data(replace(SETTINGS, vocab_size=271))
    assert len(encoded) == 4, "another tokenizer"
    other = load_data(replace(SETTINGS, characters=9_000))
    assert len(encoded) == 6, "another size"
    assert other.identity != first.identity


def test_questions_are_a_share_of_the_train_text(encoded):
    plain, mixed = load_data(SETTINGS), load_data(replace(SETTINGS, questions=0.25))
    documents = mixed.tokenizer.decode(mixed.train.tolist()).split(END_OF_TEXT)[1:]
    told = list(corpora.stream("tinyworld", "train", characters=6_000))
    asked = documents[len(told) :]
    assert documents[: len(told)] == told
    assert all(text.startswith("Question: ") and text.count("\nAnswer: ") == 1 for text in asked)
    assert 2_000 <= sum(map(len, asked)) < 2_000 + len(asked[-1]), "no more than it takes"
    assert [name.endswith("train-8000-questions-0.25") for name in encoded] == [False, False, True, False]
    validation = [text.tokenizer.decode(text.validation.tolist()) for text in (plain, mixed)]
    assert validation[0] == validation[1]
    assert plain.identity != mixed.identity


def test_the_validation_text_of_tinyworld_is_a_million_characters_at_most():
    sizes = {None: (20_000_000, 1_000_000), 8_000: (8_000, 8_000), 30_000_000: (30_000_000, 1_000_000)}
    for characters, (train, validation) in sizes.items():
        settings = replace(SETTINGS, characters=characters)
        assert tinyworld_characters(settings, "train") == train
        assert tinyworld_characters(settings, "validation") == validation


def test_a_corpus_of_files_is_one_text(cats, encoded):
    text = load_data(cats)
    assert text.corpus == "shakespeare"
    assert encoded == ["shakespeare-train", "shakespeare-validation"]
    assert text.tokenizer.decode(text.train.tolist()) == END_OF_TEXT + TEXTS["train"]
    assert text.identity == f"shakespeare-train, {len(text.train)} tokens"


def test_wikitext103_is_read_piece_by_piece(cats, monkeypatch):
    articles = [" = Cats = \n \n Cats sat . \n \n", " = Dogs = \n \n Dogs sat . \n"]
    lines = [line for article in articles for line in article.splitlines(keepends=True)]
    reader = corpora.Reader("wikitext103", dict.fromkeys(("train", "validation"), lambda: iter(lines)), {})
    monkeypatch.setattr(corpora, "reader", lambda *_: reader)
    text = load_data(replace(cats, corpus="wikitext103", context_length=8))
    assert text.tokenizer.decode(text.validation.tolist()) == "".join(END_OF_TEXT + one for one in articles)


@pytest.mark.parametrize("corpus", ["shakespeare", "wikitext103"])
def test_tinyworld_stands_in_for_what_cannot_be_had(corpus, capsys):
    text = load_data(replace(SETTINGS, corpus=corpus))
    assert text.corpus == "tinyworld"
    assert text.identity == load_data(SETTINGS).identity
    assert f"It stands in for {corpus}" in capsys.readouterr().err
    with pytest.raises(corpora.MissingCorpusError, match=r"LADDER_OFFLINE is set"):
        load_data(replace(SETTINGS, corpus=corpus, fallback=None))


@pytest.mark.parametrize("tokenizer", ["bpe", "char"])
@pytest.mark.parametrize("corpus", ["tinyworld", "shakespeare", "poems"])
def test_a_corpus_is_found_checked_and_announced_once(corpus, tokenizer, capsys, monkeypatch, tmp_path):
    """Of "shakespeare" there is no file, so tinyworld stands in; "poems" are read from a mirror."""
    text = TEXTS["train"]
    poems = corpora.File("poems.txt", len(text), hashlib.sha256(text.encode()).hexdigest())
    halves = {
        "train": ((poems,), lambda text: text[:-200]),
        "validation": ((poems,), lambda text: text[-200:]),
    }
    monkeypatch.setitem(corpora.CATALOGUE, "poems", catalogue.Entry("MIT", halves))
    (tmp_path / "poems.txt").write_text(text)
    monkeypatch.setenv("LADDER_DATA_MIRROR", str(tmp_path))
    real, checked = pinned._check, []
    monkeypatch.setattr(pinned, "_check", lambda file, path: checked.append(real(file, path)))
    for _ in range(2):  # the second time, the ids are in their files
        found = load_data(replace(SETTINGS, corpus=corpus, tokenizer=tokenizer))
        assert capsys.readouterr().err.count("corpus:") == 1
        assert found.corpus == ("poems" if corpus == "poems" else "tinyworld")
    assert len(checked) == (2 if corpus == "poems" else 0), "once a run"


def test_of_several_processes_the_first_one_announces_it(capsys):
    for rank, lines in ((0, 1), (1, 0)):
        load_data(SETTINGS, Processes(rank, 2))
        assert capsys.readouterr().err.count("corpus:") == lines


def test_questions_are_made_for_tinyworld_only():
    with pytest.raises(ValueError, match="questions are made for tinyworld only, not for shakespeare"):
        replace(SETTINGS, corpus="shakespeare", questions=0.1)


def test_a_text_shorter_than_the_context_is_named(cats):
    with pytest.raises(
        ValueError, match=r"context_length 200 is too long: the validation text of shakespeare has only"
    ):
        load_data(replace(cats, context_length=200))


# ---- tokenizers


def test_characters_are_those_of_both_splits(cats):
    text = load_data(replace(cats, tokenizer="char"))
    assert set(text.tokenizer.decode(list(range(text.tokenizer.vocab_size)))) == set("".join(TEXTS.values()))
    assert text.tokenizer.decode(text.train.tolist()) == TEXTS["train"]


def test_a_bpe_is_learnt_from_the_train_split(cats):
    tokenizer = pick_tokenizer(cats, corpora.reader("shakespeare", ("train",), None))
    lines = TEXTS["train"].splitlines(keepends=True)
    assert to_json(tokenizer) == to_json(train_tokenizer(lines, "bpe", 270, [END_OF_TEXT]))


def test_a_models_tokenizer_is_taken_by_its_name(cats):
    tokenizer = train_tokenizer(["the rat sat on the mat"], "bpe", 270, [END_OF_TEXT])
    publish_base("example", LLM(Config(270, 8, 1, 1, 1, 8, 8)), tokenizer, {})
    taken = load_data(replace(cats, tokenizer="example")).tokenizer
    assert to_json(taken) == to_json(tokenizer)


def test_a_tokenizer_nobody_has_is_named_with_what_makes_it(cats):
    command = f"{how_to_run(TRAIN)} --name mine"
    with pytest.raises(artifacts.ArtifactError, match=rf"there is no model 'mine'.*{command}"):
        load_data(replace(cats, tokenizer="mine"))
    artifacts.publish("bare", {}, {"dim": 3}, {})
    with pytest.raises(ValueError, match="the model bare has no tokenizer that could be taken"):
        load_data(replace(cats, tokenizer="bare"))


def test_the_tokenizer_of_project_2_is_trained_where_it_is_missing(cats, monkeypatch):
    asked = []

    def train(settings, console):
        asked.append(settings.name)
        tokenizer = train_tokenizer([TEXTS["train"]], "bpe", 260, [END_OF_TEXT])
        artifacts.publish(settings.name, {}, {"tokenizer": to_json(tokenizer)}, {})

    monkeypatch.setattr(tokenizer_command, "train", train)
    reader = corpora.reader("shakespeare", ("train",), None)
    for _ in range(2):
        assert pick_tokenizer(replace(cats, tokenizer="bpe-10k"), reader).vocab_size == 260
    assert asked == ["bpe-10k"], "once"
