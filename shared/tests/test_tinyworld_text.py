"""The text of tinyworld: grammar, splits, determinism, and the rules of the world."""

import hashlib
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import tinyworld
from shared.tinyworld import people
from shared.tinyworld.stories import SCHEMAS

# A change here changes every trained model and every measurement: bump them knowingly.
GOLDEN = {
    "train": "89667bada1383a3836e22b4bd12db7541edda5eac8867e4da36188c2b24d3296",
    "validation": "b24a74a7554f75a9693bbe06cc3d20ccf4592a1af4fc49abd9a55af187efdb85",
    "test": "4378211a1e3d06a631ac5c500ec2f155748c027ca7799e8b632bad871159fde5",
}


A_AN = r"\b[Aa] (?!use|uni|one)[aeiou]|\b[Aa]n (?!hour|honest)[^aeiouAEIOU]"


@pytest.fixture(scope="module")
def sample() -> list[tinyworld.Document]:
    return list(islice(tinyworld.documents(seed=11), 1800))


@pytest.fixture(scope="module")
def stories(sample: list[tinyworld.Document]) -> list[tinyworld.Document]:
    return [one for one in sample if one.kind == "story"]


def contexts(pattern: str, text: str) -> list[str]:
    return [text[max(0, m.start() - 40) : m.end() + 40] for m in re.finditer(pattern, text, re.MULTILINE)]


