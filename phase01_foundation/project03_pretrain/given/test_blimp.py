import io
import json
import os
import zipfile
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain.given import blimp as module
from phase01_foundation.project03_pretrain.given.blimp import Paradigm, blimp, load_blimp, parse
from phase01_foundation.project03_pretrain.given.example import example
from phase01_foundation.project03_pretrain.scoring import LogLikelihood, log_likelihoods

TOKENIZER = Tokenizer(CharTokenizer("abcdefghij"), {"<|endoftext|>": 10})
MIRROR = Path(os.environ.get("LADDER_DATA_MIRROR") or "none")


@pytest.fixture(scope="module")
def model():
    return example(dtype=torch.float64)[0]


def row(good, bad, name="one", term="binding"):
    return json.dumps(
        {"sentence_good": good, "sentence_bad": bad, "UID": name, "linguistics_term": term, "field": "syntax"}
    )


def packed(files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def test_parsing():
    content = packed(
        {
            "data/": "",
            "data/z.jsonl": row("a.", "b.", "z", "s-selection")
            + "\n"
            + row("c.", "d.", "z", "s-selection")
            + "\n",
            "data/a.jsonl": row("é.", "f."),
            "__MACOSX/data/a.jsonl": "\x00",
            "README.md": "read me",
        }
    )
    assert parse(content) == [
        Paradigm("one", "binding", [("é.", "f.")]),
        Paradigm("z", "argument_structure", [("a.", "b."), ("c.", "d.")]),
    ]
    with pytest.raises(ValueError, match=r"no \.jsonl file"):
        parse(packed({"README.md": ""}))


def test_a_line_of_json_ends_at_a_new_line_alone():
    line = row("a.", "b.").replace("a.", "a\u2028c\x85.")  # both may stand in JSON as they are
    assert parse(packed({"a.jsonl": f"{line}\n{line}\n"}))[0].pairs == [("a\u2028c\x85.", "b.")] * 2


def test_a_pair_is_right_when_the_good_sentence_is_likelier(model):
    sentences = ["abc", "jji", "dab", "fgh", "ab", "ba"]
    totals = {text: log_likelihoods(model, [([10], TOKENIZER.encode(text))])[0].total for text in sentences}
    best_first = sorted(sentences, key=lambda text: -totals[text])
    pairs = list(pairwise(best_first))
    turned = [(bad, good) for good, bad in pairs]
    found = blimp(
        model,
        TOKENIZER,
        [
            Paradigm("right", "x", pairs),
            Paradigm("wrong", "x", turned),
            Paradigm("some", "y", [*pairs, *turned, *turned]),
        ],
        batch_size=4,
    )
    assert found.by_paradigm == {"right": (5, 5), "wrong": (0, 5), "some": (5, 15)}
    assert found.by_term == {"x": 0.5, "y": pytest.approx(1 / 3)}
    assert found.accuracy == pytest.approx((1 + 0 + 1 / 3) / 3)


def test_equally_likely_sentences_are_not_told_apart(model, monkeypatch):
    monkeypatch.setattr(
        module, "log_likelihoods", lambda model, texts, *more: [LogLikelihood(-2.0, False)] * len(texts)
    )
    assert blimp(model, TOKENIZER, [Paradigm("one", "x", [("ab", "ba")])]).by_paradigm == {"one": (0, 1)}


def test_the_first_pairs_of_each(model):
    paradigms = [Paradigm("one", "x", [("ab", "ba")] * 5), Paradigm("two", "x", [("ab", "ba")] * 2)]
    found = blimp(model, TOKENIZER, paradigms, per_paradigm=3)
    assert [asked for _, asked in found.by_paradigm.values()] == [3, 2]
    with pytest.raises(ValueError, match="per_paradigm must be at least 1, or None for all pairs, not 0"):
        blimp(model, TOKENIZER, paradigms, per_paradigm=0)


def test_without_paradigms_the_file_is_read(model, monkeypatch):
    monkeypatch.setattr(module, "read_file", lambda file: packed({"a.jsonl": row("ab", "ba")}))
    assert list(blimp(model, TOKENIZER).by_paradigm) == ["one"]


@pytest.mark.skipif(not (MIRROR / module.ZIP.path).is_file(), reason="needs BLiMP.zip in LADDER_DATA_MIRROR")
def test_the_whole_of_it():
    paradigms = load_blimp()
    assert len(paradigms) == 67
    assert {len(one.pairs) for one in paradigms} == {1000}
    assert len({one.term for one in paradigms}) == 12
    assert sum(one.term == "argument_structure" for one in paradigms) == 9  # as in the paper
    (one,) = (one for one in paradigms if one.name == "determiner_noun_agreement_2")
    assert one.pairs[0] == ("Some dog stunned this committee.", "Some dog stunned these committee.")
