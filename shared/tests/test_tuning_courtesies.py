"""What is put around the prompts of shared.tuning.tinyworld's exercises, and left out of them."""

import re
from collections import Counter
from itertools import islice

import pytest

from shared.tinyworld import people
from shared.tinyworld.documents import ALPHABET
from shared.tinyworld.rng import Rng
from shared.tuning import tinyworld as tuning
from shared.tuning.tinyworld.courtesies import ASKING_LEADS, ASKING_TAILS, LEADS, TAILS, mannered
from shared.tuning.tinyworld.drawing import EXACT, draw

SOME = range(400)


def around(prompt: str, template: str = "What is {n}?", exact: bool = False) -> set[str]:
    """All that becomes of a prompt in many draws."""
    return {mannered(Rng("around", n), prompt, template, exact) for n in SOME}


def test_there_are_many_and_none_can_be_taken_for_a_question():
    assert len(LEADS) >= 12
    assert len(TAILS) >= 8
    every = (*LEADS, *ASKING_LEADS, *TAILS, *ASKING_TAILS)
    assert all(set(line) <= set(ALPHABET) and line[-1] in ".!?:" for line in every)
    # Nothing that a question asks about is in them: no number, no name, nothing in quotes.
    assert not any(re.search(r'\d|"|, \w+,', line) for line in every)
    assert not any(set(re.findall(r"\w+", line)) & set(people.EVERYONE) for line in every)


def test_a_third_of_the_prompts_have_a_manner():
    same = sum(mannered(Rng("share", n), "Is it?", "Is it?", False) == "Is it?" for n in range(4000))
    assert 0.63 < same / 4000 < 0.7
    drawn = list(islice(tuning.exercises("train", 2), 900))
    led = sum(one.prompt.startswith(LEADS + ASKING_LEADS) for one in drawn)
    followed = sum(one.prompt.endswith(TAILS + ASKING_TAILS) for one in drawn)
    assert 0.1 < led / 900 < 0.3
    assert 0.04 < followed / 900 < 0.25


def test_only_the_wordings_of_training_have_manners():
    for phrasings in ("held_out", "foreign"):
        for one in islice(tuning.exercises("train", 2, None, phrasings), 400):
            assert not one.prompt.startswith(LEADS + ASKING_LEADS)
            assert not one.prompt.endswith(TAILS + ASKING_TAILS)


def test_what_may_become_of_a_question():
    made = around("What is 3?")
    assert {"What is 3?", "what is 3?", "What is 3", "what is 3"} <= made
    rest = made - {"What is 3?", "what is 3?", "What is 3", "what is 3"}
    assert all("What is 3?" in one for one in rest)
    assert any(one.startswith(ASKING_LEADS) for one in rest)
    assert any(one.endswith(ASKING_TAILS) for one in rest)
    assert not any(one.startswith(ASKING_LEADS) for one in around("Add 3.", "Add {n}."))
    assert not any(one.endswith(ASKING_TAILS) for one in around("Add 3.", "Add {n}."))


def test_what_is_exact_keeps_its_letters_and_marks():
    for prompt in ("Copy: a, b.", "Is it a?"):
        for one in around(prompt, prompt, exact=True):
            assert prompt in one
    assert all(one.endswith("Copy: a, b.") for one in around("Copy: a, b.", "Copy: {row}.", exact=True))
    for skill in EXACT:
        kinds = {kind.name: kind for kind in tuning.KINDS[skill]}
        for n in range(200):
            one = draw(Rng("exact", n), "train", skill, "train", False)
            _, kind, _, number = one.phrasing.split("/")
            template = kinds[kind].wordings["train"][int(number)]
            assert re.sub(r".*}", "", template) in one.prompt, one.prompt
            assert re.sub(r"{.*", "", template) in one.prompt, one.prompt


@pytest.mark.parametrize("template", ["I see {n}?", "Mia has {n}?", "{a} has {n}?", '"{n}" is what?'])
def test_names_and_what_is_filled_in_keep_their_capitals(template):
    prompt = template.format(a="Ben", n="one")
    assert all(prompt.removesuffix("?") in one for one in around(prompt, template))


def test_nothing_goes_into_a_story():
    story = "Mia ran. She fell.\nAll was well."
    for one in around(f"{story}\nWho ran?", "{story}\n{q}"):
        assert one.startswith(story) or one.split("\n", 1)[1].startswith(story)
        assert f"{story}\nWho ran" in one
    for one in around(f"Who ran?\n{story}", "{q}\n{story}"):
        assert f"ho ran?\n{story}" in one
    for one in islice(tuning.exercises("train", 4, ["state", "retrieval"]), 80):
        lines = one.prompt.split("\n")
        inside = " ".join(lines[1:-1])
        assert not any(lead in inside for lead in ("Excuse me.", "Please help me.", "I hope you know."))


def test_manners_leave_the_phrasing_and_the_answer_as_they_are():
    names = Counter[str]()
    for one in islice(tuning.exercises("train", 6, ["sums", "opposites"]), 300):
        assert re.fullmatch(r"\w+/\w+/train/\d\d", one.phrasing)
        names[one.skill] += 1
    assert set(names) == {"sums", "opposites"}
