"""The steps and answers of tinyworld_tuning's exercises, worked out again, and what a guess would reach."""

import re
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import tinyworld
from shared import tinyworld_tuning as tuning
from shared.tinyworld.grammar import number_word
from shared.tinyworld.rng import Rng
from shared.tinyworld.words import OPPOSITES
from shared.tinyworld_tuning.arithmetic import add_steps, subtract_steps
from shared.tinyworld_tuning.drawing import draw
from shared.tinyworld_tuning.skill_state import clause, telling

NUMBERS = {number_word(n): n for n in range(101)} | {str(n): n for n in range(101)}
OPPOSITE = {one: two for pair in OPPOSITES for one, two in (pair, pair[::-1])}
SEEDS = st.integers(0, 2**40)


def some(count: int, *skills: str, split: str = "train") -> list[tuning.Exercise]:
    return list(islice(tuning.exercises(split, 3, skills or None), count))


# Steps.


def check_steps(text: str) -> None:
    """Each statement about numbers in the text is true."""
    number = r"([\w-]+)"
    for n, m, total in re.findall(rf"{number} and {number} make {number}", text):
        assert NUMBERS[n] + NUMBERS[m] == NUMBERS[total], text
    for n, m, rest in re.findall(rf"{number} minus {number} is {number}", text):
        assert NUMBERS[n] - NUMBERS[m] == NUMBERS[rest], text
    for n, m in re.findall(rf"{number} is more than {number}", text):
        assert NUMBERS[n] > NUMBERS[m], text
    for n, m in re.findall(rf"{number} is less than {number}", text):
        assert NUMBERS[n] < NUMBERS[m], text


@given(st.integers(1, 98), st.integers(1, 98))
def test_sums_are_done_in_small_true_steps(n, m):
    if n + m < 100:
        steps = add_steps(n, m)
        check_steps(", ".join(steps))
        assert steps[-1].endswith(f"make {n + m}")
        assert len(steps) <= 3
        down = subtract_steps(n + m, m)
        check_steps(", ".join(down))
        assert down[0].startswith(f"{n + m} minus ")
        assert down[-1].endswith(f"is {n}")
        assert sum(int(step.split()[2]) for step in down) == m


def drawn(seed: int, *skills: str) -> list[tuning.Exercise]:
    return [draw(Rng("check", seed, skill), "train", skill, "train", True) for skill in skills]


@given(SEEDS)
def test_steps_are_true_and_the_last_names_the_answer(seed):
    for one in drawn(seed, "sums", "sequence", "comparison", "counting", "sorting", "yes_no"):
        check_steps(one.worked)
        steps, answer = one.worked.rsplit(". So ", 1)
        assert answer == one.answer
        assert len(one.worked.split()) < 60
        if one.skill == "yes_no":
            right, said = re.split(r" is not | is ", steps.rsplit(", ", 1)[1])
            assert (right == said) == (answer == "yes")
        else:
            assert re.search(
                rf"(?<!\w){re.escape(answer.split(', ')[-1])}(?!\w)", steps.rsplit(", ", 1)[-1]
            ) or (one.skill == "counting" or one.kind == "words")


@given(SEEDS)
def test_yes_and_no_follow_from_the_question(seed):
    one = draw(Rng("yes", seed), "train", "yes_no", "train", True)
    numbers = [int(n) for n in re.findall(r"\d+", one.prompt)]
    if one.kind == "sum":
        total, said = re.search(r"(\d+), \d+ is (?:not )?(\d+)\. So", one.worked).groups()
        numbers.remove(int(said))
        assert sum(numbers) == int(total)
        assert (total == said) == (one.answer == "yes")
    if one.kind == "opposites":
        word, opposite, said = re.search(
            r"opposite of (\w+) is (\w+), \w+ is (?:not )?(\w+)", one.worked
        ).groups()
        assert OPPOSITE[word] == opposite
        assert (opposite == said) == (one.answer == "yes")
        assert {word, said} <= set(re.findall(r"\w+", one.prompt))
    if one.kind == "statement":
        truths = {line for fact in tinyworld.facts.all_facts() for line in fact.statements}
        line = max((line for line in truths if line in one.prompt), key=len, default="")
        if " answer" not in one.prompt and "ask for" not in one.prompt:
            assert bool(line) == (one.answer == "yes"), one.prompt


