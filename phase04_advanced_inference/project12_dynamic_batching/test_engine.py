"""The same texts alone and in company, in every configuration; and whatever goes wrong costs nobody else anything."""

import functools
import random
from dataclasses import replace
from typing import Any

import pytest
import torch

from phase04_advanced_inference.project12_dynamic_batching.engine import Engine, Output, sample
from phase04_advanced_inference.project12_dynamic_batching.given.example import (
    TINY,
    ShortRows,
    make_engine,
    random_model,
    random_prompts,
)
from phase04_advanced_inference.project12_dynamic_batching.given.recorder import Recorder
from phase04_advanced_inference.project12_dynamic_batching.given.refusals import (
    DuplicateKeyError,
    EmptyPromptError,
    PromptTooLongError,
    QueueFullError,
    UnknownTokenError,
)
from phase04_advanced_inference.project12_dynamic_batching.rows import Rows
from phase04_advanced_inference.project12_dynamic_batching.runner import Runner
from phase04_advanced_inference.project12_dynamic_batching.sequence import SequenceStatus
from phase04_advanced_inference.project12_dynamic_batching.static_batching import StaticBatcher
from shared.phase01 import SamplingParams
from shared.phase03 import KVCache, generate_tokens
from shared.testing import raises

task = pytest.mark.task(10)
MODEL = random_model()
GREEDY = SamplingParams(max_tokens=6, temperature=0)


def make(*arguments, **settings) -> Any:
    return make_engine(*arguments, **settings)


def requests(count, seed=0):
    """Prompts with all kinds of settings, each with a seed of its own."""
    draw = random.Random(seed)
    kinds = [
        {"temperature": 0.0},
        {"temperature": 0.8},
        {"top_k": 5, "top_p": 0.9},
        {"repetition_penalty": 1.4, "temperature": 1.2},
        {"stop_ids": (3, 17)},
    ]
    return [
        (prompt, SamplingParams(max_tokens=draw.randint(1, 12), seed=draw.randrange(1000), **kinds[i % len(kinds)]))
        for i, prompt in enumerate(random_prompts(count, seed, longest=14))
    ]  # fmt: skip


@functools.cache
def written(prompt, params):
    return generate_tokens(MODEL, [prompt], params)[0]


def alone(prompt, params):
    """What project 8 writes of one prompt."""
    return list(written(tuple(prompt), params))


def texts_of(engine, asked, draw=None):
    """Texts by the engine: of requests that are there at the beginning, or come between steps at random."""
    texts, keys, rest = {}, [], list(asked)
    while rest or engine.scheduler.sequences:
        for _ in range(len(rest) if draw is None else draw.choice([0, 1, 3])):
            if rest:
                prompt, params = rest.pop(0)
                keys.append(engine.add(prompt, params))
                texts[keys[-1]] = []
        for output in engine.step():
            assert output.error is None
            texts[output.key] += output.tokens
    return [texts[key] for key in keys]


CONFIGURATIONS = {
    "one by one": {"max_sequences": 1},
    "whole prompts": {"max_sequences": 4, "max_tokens": 40},
    "a small budget": {"max_sequences": 4, "max_tokens": 5},
    "token by token": {"max_sequences": 3, "max_tokens": 3, "chunk": 1},
    "chunks": {"max_sequences": 4, "max_tokens": 8, "chunk": 3},
    "everybody at once": {"max_sequences": 24, "max_tokens": 400},
    "short of memory": {"max_sequences": 4, "max_tokens": 16, "chunk": 6, "memory": lambda: ShortRows(4, 40, 45)},
}  # fmt: skip


@task
@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("comes", ["at once", "by and by"])
def test_in_company_everybody_writes_what_he_would_write_alone(name, comes):
    configuration = dict(CONFIGURATIONS[name])
    if "memory" in configuration:
        configuration["memory"] = configuration["memory"]()
    asked = requests(14, seed=1)
    draw = None if comes == "at once" else random.Random(3)
    engine = make(MODEL, **configuration)
    assert texts_of(engine, asked, draw) == [alone(*one) for one in asked]
    memory = engine.scheduler.memory
    assert not memory.taken
    assert len(memory.unused) == configuration["max_sequences"], "drained is empty"


@task
def test_static_batches_write_the_same():
    asked, memory = requests(11, seed=2), Rows(4, 40)
    runner = Runner(MODEL, KVCache(TINY, 4, dtype=torch.float64), memory)
    assert texts_of(Engine(StaticBatcher(memory, 4), runner), asked) == [alone(*one) for one in asked]