@pytest.mark.parametrize("split", tinyworld.SPLITS)
def test_the_bytes_are_the_same_everywhere(split: str) -> None:
    made = tinyworld.text(split, seed=0, characters=200_000)
    assert hashlib.sha256(made.encode()).hexdigest() == GOLDEN[split]


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_bytes_do_not_depend_on_the_hash_seed(hash_seed: str) -> None:
    code = (
        "import hashlib, sys; from shared.tinyworld import *; from itertools import islice;"
        "s = text('test', 3, 20000) + ''.join(map(repr, islice(instructions('test', 3), 100)))"
        "+ ''.join(map(repr, islice(preferences('test', 3), 100)));"
        "print(hashlib.sha256(s.encode()).hexdigest(), 'torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         env={"PYTHONHASHSEED": hash_seed}, cwd=Path(tinyworld.__file__).parents[2]).stdout  # fmt: skip
    here = tinyworld.text("test", 3, 20000)
    here += "".join(map(repr, islice(tinyworld.instructions("test", 3), 100)))
    here += "".join(map(repr, islice(tinyworld.preferences("test", 3), 100)))
    assert out.split() == [hashlib.sha256(here.encode()).hexdigest(), "False"]


def test_a_document_does_not_depend_on_those_before_it() -> None:
    stream = list(islice(tinyworld.documents("validation", 4), 12))
    assert tinyworld.document(9, "validation", 4) == stream[9]
    assert tinyworld.document(9, "validation", 5) != stream[9]


@given(st.integers(0, 3000), st.integers(0, 3000))
@settings(max_examples=20, deadline=None)
def test_a_smaller_text_is_a_prefix_cut_at_a_document(small: int, more: int) -> None:
    short, long = tinyworld.text(characters=small), tinyworld.text(characters=small + more)
    assert long.startswith(short)
    assert len(short) <= small
    parts = [one.text for one in islice(tinyworld.documents(), 30)]
    count = len(short.split("\n\n")) if short else 0
    assert short == "\n\n".join(parts[:count])
    assert len("\n\n".join(parts[: count + 1])) > small  # one more would be too many


def test_no_document_is_in_two_splits() -> None:
    found: dict[str, str] = {}
    for split in tinyworld.SPLITS:
        for seed in (0, 1, 2):
            for one in islice(tinyworld.documents(split, seed), 60):
                assert found.setdefault(one.text, split) == split
                if one.kind == "story":
                    assert tinyworld.split_of(one.text) == split
    assert len(found) == 9 * 60


def test_no_prompt_is_in_two_splits() -> None:
    for split in tinyworld.SPLITS:
        for seed in (0, 7):
            for one in islice(tinyworld.instructions(split, seed), 40):
                assert tinyworld.split_of(one.prompt) == split
            for pair in islice(tinyworld.preferences(split, seed), 40):
                assert tinyworld.split_of(pair.prompt) == split
            for talk in islice(tinyworld.dialogues(split, seed), 40):
                assert tinyworld.split_of(talk.text) == split
    prompts = {
        line.removeprefix("Question: ")
        for one in islice(tinyworld.documents("train", 0, kinds=["items"]), 250)
        for line in one.text.split("\n")
        if line.startswith("Question: ")
    }
    tested = {i.prompt for group in tinyworld.evaluation("test", 30).values() for i in group}
    assert len(prompts) > 700
    assert not prompts & tested


def test_documents_are_distinct_short_and_varied(sample: list[tinyworld.Document]) -> None:
    assert len({one.text for one in sample}) == len(sample)
    lengths = sorted(len(one.text.split()) for one in sample)
    assert lengths[-1] <= 430
    assert 60 <= lengths[len(lengths) // 2] <= 220
    assert {name for one in sample for name in one.schemas} == {schema.name for schema in SCHEMAS}
    assert len(SCHEMAS) >= 60
    assert len({schema.name for schema in SCHEMAS}) == len(SCHEMAS)


def test_the_mixture_has_the_stated_shares(sample: list[tinyworld.Document]) -> None:
    sizes = dict.fromkeys(tinyworld.KINDS, 0)
    for one in sample:
        sizes[one.kind] += len(one.text)
    stated = {"story": 0.70, "dialogue": 0.10, "facts": 0.08, "items": 0.08, "sums": 0.04}
    for kind, share in stated.items():
        assert sizes[kind] / sum(sizes.values()) == pytest.approx(share, abs=0.03)


def test_only_the_stated_characters_occur(sample: list[tinyworld.Document]) -> None:
    assert set("\n".join(one.text for one in sample)) <= set(tinyworld.ALPHABET)


def test_the_grammar_of_stories(stories: list[tinyworld.Document]) -> None:
    whole = "\n".join(one.text for one in stories)
    faults = {
        "two spaces, or one at the end of a line": r"  | $|^ ",
        "marks of a template": r"[{}\[\]|<>_]",
        "a space before, or two marks of punctuation": r" [.,!?;:]|[.,!?;:][.,!?;:]",
        "a sentence that begins small": r"[.!?] [a-z]|^[a-z]|(?:^| )\"[a-z]",
        "a before a vowel, an before a consonant": A_AN,
        "she for her": r"\b(?:to|with|for|of|at|gave|saw|told|helped|held|behind|from|beside) (?:he|she|they)\b",
        "they was": r"\b(?:[Tt]hey|these|those) (?:was|is|has)\b|\b(?:[Hh]e|[Ss]he|[Ii]t) (?:were|are)\b",
        "said she": r"\" (?:said|asked|called|cried|whispered) (?:he|she|they)\b",
        "a question without its mark": r"\"(?:What|Who|Where|How|Why|When|Which)\b[^\"?!.]*,\"",
        "a full stop where the sentence goes on": r"\.\" (?:he|she|said|asked|[A-Z][a-z]+ (?:said|asked))\b",
        "a word twice": r"\b([a-z]+) \1\b",
        "a paragraph without its end": r"[^.!?\"]$",
    }
    found = {name: contexts(pattern, whole)[:3] for name, pattern in faults.items()}
    assert {name: hits for name, hits in found.items() if hits} == {}
    for paragraph in whole.split("\n"):
        assert paragraph.count('"') % 2 == 0, paragraph


def test_the_grammar_of_the_other_kinds(sample: list[tinyworld.Document]) -> None:
    for one in sample:
        if one.kind in ("facts", "dialogue", "sums"):
            assert not contexts(r"  | $|^ | [.,!?]|[.,!?][.,!?]|^[a-z]|[.!?] [a-z]", one.text), one.text
            assert not contexts(
                r"\b[Aa] (?!use|uni|one)[aeiou]|\b[Aa]n (?!hour|honest)[^aeiouAEIOU]", one.text
            ), one.text
            assert all(line.endswith((".", "!", "?")) for line in one.text.split("\n")), one.text


def test_a_pronoun_is_never_the_first_to_name_somebody(stories: list[tinyworld.Document]) -> None:
    """Outside speech, "he" and "she" need somebody of that gender in the text before them."""
    genders = {name: person.pronoun for name, person in people.EVERYONE.items()}
    for one in stories:
        seen = set()
        for word in re.findall(r"[A-Za-z]+", re.sub(r'"[^"\n]*"', "", one.text)):
            if word.lower() in ("he", "she"):
                assert word.lower() in seen or "hen, and she" in one.text or "snowman" in one.text, one.text
            seen.add(genders.get(word, ""))


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="no split 'dev'; choose one of train, validation, test"):
        tinyworld.documents("dev")
    with pytest.raises(ValueError, match="no kind of document 'poem'; choose from story"):
        tinyworld.documents(kinds=["poem"])
    with pytest.raises(ValueError, match="no kind of document is named"):
        tinyworld.documents(kinds=[])
    with pytest.raises(ValueError, match="must not be negative"):
        tinyworld.text(characters=-1)
    with pytest.raises(ValueError, match="no split"):
        tinyworld.dialogues("dev")
