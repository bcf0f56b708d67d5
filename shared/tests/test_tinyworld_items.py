"""The items of tinyworld: every skill's answers worked out again, preferences, evaluation, the command line."""

import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import tinyworld
from shared.tinyworld import __main__ as command
from shared.tinyworld import grammar, people
from shared.tinyworld.evaluation import bucket_of
from shared.tinyworld.facts import all_facts
from shared.tinyworld.items import check_skills
from shared.tinyworld.words import CATEGORIES, OPPOSITES

NUMBERS = [grammar.number_word(n) for n in range(101)]
AGES = {child.name: child.age for child in people.CHILDREN}


def recall(prompt: str) -> str:
    return next(fact.answer for fact in all_facts() if prompt in fact.questions)


def retrieval(prompt: str) -> str:
    first, *_, question = prompt.split("\n")
    name = next(name for name in AGES if re.search(rf"\b{name}\b", question))
    about = next(
        s for s in re.split(r"(?<=\.) ", first.removeprefix("Remember: ")) if re.search(rf"\b{name}\b", s)
    )
    return (
        re.split(r" is in room | has seat | has the number | dress up as a | is | says ", about)[-1]
        .removesuffix(".")
        .split(" on the")[0]
    )


def counting(prompt: str) -> str:
    if target := re.search(r'"(\w+)"', prompt):
        return NUMBERS[len(re.findall(rf"\b{target[1]}\b", prompt.split(": ")[-1]))]
    if "how many" in prompt.lower() and "words" not in prompt:
        return NUMBERS[sum(NUMBERS.index(n) for n in re.findall(r"has (\w+)", prompt))]
    return NUMBERS[prompt.count(",") + 1]


def sorting(prompt: str) -> str:
    words = prompt.split(": ")[-1].rstrip("?.").split(", ")
    if words[0].isdigit():
        return ", ".join(sorted(words, key=int, reverse=bool(re.search("big to|biggest", prompt))))
    return ", ".join(sorted(words, key=str.lower))


def sums(prompt: str) -> str:
    first, second = map(int, re.findall(r"\d+", prompt))
    if "away" in prompt and not prompt.startswith("There"):
        return str(second - first)
    less = re.search(r"minus|less|gives|takes out|lost|wants", prompt)
    return str(first - second if less else first + second)


def comparison(prompt: str) -> str:
    numbers = [int(n) for n in re.findall(r"\d+", prompt)]
    if "has" in prompt and numbers:
        pairs = re.findall(r"(\w+) has (\d+)", prompt)
        pick = max if "more" in prompt else min
        return pick(pairs, key=lambda pair: int(pair[1]))[0]
    if numbers:
        return str(max(numbers) if "bigger" in prompt else min(numbers))
    names = [name for name in re.findall(r"\w+", prompt) if name in AGES]
    if names:
        return (max if "older" in prompt else min)(names, key=AGES.__getitem__)
    words = re.findall(r"(\w[\w ]*) or (\w[\w ]*)\?", re.split(r", (?=\w+ or)|: ", prompt)[-1])[0]
    return (max if "longer" in prompt or "more letters" in prompt else min)(words, key=len)


def sequence(prompt: str) -> str:
    numbers = [int(n) for n in re.findall(r"\d+", prompt)]
    if numbers:
        return str(numbers[-1] + numbers[1] - numbers[0])
    if step := re.search(r"(after|before) (\w+)\?", prompt):
        rings = [
            "Monday Tuesday Wednesday Thursday Friday Saturday Sunday", "spring summer autumn winter",
            "January February March April May June July August September October November December",
            " ".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        ]  # fmt: skip
        ring = next(ring.split() for ring in rings if step[2] in ring.split())
        return ring[ring.index(step[2]) + (1 if step[1] == "after" else -1)]
    row = prompt.split(": ")[-1].rstrip("?.").split(", ")
    period = next(p for p in range(1, len(row) + 1) if all(row[i] == row[i - p] for i in range(p, len(row))))
    return row[len(row) - period]


