"""`shared.corpora.reading.stream`, and corpora that come from the hub."""

import hashlib
from itertools import islice

import pytest

from shared import tinyworld
from shared.corpora import (
    ChecksumError,
    MissingCorpusError,
    UnknownCorpusError,
    UnknownSplitError,
    catalogue,
    load,
    pinned,
    read_file,
    reader,
    reading,
    stream,
)
from shared.corpora.catalogue import CATALOGUE, Entry, File, HubSplit, whole, wikitext_articles
from shared.corpora.download import DownloadError

# A carriage return and a line separator are no line ends.
TEXT = "".join(f"line {i}\r \u2028 — é\n" for i in range(1000)) + "no end"
ARTICLES = [
    "\n = Dogs = \n\n Dogs bark . \n = 1 henry = \n\n = = Food = = \n\n Bones . \n\n",
    " = Cats = \n \n Cats do not . \n \n",
]


def file(path, text, **more):
    content = text.encode()
    return File(path, len(content), hashlib.sha256(content).hexdigest(), **more)


POEM = file("poem/input.txt", TEXT, url="https://example.invalid/poem/input.txt")
TRAIN = File("wiki/train.txt", 0, "", hub=HubSplit("some/wiki", "v1", "train", "0123456789abcdef"))
VALID = file("wiki/valid.txt", "pinned\n", hub=HubSplit("some/wiki", "v1", "validation", "0123456789abcdef"))


