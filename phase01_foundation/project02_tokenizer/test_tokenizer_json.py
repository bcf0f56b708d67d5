import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, models, pre_tokenizers
from tokenizers import Tokenizer as TheirTokenizer

from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.formats import FormatError
from phase01_foundation.project02_tokenizer.given.added import AddedTokens
from phase01_foundation.project02_tokenizer.given.byte_level import printed
from phase01_foundation.project02_tokenizer.given.training import train_tokenizer
from phase01_foundation.project02_tokenizer.pretokenize import GPT2, PATTERNS
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project02_tokenizer.tokenizer_json import from_json, load, save, to_json
from shared import tinyworld
from shared.testing import raises

END = "<|end|>"
MIXED = "I'LL say: naïve 中文 🙂 12345 x\n\n\t  y's\r\nNASA's HelloWorld ſ 'ſ ...!!//\n"

task = pytest.mark.task(11)


@pytest.fixture(scope="module")
def world():
    return tinyworld.text("train", 0, 100_000)[:40_000]


@pytest.fixture(scope="module")
def trained(world):
    """A tokenizer of every kind and pattern, by name."""
    by_pattern = {name: train_tokenizer([world], "bpe", 500, [END], name) for name in PATTERNS}
    return {
        **by_pattern,
        "char": train_tokenizer([world], "char", None, [END]),
        "word": train_tokenizer([world], "word", 300, [END]),
    }


NAMES = [*PATTERNS, "char", "word"]


def theirs(tokenizer):
    return TheirTokenizer.from_str(json.dumps(to_json(tokenizer)))


@task
@pytest.mark.parametrize("name", NAMES)
def test_the_tokenizers_library_gives_the_same_ids(trained, world, name):
    tokenizer, their = trained[name], theirs(trained[name])
    text = f"{world}{END}{world[:100]}" + ("" if name == "char" else f"{MIXED}{END}")
    ids = tokenizer.encode(text, allowed_special="all")
    assert their.encode(text).ids == ids
    assert their.get_vocab_size() == tokenizer.vocab_size
    assert their.decode(ids, skip_special_tokens=False) == tokenizer.decode(ids)


@task
@pytest.mark.parametrize("name", list(PATTERNS))
@given(text=st.text(MIXED))
def test_and_also_for_strange_texts(trained, name, text):
    assert theirs(trained[name]).encode(text).ids == trained[name].encode(text)


@task
def test_special_tokens_keep_their_ids_whatever_gaps_there_are(trained):
    tokenizer = Tokenizer(trained["gpt2"].model, {"<x>": 2000, "<y>": 1000})
    their = theirs(tokenizer)
    assert their.encode("<x>a<y>").ids == tokenizer.encode("<x>a<y>", allowed_special="all")


@task
@pytest.mark.parametrize("name", NAMES)
def test_special_tokens_are_special_in_the_library_too(trained, world, name):
    their, ids = theirs(trained[name]), trained[name].encode(f"{world[:100]}{END}", allowed_special="all")
    assert their.decode(ids, skip_special_tokens=True) == trained[name].decode(ids[:-1])
    assert their.get_added_tokens_decoder() == {ids[-1]: AddedToken(END, special=True, normalized=False)}


@task
@pytest.mark.parametrize("name", NAMES)
def test_added_tokens_are_written_too(trained, name):
    model = trained[name].model
    first = model.vocab_size
    added = AddedTokens({"  ": first, "the": first + 1, "a": first + 2}, {"the"})
    tokenizer = Tokenizer(model, {END: first + 3}, added)
    their = theirs(tokenizer)
    for text in ("the  cat", "other the", f"the{END}the", "cat   sat"):
        assert their.encode(text).ids == tokenizer.encode(text, allowed_special="all")
    assert {token.content: token.special for token in their.get_added_tokens_decoder().values()} == {
        "  ": False, "the": False, "a": False, END: True
    }  # fmt: skip


