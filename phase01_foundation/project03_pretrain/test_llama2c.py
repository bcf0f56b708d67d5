import os
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phase01_foundation.project01_minimal_gpt.rotary import rotary_angles, rotate
from phase01_foundation.project03_pretrain.llama2c import (
    BOS,
    Llama2cTokenizer,
    load,
    load_tokenizer,
    pairs_to_halves,
)
from phase01_foundation.project03_pretrain.model import torch_attention
from shared.checkpoint import CheckpointError

BYTES = [b"<0x%02X>" % byte for byte in range(256)]
PIECES = [
    b"<unk>",
    b"\n<s>\n",
    b"\n</s>\n",
    *BYTES,
    b" ",
    b"a",
    b"b",
    b"ab",
    b" a",
    b" ab",
    "é".encode(),
    b"ba",
]
SCORES = [0.0] * 259 + [-1.0, -2.0, -3.0, -10.0, -20.0, -30.0, -40.0, -5.0]
TOKENIZER = Llama2cTokenizer(PIECES, SCORES)


def write_model(path, header=(8, 6, 2, 2, 1, -5, 4), values=None):
    """A checkpoint with random numbers, or with these; the tensors of each layer one after the other."""
    dim, hidden, layers, heads, kv_heads, vocab, context = header
    kv = kv_heads * dim // heads
    block = 2 * dim + 2 * dim * dim + 2 * kv * dim + 3 * dim * hidden
    count = abs(vocab) * dim * (2 if vocab < 0 else 1) + layers * block + dim + context * dim // heads
    numbers = torch.randn(count, generator=torch.Generator().manual_seed(0)) if values is None else values
    path.write_bytes(struct.pack("<7i", *header) + numbers.numpy().tobytes())
    return numbers


def write_tokenizer(path, pieces=PIECES):
    entries = [struct.pack("<fi", score, len(p)) + p for p, score in zip(pieces, SCORES, strict=False)]
    path.write_bytes(struct.pack("<i", 6) + b"".join(entries))


def test_stories260k_tells_the_story_its_card_gives():
    mirror = os.environ.get("LADDER_DATA_MIRROR")
    folder = Path(mirror or "LADDER_DATA_MIRROR") / "models" / "stories260K"
    if not mirror or not (folder / "stories260K.bin").is_file():
        pytest.skip(f"there is no {folder / 'stories260K.bin'}")
    model, tokenizer = load(folder / "stories260K.bin"), load_tokenizer(folder / "tok512.bin")
    tokens = [BOS]
    with torch.inference_mode():
        for _ in range(256):
            tokens.append(int(model(torch.tensor([tokens]), attend=torch_attention)[0, -1].argmax()))
    expected = (folder / "expected_greedy.txt").read_text(encoding="utf-8")
    text = tokenizer.decode(tokens)
    assert text.strip() == expected.strip()
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.task(4)
def test_the_numbers_go_where_the_format_says(tmp_path):
    numbers = write_model(tmp_path / "model.bin")
    model = load(tmp_path / "model.bin")
    assert model.config.vocab_size == 5
    assert not model.config.tied_embeddings
    assert (model.config.rope_base, model.config.norm_eps) == (10_000.0, 1e-5), "the file does not say them"
    weights = model.state_dict()
    assert torch.equal(weights["embedding.weight"].flatten(), numbers[:40])
    assert torch.equal(weights["blocks.1.attention_norm.weight"], numbers[48:56])
    assert torch.equal(weights["blocks.1.attention.q.weight"][0], numbers[120:128])
    assert torch.equal(weights["blocks.1.attention.q.weight"][1], numbers[136:144]), "rows 0, 2 | 1, 3"
    assert torch.equal(weights["blocks.0.feed_forward.down.weight"].flatten(), numbers[552:600])
    assert torch.equal(weights["blocks.0.feed_forward.up.weight"].flatten(), numbers[648:696])
    assert torch.equal(weights["head.weight"].flatten(), numbers[-40:])
    assert torch.equal(weights["norm.weight"], numbers[-40 - 16 - 8 : -40 - 16])


def test_a_positive_vocabulary_ties_the_head(tmp_path):
    write_model(tmp_path / "model.bin", (8, 6, 2, 2, 1, 5, 4))
    model = load(tmp_path / "model.bin")
    assert model.head.weight is model.embedding.weight


@pytest.mark.task(4)
def test_reordered_pairs_turn_as_they_did():
    """Complex numbers from adjacent pairs, turned, give the products that rotate gives from halves."""
    q, k, x = torch.randn(3, 12, 12, dtype=torch.float64).unbind()  # two heads of 6, 12 positions
    angles = rotary_angles(torch.arange(12), 6).double()

    def adjacent(weight):
        pairs = torch.view_as_complex((x @ weight.T).view(12, 2, 3, 2).transpose(0, 1).contiguous())
        return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(2)

    def halves(weight):
        return rotate((x @ pairs_to_halves(weight, 6).T).view(12, 2, 6).transpose(0, 1)[None], angles)[0]

    expected = adjacent(q) @ adjacent(k).transpose(-2, -1)
    torch.testing.assert_close(halves(q) @ halves(k).transpose(-2, -1), expected)