@task
def test_in_whatever_order_they_come_the_texts_are_the_same():
    asked = requests(12, seed=3)
    expected = texts_of(make(MODEL, chunk=4), asked)
    order = list(range(12))
    random.Random(5).shuffle(order)
    found = texts_of(make(MODEL, chunk=4), [asked[i] for i in order])
    assert found == [expected[i] for i in order]


@task
def test_a_seeded_text_is_the_same_beside_unseeded_ones():
    prompt, params = [3, 1, 4], SamplingParams(max_tokens=8, seed=11)
    expected = alone(prompt, params)
    for place in range(3):
        engine, chance = make(MODEL), torch.Generator()
        chance.seed()
        keys = [
            engine.add(prompt, params)
            if other == place
            else engine.add([5, 9], SamplingParams(max_tokens=5), generator=chance)
            for other in range(3)
        ]
        assert engine.run()[keys[place]] == expected


@task
def test_a_generator_of_ones_own_draws():
    prompt, params = [3, 1, 4], SamplingParams(max_tokens=8, seed=11)
    engine = make(MODEL)
    key = engine.add(prompt, params, generator=torch.Generator().manual_seed(12))
    assert engine.run()[key] == alone(prompt, replace(params, seed=12))


@task
def test_a_step_gives_each_new_token_once_and_says_who_has_ended():
    engine = make(MODEL, max_sequences=2, max_tokens=8, chunk=3)
    one, two = engine.add([1, 2, 3, 4], replace(GREEDY, max_tokens=2)), engine.add([5], GREEDY)
    first, second = alone([1, 2, 3, 4], replace(GREEDY, max_tokens=2)), alone([5], GREEDY)
    running, length = SequenceStatus.RUNNING, SequenceStatus.FINISHED_LENGTH
    assert engine.step() == [Output(two, second[:1], running)]
    assert engine.step() == [Output(one, first[:1], running), Output(two, second[1:2], running)]
    assert engine.step() == [Output(one, first[1:], length), Output(two, second[2:3], running)]
    assert engine.steps == 3
    engine.run()
    assert (engine.step(), engine.steps) == ([], 6)


@task
def test_a_text_that_is_stopped_has_an_output_without_a_token():
    [first, *_] = alone([1, 2], GREEDY)
    engine = make(MODEL)
    key = engine.add([1, 2], replace(GREEDY, stop_ids=(first,)))
    assert engine.step() == [Output(key, [], SequenceStatus.FINISHED_STOPPED)]


@task
def test_run_gives_whole_texts_by_their_keys():
    engine = make(MODEL)
    engine.add([1, 2], GREEDY, key=40)
    engine.step()
    assert engine.add([3], GREEDY) == 41
    assert engine.run() == {40: alone([1, 2], GREEDY), 41: alone([3], GREEDY)}
    assert engine.run() == {}


@task
def test_a_prompt_stays_whatever_becomes_of_the_list():
    engine, prompt = make(MODEL), [1, 2]
    key = engine.add(prompt, GREEDY)
    prompt[:] = [5]
    assert engine.run()[key] == alone([1, 2], GREEDY)


@task
def test_a_key_that_was_given_is_not_given_again():
    engine = make(MODEL)
    assert [engine.add([1], GREEDY, key=key) for key in (40, 3, None)] == [40, 3, 41]


@task
@pytest.mark.parametrize(
    ("prompt", "kind", "facts"),
    [
        ([], EmptyPromptError, ()),
        ([1] * 41, PromptTooLongError, (41, 40)),
        ([3, 29, 30], UnknownTokenError, (29, 28)),
        ([3, -1], UnknownTokenError, (-1, 28)),
    ],
)
def test_what_the_model_cannot_start_from_is_refused_and_nobody_notices(prompt, kind, facts):
    engine = make(MODEL)
    key = engine.add([1, 2], GREEDY)
    engine.step()
    with raises(kind, *facts):
        engine.add(prompt, GREEDY)
    assert engine.add([5], GREEDY) == key + 1, "nothing has been counted"
    assert engine.run()[key] == alone([1, 2], GREEDY)


@task
def test_what_the_scheduler_refuses_is_refused():
    engine = make(MODEL, max_waiting=2)
    engine.add([1], GREEDY, key=3)
    with raises(DuplicateKeyError, 3):
        engine.add([1], GREEDY, key=3)
    engine.add([2], GREEDY)
    with raises(QueueFullError, 2):
        engine.add([4], GREEDY)
    assert set(engine.run()) == {3, 4}
    assert engine.add([1], GREEDY) == 5


