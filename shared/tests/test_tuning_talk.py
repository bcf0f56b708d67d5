"""Scores, conversations and the command line of shared.tuning.tinyworld."""

import re
from collections import Counter
from importlib import import_module
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import tinyworld
from shared.tinyworld import people
from shared.tinyworld.documents import ALPHABET
from shared.tinyworld.rng import Rng
from shared.tuning import tinyworld as tuning
from shared.tuning.tinyworld import __main__ as command
from shared.tuning.tinyworld import strangers

VERSION = import_module("shared.tuning.tinyworld.version")


def exercise(
    answer: str, skill: str = "sums", chance: float = 0.0, also: tuple[str, ...] = (), kind: str = "add"
):
    return tuning.Exercise(
        skill, kind, "?", answer, answer, f"{skill}/{kind}/train/00", chance, also, answer, "test"
    )


# Answers and scores.


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        ("65", "65"),
        (" 65. ", "65"),
        ("30 and 20 make 50. So 65", "65"),
        ("So they went. So yes.", "yes"),
        ("Also a kite", "Also a kite"),
        ("- a\n- b", "- a\n- b"),
        ("", ""),
        ("So ", ""),
    ],
)
def test_the_final_answer_follows_the_last_so(written, answer):
    assert tuning.final_answer(written) == answer


@given(st.text())
def test_a_final_answer_is_stripped_and_stays_itself(written):
    final = tuning.final_answer(written)
    assert final == final.strip()
    assert final in written
    assert "So " not in final or re.search(r"\wSo ", final)


def test_what_is_right():
    one = exercise("seven", also=("7",))
    assert all(
        tuning.is_right(one, said) for said in ("seven", "Seven.", "7", "two and five make seven. So seven.")
    )
    assert not any(tuning.is_right(one, said) for said in ("", "six", "seven eight", "seven. So six"))
    owner = next(
        one
        for one in islice(tuning.exercises(skills=["recall"]), 3000)
        if one.kind == "owner" and " and " in one.answer
    )
    assert tuning.is_right(owner, " and ".join(reversed(owner.answer.split(" and "))))
    for one in islice(tuning.exercises(skills=["counting", "sums"]), 200):
        assert len(one.also) == 1
        assert tuning.is_right(one, one.also[0])


def test_scores_are_percentages_beside_chance():
    items = [
        exercise("1", "sums", 0.0), exercise("2", "sums", 0.0, kind="less"),
        exercise("yes", "yes_no", 0.5, kind="sum"), exercise("no", "yes_no", 0.5, kind="sum"),
        exercise("no", "yes_no", 0.5, kind="holder"), exercise("no", "yes_no", 0.5, kind="holder"),
    ]  # fmt: skip
    score = tuning.score(items, ["1", "0", "yes", "yes", "no", "no"])
    assert score.by_skill == {"sums": 50, "yes_no": 75}
    assert score.by_kind == {
        ("sums", "add"): 100, ("sums", "less"): 0, ("yes_no", "sum"): 50, ("yes_no", "holder"): 100
    }  # fmt: skip
    assert score.average == 62.5
    assert score.chance == {"sums": 0, "yes_no": 50}
    assert score.above_chance() == {"sums": 50, "yes_no": 50}
    assert score.average_above_chance == 50
    lines = [line.split() for line in str(score).splitlines()]
    assert lines[0] == ["asked", "right", "chance", "above"]
    assert lines[1:] == [
        ["sums", "2", "50.0", "0.0", "50.0"], ["yes_no", "4", "75.0", "50.0", "50.0"],
        ["average", "6", "62.5", "25.0", "50.0"],
    ]  # fmt: skip
    assert ["holder", "2", "100.0", "50.0", "100.0"] in [
        line.split() for line in score.table(kinds=True).splitlines()
    ]
    with pytest.raises(ValueError, match="6 exercises but 1 written"):
        tuning.score(items, ["1"])
    with pytest.raises(ValueError, match="no exercises"):
        tuning.score([], [])


def test_right_answers_score_a_hundred_and_nothing_scores_zero():
    items = tuning.evaluation("validation", 4, "held_out")
    assert set(tuning.score(items, [one.worked for one in items]).by_skill.values()) == {100.0}
    assert tuning.score(items, ["" for _ in items]).average == 0
    assert max(tuning.score(items, ["" for _ in items]).above_chance().values()) <= 0