def copying(prompt: str) -> str:
    order = ["first", "second", "third"]
    if seen := re.search(r"saw (.*?) (?:in|on|at|by) the .*name (\w+)\?", prompt):
        words = re.split(", | and ", seen[1])
        return words[-1] if seen[2] == "last" else words[order.index(seen[2])]
    words = prompt.split(": ")[-1].rstrip("?.").split(", ")
    if which := re.search(r"\b(first|second|third|last)\b", prompt):
        return words[-1] if which[1] == "last" else words[order.index(which[1])]
    return ", ".join(reversed(words) if re.search("backwards|Reverse|round", prompt) else words)


def opposites(prompt: str) -> str:
    words = re.findall(r"\w+", prompt)
    pair = next(
        pair for pair in OPPOSITES if any(word in words for word in pair) and not set(pair) <= set(words)
    )
    return next(word for word in pair if word not in words)


def categories(prompt: str) -> str:
    def kinds(word: str) -> set[str]:
        return {kind for kind, words in CATEGORIES.items() if word in words and kind != "animal"}

    if quoted := re.search(r'"(.*)"', prompt):
        options = [option for option in CATEGORIES if f" {option}" in prompt.split(": ", 1)[1]]
    else:
        words = prompt.split(": ", 1)[1].removesuffix(" Which?").rstrip("?.").split(", ")
        wanted = [kind for kind in CATEGORIES if f" {kind}" in prompt.split(":")[0]]
        if wanted:
            return next(word for word in words if wanted[-1] in kinds(word))
        return next(w for w in words if not any(kinds(w) & kinds(o) for o in words if o is not w))
    right = kinds(quoted[1].strip('"')) & set(options)
    assert len(right) == 1
    return grammar.with_article(right.pop())


CHECKERS: dict[str, Callable[[str], str]] = {
    "recall": recall, "retrieval": retrieval, "counting": counting, "sorting": sorting, "sums": sums,
    "comparison": comparison, "sequence": sequence, "copying": copying, "opposites": opposites,
    "categories": categories,
}  # fmt: skip


def some(skill: str, count: int, split: str = "train") -> list[tinyworld.Item]:
    return list(islice(tinyworld.instructions(split, 5, [skill]), count))


@pytest.mark.parametrize("skill", CHECKERS)
def test_the_answer_is_right(skill: str) -> None:
    for item in some(skill, 40 if skill == "retrieval" else 150):
        assert CHECKERS[skill](item.prompt) == item.answer, item.prompt


def test_the_distance_of_retrieval_is_that_of_the_words() -> None:
    for item in some("retrieval", 40):
        assert item.distance is not None
        assert 50 <= item.distance <= 400
        words = [word.strip(".,!?\"'") for word in item.prompt.split()]
        assert words[-1 - item.distance] == item.answer
        assert item.answer in words[: len(words) - item.distance]


def test_state_answers_follow_from_the_story() -> None:
    for item in some("state", 40):
        assert item.distance is not None
        words = [re.sub("'s$", "", word.strip(".,!?\"'").lower()) for word in item.prompt.split()]
        assert words[-1 - item.distance] == item.answer.split()[-1].lower()
        story, question = item.prompt.rsplit("\n", 1)
        assert question.endswith("?")
        if question.startswith("Where did") and " find the " in question:
            assert item.answer in story
        if felt := re.fullmatch(r"How did (\w+) feel at the end\?", question):
            assert felt[1] in story


