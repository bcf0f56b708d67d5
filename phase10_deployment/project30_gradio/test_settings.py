"""Task 3: from the controls to the fields of a request."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase10_deployment.project30_gradio.given.controls import CONTROLS, Control
from phase10_deployment.project30_gradio.settings import as_value, request_fields
from shared.testing import raises

pytestmark = pytest.mark.task(3)

NAMED = {control.name: control for control in CONTROLS}
WARM, TOP_K, STOP, SEED = (NAMED[name] for name in ("temperature", "top_k", "stop", "seed"))
REGEX = NAMED["guided_regex"]
LETTERS = Control("words", "Words", "lines", None, high=2)


def test_nothing_changed_is_nothing_sent():
    assert request_fields({}) == {}
    assert request_fields({control.name: control.default for control in CONTROLS}) == {}


@pytest.mark.parametrize("nothing", [None, "", "  ", "\n \n"])
def test_an_empty_control_is_not_sent(nothing: str | None):
    assert request_fields(dict.fromkeys(NAMED, nothing)) == {}


def test_what_was_changed_is_sent():
    assert request_fields({"temperature": 0.25, "top_p": 1.0, "seed": 7}) == {"temperature": 0.25, "seed": 7}


def test_what_openai_does_not_know_goes_in_the_extra_body():
    values = {"top_k": 5, "repetition_penalty": 1.1, "guided_choice": "yes\nno", "max_tokens": 9}
    extra = {"top_k": 5, "repetition_penalty": 1.1, "guided_choice": ["yes", "no"]}
    assert request_fields(values) == {"max_tokens": 9, "extra_body": extra}


def test_the_fields_are_arguments_of_the_client():
    import inspect

    from openai.resources.chat.completions import Completions

    known = set(inspect.signature(Completions.create).parameters)
    values = {
        one.name: (one.low + one.high) // 2 + 1 if one.kind in ("number", "whole") else "a"
        for one in CONTROLS
    }
    values |= {"temperature": 0.5, "top_p": 0.5, "repetition_penalty": 1.5, "presence_penalty": 1.0}
    sent = request_fields({**values, "frequency_penalty": 1.0})
    assert set(sent) - known == set()
    assert len(sent) + len(sent["extra_body"]) == len(CONTROLS) + 1


def test_zero_is_a_value():
    assert request_fields({"temperature": 0, "seed": 0}) == {"temperature": 0.0, "seed": 0}
    assert as_value(NAMED["presence_penalty"], 0) is None  # which is its default


def test_kinds_are_the_servers():
    value = as_value(TOP_K, 5.0)
    assert (value, type(value)) == (5, int)
    value = as_value(WARM, 2)
    assert (value, type(value)) == (2.0, float)


@pytest.mark.parametrize("value", [-0.1, 2.1, math.nan, math.inf, -math.inf, True, "hot", [1.0]])
def test_numbers_out_of_range(value: Any):
    with raises(ValueError, "Temperature", 0, 2, repr(value)):
        as_value(WARM, value)


@pytest.mark.parametrize("value", [-1, 1001, math.nan, True, "7", 1e300])
def test_whole_numbers_out_of_range(value: Any):
    with raises(ValueError, "Top k", 0, 1000, repr(value)):
        as_value(TOP_K, value)


def test_whole_numbers_are_whole():
    with raises(ValueError, "Top k", "2.5"):
        as_value(TOP_K, 2.5)


def test_the_ends_of_a_range_are_in_it():
    assert as_value(WARM, 2.0) == 2.0
    assert as_value(TOP_K, 1000) == 1000
    assert as_value(SEED, 0) == 0
    assert as_value(SEED, 2**53 - 1) == 2**53 - 1


def test_every_number_says_its_range():
    for control in CONTROLS:
        if control.kind in ("number", "whole"):
            with raises(ValueError, control.label):
                request_fields({control.name: control.high * 2 + 1})


def test_lines_are_texts():
    assert as_value(STOP, "END\n\n  \n### ") == ["END", "### "]
    assert as_value(STOP, " x") == [" x"]


def test_lines_have_escapes():
    assert as_value(STOP, r"\n\nUser:") == ["\n\nUser:"]
    assert as_value(STOP, r"a\tb") == ["a\tb"]
    assert as_value(STOP, r"\\n") == [r"\n"]
    assert as_value(STOP, r"\\\n") == ["\\\n"]
    assert as_value(STOP, "\\d\\") == ["\\d\\"]


@given(st.lists(st.text(min_size=1).filter(lambda text: bool(text.strip())), min_size=1, max_size=2))
def test_any_texts_come_through_escaped(texts: list[str]):
    typed = "\n".join(text.replace("\\", "\\\\").replace("\n", "\\n") for text in texts)
    assert as_value(LETTERS, typed) == texts


def test_there_are_not_too_many_lines():
    assert as_value(LETTERS, "a\nb") == ["a", "b"]
    with raises(ValueError, "Words", 2, 3):
        as_value(LETTERS, "a\nb\nc")


def test_a_text_stays_as_it_is():
    assert as_value(REGEX, r" [0-9]+\n") == r" [0-9]+\n"
    with raises(ValueError, REGEX.label, 500, 501):
        as_value(REGEX, "a" * 501)
    assert as_value(REGEX, "a" * 500) == "a" * 500


def test_a_text_is_a_text():
    for control in (STOP, REGEX):
        with raises(ValueError, control.label, "5"):
            as_value(control, 5)


def test_unknown_names_are_refused():
    with raises(ValueError, "temprature", "temperature"):
        request_fields({"temprature": 1.0})