@given(st.text("ab é€\n", max_size=12))
def test_decoding_undoes_encoding(text):
    tokens = TOKENIZER.encode(text)
    assert tokens[0] == BOS
    assert TOKENIZER.decode(tokens) == text


def test_the_best_score_is_merged_first():
    # " aba": "ba" (-5) before "ab" (-10) and " a" (-20); then " a", as there is no "aba".
    assert [PIECES[token] for token in TOKENIZER.encode("aba")[1:]] == [b" a", b"ba"]
    assert [PIECES[token] for token in TOKENIZER.encode("ab")[1:]] == [b" ab"]
    assert TOKENIZER.encode("€")[1:] == [259, *(3 + byte for byte in "€".encode())]
    assert TOKENIZER.encode("") == [BOS]


def test_of_equal_scores_the_first_pair_is_merged():
    """As in llama2.c, where a later pair must have a higher score to be taken."""
    equal = Llama2cTokenizer(PIECES, [0.0] * len(PIECES))
    assert [PIECES[token] for token in equal.encode("aba")[1:]] == [b" ab", b"a"]


@given(st.text("ab ", max_size=30), st.lists(st.sampled_from([-1.0, -2.0, 0.5]), min_size=8, max_size=8))
def test_the_heap_merges_as_llama2c_does(text, scores):
    tokenizer = Llama2cTokenizer(PIECES, [0.0] * 259 + scores)
    tokens = [tokenizer.ids[letter.encode()] for letter in (f" {text}" if text else "")]
    while True:  # its own way: through all pairs, and the first of the best
        best = None
        for i in range(len(tokens) - 1):
            token = tokenizer.ids.get(PIECES[tokens[i]] + PIECES[tokens[i + 1]])
            if token is not None and (best is None or tokenizer.scores[token] > best[0]):
                best = tokenizer.scores[token], i, token
        if best is None:
            break
        tokens[best[1] : best[1] + 2] = [best[2]]
    assert tokenizer.encode(text) == [BOS, *tokens]


def test_a_long_text_looks_at_each_pair_a_few_times(monkeypatch):
    asked, find = [], Llama2cTokenizer._merged
    monkeypatch.setattr(Llama2cTokenizer, "_merged", lambda *a: asked.append(a) or find(*a))
    assert TOKENIZER.decode(TOKENIZER.encode("ab" * 10_000)) == "ab" * 10_000
    assert len(asked) <= 3 * 20_001


@pytest.mark.parametrize("id", [-1, len(PIECES), 2**40])
def test_an_id_without_a_piece_is_refused(id):
    with pytest.raises(ValueError, match=f"no piece with the id {id}; ids go from 0 to {len(PIECES) - 1}"):
        TOKENIZER.decode([260, id])


def test_half_a_character_is_shown_as_unknown():
    assert TOKENIZER.decode([260, 3 + 0xE2]) == "a\ufffd"


def test_a_tokenizer_file_is_read(tmp_path):
    write_tokenizer(tmp_path / "tok.bin")
    tokenizer = load_tokenizer(tmp_path / "tok.bin")
    assert (tokenizer.pieces, tokenizer.scores) == (PIECES, SCORES)


@pytest.mark.parametrize(
    ("header", "cut", "message"),
    [
        ((8, 6, 2, 2, 1, 5, 4), 1, "its header says"),
        ((8, 6, 2, 2, 1, 5, 4), None, "it has 10 bytes"),
        ((8, 6, 2, 3, 1, 5, 4), 0, "no llama2.c checkpoint: dim must be a multiple of heads"),
        ((8, 6, 2, 2, 1, 0, 4), 0, "no llama2.c checkpoint: vocab_size must be at least 1"),
    ],
)
def test_a_broken_model_file_is_refused(tmp_path, header, cut, message):
    path = tmp_path / "model.bin"
    write_model(path, header, torch.zeros(700))
    path.write_bytes(path.read_bytes()[: 10 if cut is None else -cut or None])
    with pytest.raises(CheckpointError, match=message):
        load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\0\0\0" + b"\0" * 5, "cut short after 0 tokens"),
        (b"\0\0\0\0" + struct.pack("<fi", 0.0, 3) + b"ab", "cut short after 0 tokens, or no"),
        (b"\0\0\0\0" + struct.pack("<fi", 0.0, 2) + b"ab", "the 256 bytes are not its ids"),
    ],
)
def test_a_broken_tokenizer_file_is_refused(tmp_path, content, message):
    (tmp_path / "tok.bin").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_tokenizer(tmp_path / "tok.bin")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"there is no file .*none\.bin"):
        load(tmp_path / "none.bin")
