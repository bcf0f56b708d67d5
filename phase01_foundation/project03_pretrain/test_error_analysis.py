import io

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rich.console import Console

from phase01_foundation.project03_pretrain.error_analysis import (
    CATEGORIES,
    Failure,
    analyse,
    categorise,
    edit_distance,
    kind,
    parts,
    stands_in,
    table,
    words,
)
from shared.testing import raises
from shared.tinyworld import Item, evaluation, exact_match

task = pytest.mark.task(10)
STORY = "Sam had a red ball. Mia took the old green box home on May 12.\n"


def item(prompt, answer):
    return Item("state", prompt, answer, None, "test")


# prompt, answer, what was said, category
CASES = [
    ("What is a dog?", "an animal", "", "empty"),
    ("What is a dog?", "an animal", " ... ", "empty"),
    ("Write in capitals: mia.", "MIA", "Mia", "form"),
    ('Write "key: value".', "food: grapes", "food grapes", "form"),
    ("How many?", "five", "5", "form"),
    ("How many?", "twenty-one", "21.", "form"),
    ("What colour is it?", "red", "What colour is it?", "copied question"),
    ("What colour is it?", "red", "What colour is the ball?", "copied question"),
    (STORY + "Who took it home?", "Mia", "Who took it with her?", "copied question"),
    (STORY + "What did Sam have?", "a red ball", "Sam had a", "another of the prompt"),
    (STORY + "Who took it home?\n", "Mia", "Who took it with her?", "copied question"),
    ("Make it long: I am sad.", "Make it long", "Make it long now", "one too many"),
    ("Make it long: I am sad.", "Make it long I am very sad", "Make it long now", "not known"),
    ("What colour is it?", "red", "Question: what is it?", "copied question"),
    ("Who ran?", "Mia", "Who ran?", "copied question"),
    ("Who ran?", "Mia", "Who ran home?", "not known"),
    ("Reverse: a, b, c.", "c, b, a", "a, b, c", "wrong order"),
    ("Reverse: a, b.", "b, a", "a, b", "wrong order"),
    ("Say it.", "the red ball", "the ball red", "wrong order"),
    ("Reverse: a, b, c.", "c, b, a", "c, a", "one missing"),
    ("Say it.", "the ripe fig", "the fig", "one missing"),
    ("Copy: a b, a b, c.", "a b, a b, c", "a b, c", "one missing"),
    ("Reverse: a, b, c.", "c, b, a", "c, b, a, a", "one too many"),
    ("Say it.", "the ripe fig", "the big ripe fig", "one too many"),
    ("What is it?", "red", "it is red", "more than the answer"),
    ("What is it?", "red", "red ball", "more than the answer"),
    ("Copy: a, b.", "a, b", "a, b, c, d", "more than the answer"),
    ("Copy.", "a, b, c, d", "a, b", "stopped early"),
    ("Copy.", "Sam rowed the boat", "Sam rowed", "stopped early"),
    ("How many?", "5", "red", "wrong kind"),
    ("Is it?", "yes", "red", "wrong kind"),
    ("What is it?", "red", "no", "wrong kind"),
    ("What is it?", "red", "7", "wrong kind"),
    ("Copy.", "a, b, c", "d", "wrong kind"),
    ("What is it?", "red", "blue, green", "wrong kind"),
    ("Is it?", "yes", "No.", "yes for no"),
    (STORY + "Who took it?", "Mia", "Sam", "another of the prompt"),
    (STORY + "What did Sam have?", "a red ball", "the old green box", "another of the prompt"),
    ("Which is bigger, 11 or 12?", "12", "11", "another of the prompt"),
    ("How much is 7 and 8?", "15", "16", "off by one"),
    ("How much is 7 and 8?", "fifteen", "fourteen", "off by one"),
    ("How much is 7 and 8?", "15", "25", "off by ten"),
    ("How much is 7 and 8?", "15", "8", "another number"),
    ("How much is 3 less 2?", "1", "15", "another number"),
    ("What is the opposite of hot?", "cold", "hot", "repeats the prompt"),
    ("One sheep, two what?", "butterflies", "butterflys", "misspelt"),
    ("One fox, two what?", "foxes", "foxen", "misspelt"),
    ("One ox, two what?", "oxen", "oxes", "misspelt"),
    ("Who is older than mothers?", "grandmothers", "grndmuthrs", "not known"),  # three are too many
    ("One fox, two what?", "foxes", "foxed up", "not known"),
    ("What does it say?", "oink", "moo", "not known"),
    ("What says it?", "cow", "cox", "not known"),  # one letter of three makes another word
    ("Put it into the past.", "Sam rowed the boat", "Sam sailed the boat", "one part wrong"),
    ("Copy: a, b, c.", "x, yes, z", "x, no no no no, z", "one part wrong"),
    (STORY + "What did Mia take?", "the old green box", "the new shiny lamp", "made up"),
    (STORY + "Who took it?", "Mia", "Walter", "made up"),
    ("What frightens Tara?", "snakes", "thunder", "not known"),
]