def test_yes_no_is_right_and_balanced() -> None:
    items = some("yes_no", 400)
    statements = {s: True for fact in all_facts() for s in fact.statements}
    for item in items:
        yes = item.answer == "yes"
        if numbers := re.findall(r"\d+", item.prompt):
            n, m, total = map(int, numbers)
            assert (n + m == total) == yes
        elif "opposite" in item.prompt:
            words = re.findall(r"\w+", item.prompt)
            assert any(set(pair) <= set(words) for pair in OPPOSITES) == yes
        elif ask := re.match(
            r"(?:Is this true\?|Yes or no:|True or not, yes or no\?|Is that so\?) (.*)", item.prompt
        ):
            assert (ask[1] in statements) == yes
        else:
            getter = next(
                m
                for p in (r"to (\w+)\. Does", r"^(\w+) takes", r"then (\w+) got")
                if (m := re.search(p, item.prompt))
            )[1]
            asked = re.findall(r"(?:Does|Has) (\w+)", item.prompt)[0]
            assert (asked == getter) == yes
    assert 0.4 < sum(item.answer == "yes" for item in items) / len(items) < 0.6


def test_formats_are_followed() -> None:
    for item in some("format", 200):
        listed = item.prompt.split(": ", 1)[-1].rstrip(".").split(", ")
        if "dash" in item.prompt:
            assert item.answer.split("\n") == [f"- {word}" for word in listed]
        elif item.prompt.startswith(("Number", "Make a numbered")):
            assert [line.split(". ") for line in item.answer.split("\n")] == [
                [str(i), w] for i, w in enumerate(listed, 1)
            ]
        elif "capital" in item.prompt or "letters big" in item.prompt:
            assert item.answer == listed[0].upper()
        elif "NAME" in item.prompt:
            assert re.fullmatch(r"\w+ likes (?:deep )?\w+", item.answer)
            assert len(item.answer.split()) == 3
        elif "three words" in item.prompt:
            assert item.answer == " ".join(listed[0].split()[:3])
        else:
            for line in item.answer.split("\n"):
                key, value = line.split(": ")
                assert key in item.prompt
                assert value


def test_rewriting_is_right() -> None:
    for item in some("rewriting", 300):
        sentence = item.prompt.split(": ")[-1]
        if sentence.startswith("They "):
            verb, done = sentence.split()[1], item.answer.split()[1]
            assert grammar.past(verb) == done
            assert (
                sentence.split()[2:] == item.answer.rstrip(".").split()[2:]
                or sentence.split()[2:] == item.answer.split()[2:]
            )
        elif re.match(r"(He|She) ", sentence):
            swap = {"He": "She", "She": "He", "his": "her", "her": "his"}
            assert item.answer.split() == [swap.get(word, word) for word in sentence.split()]
        elif re.match("Write .* in place|Change the name|Say the same", item.prompt):
            assert item.answer.split()[1:] == sentence.split()[1:]
            assert item.answer.split()[0] in item.prompt


def test_items_read_as_question_and_answer() -> None:
    item = tinyworld.item(3, skill="sums")
    assert item.text == f"Question: {item.prompt}\nAnswer: {item.answer}"
    assert item.text.startswith(item.query)
    assert item.query.endswith("\nAnswer:")


def test_no_word_has_two_opposites() -> None:
    words = [word for pair in OPPOSITES for word in pair]
    assert len(words) == len(set(words))


def test_a_word_has_one_category() -> None:
    for kind, words in CATEGORIES.items():
        for other, more in CATEGORIES.items():
            if "animal" not in (kind, other) and kind != other:
                assert not set(words) & set(more), (kind, other)


def test_small_grammar() -> None:
    assert [grammar.with_article(w) for w in ("owl", "hour", "unicorn", "pea")] == [
        "an owl",
        "an hour",
        "a unicorn",
        "a pea",
    ]
    assert [grammar.plural(w) for w in ("red fox", "child", "baby", "day", "leaf")] == [
        "red foxes",
        "children",
        "babies",
        "days",
        "leaves",
    ]
    assert [grammar.past(w) for w in ("go", "bake", "carry", "stop", "play")] == [
        "went",
        "baked",
        "carried",
        "stopped",
        "played",
    ]
    assert NUMBERS[41] == "forty-one"
    assert NUMBERS[100] == "one hundred"
    with pytest.raises(ValueError, match="0 to 100"):
        grammar.number_word(101)


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