@task
def test_whole_pieces_are_kept(trained):
    model = trained["gpt2"].model
    tokens = {**model.tokens, model.vocab_size: b"qqqqqqq"}  # no merge makes it
    for whole in (True, False):
        tokenizer = Tokenizer(ByteBPE(tokens, model.merges, whole_pieces=whole))
        assert theirs(tokenizer).encode("qqqqqqq").ids == tokenizer.encode("qqqqqqq")
        assert (len(tokenizer.encode("qqqqqqq")) == 1) is whole


@task
@pytest.mark.parametrize("name", NAMES)
def test_what_is_saved_is_what_is_loaded(trained, tmp_path, world, name):
    path = tmp_path / "new folder" / "tokenizer.json"
    save(trained[name], path)
    loaded = load(path)
    assert to_json(loaded) == to_json(trained[name])
    text = world[:5000] + END
    assert loaded.encode(text, allowed_special="all") == trained[name].encode(text, allowed_special="all")
    assert TheirTokenizer.from_file(str(path)).get_vocab_size() == loaded.vocab_size


@task
@pytest.mark.parametrize("name", NAMES)
def test_whoever_changes_the_contents_changes_nothing_else(trained, name):
    before = json.dumps(to_json(trained[name]))

    def spoil(part):
        for inner in part.values() if isinstance(part, dict) else part:
            if isinstance(inner, dict | list):
                spoil(inner)
        part.clear()

    spoil(to_json(trained[name]))
    assert json.dumps(to_json(trained[name])) == before


@task
def test_a_model_of_another_kind_has_no_form():
    class Other:
        vocab_size = 1

        def encode(self, text):
            return []

        def decode(self, ids):
            return ""

    with raises(TypeError, "Other"):
        to_json(Tokenizer(Other()))


# ---- files that others have written

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


def as_theirs(tokenizer, pattern=None):
    """The contents of the file that the `tokenizers` library itself writes for one of ours."""
    model = tokenizer.model
    if isinstance(model, ByteBPE):
        named = {id: printed(token) for id, token in model.tokens.items()}
        merges = [(named[left], named[right]) for left, right in model.merges]
        their = TheirTokenizer(models.BPE({token: id for id, token in named.items()}, merges))
        split = pre_tokenizers.Split(Regex(pattern or PATTERNS[model.pattern]), "isolated")
        to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        their.pre_tokenizer = pre_tokenizers.Sequence([split, to_bytes])
    elif isinstance(model, CharTokenizer):
        their = TheirTokenizer(models.BPE(model.id_of, []))
    else:
        their = TheirTokenizer(models.WordLevel(model.id_of, "<unk>"))
        their.pre_tokenizer = pre_tokenizers.Split(Regex(GPT2), "isolated")
    their.add_special_tokens([AddedToken(name, normalized=False) for name in tokenizer.special_tokens])
    return json.loads(their.to_str())


@pytest.fixture
def file(trained, tmp_path):
    """Writes the library's tokenizer.json of one of ours, changed; returns its path."""

    def write(change=lambda content: None, name="gpt2", pattern=None):
        content = as_theirs(trained[name], pattern)
        change(content)
        path = tmp_path / "tokenizer.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("name", ["gpt2", "o200k", "llama3", "char", "word"])
def test_what_the_library_writes_is_read(file, trained, world, name):
    loaded = load(file(name=name))
    assert type(loaded.model) is type(trained[name].model)
    assert loaded.special_tokens == trained[name].special_tokens
    assert loaded.model.encode(world) == trained[name].model.encode(world)