@task
def test_a_prompt_as_long_as_the_context_has_one_token_to_come():
    engine, prompt = make(MODEL), [1, 2] * 20
    key = engine.add(prompt, replace(GREEDY, max_tokens=30))
    assert engine.run()[key] == alone(prompt, replace(GREEDY, max_tokens=30))


@task
def test_priorities_are_the_schedulers():
    engine, order = make(MODEL, max_sequences=1), []
    keys = [engine.add([1], replace(GREEDY, max_tokens=1), priority=priority) for priority in (5, 1, 3)]
    while engine.scheduler.sequences:
        order += [output.key for output in engine.step()]
    assert order == [keys[1], keys[2], keys[0]]


@task
def test_who_is_aborted_has_no_output_and_the_others_write_on():
    engine = make(MODEL, max_sequences=2)
    keys = [engine.add([i], GREEDY) for i in range(4)]
    engine.step()
    assert engine.abort(keys[0])
    assert engine.abort(keys[3])
    assert not engine.abort(keys[3])
    assert not engine.abort(99)
    seen = set()
    while engine.scheduler.sequences:
        seen |= {output.key for output in engine.step()}
    assert seen == {keys[1], keys[2]}
    assert len(engine.scheduler.memory.unused) == 2


@task
def test_who_is_aborted_while_the_step_runs_has_no_output():
    engine = make(MODEL)
    one, two, three = (engine.add([i], GREEDY) for i in (1, 2, 3))

    asked = []

    def sampler(sequence, logits):
        asked.append(sequence.key)
        if sequence.key == two and engine.steps == 2:
            engine.abort(one)
            engine.abort(three)
        return sample(sequence, logits)

    engine.sampler = sampler
    assert [output.key for output in engine.step()] == [one, two, three]
    assert [output.key for output in engine.step()] == [two]
    assert asked == [one, two, three, one, two], "nobody draws for one that has gone"
    assert engine.run() == {two: alone([2], GREEDY)}


class Failing:
    """A runner that fails in some steps, when all is done or before anything is."""

    def __init__(self, runner, steps, late):
        self.runner, self.steps, self.late, self.config, self.made = runner, steps, late, runner.config, 0

    def __call__(self, scheduled):
        self.made += 1
        if self.made in self.steps and not self.late:
            raise RuntimeError("no memory")
        logits = self.runner(scheduled)
        if self.made in self.steps:
            raise RuntimeError("no memory")
        return logits


@task
@pytest.mark.parametrize("late", [False, True])
def test_a_step_that_fails_fails_those_in_it_and_nobody_else(late):
    engine = make(MODEL, max_sequences=2)
    engine.runner = Failing(engine.runner, {2}, late)
    keys = [engine.add([i, 5], GREEDY) for i in range(5)]
    engine.step()
    failed = engine.step()
    assert [(output.key, output.tokens, output.status) for output in failed] == [
        (key, [], SequenceStatus.FINISHED_ABORTED) for key in keys[:2]
    ]
    assert all(isinstance(output.error, RuntimeError) and output.finished for output in failed)
    assert engine.run() == {keys[i]: alone([i, 5], GREEDY) for i in (2, 3, 4)}
    assert len(engine.scheduler.memory.unused) == 2


@task
def test_a_choice_that_fails_fails_its_own_request():
    engine = make(MODEL)
    one, two, three = (engine.add([i], GREEDY) for i in (1, 2, 3))

    def sampler(sequence, logits):
        if sequence.key == two and engine.steps == 2:
            raise ValueError("NaN")
        return sample(sequence, logits)

    engine.sampler = sampler
    engine.step()
    outputs = engine.step()
    assert [(output.key, len(output.tokens), type(output.error)) for output in outputs] == [
        (one, 1, type(None)),
        (two, 0, ValueError),
        (three, 1, type(None)),
    ]
    assert engine.run() == {one: alone([1], GREEDY), three: alone([3], GREEDY)}


@task
def test_a_step_that_fails_is_counted_and_recorded():
    engine, recorder = make(MODEL), Recorder(clock=lambda: 0.0)
    engine.recorder, engine.runner = recorder, Failing(engine.runner, {2}, late=False)
    keys = [engine.add([i], GREEDY) for i in range(2)]
    engine.step()
    engine.step()
    assert engine.steps == 2
    assert [line["step"] for line in recorder.lines] == [1, 2]
    line = recorder.lines[1]
    assert line["finished"] == {str(key): "aborted" for key in keys}
    assert line["aborted"] == [], "nobody has asked for it"


