import hashlib
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from shared.corpora import (
    ChecksumError,
    MirrorError,
    MissingCorpusError,
    UnknownCorpusError,
    UnknownSplitError,
    catalogue,
    load,
    pinned,
    reading,
)
from shared.corpora.catalogue import CATALOGUE, Entry, File
from shared.corpora.download import DownloadError

TEXT = "".join(f"line {i} — é\n" for i in range(1000))


def file(path, text=TEXT, url=""):
    content = text.encode()
    return File(path, len(content), hashlib.sha256(content).hexdigest(), url)


POEM = file("poem/input.txt", url="https://example.invalid/poem/input.txt")
LOCAL = file("local/b.txt", "only in a mirror\n")


@pytest.fixture(autouse=True)
def house(own_folders, monkeypatch):
    """A mirror and a data folder of their own, two small corpora, and a network that is down."""
    sources = {
        "poem": Entry("MIT", {"train": ((POEM,), str.upper), "validation": ((POEM,), str.lower)}),
        "both": Entry("MIT", {"train": ((POEM, LOCAL), lambda a, b: a + b), "test": ((LOCAL,), str)}),
    }
    monkeypatch.setattr(reading, "CATALOGUE", sources)
    monkeypatch.setattr(pinned, "fetch", offline)
    return own_folders


def offline(*_):
    raise DownloadError("the network is down")


@pytest.fixture
def mirror(house, monkeypatch):
    folder = house / "mirror"
    for one, text in ((POEM, TEXT), (LOCAL, "only in a mirror\n")):
        (folder / one.path).parent.mkdir(parents=True)
        (folder / one.path).write_bytes(text.encode())
    monkeypatch.setenv("LADDER_DATA_MIRROR", str(folder))
    return folder