def test_gpt2s_own_form_is_read(file, trained):
    def change(content):
        content["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
        content["model"] = {"merges": content["model"]["merges"], "vocab": content["model"]["vocab"]}
        content["model"]["merges"] = [" ".join(merge) for merge in content["model"]["merges"]]

    loaded = load(file(change))
    assert loaded.model.merges == trained["gpt2"].model.merges
    assert loaded.model.pattern == "gpt2"
    assert load(file(change), native=False).encode(MIXED) == loaded.encode(MIXED)


def test_llama_3s_form_is_read(file):
    def change(content):
        content["model"]["ignore_merges"] = True
        content["post_processor"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False}

    path = file(change, pattern=LLAMA3)
    loaded = load(path)
    assert loaded.model.pattern == "llama3"
    assert loaded.model.whole_pieces
    assert loaded.encode(MIXED + "\n  ") == TheirTokenizer.from_file(str(path)).encode(MIXED + "\n  ").ids


@pytest.fixture(scope="module")
def plain(trained):
    return as_theirs(Tokenizer(trained["gpt2"].model))


def texts_of(marks):
    others = [" ", "x", "_", "\u0301", "\u200d", "the cat", "!", "5", "<|", "🙂"]
    return st.lists(st.sampled_from([*marks, *others])).map("".join)


def check_as_the_library_finds(plain, added, text):
    their = TheirTokenizer.from_str(json.dumps(plain))
    for token in added:
        (their.add_special_tokens if token.special else their.add_tokens)([token])
    ours = from_json(json.loads(their.to_str()))
    ids = ours.encode(text, allowed_special="all")
    assert ids == their.encode(text).ids
    assert ours.decode(ids) == text
    assert from_json(to_json(ours)).encode(text, allowed_special="all") == ids


MARKS = ["  ", "   ", "the", "cat", "<|", "éé", "a b", "<tool>", END]


@given(
    st.dictionaries(st.sampled_from(MARKS), st.sampled_from(["special", "anywhere", "word"])), texts_of(MARKS)
)
def test_added_tokens_are_found_as_the_library_finds_them(plain, kinds, text):
    added = [
        AddedToken(name, special=kind == "special", single_word=kind == "word", normalized=kind != "special")
        for name, kind in kinds.items()
    ]
    check_as_the_library_finds(plain, added, text)


APART = ["  ", "<tool>", "[x]", "#"]  # no two of them can overlap


@given(st.dictionaries(st.sampled_from(APART), st.tuples(st.booleans(), st.booleans())), texts_of(APART))
def test_tokens_that_cannot_overlap_may_be_looked_for_in_any_order(plain, flags, text):
    added = [
        AddedToken(name, special=special, normalized=normalized)
        for name, (special, normalized) in flags.items()
    ]
    check_as_the_library_finds(plain, added, text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (AddedToken("<x>", special=True, normalized=False), AddedToken("a<x>", normalized=False)),
        (AddedToken("<x>", special=True, normalized=False), AddedToken("y<", normalized=False)),
        (AddedToken("<x>", special=True, normalized=True), AddedToken("x>y", normalized=True)),
        (AddedToken("ab", normalized=False), AddedToken("bc", normalized=True)),
        (AddedToken("ab", normalized=False), AddedToken("cc", normalized=True, single_word=True)),
    ],
)
def test_an_order_that_matters_and_is_not_ours_is_refused(plain, one, other):
    their = TheirTokenizer.from_str(json.dumps(plain))
    for token in (one, other):
        (their.add_special_tokens if token.special else their.add_tokens)([token])
    with pytest.raises(ValueError, match=f"{one.content!r} and {other.content!r} can overlap"):
        from_json(json.loads(their.to_str()))


def test_runs_of_spaces_as_codegen_adds_them_are_read(plain):
    their = TheirTokenizer.from_str(json.dumps(plain))
    their.add_special_tokens([END])
    their.add_tokens([AddedToken(" " * n, normalized=True) for n in range(2, 9)])
    ours = from_json(json.loads(their.to_str()))
    text = "def f():\n    if x:\n        return  1\n" + " " * 11
    assert ours.encode(text) == their.encode(text).ids
    assert list(ours.special_tokens) == [END]
    assert ours.vocab_size == their.get_vocab_size()


def test_a_token_of_the_model_may_be_added_too(plain):
    their = TheirTokenizer.from_str(json.dumps(plain))
    their.add_tokens(["the"])
    ours = from_json(json.loads(their.to_str()))
    for text in ("the", "then other the"):
        assert ours.encode(text) == their.encode(text).ids