@task
def test_who_is_aborted_in_a_step_that_fails_has_no_output():
    engine = make(MODEL)
    one, two = (engine.add([i], GREEDY) for i in range(2))

    class Aborting(Failing):
        def __call__(self, scheduled):
            engine.abort(one)
            engine.add([5], GREEDY, key=one)
            return super().__call__(scheduled)

    runner = Aborting(engine.runner, {1}, late=False)
    kept, engine.runner = engine.runner, runner
    assert [output.key for output in engine.step()] == [two]
    engine.runner = kept
    assert engine.run() == {one: alone([5], GREEDY)}


@task
def test_whose_choice_aborts_its_own_request_and_fails_has_no_output():
    engine = make(MODEL)
    one, two = (engine.add([i], GREEDY) for i in range(2))

    def sampler(sequence, logits):
        if sequence.key == one:
            engine.abort(one)
            engine.add([5], GREEDY, key=one)
            raise ValueError("NaN")
        return sample(sequence, logits)

    engine.sampler = sampler
    assert [output.key for output in engine.step()] == [two]
    engine.sampler = sample
    assert engine.run() == {one: alone([5], GREEDY), two: alone([1], GREEDY)}


@task
def test_run_raises_the_error_and_goes_on_when_it_is_called_again():
    engine = make(MODEL, max_sequences=1)
    engine.runner = Failing(engine.runner, {1}, late=True)
    engine.add([1], GREEDY)
    other = engine.add([2], GREEDY)
    with pytest.raises(RuntimeError, match="no memory"):
        engine.run()
    assert engine.run() == {other: alone([2], GREEDY)}


@task
def test_what_stops_the_program_stops_it_and_the_step_can_be_made_again():
    engine = make(MODEL)
    key = engine.add([1, 2], GREEDY)
    engine.step()
    runner = engine.runner

    def stop(scheduled):
        runner(scheduled)
        raise KeyboardInterrupt

    engine.runner = stop
    with pytest.raises(KeyboardInterrupt):
        engine.step()
    engine.runner = runner
    assert engine.run()[key] == alone([1, 2], GREEDY)


@task
def test_an_engine_in_which_nobody_can_go_on_says_so():
    engine = make(MODEL)
    engine.add([1], GREEDY)
    engine.scheduler.memory.unused.clear()
    with raises(RuntimeError, 1):
        engine.step()


@task
def test_sampling_takes_the_last_row_all_of_the_text_and_the_sequences_own_generator():
    engine = make(MODEL)
    key = engine.add([1, 2], SamplingParams(repetition_penalty=1e5, temperature=0))
    sequence = engine.scheduler.sequences[key]
    sequence.tokens.append(4)
    logits = torch.zeros(2, TINY.vocab_size)
    logits[0, 9] = 5.0
    logits[1, [1, 4, 6]] = torch.tensor([3.0, 2.0, 1.0])
    assert sample(sequence, logits) == [6], "1 and 4 are in the text"
    assert sample(sequence, logits[:0]) == []


@task
def test_what_was_recorded_is_what_was_done():
    recorder = Recorder(clock=iter(range(100)).__next__)
    engine = make(MODEL, max_sequences=2, max_tokens=6, chunk=4)
    engine.recorder = recorder
    one = engine.add([1, 2, 3, 4, 5], replace(GREEDY, max_tokens=2))
    two, three, four = (engine.add([i], replace(GREEDY, max_tokens=2)) for i in (6, 7, 8))
    engine.step()
    engine.abort(four)
    engine.run()
    part = lambda key, count, start, chunk=False: {"key": key, "count": count, "start": start, "chunk": chunk}  # noqa: E731
    line = {"waiting": [], "finished": {}, "aborted": [], "preempted": []}
    assert recorder.lines == [
        line | {"step": 1, "time": 1, "scheduled": [part(one, 4, 0, True), part(two, 1, 0)], "waiting": [three, four]},
        line | {"step": 2, "time": 2, "scheduled": [part(one, 1, 4), part(two, 1, 1)], "waiting": [three],
                "finished": {str(two): "length"}, "aborted": [four]},
        line | {"step": 3, "time": 3, "scheduled": [part(one, 1, 5), part(three, 1, 0)],
                "finished": {str(one): "length"}},
        line | {"step": 4, "time": 4, "scheduled": [part(three, 1, 1)], "finished": {str(three): "length"}},
    ]  # fmt: skip