@pytest.fixture
def tinyworld(monkeypatch):
    """A stand-in for the generator, which counts its calls."""
    calls = []

    def text(split, seed, characters):
        calls.append((split, seed, characters))
        return f"{split} {seed}. " * (characters // 20)

    fake = SimpleNamespace(text=text, version=lambda: "as it was")
    import shared

    monkeypatch.setitem(sys.modules, "shared.tinyworld", fake)
    monkeypatch.setattr(shared, "tinyworld", fake, raising=False)
    return calls


def test_from_the_mirror(mirror, capsys):
    corpus = load("poem")
    assert corpus.split("train") == TEXT.upper()
    assert corpus.split("validation") == TEXT.lower()
    assert (corpus.name, corpus.origin, corpus.licence) == ("poem", "mirror", "MIT")
    line = f"corpus: poem, {2 * len(TEXT):,} characters, from the mirror {mirror / 'poem' / 'input.txt'}\n"
    assert capsys.readouterr().err == line


def test_downloaded_once_then_from_the_cache(house, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(pinned, "fetch", lambda *what: asked.append(what) or TEXT.encode())
    first, second = load("poem"), load("poem")
    assert asked == [(POEM.url, POEM.size, POEM.sha256)]
    assert first.splits == second.splits
    assert (first.origin, second.origin) == ("download", "cache")
    cached = house / "data" / "corpora" / POEM.path
    lines = capsys.readouterr().err.splitlines()
    assert f"downloaded from {POEM.url}, kept in {cached.parent}, as no mirror is set" in lines[0]
    assert f"from the cache {cached}, as no mirror is set (LADDER_DATA_MIRROR)" in lines[1]


def test_the_mirror_comes_before_the_cache(mirror, house, monkeypatch):
    """Whoever sets a mirror wants what is there, whatever an earlier run has kept."""
    cached = pinned.data_folder() / "corpora" / POEM.path
    cached.parent.mkdir(parents=True)
    cached.write_text(TEXT)
    assert load("poem").origin == "mirror"
    monkeypatch.delenv("LADDER_DATA_MIRROR")
    assert load("poem").origin == "cache"


def test_a_mirror_need_not_have_everything(mirror, monkeypatch):
    (mirror / POEM.path).unlink()
    monkeypatch.setattr(pinned, "fetch", lambda *_: TEXT.encode())
    corpus = load("both")
    assert corpus.origin == "download"
    assert f"the mirror {mirror} does not have it" in corpus.note
    assert f"from the mirror {mirror / 'local'}" in corpus.note, "of several files, the folder is enough"


def test_only_the_files_of_the_splits_that_are_asked_for(mirror):
    (mirror / POEM.path).unlink()
    assert load("both", splits=["test"]).splits == {"test": "only in a mirror\n"}
    with pytest.raises(MissingCorpusError):
        load("both")


def test_a_broken_file_of_the_mirror_is_an_error_even_with_a_fallback(mirror):
    (mirror / POEM.path).write_text("something else")
    with pytest.raises(ChecksumError) as error:
        load("poem", fallback="tinyworld")
    message = str(error.value)
    for words in (
        str(mirror / POEM.path),
        POEM.sha256,
        hashlib.sha256(b"something else").hexdigest(),
        "delete it",
    ):
        assert words in message


def test_a_broken_file_of_the_cache_is_fetched_anew(house, monkeypatch):
    cached = house / "data" / "corpora" / POEM.path
    cached.parent.mkdir(parents=True)
    cached.write_text("half")
    with pytest.raises(
        MissingCorpusError, match=r"the cached file .*input.txt is broken, .*the network is down"
    ):
        load("poem")
    monkeypatch.setattr(pinned, "fetch", lambda *_: TEXT.encode())
    assert load("poem").origin == "download"
    assert cached.read_bytes() == TEXT.encode()


def test_what_cannot_be_had_says_why_and_what_to_do():
    with pytest.raises(MissingCorpusError) as error:
        load("poem")
    for words in (
        POEM.path,
        "no mirror is set",
        "not in the cache",
        "the network is down",
        "Set LADDER_DATA_MIRROR",
    ):
        assert words in str(error.value)
    with pytest.raises(MissingCorpusError, match=r"local/b.txt cannot be had: .* there is no download of it"):
        load("both", splits=["test"])


def test_a_folder_that_cannot_be_written_does_not_stop_the_work(house, monkeypatch):
    (house / "data").write_text("a file where the folder should be")
    monkeypatch.setattr(pinned, "fetch", lambda *_: TEXT.encode())
    corpus = load("poem")
    assert corpus.split("train") == TEXT.upper()
    assert "not kept (cannot write" in corpus.note


def test_a_mirror_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("LADDER_DATA_MIRROR", str(tmp_path / "gone"))
    with pytest.raises(MirrorError, match=r"LADDER_DATA_MIRROR is set to .*gone, which is no folder"):
        load("poem")


def test_unknown_names(mirror, capsys):
    with pytest.raises(UnknownCorpusError, match=r"there is poem, both, tinyworld. Did you mean 'poem'\?"):
        load("poems")
    with pytest.raises(UnknownCorpusError, match=r"tinyworld\.$"):
        load("xyz")
    with pytest.raises(UnknownSplitError, match="poem has no 'test' split; there is train, validation"):
        load("poem", splits=["test"])
    with pytest.raises(
        UnknownSplitError, match="tinyworld has no 'dev' split; there is train, validation, test"
    ):
        load("tinyworld", splits=["dev"])
    with pytest.raises(ValueError, match="fallback must be 'tinyworld' or None, not 'poem'"):
        load("poem", fallback="poem")
    with pytest.raises(ValueError, match="100,000 characters or more, not 10"):
        load("tinyworld", characters=10)
    assert capsys.readouterr().err == "", "nothing was begun"
    with pytest.raises(UnknownSplitError, match="poem has no 'test' split; there is train, validation"):
        load("poem").split("test")


def test_the_embedded_corpus_is_made_once(house, tinyworld, capsys):
    first = load("tinyworld", characters=200_000, seed=3)
    assert tinyworld == [("train", 3, 200_000), ("validation", 3, 10_000), ("test", 3, 10_000)]
    second = load("tinyworld", characters=200_000, seed=3)
    assert len(tinyworld) == 3
    assert first.splits == second.splits
    assert first.origin == second.origin == "embedded"
    lines = capsys.readouterr().err.splitlines()
    assert "generated, kept in" in lines[0]
    assert "from the cache" in lines[1]
    load("tinyworld", characters=200_000, seed=4, splits=["train"])
    assert tinyworld[3:] == [("train", 4, 200_000)]


def test_a_change_of_the_generator_makes_it_anew(house, tinyworld, monkeypatch):
    load("tinyworld", characters=100_000, splits=["train"])
    monkeypatch.setattr(sys.modules["shared.tinyworld"], "version", lambda: "changed")
    load("tinyworld", characters=100_000, splits=["train"])
    assert len(tinyworld) == 2


def test_a_long_generation_is_announced(tinyworld, capsys):
    load("tinyworld", splits=["train"], characters=1_000_000)
    assert capsys.readouterr().err.startswith("corpus: generating 1,000,000 characters of tinyworld\n")


def test_the_embedded_corpus_works_where_nothing_can_be_kept(house, tinyworld):
    (house / "data").write_text("a file where the folder should be")
    assert "generated, not kept (cannot write" in load("tinyworld", characters=100_000).note


def test_the_embedded_corpus_stands_in(tinyworld, capsys):
    corpus = load("poem", fallback="tinyworld")
    assert (corpus.name, corpus.origin) == ("tinyworld", "embedded")
    assert tinyworld[0] == ("train", 0, 100_000), "as long as the poem, but never too short to use"
    line = capsys.readouterr().err
    assert "corpus: tinyworld," in line
    assert "It stands in for poem: poem/input.txt cannot be had" in line


# ---- the real table


def test_every_real_file_is_pinned():
    files = {one for source in CATALOGUE.values() for paths, _ in source.splits.values() for one in paths}
    files = {one for one in files if one.path != "wikitext-103/train.txt"}  # of which no checksum is known
    assert {len(one.sha256) for one in files} == {64}
    assert len({one.path for one in files}) == len({one.sha256 for one in files}) == len(files)
    assert all(one.url.startswith("https://") for one in files if one.url)


def test_shakespeare_is_cut_at_nine_tenths():
    splits = CATALOGUE["shakespeare"].splits
    train, validation = (splits[name][1](TEXT) for name in ("train", "validation"))
    assert train + validation == TEXT
    assert len(train) == int(0.9 * len(TEXT))


def test_a_name_is_in_one_split_only():
    names = "".join(f"name{i}\n" for i in range(4000)) + "name7\n"
    parts = [make(names).split() for _, make in CATALOGUE["names"].splits.values()]
    assert sorted(name for part in parts for name in part) == sorted(names.split())
    assert not set(parts[0]) & set(parts[1])
    assert not (set(parts[0]) | set(parts[1])) & set(parts[2])
    assert [round(16 * len(part) / 4000) for part in parts] == [14, 1, 1]


def test_what_is_not_cut_is_whole():
    assert [make(TEXT) for _, make in CATALOGUE["wikitext2"].splits.values()] == [TEXT] * 3


def test_tinystories_keep_whole_stories():
    v2 = "A story.\n<|endoftext|>\nAnother.\n<|endoftext|>\nCut in the mid"
    assert (
        catalogue._tinystories(v2, "More.\n") == "A story.\n<|endoftext|>\nAnother.\n<|endoftext|>\nMore.\n"
    )


def test_loading_text_does_not_load_torch():
    code = "import sys, shared.corpora.reading; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ.copy(), check=False).returncode == 0


def test_a_file_that_is_no_corpus_comes_the_same_way(mirror, monkeypatch, capsys):
    assert reading.read_file(LOCAL) == b"only in a mirror\n"
    assert f"file: {LOCAL.path}, from the mirror" in capsys.readouterr().err
    monkeypatch.delenv("LADDER_DATA_MIRROR")
    with pytest.raises(MissingCorpusError, match="there is no download of it"):
        reading.read_file(LOCAL)