@pytest.fixture(autouse=True)
def house(monkeypatch, tmp_path):
    """A data folder of its own, two corpora, and no network."""
    monkeypatch.setenv("LADDER_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("LADDER_DATA_MIRROR", raising=False)
    sources = {
        "poem": Entry("MIT", {"train": ((POEM,), whole), "test": ((POEM,), lambda text: text[:20])}),
        "wiki": Entry(
            "MIT", {"train": ((TRAIN,), whole), "validation": ((VALID,), whole)}, wikitext_articles
        ),
    }
    monkeypatch.setattr(reading, "CATALOGUE", sources)

    def offline(*_):
        raise DownloadError("the network is down")

    monkeypatch.setattr(pinned, "fetch", offline)
    monkeypatch.setattr(pinned, "hub_lines", offline)
    return tmp_path


@pytest.fixture
def mirror(house, monkeypatch):
    def put(file, text):
        (house / "mirror" / file.path).parent.mkdir(parents=True, exist_ok=True)
        (house / "mirror" / file.path).write_bytes(text.encode())
        monkeypatch.setenv("LADDER_DATA_MIRROR", str(house / "mirror"))
        return house / "mirror" / file.path

    return put


@pytest.fixture
def hub(monkeypatch):
    """A hub that has the articles; the list of the lines that were read from it."""
    read = []

    def lines(which):
        assert which == TRAIN.hub
        for line in "".join(ARTICLES).splitlines(keepends=True):
            read.append(line)
            yield line

    monkeypatch.setattr(pinned, "hub_lines", lines)
    return read


# ---- files


def test_what_a_reader_has_found_is_read_again_and_not_found_again(mirror, capsys, monkeypatch):
    mirror(POEM, TEXT)
    poem = reader("poem", ["train", "test"])
    said = capsys.readouterr().err
    assert said.startswith("corpus: poem, train and test piece by piece, from the mirror ")
    assert said.count("\n") == 1
    monkeypatch.setattr(pinned, "_check", lambda *_: pytest.fail("checked again"))
    for _ in range(2):
        assert "".join(poem.stream("train")) == TEXT
        assert "".join(poem.stream("test")) == TEXT[:20]
        assert list(poem.stream("train", start=998)) == [
            "line 998\r \u2028 — é\n",
            "line 999\r \u2028 — é\n",
            "no end",
        ]
    for wrong, message in (
        ({"start": -1}, "start must be 0 or more"),
        ({"characters": 0}, "characters must be 1"),
    ):
        with pytest.raises(ValueError, match=message):
            poem.stream("train", **wrong)
    assert not capsys.readouterr().err


def test_a_reader_of_the_hub_reads_it_anew(hub, mirror):
    mirror(VALID, "pinned\n")
    wiki = reader("wiki", ["train", "validation"])
    for times in (1, 2):
        assert "".join(wiki.stream("train")) == "".join(ARTICLES)
        assert len(hub) == times * len("".join(ARTICLES).splitlines(keepends=True))
    assert list(wiki.stream("validation")) == ["pinned\n"]


def test_a_reader_of_a_stand_in_ends_where_load_ends_it(capsys):
    stand_in = reader("poem", ["train", "test"], "tinyworld")
    assert stand_in.name == "tinyworld"
    assert "test piece by piece, generated as it is read. It stands in for poem" in capsys.readouterr().err
    for split in ("train", "test"):
        assert list(stand_in.stream(split)) == list(stream("poem", split, fallback="tinyworld"))


def test_the_lines_of_a_file_make_up_its_text(mirror, capsys):
    path = mirror(POEM, TEXT)
    lines = list(stream("poem"))
    assert "".join(lines) == TEXT
    assert len(lines) == 1001
    assert all(line.endswith("\n") for line in lines[:-1])
    assert capsys.readouterr().err == f"corpus: poem, train piece by piece, from the mirror {path}\n"
    assert "".join(stream("poem", "test")) == TEXT[:20], "a split that is cut out of a file"


@pytest.mark.parametrize("start", [0, 3, 1000, 2000])
def test_start_leaves_out_the_first_pieces(mirror, start):
    mirror(POEM, TEXT)
    assert list(stream("poem", start=start)) == list(stream("poem"))[start:]


def test_a_download_is_kept_and_streamed(house, monkeypatch, capsys):
    monkeypatch.setattr(pinned, "fetch", lambda *_: TEXT.encode())
    assert "".join(stream("poem")) == TEXT
    assert (house / "data" / "corpora" / POEM.path).read_bytes() == TEXT.encode()
    monkeypatch.setattr(pinned, "fetch", lambda *_: pytest.fail("downloaded again"))
    assert "".join(stream("poem")) == TEXT
    downloaded, cached = capsys.readouterr().err.splitlines()
    assert "downloaded from https://example.invalid" in downloaded
    assert "from the cache" in cached


def test_a_wrong_file_is_refused_before_the_first_line(mirror):
    mirror(POEM, "something else")
    with pytest.raises(ChecksumError, match="is not the file it should be"):
        stream("poem")


def test_a_file_without_a_checksum_is_taken_as_it_is_and_that_is_said(mirror, capsys):
    mirror(TRAIN, "".join(ARTICLES))
    assert list(stream("wiki")) == ARTICLES
    assert load("wiki", splits=["train"]).split("train") == "".join(ARTICLES)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all("its checksum is not known, so it is taken as it is" in line for line in lines)


# ---- the hub


def test_the_hub_is_streamed_as_it_is_needed_and_not_kept(house, hub, capsys):
    pieces = stream("wiki")
    assert hub == [], "nothing is read before it is asked for"
    assert next(pieces) == ARTICLES[0]
    assert len(hub) == ARTICLES[0].count("\n") + 1, "one line of the next article"
    assert list(pieces) == ARTICLES[1:]
    assert not (house / "data").exists()
    line = capsys.readouterr().err
    assert "streamed from the hub's some/wiki, v1, train, revision 01234567, not kept, as no mirror" in line


def test_loaded_from_the_hub_once_then_from_the_cache(house, hub, monkeypatch, capsys):
    first = load("wiki", splits=["train"])
    assert first.split("train") == "".join(ARTICLES)
    assert first.origin == "download"
    kept = house / "data" / "corpora" / "hub" / "some" / "wiki" / "v1" / "0123456789abcdef" / "train.txt"
    assert kept.read_bytes().decode() == "".join(ARTICLES)
    monkeypatch.setattr(pinned, "hub_lines", lambda _: pytest.fail("read again"))
    assert load("wiki", splits=["train"]).origin == "cache"
    assert list(stream("wiki")) == ARTICLES
    lines = capsys.readouterr().err.splitlines()
    assert f"read from the hub's some/wiki, v1, train, revision 01234567, kept in {kept.parent}" in lines[0]
    assert f"from the cache {kept}, as no mirror is set" in lines[1]


def test_a_transfer_from_the_hub_that_breaks_off_leaves_nothing(house, monkeypatch):
    def lines(_):
        yield "one\n"
        raise DownloadError("reset")

    monkeypatch.setattr(pinned, "hub_lines", lines)
    with pytest.raises(
        MissingCorpusError, match=r"not in the cache, and the hub's .* cannot be read \(reset\)"
    ):
        load("wiki", splits=["train"])
    assert not [path for path in (house / "data").rglob("*") if path.is_file()]
    pieces = stream("wiki")
    with pytest.raises(DownloadError, match="reset"):
        list(pieces)


def test_a_folder_that_cannot_be_written(house, hub):
    (house / "data").write_text("a file where the folder should be")
    with pytest.raises(MissingCorpusError, match="cannot be written"):
        load("wiki", splits=["train"])
    assert list(stream("wiki")) == ARTICLES


def test_a_mirror_goes_before_the_hub(mirror, hub):
    mirror(VALID, "pinned\n")
    assert load("wiki").splits == {"train": "".join(ARTICLES), "validation": "pinned\n"}


def test_the_hub_is_down():
    for ask in (lambda: stream("wiki"), lambda: load("wiki", splits=["train"])):
        with pytest.raises(MissingCorpusError) as error:
            ask()
        for words in (
            "wiki/train.txt cannot be had",
            "no mirror is set",
            "the network is down",
            "Set LADDER_DATA_M",
        ):
            assert words in str(error.value)


# ---- tinyworld


@pytest.mark.parametrize("characters", [1, 3_000, 20_000])
def test_tinyworld_of_a_size_is_its_text(characters):
    pieces = list(stream("tinyworld", "test", characters=characters, seed=2))
    assert "\n\n".join(pieces) == tinyworld.text("test", 2, characters)
    assert list(stream("tinyworld", "test", characters=characters, seed=2, start=3)) == pieces[3:]


def test_tinyworld_without_end_jumps_to_the_start(monkeypatch):
    expected = [one.text for one in islice(tinyworld.documents("train", 5), 8)]
    assert list(islice(stream("tinyworld", seed=5), 8)) == expected
    made = []
    real = tinyworld.document
    monkeypatch.setattr(tinyworld, "document", lambda *what: made.append(what) or real(*what))
    assert list(islice(stream("tinyworld", seed=5, start=6), 2)) == expected[6:]
    assert made == [(6, "train", 5), (7, "train", 5)]


def test_tinyworld_stands_in_at_the_length_of_what_it_stands_for(capsys):
    text = "\n\n".join(stream("poem", "test", fallback="tinyworld"))
    assert text == tinyworld.text("test", 0, 5_000), "a twentieth of the smallest size"
    line = capsys.readouterr().err
    assert "corpus: tinyworld, test piece by piece, generated as it is read. It stands in for poem" in line
    assert reading._stand_in_size(reading.CATALOGUE["wiki"]) == 20_000_000, "of unknown size"
    assert reading._stand_in_size(CATALOGUE["wikitext2"]) == 13_175_278


# ---- bad input


def test_bad_input(capsys):
    with pytest.raises(UnknownCorpusError, match="Did you mean 'wiki'"):
        stream("wikis")
    with pytest.raises(UnknownSplitError, match="poem has no 'dev' split; there is train, test"):
        stream("poem", "dev")
    with pytest.raises(ValueError, match="start must be 0 or more, not -1"):
        stream("poem", start=-1)
    with pytest.raises(ValueError, match="characters must be 1 or more, not 0"):
        stream("tinyworld", characters=0)
    with pytest.raises(ValueError, match="fallback must be 'tinyworld' or None"):
        stream("poem", fallback="poem")
    assert capsys.readouterr().err == ""


# ---- the real table


def test_articles_begin_at_titles():
    lines = "".join(ARTICLES).splitlines(keepends=True)
    assert list(wikitext_articles(lines)) == ARTICLES
    assert list(wikitext_articles([])) == []


def test_wikitext103_has_the_hubs_splits():
    source = CATALOGUE["wikitext103"]
    for split, (files, make) in source.splits.items():
        [only] = files
        assert make is whole
        assert only.hub
        assert (only.hub.dataset, only.hub.config, only.hub.split) == (
            "Salesforce/wikitext",
            "wikitext-103-v1",
            split,
        )
    assert catalogue.wikitext_articles is source.pieces is CATALOGUE["wikitext2"].pieces


def test_bytes_of_a_file_that_was_downloaded(monkeypatch):
    monkeypatch.setattr(pinned, "fetch", lambda *_: TEXT.encode())
    assert read_file(POEM) == TEXT.encode()