@task
@pytest.mark.parametrize(("prompt", "answer", "prediction", "category"), CASES)
def test_each_mistake_has_its_category(prompt, answer, prediction, category):
    assert categorise(item(prompt, answer), prediction) == category


def test_the_cases_know_every_category():
    assert {case[-1] for case in CASES} == set(CATEGORIES)


ITEMS = [one for group in evaluation("validation", 3).values() for one in group]
text = st.text("ab, 12.-'\n", max_size=12) | st.sampled_from([one.answer for one in ITEMS])


@task
@given(st.sampled_from(ITEMS), text)
def test_every_wrong_answer_has_one_category(one, prediction):
    assume(not exact_match(prediction, one.answer))
    assert categorise(one, prediction) in CATEGORIES


@task
@given(st.text(" abc,.1", max_size=8), st.text(" abc,.1", max_size=8), st.text(" abc,.1\n", max_size=20))
def test_the_rules_hold_where_they_are_named(answer, prediction, prompt):
    assume(not exact_match(prediction, answer))
    category = categorise(item(prompt, answer), prediction)
    said, right = words(prediction), words(answer)
    assert (category == "empty") == (not said)
    if category == "form":
        assert said == right
    if category in ("another of the prompt", "made up"):
        assert stands_in(right, words(prompt))
    if category == "not known":
        assert not stands_in(said, words(prompt))
        assert not stands_in(right, words(prompt))
    if category in ("wrong order", "one missing", "one too many", "one part wrong"):
        assert len(parts(answer)) > 1
    assert (category == "wrong kind") <= (kind(prediction) != kind(answer))


@task
def test_a_right_answer_has_no_category():
    with raises(ValueError, "Red."):
        categorise(item("What colour?", "red"), " Red.")


@task
@given(st.text("abc", max_size=6), st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_the_edit_distance_is_a_distance(first, second, third):
    distance = edit_distance(first, second)
    assert distance == edit_distance(second, first)
    assert (distance == 0) == (first == second)
    assert abs(len(first) - len(second)) <= distance <= max(len(first), len(second))
    assert edit_distance(first, third) <= distance + edit_distance(second, third)


@task
@given(st.text("abc", max_size=5), st.text("abc", max_size=5))
def test_the_edit_distance_equals_its_definition(first, second):
    def slow(left, right):
        if not left or not right:
            return len(left) + len(right)
        change = slow(left[1:], right[1:]) + (left[0] != right[0])
        return min(slow(left[1:], right) + 1, slow(left, right[1:]) + 1, change)

    assert edit_distance(first, second) == slow(first, second)


# ---- what is given


def test_only_wrong_answers_are_analysed_in_their_order():
    items = [item("What colour?", "red"), item("How many?", "5"), item("Is it?", "no"), item("Who?", "Mia")]
    failures = analyse(items, ["Red", "6", "yes", ""])
    assert failures == [
        Failure(items[1], "6", "off by one"),
        Failure(items[2], "yes", "yes for no"),
        Failure(items[3], "", "empty"),
    ]
    assert analyse([], []) == []
    with pytest.raises(ValueError, match="there are 4 items but 3 predictions"):
        analyse(items, ["Red", "6", "yes"])


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Five red HENS.", ["5", "red", "hens"]),
        ("It's a merry-go-round!", ["it's", "a", "merry-go-round"]),
        ("forty-two", ["42"]),
        (" , .", []),
    ],
)
def test_words(said, expected):
    assert words(said) == expected


def test_parts_and_kinds():
    assert parts("the Fig, a pear,  plum.") == ["the fig", "a pear", "plum"]
    assert parts("the ripe fig") == ["the", "ripe", "fig"]
    kinds = {
        "a, b": "list",
        "Yes.": "yes or no",
        "five": "number",
        "12": "number",
        "a,": "words",
        "5 figs": "words",
    }
    assert {said: kind(said) for said in kinds} == kinds


def test_the_table_shows_counts_shares_and_two_examples():
    items = [item("How many [x]?", "5")] * 3 + [item(f"{'long ' * 30}Who?", "Mia")]
    failures = analyse(items, ["6", "4", "6", "word " * 30])
    out = io.StringIO()
    Console(file=out, width=200).print(table(failures, 10))
    shown = out.getvalue()
    assert "4 of 10 answers are wrong" in shown
    assert "75%" in shown
    assert "25%" in shown
    assert shown.count("How many [x]?") == 2
    assert shown.index("off by one") < shown.index("not known")
    assert CATEGORIES["off by one"] in shown
    assert "…" in shown
