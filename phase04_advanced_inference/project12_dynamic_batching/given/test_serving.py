import pytest

from phase04_advanced_inference.project12_dynamic_batching.given.example import (
    make_engine,
    random_model,
    trace_example,
)
from phase04_advanced_inference.project12_dynamic_batching.given.serving import Arrival, serve
from shared.phase01 import SamplingParams
from shared.phase03 import generate_tokens

PARAMS = SamplingParams(max_tokens=3, temperature=0)
MODEL = random_model()


class Clock:
    """A second each time it is looked at; sleeping is at once."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        self.now += 1
        return self.now

    def sleep(self, seconds):
        assert seconds > 0
        self.now += seconds


def test_who_comes_later_is_served_when_he_comes():
    clock, prompts = Clock(), [[1, 2], [3], [4, 5]]
    arrivals = [
        Arrival(seconds, prompt, PARAMS) for seconds, prompt in zip((0.0, 2.0, 500.0), prompts, strict=True)
    ]
    served = serve(make_engine(MODEL), arrivals, clock, clock.sleep)
    assert served.texts == generate_tokens(MODEL, prompts, PARAMS)
    assert served.written == 9
    assert len(served.latency.first_token) == len(served.latency.end_to_end) == 3
    assert max(served.latency.end_to_end) < 30
    assert served.seconds > 500
    assert served.steps < 10


def test_an_error_is_raised():
    engine = make_engine(MODEL)
    engine.sampler = lambda *_: [1 // 0]
    with pytest.raises(ZeroDivisionError):
        serve(engine, [Arrival(0.0, [1], PARAMS)])


def test_the_traced_example_is_always_the_same():
    texts = trace_example()
    assert trace_example() == texts
    assert [len(text) for text in texts.values()] == [3, 3]
