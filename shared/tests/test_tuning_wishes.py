"""Wishes of tinyworld_tuning, and the rules that judge any text."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import tinyworld_tuning as tuning
from shared.tinyworld.documents import ALPHABET
from shared.tinyworld_tuning.rules import limit_of

# Wishes.


@pytest.mark.parametrize("rule", tuning.RULES)
def test_the_rule_prefers_what_was_chosen_and_length_does_not_tell(rule):
    pairs = list(islice(tuning.wishes("train", 1, rule), 500))
    for one in pairs:
        assert one.rule == rule
        assert tuning.rule_score(rule, one.prompt, one.chosen) > tuning.rule_score(
            rule, one.prompt, one.rejected
        )
        assert tuning.rule_score(rule, one.prompt, one.chosen) == 1
        assert 0 <= tuning.rule_score(rule, one.prompt, one.rejected) < 1
        assert [turn["role"] for turn in one.prompt] in (["user"], ["user", "assistant", "user"])
        assert set(one.text) <= set(ALPHABET)
    chosen, rejected = (
        sum(len(text) for text in texts)
        for texts in zip(*((p.chosen, p.rejected) for p in pairs), strict=True)
    )
    assert abs(chosen - rejected) < 0.1 * chosen
    assert len({one.prompt[-1]["content"] for one in pairs}) > 100
    test = {one.prompt[-1]["content"] + one.chosen for one in islice(tuning.wishes("test", 1, rule), 200)}
    assert not test & {one.prompt[-1]["content"] + one.chosen for one in pairs}


def test_wishes_are_drawn_by_all_rules():
    pairs = list(islice(tuning.wishes(), 200))
    assert pairs == list(islice(tuning.wishes(), 200))
    assert {one.rule for one in pairs} == set(tuning.RULES)
    with pytest.raises(ValueError, match="no rule 'loud'; choose from polite"):
        tuning.wishes(rule="loud")
    with pytest.raises(ValueError, match="no split 'dev'"):
        tuning.wishes("dev")


def user(*said: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text} for text in said]


@pytest.mark.parametrize(
    ("rule", "said", "written", "score"),
    [
        ("polite", "Sing!", "I am sorry, I cannot.", 1),
        ("polite", "Sing!", "I cannot.", 0.5),
        ("polite", "Sing!", "Sorry, fool.", 0),
        ("kind", "I am sad.", "I am your friend.", 1),
        ("kind", "I am sad.", "Aha.", 0.5),
        ("kind", "I am sad.", "My friend, it is your fault.", 0),
        ("full_sentences", "Who?", "It is Mia here. She is well. yes.", 2 / 3),
        ("full_sentences", "Who?", "It is Mia here", 0),
        ("no_repetition", "Who?", "It is Mia. It is Mia! It is Ben.", 2 / 3),
        ("no_repetition", "Who?", "...", 0),
        ("short_enough", "Say it in at most three words.", "Mia is well.", 1),
        ("short_enough", "Say it in no more than 3 words.", "Mia is not so well.", 0.5),
        ("short_enough", "Use up to three words.", "Mia " * 20, 0),
        ("says_name", "I am Tom. Hello!", "Hello, Tom!", 1),
        ("says_name", "They call me Tom.", "Hello, Tommy!", 0),
        ("says_name", "Tom here, hello!", "Hello, tom.", 1),
        ("right_fact", "A word on the age of Mia.", "Mia is eight.", 1),
        ("right_fact", "A word on the age of Mia.", "Mia is eight or nine.", 0),
        ("right_fact", "A word on the age of Mia.", "Mia is nine.", 0),
        ("honest", "Where is Paris?", "That I do not know.", 1),
        ("honest", "Where is Paris?", "In the north.", 0),
    ],
)
def test_rules_score_any_text(rule, said, written, score):
    assert tuning.rule_score(rule, user(said), written) == pytest.approx(score)
    assert tuning.rule_score(rule, user(said), "  ") == 0


def test_rules_say_what_they_lack():
    with pytest.raises(ValueError, match="no rule 'loud'; choose from polite"):
        tuning.rule_score("loud", user("?"), "Hm.")
    with pytest.raises(ValueError, match="does not give a name: 'Hello!'"):
        tuning.rule_score("says_name", user("Hello!"), "Hm.")
    with pytest.raises(ValueError, match="does not speak of a fact"):
        tuning.rule_score("right_fact", user("Hello!"), "Hm.")
    with pytest.raises(ValueError, match="does not say how many words"):
        limit_of("Be short, with at most some words.")


@given(
    st.sampled_from(
        [rule for rule in tuning.RULES if rule not in ("short_enough", "says_name", "right_fact")]
    ),
    st.text(),
)
def test_scores_are_from_0_to_1(rule, written):
    assert 0 <= tuning.rule_score(rule, user("Hello!"), written) <= 1