def set_in(*keys, to):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = to

    return change


SPLIT = ("pre_tokenizer", "pretokenizers", 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            set_in("normalizer", to={"type": "NFC"}),
            "it changes texts by the normalizer NFC; there are none here",
        ),
        (set_in("model", "type", to="Unigram"), "its model is Unigram; here there are BPE and WordLevel"),
        (
            set_in("model", "byte_fallback", to=True),
            "its model has byte_fallback True, which is not supported",
        ),
        (set_in("model", "unk_token", to="<u>"), "its model has unk_token '<u>', which is not supported"),
        (set_in("model", "merges", 0, to="a b c"), "merge 0, 'a b c', is no pair of tokens"),
        (set_in("model", "merges", 3, to=["a", "nothing"]), r"merge 3, \['a', 'nothing'\], is no pair"),
        (set_in("model", "vocab", "a b", to=999), "'a b' is no byte-level token: ' ' stands for no byte"),
        (set_in(*SPLIT, "pattern", to={"Regex": r"\w+"}), r"its pattern is none of gpt2, .*: \\w\+"),
        (set_in(*SPLIT, "behavior", to="Removed"), "its pre-tokenizer is no plain Split"),
        (set_in("pre_tokenizer", to=None), "it merges without a pre-tokenizer"),
        (
            set_in("pre_tokenizer", to={"type": "Whitespace"}),
            r"its pre-tokenizer \(Whitespace\) is not a Split and",
        ),
        (set_in("pre_tokenizer", "pretokenizers", 1, "use_regex", to=True), "cuts twice, or not at all"),
        (set_in("pre_tokenizer", "pretokenizers", 1, "add_prefix_space", to=True), "that adds no space"),
        (set_in("added_tokens", 0, "lstrip", to=True), r"the added token '<\|end\|>' takes spaces away"),
        (set_in("added_tokens", 0, "single_word", to=True), r"'<\|end\|>' must be a word of its own"),
        (
            set_in("truncation", to={"max_length": 8}),
            "it has a truncation, which is not supported: .*max_length.*8",
        ),
        (set_in("padding", to={"pad_id": 0}), "it has a padding, which is not supported: .*pad_id"),
        (
            lambda content: content["added_tokens"].append(
                content["added_tokens"][0] | {"content": "|>|", "special": False, "id": 999}
            ),
            r"'<\|end\|>' and '\|>\|' can overlap",
        ),
        (set_in("model", "vocab", "a", to=64.0), "the id of 'a' is 64.0, which is no whole number"),
        (
            set_in("added_tokens", 0, "id", to="499"),
            r"the id of '<\|end\|>' is '499', which is no whole number",
        ),
        (
            set_in("model", "vocab", "zzz", to=2**40),
            "ids must be from 0 to 2147483647, not 0 to 1099511627776",
        ),
        (set_in("added_tokens", 0, "id", to=2**31), r"'<\|end\|>' cannot have the id 2147483648"),
        (set_in("added_tokens", to=7), "is no tokenizer.json: TypeError"),
        (lambda content: content.pop("model"), "is no tokenizer.json: KeyError 'model'"),
    ],
)
def test_what_there_is_not_here_is_named(file, change, message):
    with pytest.raises(FormatError, match=message):
        load(file(change))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("word", set_in("model", "unk_token", to="[UNK]"), "what it does not know is not <unk>"),
        ("word", set_in("model", "vocab", "new", to=7777), "do not go from 0 up without a gap"),
        ("char", set_in("model", "vocab", "ab", to=500), "it merges without a pre-tokenizer"),
    ],
)
def test_words_and_characters_are_checked_too(file, name, change, message):
    with pytest.raises(FormatError, match=message):
        load(file(change, name))


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "bad.json").write_text('{"model": ')
    with pytest.raises(FormatError, match=r"bad.json is no JSON: Expecting value: line 1 column 11"):
        load(tmp_path / "bad.json")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing.json")