# Conversations.


def talks(count: int, split: str = "train", worked: bool = False, seed: int = 0) -> list[tuning.Conversation]:
    return list(islice(tuning.conversations(split, seed, worked), count))


def test_the_same_seed_gives_the_same_conversations():
    assert talks(50) == talks(50)
    assert talks(50) != talks(50, seed=1)
    with pytest.raises(ValueError, match="no split 'dev'"):
        tuning.conversations("dev")


def test_roles_take_turns():
    sizes = Counter[int]()
    systems = 0
    for one in talks(500):
        roles = [turn["role"] for turn in one.messages]
        systems += roles[0] == "system"
        turns = roles[roles[0] == "system" :]
        assert turns == ["user", "assistant"] * (len(turns) // 2)
        assert all(turn["content"].strip() == turn["content"] != "" for turn in one.messages)
        assert all(set(turn["content"]) <= set(ALPHABET) for turn in one.messages)
        assert tuning.answers_well(one, one.messages[-1]["content"])
        assert not tuning.answers_well(one, "")
        assert one.text.startswith(("User: ", "System: "))
        sizes[len(turns) // 2] += 1
    assert set(sizes) == {1, 2, 3, 4, 5}
    assert 100 < systems < 300


def test_the_name_asked_for_was_told_first():
    asked = [one for one in talks(1500) if one.sort == "name"]
    assert len(asked) > 50
    for one in asked:
        first = next(turn["content"] for turn in one.messages if turn["role"] == "user")
        assert one.knows in first
        assert one.knows in strangers.NAMES
        assert one.knows not in one.messages[-2]["content"]
    for one in talks(1500):
        if one.sort == "name not told":
            said = " ".join(turn["content"] for turn in one.messages[:-1])
            given = re.findall(r"(?:I am|name is|is me,|call me|this is) ([A-Z]\w+)", said)
            assert not set(given) & set(strangers.NAMES)


def test_names_are_many_and_can_be_said():
    assert 1000 <= len(strangers.COMPOSED) <= 2000
    assert (
        len(strangers.NAMES) == len(set(strangers.NAMES)) == len(strangers.COMPOSED) + len(strangers.FAMILIAR)
    )
    assert not set(strangers.NAMES) & set(people.EVERYONE)
    sources = sorted(Path(tinyworld.__file__).parent.glob("*.py"))
    texts = [path.read_text(encoding="utf-8").lower() for path in sources]
    world = {word for text in texts for word in re.findall(r"[a-z]+", text)}
    for name in strangers.COMPOSED:
        assert re.fullmatch(r"[A-Z][a-z]{2,9}", name)
        assert not re.search(r"[^aeiouy]{4}|[aeiou]{3}", name.lower()), name
        assert name.lower() not in world


def test_half_of_the_names_are_composed_and_no_name_is_in_two_splits():
    told: dict[str, list[str]] = {}
    for split in ("train", "test"):
        drawn = [strangers.name(Rng("a name", split, n), split) for n in range(2000)]
        assert 0.45 < sum(name in strangers.COMPOSED for name in drawn) / len(drawn) < 0.55
        told[split] = drawn
    assert not set(told["train"]) & set(told["test"])
    assert len(set(told["train"])) > 500
    # Neither is a name of the test split met in training where somebody asks about a stranger, or tells of a friend.
    known = set(strangers.NAMES) - {"Mark", "Rose"}  # which are words too
    said = {
        split: {
            word.capitalize()
            for one in talks(1500, split)
            for turn in one.messages
            for word in re.findall(r"\w+", turn["content"])
        }
        & known
        for split in ("train", "test")
    }
    assert len(said["train"]) > 300
    assert not said["train"] & said["test"]


def test_what_was_told_is_asked_for_in_a_third_of_the_talks():
    drawn = talks(3000)
    asked = [one for one in drawn if one.sort in ("name", "told")]
    assert 0.29 < len(asked) / len(drawn) < 0.39
    things = [one for one in drawn if one.sort == "told"]
    assert len(things) > 300
    answers = Counter(one.knows for one in things)
    assert len(answers) > 200
    assert answers.most_common(1)[0][1] < 0.05 * len(things)
    for one in things:
        before = " ".join(turn["content"] for turn in one.messages[:-2] if turn["role"] == "user")
        assert re.search(rf"(?<!\w){re.escape(one.knows)}(?!\w)", before)
        assert one.knows not in one.messages[-2]["content"]


def test_what_is_not_known_is_said_in_one_way_and_asked_in_many():
    asked: dict[str, set[str]] = {}
    for split in ("train", "test"):
        for one in talks(1500, split):
            pairs = [turn["content"] for turn in one.messages if turn["role"] != "system"]
            for user, assistant in zip(pairs[::2], pairs[1::2], strict=True):
                if "only know Applebrook" in assistant:
                    assert assistant == strangers.DOES_NOT_KNOW
                    asked.setdefault(split, set()).add(re.split(r"(?<=[.?]) ", user)[-1])
    assert len(asked["train"]) > 200
    assert len(asked["test"]) > 30
    assert not asked["train"] & asked["test"]


def test_follow_ups_need_what_was_said_before():
    sorts = Counter(one.sort for one in talks(3000))
    assert {sort for sort in sorts if sort.startswith("follow-up")} == {
        "follow-up person", "follow-up fact", "follow-up sum", "follow-up list", "follow-up next", "follow-up again",
    }  # fmt: skip
    assert {"name", "name not told", "told", "unknown", "thanks", "sentence", *tuning.SKILLS} <= set(sorts)
    for one in talks(3000):
        if one.sort == "follow-up sum":
            first, question, answer = (turn["content"] for turn in one.messages[-3:])
            k = int(re.findall(r"\d+", question)[-1])
            less = re.search("away|less|minus", question)
            assert int(answer) == int(first) + (-k if less else k)
        if one.sort == "follow-up person":
            subject = next(
                name for name in people.EVERYONE if re.search(rf"\b{name}\b", one.messages[-4]["content"])
            )
            assert subject not in one.messages[-2]["content"]


def test_worked_conversations_have_steps():
    plain, worked = talks(300), talks(300, worked=True)
    assert [one.messages[-2] for one in plain] == [one.messages[-2] for one in worked]
    assert not any("So " in one.messages[-1]["content"] for one in plain)
    assert sum("So " in one.messages[-1]["content"] for one in worked) > 40
    for one in worked:
        assert tuning.answers_well(one, one.messages[-1]["content"])


def test_no_conversation_is_in_two_splits():
    train, test = ({one.text for one in talks(1500, split)} for split in ("train", "test"))
    assert not train & test


# Version and command line.


def test_the_version_changes_with_both_sources(tmp_path, monkeypatch):
    assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]{12}", tuning.version())
    assert tuning.version().endswith(tinyworld.version())
    monkeypatch.setattr(VERSION, "__file__", str(tmp_path / "version.py"))
    whole = VERSION.version.__wrapped__  # without the cache
    (tmp_path / "talk.py").write_text("one", encoding="utf-8")
    first = whole()
    (tmp_path / "__main__.py").write_text("a command makes no text", encoding="utf-8")
    assert whole() == first
    (tmp_path / "talk.py").write_text("two", encoding="utf-8")
    assert whole() != first


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--skill", "sums", "--worked"],
            r"\[sums/\w+/train/\d\d, chance 0.01\]\nQuestion: .*\nAnswer: .*So \d+",
        ),
        (["--phrasings", "foreign", "--count", "1"], r"/foreign/"),
        (["--kind", "conversations", "--worked"], r"needs '.*'\]\n(User|System): "),
        (["--kind", "wishes", "--rule", "kind"], r"\[kind\]\nUser: .*\n  chosen:   .*\n  rejected: "),
    ],
)
def test_sample_prints(arguments, expected, capsys):
    command.main(["sample", *arguments])
    assert re.search(expected, capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--count", "0"], "error: --count must be at least 1, but is 0"),
        (["--count", "x"], "invalid int value: 'x'"),
        (["--kind", "poems"], "invalid choice: 'poems'"),
        (["--skill", "juggling"], "invalid choice: 'juggling'"),
        (["--kind", "wishes", "--skill", "sums"], "error: --skill is for exercises, not for wishes"),
        (
            ["--kind", "wishes", "--worked"],
            "error: --worked is for exercises and conversations, not for wishes",
        ),
        (["--rule", "kind"], "error: --rule is for wishes, not for exercises"),
    ],
)
def test_wrong_options_are_refused(arguments, why, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(["sample", *arguments])
    assert stopped.value.code == 2
    assert why in capsys.readouterr().err
