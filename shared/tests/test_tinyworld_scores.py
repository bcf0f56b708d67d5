"""Preferences, evaluation and the command line of tinyworld."""

from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import tinyworld
from shared.tinyworld import __main__ as command
from shared.tinyworld.evaluation import bucket_of
from shared.tinyworld.items import check_skills

# Preferences.


def test_the_rule_prefers_what_was_chosen() -> None:
    seen = set()
    for pair in islice(tinyworld.preferences(seed=2), 300):
        assert tinyworld.prefers(pair.rule, pair.chosen, pair.rejected, pair.prompt, pair.answer)
        assert not tinyworld.prefers(pair.rule, pair.rejected, pair.chosen, pair.prompt, pair.answer)
        seen.add(pair.rule)
    assert seen == set(tinyworld.RULES)


def test_rules_score_any_text() -> None:
    score = tinyworld.rule_score
    question = "What is the name of Mia's brother?"
    assert score("right_fact", "It is Ben.", question, "Ben") == 1
    assert score("right_fact", "It is Ben or Leo.", question, "Ben") == 0
    assert score("right_fact", "Benjamin", question, "Ben") == 0
    assert score("full_sentence", "Yes, it is.") == 1
    assert (
        score("full_sentence", "Yes, it is")
        == score("full_sentence", "")
        == score("full_sentence", "Yes.")
        == 0
    )
    assert score("polite", "Thank you!") == 1
    assert score("polite", "Thank you, fool.") == -1
    assert score("polite", "Good.") == 0
    assert score("kind", "You are my friend.") == 1
    assert score("no_repeat", "It is so. It is so. No.") == pytest.approx(2 / 3)
    assert score("no_repeat", "") == 0
    assert score("short", "one " * 12) == 1
    assert score("short", "one " * 15) == pytest.approx(0.7)
    assert score("short", "") == score("short", "one " * 90) == 0
    assert score("stays_on_topic", "Mia has one.", question, "Ben") == 1
    assert score("stays_on_topic", "The sky is blue.", question, "Ben") == 0
    with pytest.raises(ValueError, match="no rule 'loud'; choose from right_fact"):
        score("loud", "Hm.")
    with pytest.raises(ValueError, match="needs the right answer"):
        score("right_fact", "Ben.")
    with pytest.raises(ValueError, match="needs the prompt"):
        score("stays_on_topic", "Ben.")
    with pytest.raises(ValueError, match="no split"):
        tinyworld.preferences("dev")


# Evaluation.


def test_the_evaluation_is_fixed_and_its_prompts_distinct() -> None:
    sets = tinyworld.evaluation("test", 20)
    assert sets == tinyworld.evaluation("test", 20)
    assert tuple(sets) == tinyworld.SKILLS
    for skill, items in sets.items():
        assert len(items) == len({i.prompt for i in items}) == 20
        assert all(i.skill == skill and i.split == "test" for i in items)
    assert sets == {skill: items[:20] for skill, items in tinyworld.evaluation("test", 25).items()}


def test_scores_by_skill_and_distance() -> None:
    sets = tinyworld.evaluation("test", 10)
    flat = [i for items in sets.values() for i in items]
    perfect = tinyworld.score(sets, [i.answer.removesuffix(".") + "." for i in flat])
    assert perfect.accuracy == 1
    assert perfect.total == 10 * len(tinyworld.SKILLS)
    assert sum(asked for _, asked in perfect.by_distance["retrieval"].values()) == 10
    wrong = tinyworld.score(flat, {i.prompt: i.answer if i.skill == "sums" else "?" for i in flat})
    assert wrong.skill_accuracy() == {skill: float(skill == "sums") for skill in tinyworld.SKILLS}
    with pytest.raises(ValueError, match="140 items but 1 predictions"):
        tinyworld.score(sets, ["x"])
    with pytest.raises(ValueError, match="140 of 140 items have no prediction"):
        tinyworld.score(sets, {})
    with pytest.raises(ValueError, match="no items"):
        tinyworld.score([], [])


def test_exact_match_forgives_only_what_it_says() -> None:
    same = tinyworld.exact_match
    assert same("  the  park.\n", "the park")
    assert same("The park", "the park")
    assert same("- a\n- b", "- a\n- b ")
    assert not same("mia", "MIA")
    assert not same("MIA", "Mia")
    assert not same("a park", "the park")
    assert not same("", "no")


@given(st.text())
def test_every_text_matches_itself(text: str) -> None:
    assert tinyworld.exact_match(text, text)


def test_buckets_cover_every_distance() -> None:
    assert [bucket_of(n) for n in (0, 25, 26, 100, 400, 401)] == [
        "0-25",
        "0-25",
        "26-50",
        "51-100",
        "301-400",
        "401-",
    ]


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="no skill 'juggling'; choose from recall"):
        tinyworld.instructions(skills=["juggling"])
    with pytest.raises(ValueError, match="no skill is named"):
        check_skills([])
    with pytest.raises(ValueError, match="no split 'dev'"):
        tinyworld.evaluation("dev")
    with pytest.raises(ValueError, match="at least 1"):
        tinyworld.evaluation("test", 0)
    with pytest.raises(ValueError, match=r"'recall' has only about \d+ items in 'test'; ask for fewer"):
        tinyworld.evaluation("test", 100_000)


# The command line.


@pytest.mark.parametrize("kind", command.SAMPLE_KINDS)
def test_sample_prints(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["sample", "--kind", kind, "--seed", "3", "--count", "2", "--state"])
    out = capsys.readouterr().out
    assert len(out.split()) > 10
    assert ("event:" in out) == (kind == "story")


def test_stats_measure(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["stats", "--megabytes", "0.1"])
    out = capsys.readouterr().out
    assert "distinct documents: 100.0000%" in out
    assert "gzip:" in out
    with pytest.raises(SystemExit, match="too small"):
        command.main(["stats", "--megabytes", "0.00001"])


def test_write_is_whole_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "train.txt"
    command.main(["write", "--megabytes", "0.02", "--out", str(out)])
    assert out.read_text() == tinyworld.text(characters=20_000)
    with pytest.raises(SystemExit, match="is a folder"):
        command.main(["write", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="no folder"):
        command.main(["write", "--out", str(tmp_path / "no" / "x")])
    monkeypatch.setattr(command.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        command.main(["write", "--megabytes", "0.001", "--out", str(tmp_path / "b.txt")])
    assert [path.name for path in tmp_path.iterdir()] == ["train.txt"]


@pytest.mark.parametrize(
    "wrong", [["--count", "0"], ["--count", "x"], ["--kind", "poem"], ["--split", "dev"]]
)
def test_wrong_options_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["sample", *wrong])
    assert "error" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(["stats", "--megabytes", "-1"])