@given(SEEDS)
def test_counting_and_sorting_follow_from_the_question(seed):
    one = draw(Rng("count", seed), "train", "counting", "train", True)
    if one.kind == "occurrences":
        target = re.search(r'"(\w+)"', one.prompt)[1]
        listed = [word.split()[0] for word in one.worked.split(". So ")[0].split(", ")]
        assert ", ".join(listed) in one.prompt
        assert listed.count(target) == NUMBERS[one.answer]
        marks = [word.split()[1] for word in one.worked.split(". So ")[0].split(", ") if " " in word]
        assert [NUMBERS[mark] for mark in marks] == list(range(1, len(marks) + 1))
    if one.kind == "length":
        listed = [word.split() for word in one.worked.split(". So ")[0].split(", ")]
        assert ", ".join(word for _, word in listed) in one.prompt
        assert [NUMBERS[mark] for mark, _ in listed] == list(range(1, len(listed) + 1))
        assert NUMBERS[one.answer] == len(listed)
    two = draw(Rng("sort", seed), "train", "sorting", "train", True)
    words = two.answer.split(", ")
    if two.kind == "words":
        assert words == sorted(words, key=str.lower)
        pairs = [part.split() for part in two.worked.split(", in order ")[0].split(", ")]
        assert all(word.lower().startswith(begin) for begin, word in pairs)
        assert ", ".join(word for _, word in pairs) in two.prompt
        assert len({begin for begin, _ in pairs}) == len(pairs)
        order = two.worked.split(", in order ")[1].split(". So ")[0].split(", ")
        assert order == sorted(order) == [{w: b for b, w in pairs}[word] for word in words]
    else:
        assert words == sorted(words, key=int, reverse=two.kind == "down")
        rows = two.worked.split(". So ")[0].split(", then ")
        assert rows[-1] == two.answer
        assert [len(row.split(", ")) for row in rows] == list(range(2, len(words) + 1))


@given(SEEDS)
def test_comparison_ends_in_whose_it_is(seed):
    one = draw(Rng("compare", seed), "train", "comparison", "train", True)
    steps = one.worked.split(". So ")[0].split(", ")
    if one.kind != "number":
        has = dict(step.rsplit(" ", 1) for step in steps[:2])
        number, winner = steps[-1].split(" is ")
        assert has[winner] == number
        assert winner == one.answer
        if one.kind == "length":
            assert all(len(word) == int(count) for word, count in has.items())
        if one.kind == "age":
            assert all(tinyworld.people.EVERYONE[name].age == NUMBERS[count] for name, count in has.items())
        if one.kind == "has_more":
            assert set(has.values()) <= set(re.findall(r"\d+", one.prompt))


@given(SEEDS)
def test_sequences_go_on_as_they_began(seed):
    one = draw(Rng("sequence", seed), "train", "sequence", "train", True)
    if one.kind in ("up", "down"):
        row = [int(n) for n in re.findall(r"\d+", one.prompt)]
        step = row[1] - row[0]
        assert [b - a for a, b in zip(row, [*row[1:], int(one.answer)], strict=True)] == [step] * len(row)
        assert (step > 0) == (one.kind == "up")


def test_stories_name_the_sentence_that_tells():
    for one in some(60, "state"):
        sentence = one.worked.rsplit(". So ", 1)[0]
        assert sentence in one.prompt
        assert one.answer.split()[-1].lower() in sentence.lower()
        assert 0 < one.chance <= 1
    for one in some(60, "retrieval"):
        sentence = one.worked.rsplit(". So ", 1)[0]
        assert sentence + "." in one.prompt
        assert one.answer in sentence
        assert len(one.prompt.split()) < 340


