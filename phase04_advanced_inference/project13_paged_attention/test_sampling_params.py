"""What may be asked for, and what is refused; the ids that a model knows."""

from dataclasses import replace

import pytest

from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams
from shared.phase01 import SamplingParams as PlainParams
from shared.testing import raises

NAN = float("nan")


def made_of(**settings):
    """As SamplingParams(**settings), where nobody checks types before it does; here jaxtyping would."""
    params = SamplingParams()
    for name, value in settings.items():
        object.__setattr__(params, name, value)
    params.__post_init__()
    return params


@pytest.mark.task(8)
@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"logit_bias": {3: 1.0, 12: -1.0}}, ("logit_bias", 12, 11)),
        ({"stop_ids": (0, 40)}, ("stop_ids", 40, 11)),
    ],
)
def test_tokens_that_the_model_does_not_know_are_refused(settings, facts):
    params = SamplingParams(**settings)
    params.check(41)
    with raises(ValueError, *facts):
        params.check(12)


@pytest.mark.task(8)
def test_the_last_token_is_known():
    SamplingParams(logit_bias={11: 1.0, 0: 2.0}, stop_ids=(11,)).check(12)
    SamplingParams().check(1)


def test_it_is_project_1s_and_more():
    params = made_of(temperature=0.5, stop=["a", "b"], stop_ids=[3], choices=["x"])
    assert isinstance(params, PlainParams)
    assert (params.stop, params.stop_ids, params.choices) == (("a", "b"), (3,), ("x",))
    assert replace(params, n=3).n == 3
    assert hash(params) == hash(replace(params))


def test_project_1s_settings_are_taken_over():
    plain = PlainParams(temperature=0.5, stop=("a",), seed=3)
    assert SamplingParams.of(plain) == SamplingParams(temperature=0.5, stop=("a",), seed=3)
    params = SamplingParams(n=2)
    assert SamplingParams.of(params) is params


def test_the_bias_is_a_copy():
    bias = {1: 2.0}
    params = SamplingParams(logit_bias=bias)
    bias[2] = 3.0
    assert params.logit_bias == {1: 2.0}


def test_how_many_texts_are_written():
    assert [SamplingParams(n=n, best_of=best).texts for n, best in ((1, None), (3, None), (2, 5), (2, 2))] == [
        1, 3, 5, 2,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"temperature": NAN}, ("temperature", "nan")),
        ({"temperature": "hot"}, ("temperature", "hot")),
        ({"temperature": -1.0}, ("temperature", -1.0)),
        ({"top_p": NAN}, ("top_p", "nan")),
        ({"top_k": 2.5}, ("top_k", 2.5)),
        ({"max_tokens": "5"}, ("max_tokens", "5")),
        ({"max_tokens": 0}, ("max_tokens", 0)),
        ({"seed": True}, ("seed", "True")),
        ({"stop": "end"}, ("stop", "end", "tuple")),
        ({"stop": (3,)}, ("stop", 3)),
        ({"stop": None}, ("stop", "None")),
        ({"stop": ("a", "")}, ("stop",)),
        ({"stop_ids": "12"}, ("stop_ids", "12")),
        ({"stop_ids": (1.0,)}, ("stop_ids", 1.0)),
        ({"stop_ids": (True,)}, ("stop_ids", "True")),
        ({"stop_ids": 7}, ("stop_ids", 7)),
        ({"presence_penalty": 2.5}, ("presence_penalty", 2.5, -2, 2)),
        ({"presence_penalty": NAN}, ("presence_penalty", "nan")),
        ({"frequency_penalty": -2.01}, ("frequency_penalty", -2.01, -2, 2)),
        ({"frequency_penalty": None}, ("frequency_penalty", "None")),
        ({"repetition_penalty": NAN}, ("repetition_penalty", "nan")),
        ({"logit_bias": {5: 101.0}}, ("logit_bias", 5, 101.0, -100, 100)),
        ({"logit_bias": {5: -101}}, ("logit_bias", 5, -101, -100, 100)),
        ({"logit_bias": {5: NAN}}, ("logit_bias", 5, "nan")),
        ({"logit_bias": {5: "much"}}, ("logit_bias", 5, "much")),
        ({"logit_bias": {-1: 1.0}}, ("logit_bias", -1)),
        ({"logit_bias": {"5": 1.0}}, ("logit_bias", "'5'")),
        ({"logit_bias": [5]}, ("logit_bias", 5)),
        ({"min_tokens": 6, "max_tokens": 5}, ("min_tokens", 6, 5)),
        ({"min_tokens": -1}, ("min_tokens", -1)),
        ({"logprobs": 21}, ("logprobs", 21, 20)),
        ({"logprobs": -1}, ("logprobs", -1)),
        ({"logprobs": True}, ("logprobs", "True")),
        ({"n": 0}, ("n", 0, 1)),
        ({"n": 129}, ("n", 129, 128)),
        ({"n": 3, "best_of": 2}, ("best_of", 2, 3)),
        ({"best_of": 1000}, ("best_of", 1000, 128)),
        ({"best_of": 1.5}, ("best_of", 1.5)),
        ({"include_stop": 1}, ("include_stop", 1)),
        ({"choices": ()}, ("choices", "()")),
        ({"choices": ("a", "")}, ("choices",)),
        ({"choices": "yes"}, ("choices", "yes")),
        ({"choices": (1, 2)}, ("choices", 1, 2)),
        ({"choices": ("a",), "regex": "b"}, ("choices", "regex", "a", "b")),
        ({"regex": "(a"}, ("(a",)),
        ({"regex": 5}, ("regex", 5)),
    ],
)
def test_what_is_refused(settings, facts):
    with raises(ValueError, *facts):
        made_of(**settings)


def test_the_borders_are_allowed():
    SamplingParams(
        presence_penalty=2, frequency_penalty=-2.0, logit_bias={0: 100, 1: -100}, min_tokens=5, max_tokens=5
    )
    SamplingParams(logprobs=0, n=128, best_of=128)
    SamplingParams(logprobs=20, regex="a*", include_stop=True)
