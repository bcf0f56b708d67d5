"""The exercises of shared.tuning.tinyworld: their wordings, splits, steps and answers, worked out again."""

import hashlib
import re
from collections import Counter
from difflib import SequenceMatcher
from itertools import islice
from string import Formatter

import pytest

from shared import tinyworld
from shared.tinyworld.documents import ALPHABET
from shared.tinyworld.rng import Rng
from shared.tuning import tinyworld as tuning

KINDS = [(skill, kind) for skill, kinds in tuning.KINDS.items() for kind in kinds]
NAMES = [f"{skill}-{kind.name}" for skill, kind in KINDS]


def some(count: int, *skills: str, split: str = "train", phrasings: str = "train") -> list[tuning.Exercise]:
    return list(islice(tuning.exercises(split, 3, skills or None, phrasings), count))


# Wordings.


def words_of(line: str) -> list[str]:
    return re.findall(r"[\w{}]+", line.lower())


@pytest.mark.parametrize(("skill", "kind"), KINDS, ids=NAMES)
def test_there_are_many_wordings_of_each_kind_and_none_twice(skill, kind):
    train, held_out, foreign = (kind.wordings[name] for name in tuning.PHRASINGS)
    assert len(train) >= 40
    assert len(held_out) >= 5
    assert len(foreign) >= 4
    plain = [" ".join(words_of(line)) for line in (*train, *held_out, *foreign)]
    assert len(plain) == len(set(plain)), [line for line, count in Counter(plain).items() if count > 1]


@pytest.mark.parametrize(("skill", "kind"), KINDS, ids=NAMES)
def test_no_wording_of_training_is_nearly_one_of_the_others(skill, kind):
    train, *others = (kind.wordings[name] for name in tuning.PHRASINGS)
    for other in (line for lines in others for line in lines):
        near = SequenceMatcher(None, [], words_of(other))
        for line in train:
            near.set_seq1(words_of(line))
            assert near.ratio() < 0.82, (line, other)


@pytest.mark.parametrize(("skill", "kind"), KINDS, ids=NAMES)
def test_each_wording_says_all_that_the_answer_needs(skill, kind):
    made = kind.make(Rng("wording", skill, kind.name), "train")
    while not made.fills:
        made = kind.make(Rng("wording", skill, kind.name, made.key), "train")
    marks = [
        {mark for _, mark, _, _ in Formatter().parse(line) if mark}
        for lines in kind.wordings.values() for line in lines
    ]  # fmt: skip
    for line, used in zip((line for lines in kind.wordings.values() for line in lines), marks, strict=True):
        assert used, line
        prompt = line.format(**made.fills)
        assert "{" not in prompt
        assert set(prompt) <= set(ALPHABET), set(prompt) - set(ALPHABET)
    # Marks that mean the same (a phrase and the same with a capital) count as one.
    same = {
        "It": "it",
        "Where": "where",
        "W": "w",
        "q": "it",
        "ask": "it",
        "p": "s",
        "best": "w",
        "v": "w",
        "x": "v",
    }
    if kind.name in (
        "numbers",
        "word",
        "fact",
        "number",
        "age",
        "add",
        "subtract",
        "copy",
        "odd",
        "secret",
        "story",
    ):
        needed = {frozenset(same.get(mark, mark) for mark in used) for used in marks}
        assert len(needed) == 1, needed


# Drawing.


def test_the_same_seed_gives_the_same_exercises():
    assert some(300) == some(300)
    assert some(300) != list(islice(tuning.exercises("train", 4), 300))
    assert tuning.SKILLS == tinyworld.SKILLS
    assert {one.skill for one in some(300)} == set(tuning.SKILLS)
    assert {one.skill for one in some(50, "sums", "yes_no")} == {"sums", "yes_no"}
    assert all(set(one.text(worked=True)) <= set(ALPHABET) for one in some(500))


def test_known_bytes():
    texts = [one.text(worked=True) for one in some(200)]
    assert hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12] == KNOWN


KNOWN = "890eb9c9defd"