@pytest.mark.parametrize(
    ("question", "inside"),
    [
        ("Where did Mia find the kite?", "where Mia found the kite"),
        ("Who had the kite at the end?", "who had the kite at the end"),
        ("How did Mia feel at the end?", "how Mia felt at the end"),
        ("How many books about whales did Mia borrow?", "how many books about whales Mia borrowed"),
        ("How many nuts did Hazel carry in?", "how many nuts Hazel carried in"),
        ("What was the weather like?", "what the weather was like"),
        ("Where was the ball at the end?", "where the ball was at the end"),
        ("What was the answer to Mia's riddle?", "what the answer to Mia's riddle was"),
        ("What broke?", "what broke"),
        ("What did Mia promise Ben?", "what Mia promised Ben"),
        ("How much is two and three?", ""),
    ],
)
def test_a_question_becomes_a_clause(question, inside):
    assert clause(question) == inside


def test_no_sentence_tells_what_is_not_told():
    assert (
        telling(tinyworld.Question("Who had the kite at the end?", "Mia"), "Ben ran home. It rained.") == ""
    )


# Answers.


def test_yes_and_no_are_equally_often_right():
    for split in ("train", "test"):
        for kind in ("statement", "sum", "opposites", "holder"):
            drawn = [one for one in some(3000, "yes_no", split=split) if one.kind == kind]
            assert 0.44 < sum(one.answer == "yes" for one in drawn) / len(drawn) < 0.56


def test_no_answer_of_a_choice_is_likelier_for_its_place():
    firsts = [
        one.prompt.index(one.answer) < one.prompt.index(other)
        for one in some(1500, "comparison")
        if one.kind in ("has_more", "age")
        for other in [
            next(name for name in one.worked.split(", ")[:2] if not name.startswith(one.answer)).split()[0]
        ]
    ]
    assert 0.42 < sum(firsts) / len(firsts) < 0.58


def guess(one: tuning.Exercise, rng: Rng) -> str | None:
    """An answer of the right form by somebody who understands nothing else; None where this test has no guesser."""
    quoted = re.findall(r"\w+(?:, \w+)+", one.prompt)
    row = max(quoted, key=len).split(", ") if quoted else []
    match one.skill, one.kind:
        case "yes_no", _:
            return rng.choose(("yes", "no"))
        case "comparison", "number":
            return rng.choose(re.findall(r"\d+", one.prompt))
        case "comparison", _:
            return rng.choose([step.split()[0] for step in one.worked.split(", ")[:2]])
        case "counting", "occurrences":
            return number_word(rng.integer(1, 5))
        case "counting", "length":
            return number_word(rng.integer(3, 8))
        case "counting", _:
            return number_word(rng.integer(6, 15))
        case ("copying", "nth") | ("categories", "which" | "odd"):
            return rng.choose(row)
        case "sorting", _:
            return ", ".join(rng.shuffled(one.answer.split(", ")))
        case "opposites", _:
            return rng.choose(tuple(OPPOSITE))
        case "sums", _:
            return str(rng.integer(1, 98))
        case "state", "feeling":
            return rng.choose([f for f in tinyworld.world.FEELINGS if re.search(rf"\b{f}\b", one.prompt)])
        case "state", "who":
            story = re.findall(r"\w+", one.prompt)
            return rng.choose([name for name in tinyworld.people.EVERYONE if name in story])
        case "sequence", "pattern":
            return rng.choose(sorted(set(row)))
        case _:
            return None


def test_chance_is_what_a_guess_would_reach():
    rng = Rng("guess")
    kinds: dict[tuple[str, str], list[tuple[bool, float]]] = {}
    drawn = some(16_000, *[skill for skill in tuning.SKILLS if skill not in ("retrieval", "state")])
    for one in [*drawn, *some(400, "state")]:
        guessed = guess(one, rng)
        if guessed is not None:
            kinds.setdefault((one.skill, one.kind), []).append((guessed == one.answer, one.chance))
    assert len(kinds) > 18
    for kind, tries in kinds.items():
        expected = sum(chance for _, chance in tries) / len(tries)
        reached = sum(right for right, _ in tries) / len(tries)
        # Four standard deviations of a guesser's luck, and what a family of drawn lists may differ.
        room = 4 * (expected * (1 - expected) / len(tries)) ** 0.5 + 0.03
        assert abs(reached - expected) < room, (kind, reached, expected, len(tries))
