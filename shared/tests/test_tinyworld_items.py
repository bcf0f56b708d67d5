"""The items of tinyworld: the answers of every skill, worked out again."""

import re
from collections.abc import Callable
from itertools import islice

import pytest

from shared import tinyworld
from shared.tinyworld import grammar, people
from shared.tinyworld.facts import all_facts
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