def test_no_exercise_is_in_two_splits():
    skills = [skill for skill in tuning.SKILLS if skill not in ("retrieval", "state")]
    found: dict[str, set[tuple[str, str]]] = {}
    for split in tinyworld.splits.SPLITS:
        for phrasings in tuning.PHRASINGS:
            drawn = tuning.exercises(split, 5, skills, phrasings)
            found.setdefault(split, set()).update((one.skill, one.prompt) for one in islice(drawn, 1500))
    assert not found["train"] & found["test"]
    assert not found["train"] & found["validation"]
    assert not found["validation"] & found["test"]


@pytest.mark.parametrize("pattern", [r"(\d+) plus (\d+)\b", r"[Aa]dd (\d+) and (\d+)\b"])
def test_what_is_asked_decides_the_split_and_not_how(pattern):
    numbers = {
        split: {
            match.groups()
            for one in islice(tuning.exercises(split, 1, ["sums"]), 2500)
            if (match := re.search(pattern, one.prompt))
        }
        for split in ("train", "test")
    }
    both = {(n, m) for split in numbers for n, m in numbers[split]}
    assert len(both) > 40
    other = {
        (match[1], match[2])
        for one in islice(tuning.exercises("train", 2, ["sums"]), 2500)
        if (match := re.search(r"add (\d+) to (\d+)\b", one.prompt))
    }
    assert not {(n, m) for m, n in other} & numbers["test"]


def test_the_evaluation_is_fixed():
    fixed = tuning.evaluation("test", 8)
    assert fixed == tuning.evaluation("test", 8)
    assert [one.skill for one in fixed] == [skill for skill in tuning.SKILLS for _ in range(8)]
    assert len({one.prompt for one in fixed}) == len(fixed)
    assert all(one.split == "test" and one.phrasing.split("/")[-2] == "train" for one in fixed)
    foreign = tuning.evaluation("test", 8, "foreign")
    assert {one.phrasing.split("/")[-2] for one in foreign} == {"foreign"}
    longer = tuning.evaluation("test", 9)
    assert [one for i, one in enumerate(longer) if i % 9 != 8] == fixed


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="no split 'dev'"):
        tuning.exercises("dev")
    with pytest.raises(ValueError, match="no skill 'juggling'; choose from recall"):
        tuning.exercises(skills=["juggling"])
    with pytest.raises(ValueError, match="no skill is named"):
        tuning.exercises(skills=[])
    with pytest.raises(ValueError, match="no 'old' phrasings; choose from train"):
        tuning.exercises(phrasings="old")
    with pytest.raises(ValueError, match="at least 1, but is 0"):
        tuning.evaluation(per_skill=0)
    with pytest.raises(ValueError, match="no 'old' phrasings"):
        tuning.evaluation(phrasings="old")


def test_too_large_an_evaluation_is_refused(monkeypatch):
    monkeypatch.setattr("shared.tuning.tinyworld.drawing._TRIES", 100)
    monkeypatch.setattr("shared.tuning.tinyworld.drawing.SKILLS", ("opposites",))
    with pytest.raises(
        ValueError, match=r"'opposites' has only about \d+ exercises in 'test' with 'foreign'"
    ):
        tuning.evaluation("test", 5000, "foreign")


# The form.


def test_exercises_read_as_question_and_answer():
    one = next(tuning.exercises(skills=["sums"], worked=True))
    assert one.text(worked=False) == f"Question: {one.prompt}\nAnswer: {one.answer}"
    assert one.text() == one.text(worked=True) == f"{one.query} {one.worked}"
    assert one.worked.endswith(f". So {one.answer}")
    assert [turn["content"] for turn in one.messages] == [one.prompt, one.worked]
    plain = next(tuning.exercises(skills=["sums"]))
    assert plain.text() == plain.text(worked=False)


def test_skills_without_steps_answer_at_once():
    for one in some(400):
        assert (one.worked == one.answer) == (one.skill not in tuning.WORKED)
        assert tuning.final_answer(one.worked) == one.answer.removesuffix(".")
        assert tuning.is_right(one, one.worked)
        assert tuning.is_right(one, one.answer)
