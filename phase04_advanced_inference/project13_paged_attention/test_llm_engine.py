"""The same texts whatever happens to blocks, chunks, hits, preemptions and guesses; and all that users ask."""

import inspect
import random
from dataclasses import replace
from functools import cache
from typing import Any, cast

import pytest
import torch

from phase04_advanced_inference.project10_prompt_caching.block_pool import BlockPool
from phase04_advanced_inference.project11_speculative_decoding.adaptive import AdaptiveLength
from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Proposal
from phase04_advanced_inference.project11_speculative_decoding.ngram import NGramProposer
from phase04_advanced_inference.project12_dynamic_batching.engine import Engine
from phase04_advanced_inference.project12_dynamic_batching.given.example import (
    TINY,
    random_model,
    random_prompts,
)
from phase04_advanced_inference.project12_dynamic_batching.given.refusals import (
    EmptyPromptError,
    NeverFitsError,
    PromptTooLongError,
    QueueFullError,
    UnknownPriorityError,
    UnknownTokenError,
)
from phase04_advanced_inference.project12_dynamic_batching.rows import Rows
from phase04_advanced_inference.project12_dynamic_batching.runner import Runner
from phase04_advanced_inference.project12_dynamic_batching.scheduler import Scheduler
from phase04_advanced_inference.project13_paged_attention.given.block_recorder import BlockRecorder
from phase04_advanced_inference.project13_paged_attention.given.pieces import token_pieces
from phase04_advanced_inference.project13_paged_attention.given.small import LETTERS, make_engine
from phase04_advanced_inference.project13_paged_attention.llm_engine import LLMEngine
from phase04_advanced_inference.project13_paged_attention.sampler import Sampler
from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams
from shared.phase03 import KVCache
from shared.testing import raises

task = pytest.mark.task(11)
MODEL = random_model()
GREEDY = SamplingParams(max_tokens=8, temperature=0)


def dense(prompt, params):
    """What project 12's engine writes of one prompt alone, with a row for it, and this project's sampler."""
    rows = Rows(1, TINY.context_length)
    cache = KVCache(TINY, 1, dtype=torch.float64)
    engine = Engine(
        Scheduler(rows, 1), Runner(MODEL, cache, rows), Sampler(token_pieces(LETTERS, TINY.vocab_size))
    )
    engine.add(prompt, params)
    [text] = engine.run().values()
    return text


def requests(count, seed=0):
    """Prompts, of which many begin alike, with all kinds of settings."""
    draw = random.Random(seed)
    kinds = [
        {"temperature": 0.0},
        {"temperature": 0.0, "repetition_penalty": 1.3},
        {"temperature": 0.8},
        {"top_k": 5, "top_p": 0.9, "presence_penalty": 0.5},
        {"frequency_penalty": 0.4, "logit_bias": {3: 2.0}, "min_tokens": 2, "stop_ids": (3, 17)},
    ]
    prompts = random_prompts(count, seed, longest=14)
    beginnings = random_prompts(3, seed + 1, longest=12)
    return [
        (
            [*draw.choice(beginnings), *prompt] if i % 2 else prompt,
            SamplingParams(
                max_tokens=draw.randint(2, 12), seed=draw.randrange(1000), **kinds[i % len(kinds)]
            ),
        )
        for i, prompt in enumerate(prompts)
    ]


ASKED = requests(40)


@cache
def expected_texts():
    """What project 12 writes."""
    return [dense(*one) for one in ASKED]


CONFIGURATIONS = {
    "alone": {"max_sequences": 1},
    "in company": {"max_sequences": 8, "num_blocks": 100},
    "chunked": {"max_sequences": 6, "max_tokens": 12, "chunk": 3},
    "one token a block": {"block_size": 1, "num_blocks": 160},
    "large blocks": {"block_size": 16, "num_blocks": 20},
    "preempted, recompute": {"num_blocks": 13, "max_sequences": 6},
    "preempted, swap": {"num_blocks": 13, "max_sequences": 6, "swap_blocks": 40, "chunk": 5},
    "preempted, small host": {"num_blocks": 13, "max_sequences": 6, "swap_blocks": 4},
    "a watermark": {"num_blocks": 60, "max_sequences": 6, "watermark": 0.2},
}


def texts(engine, asked):
    """The tokens that an engine writes."""
    results = engine.generate([prompt for prompt, _ in asked], [params for _, params in asked])
    assert all(result.completions[0].error is None for result in results)
    assert engine.manager.pool.num_free == engine.manager.pool.num_blocks
    assert (
        engine.manager.keys
        == engine.manager.tables
        == engine.requests
        == engine.owners
        == engine.results
        == {}
    )
    return [result.completions[0].tokens for result in results]


@task
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_same_texts(name):
    engine = make_engine(MODEL, **CONFIGURATIONS[name])
    assert texts(engine, ASKED) == expected_texts()
    saved = engine.saved
    assert (saved.preempted > 0) == name.startswith("preempted")
    assert (saved.swapped > 0) == (name in ("preempted, swap", "preempted, small host"))


@task
@pytest.mark.parametrize("name", ["in company", "chunked", "preempted, recompute", "preempted, swap"])
def test_the_same_greedy_texts_with_guesses(name):
    greedy = [(prompt, params) for prompt, params in ASKED if params.temperature == 0]
    expected = [
        text for (_, params), text in zip(ASKED, expected_texts(), strict=True) if params.temperature == 0
    ]
    engine = make_engine(MODEL, proposer=NGramProposer(), **CONFIGURATIONS[name])
    assert texts(engine, greedy) == expected
    assert 0 < engine.saved.accepted < engine.saved.guessed


class Knows:
    """A proposer that knows how greedy texts go on, and is wrong now and then."""

    def __init__(self, wrong=7):
        self.texts, self.wrong, self.asked = {}, wrong, []

    def propose(self, drafts):
        self.asked.append([(draft.key, draft.count) for draft in drafts])
        return [Proposal(self.next(draft)) for draft in drafts]

    def next(self, draft):
        text = next(text for text in self.texts.values() if text[: len(draft.tokens)] == draft.tokens)
        place = len(draft.tokens)
        guesses = text[place : place + draft.count]
        return [(t + 1) % 29 if (place + i) % self.wrong == 0 else t for i, t in enumerate(guesses)]

    def forget(self, key):
        self.texts.pop(key, None)


@task
def test_good_guesses_take_fewer_steps():
    asked = [(prompt, replace(GREEDY, max_tokens=12)) for prompt in random_prompts(4, longest=10)]
    expected = [dense(*one) for one in asked]
    knows = Knows()
    knows.texts = {
        i: prompt + text for i, ((prompt, _), text) in enumerate(zip(asked, expected, strict=True))
    }
    plain, engine = make_engine(MODEL), make_engine(MODEL, proposer=knows)
    assert texts(plain, asked) == expected
    assert texts(engine, asked) == expected
    assert engine.engine.steps < 0.7 * plain.engine.steps
    assert max(count for counts in knows.asked for _, count in counts) == 4
    assert knows.texts == {}, "the proposer was told who has ended"


@task
def test_no_more_guesses_than_the_text_may_have():
    knows = Knows(wrong=1)
    for limit, prompt in ((TINY.context_length, [5] * 37), (3, [5, 6])):
        params = SamplingParams(max_tokens=20 if limit > 3 else 3, temperature=0)
        knows.texts = {0: prompt + dense(prompt, params) + [0] * 9}
        knows.asked = []
        engine = make_engine(MODEL, proposer=knows)
        text = texts(engine, [(prompt, params)])[0]
        assert text == dense(prompt, params)
        longest = min(len(prompt) + params.max_tokens - 1, TINY.context_length)
        counts = [count for counts in knows.asked for _, count in counts]
        assert counts == [longest - len(prompt) - i for i in range(1, len(text) - 1)]
        assert all(knows.asked), "nobody is asked for nothing"


@task
def test_hits_are_counted():
    engine = make_engine(MODEL)
    prompt = random_prompts(1, longest=30)[0][:9] + [1] * 6
    first, again = engine.generate([prompt], GREEDY)[0], engine.generate([prompt], GREEDY)[0]
    assert (first.cached, again.cached) == (0, 4 * (len(prompt) // 4) if len(prompt) % 4 else len(prompt) - 1)
    assert first.completions[0].tokens == again.completions[0].tokens
    assert engine.saved.prompts.total.hit == again.cached
    other = engine.generate([prompt], GREEDY, salt="another's")[0]
    assert other.cached == 0
    assert other.text == first.text


@task
def test_several_texts_of_one_prompt():
    prompt = random_prompts(1, longest=30)[0][:9] + [1] * 6
    params = SamplingParams(max_tokens=9, n=3, seed=5)
    expected = [dense(prompt, replace(params, n=1, seed=5 + i)) for i in range(3)]
    for settings in ({}, {"max_sequences": 2}, {"num_blocks": 9, "swap_blocks": 9}, {"chunk": 4}):
        recorder = BlockRecorder()
        engine = make_engine(MODEL, recorder=recorder, **settings)
        [result] = engine.generate([prompt], params)
        assert max(len(line["scheduled"]) for line in recorder.lines) <= engine.scheduler.max_sequences
        assert [one.tokens for one in result.completions] == expected
        assert [one.index for one in result.completions] == [0, 1, 2]
        assert engine.manager.pool.num_free == engine.manager.pool.num_blocks
    assert len({tuple(text) for text in expected}) == 3


@task
def test_one_prompt_is_computed_once_and_copied_at_its_end_alone():
    recorder = BlockRecorder()
    engine = make_engine(MODEL, recorder=recorder)
    engine.generate([[1] * 10], SamplingParams(max_tokens=4, n=3, seed=5))
    assert sum(part["count"] for part in recorder.lines[0]["scheduled"]) == 10
    assert engine.saved.copied == 2, (
        "three texts write after the prompt's last block, and one has it for its own"
    )
    assert {len(line["scheduled"]) for line in recorder.lines[1:]} == {3}
    assert {part["count"] for line in recorder.lines[1:] for part in line["scheduled"]} == {1}
    first = recorder.lines[1]["blocks"].values()
    assert len({tuple(table[:2]) for table in first}) == 1
    assert len({table[2] for table in first}) == 3


@task
def test_the_likeliest_of_several():
    params = SamplingParams(max_tokens=6, n=2, best_of=4, temperature=1.5, seed=3)
    engine = make_engine(MODEL)
    [result] = engine.generate([[1, 2, 3]], params)
    [every] = engine.generate([[1, 2, 3]], replace(params, n=4, best_of=None, logprobs=0))
    best = sorted(every.completions, key=lambda one: -one.cumulative_logprob)[:2]
    assert [one.index for one in result.completions] == [one.index for one in best]
    assert [one.cumulative_logprob for one in result.completions] == [one.cumulative_logprob for one in best]
    with raises(ValueError, 2, 4):
        engine.stream([1, 2, 3], params)


@task
def test_logprobs_are_those_of_the_model():
    engine = make_engine(MODEL, proposer=NGramProposer())
    prompt = [1, 2, 1, 2, 1]
    [result] = engine.generate([prompt], SamplingParams(max_tokens=9, temperature=0, logprobs=3))
    [one] = result.completions
    with torch.no_grad():
        expected = MODEL(torch.tensor([prompt + one.tokens]))[0].log_softmax(dim=-1)[len(prompt) - 1 : -1]
    assert [kept.token for kept in one.logprobs] == one.tokens
    for kept, row in zip(one.logprobs, expected, strict=True):
        assert kept.logprob == pytest.approx(float(row[kept.token]), abs=1e-10)
        assert [token for token, _ in kept.top] == row.argsort(descending=True)[:3].tolist()


def stop_text(prompt, length=12):
    """A text that greedy choice writes, and two letters in the middle of it."""
    text = LETTERS.decode(dense(prompt, SamplingParams(max_tokens=length, temperature=0)))
    return text, text[5:7]


@task
@pytest.mark.parametrize("proposer", [None, NGramProposer()])
def test_stop_texts(proposer):
    for prompt in random_prompts(6, seed=4):
        text, stop = stop_text(prompt)
        engine = make_engine(MODEL, proposer=proposer)
        params = SamplingParams(max_tokens=12, temperature=0, stop=(stop,))
        [result] = engine.generate([prompt], params)
        [one] = result.completions
        assert one.reason == "stop"
        assert one.text == text[: text.index(stop)]
        assert LETTERS.decode(one.tokens) == text[: text.index(stop) + 2]
        [kept] = engine.generate([prompt], replace(params, include_stop=True))
        assert kept.text == one.text + stop
        assert engine.manager.pool.num_free == engine.manager.pool.num_blocks


@task
def test_reasons():
    prompt = [1, 2, 3]
    text = dense(prompt, GREEDY)
    engine = make_engine(MODEL)
    [result] = engine.generate([prompt], GREEDY)
    assert result.completions[0].reason == "length"
    assert result.text == LETTERS.decode(text)
    stop = text[3]
    [result] = engine.generate([prompt], replace(GREEDY, stop_ids=(stop,), logprobs=0))
    [one] = result.completions
    assert (one.reason, one.tokens) == ("stop", text[: text.index(stop)])
    assert one.logprobs[-1].token == stop, "the token that ended it counts, too"
    [result] = engine.generate([prompt], replace(GREEDY, choices=("yes", "no")))
    assert result.text in ("yes", "no")
    assert result.completions[0].reason == "stop"


@task
def test_a_stream():
    engine = make_engine(MODEL)
    expected = engine.generate(["the cat", "a dog"], GREEDY)
    one, two = engine.stream("the cat", GREEDY), engine.stream("a dog", GREEDY)
    first = [next(one)]
    others = list(two)
    first += list(one)
    for deltas, result in zip((first, others), expected, strict=True):
        assert "".join(delta.text for delta in deltas) == result.text
        assert [token for delta in deltas for token in delta.tokens] == result.completions[0].tokens
        assert [delta.reason for delta in deltas] == [None] * (len(deltas) - 1) + ["length"]
    assert engine.requests == engine.results == engine.owners == {}


@task
def test_a_stream_holds_back_what_may_be_a_stop_text():
    prompt = random_prompts(1, seed=4)[0]
    text, stop = stop_text(prompt)
    params = SamplingParams(max_tokens=12, temperature=0, stop=(stop,))
    pieces = [delta.text for delta in make_engine(MODEL).stream(prompt, params)]
    assert "".join(pieces) == text[: text.index(stop)]
    assert pieces[-1] == ""


@task
def test_a_stream_that_is_closed_aborts():
    engine = make_engine(MODEL)
    stream = engine.stream("the cat", replace(GREEDY, max_tokens=20, n=2))
    next(stream)
    stream.close()
    assert engine.requests == engine.owners == engine.manager.tables == {}
    assert engine.manager.pool.num_free == engine.manager.pool.num_blocks


@task
def test_a_stream_is_added_at_once():
    engine = make_engine(MODEL)
    with raises(EmptyPromptError):
        engine.stream([])
    stream = engine.stream("the", GREEDY)
    assert len(engine.requests) == 1
    list(stream)


@task
def test_steps():
    engine = make_engine(MODEL)
    key = engine.add("the cat", GREEDY)
    other = engine.add("a", replace(GREEDY, max_tokens=3))
    found = {key: [], other: []}
    while engine.requests:
        for delta in engine.step():
            found[delta.key] += delta.tokens
    assert set(engine.results) == {key, other}
    assert found[key] == engine.results[key].completions[0].tokens
    assert len(found[other]) == 3
    assert engine.step() == []


@task
def test_aborts():
    engine = make_engine(MODEL, max_sequences=2)
    running, waiting = engine.add("the cat", replace(GREEDY, n=2)), engine.add("a dog", replace(GREEDY, n=3))
    expected = engine.add("the end", GREEDY)
    engine.step()
    assert engine.abort(running)
    assert engine.abort(waiting)
    assert not engine.abort(running)
    while engine.requests:
        assert all(delta.key == expected for delta in engine.step())
    assert engine.results[expected].completions[0].tokens == dense(LETTERS.encode("the end"), GREEDY)
    assert engine.manager.pool.num_free == engine.manager.pool.num_blocks
    assert engine.owners == engine.engine.siblings == {}


REFUSED = [
    ([], GREEDY, EmptyPromptError, ()),
    ([1] * 41, GREEDY, PromptTooLongError, (41, 40)),
    ([1, 29], GREEDY, UnknownTokenError, (29, 28)),
    ([1, -1], GREEDY, UnknownTokenError, (-1,)),
    ([1] * 30, replace(GREEDY, max_tokens=9), NeverFitsError, (38, 32)),
    ([1, 2.0], GREEDY, TypeError, (("float", "2.0"),)),
    (None, GREEDY, TypeError, (("NoneType", "None"),)),
    (b"the", GREEDY, TypeError, ("bytes",)),
    ([1], {"max_tokens": 3}, TypeError, (("dict", "{"),)),
    ([1], replace(GREEDY, logit_bias={40: 1.0}), ValueError, (40, 28)),
    ([1], replace(GREEDY, regex="[0-9]+"), ValueError, ("[0-9]+",)),
    ("The", GREEDY, ValueError, ("T",)),
]


@task
@pytest.mark.parametrize(("prompt", "params", "kind", "facts"), REFUSED)
def test_what_cannot_be_is_refused_and_nobody_notices(prompt, params, kind, facts):
    engine = make_engine(MODEL, num_blocks=8)
    good = engine.add("the cat", GREEDY)
    engine.step()
    before = dict(engine.owners), dict(engine.requests), engine.engine.next_key
    with raises(kind, *facts):
        engine.add(prompt, params)
    assert before == (engine.owners, engine.requests, engine.engine.next_key)
    with raises(kind, *facts):
        engine.generate(["a", prompt], [GREEDY, params])
    assert set(engine.requests) == {good}
    while engine.requests:
        engine.step()
    assert engine.results[good].completions[0].tokens == dense(LETTERS.encode("the cat"), GREEDY)


@task
def test_other_refusals():
    engine = make_engine(MODEL, max_waiting=1)
    with raises(UnknownPriorityError, 11):
        engine.add("a", GREEDY, priority=11)
    with raises(TypeError, ("int", "3")):
        engine.add("a", GREEDY, salt=cast(Any, 3))
    with raises(ValueError, 2, 3):
        engine.generate(["a", "b"], [GREEDY] * 3)
    engine.add("a", GREEDY)
    with raises(QueueFullError, 1):
        engine.add("b", GREEDY)
    assert len(engine.requests) == 1


@task
def test_a_step_that_raises_fails_its_own_requests():
    engine = make_engine(MODEL, max_sequences=2)
    keys = [engine.add(text, replace(GREEDY, n=n)) for text, n in (("the cat", 2), ("a", 1), ("the end", 1))]
    real, engine.engine.runner = engine.engine.runner, Broken(engine.engine.runner)
    deltas = engine.step()
    assert {(delta.key, delta.index, delta.reason) for delta in deltas} == {
        (keys[0], 0, "error"), (keys[0], 1, "error"), (keys[1], 0, "error"),
    }  # fmt: skip
    assert all(isinstance(delta.error, ArithmeticError) for delta in deltas)
    assert engine.manager.pool.num_free == engine.manager.pool.num_blocks
    assert set(engine.requests) == {keys[2]}
    engine.engine.runner = real
    while engine.requests:
        engine.step()
    assert engine.results[keys[2]].completions[0].tokens == dense(LETTERS.encode("the end"), GREEDY)
    assert isinstance(engine.results[keys[0]].completions[1].error, ArithmeticError)


class Broken:
    """A runner that raises."""

    def __init__(self, runner):
        self.config = runner.config

    def __call__(self, scheduled):
        raise ArithmeticError("as a step may")


@task
def test_a_sampler_that_raises_fails_one():
    engine = make_engine(MODEL)
    bad = engine.add("the cat", replace(GREEDY, n=2))
    good = engine.add("a", GREEDY)
    real = engine.engine.sampler

    def sampler(sequence, logits):
        if sequence.key == bad + 1:
            raise ArithmeticError("as a sampler may")
        return real(sequence, logits)

    engine.engine.sampler = sampler
    while engine.requests:
        engine.step()
    assert [one.reason for one in engine.results[bad].completions] == ["length", "error"]
    assert engine.results[good].completions[0].reason == "length"
    assert engine.manager.pool.num_free == engine.manager.pool.num_blocks


class Raises:
    """A proposer that raises at its third call, and one that guesses a token that there is not."""

    def __init__(self, error):
        self.error, self.calls = error, 0

    def propose(self, drafts):
        self.calls += 1
        if self.calls == 3 and self.error is not None:
            raise self.error
        return [Proposal([29] * (self.calls == 3)) for _ in drafts]

    def forget(self, key):
        pass


@task
@pytest.mark.parametrize(
    ("error", "kind"), [(ArithmeticError("as a model may"), ArithmeticError), (None, ValueError)]
)
def test_a_proposer_that_raises_fails_those_it_was_asked_about(error, kind):
    engine = make_engine(MODEL, max_sequences=2, proposer=Raises(error))
    key = engine.add("the cat", replace(GREEDY, n=2))
    engine.step()
    other = engine.add("a", GREEDY)
    deltas = [delta for _ in range(3) for delta in engine.step()]
    failed = {(delta.key, delta.index) for delta in deltas if delta.error is not None}
    assert failed == {(key, 0), (key, 1)}
    assert {type(delta.error) for delta in deltas} == {kind, type(None)}
    while engine.requests:
        engine.step()
    assert engine.results[other].completions[0].tokens == dense(LETTERS.encode("a"), GREEDY)
    assert engine.manager.pool.num_free == engine.manager.pool.num_blocks
    assert engine.owners == engine.manager.tables == engine.manager.keys == {}


@task
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_prompts_last_token_may_have_guesses_beside_it(temperature):
    """Its chunks leave one token over, and it is forked in the step that reads this token and the guesses."""
    prompt = [1, 2, 3] * 3
    params = SamplingParams(max_tokens=6, n=3, seed=2, temperature=temperature)
    expected = [dense(prompt, replace(params, n=1, seed=2 + i)) for i in range(3)]
    engine = make_engine(MODEL, chunk=4, proposer=NGramProposer())
    [result] = engine.generate([prompt], params)
    found = [one.tokens for one in result.completions]
    assert engine.saved.guessed
    assert [text[0] for text in found[1:]] == [text[0] for text in expected[1:]]
    if not temperature:
        assert found == expected


class Notes(Knows):
    """Keeps the drafts that it was asked for, and spoils their tokens, which are copies."""

    def __init__(self, wrong):
        super().__init__(wrong)
        self.drafts = []

    def propose(self, drafts):
        proposals = super().propose(drafts)
        for draft in drafts:
            self.drafts.append(replace(draft, tokens=list(draft.tokens)))
            draft.tokens.append(28)
        return proposals


@task
@pytest.mark.parametrize("wrong", [3, 100])
def test_what_a_proposer_is_told(wrong):
    prompt, params = [1, 2, 3], replace(GREEDY, max_tokens=12)
    notes = Notes(wrong)
    text = prompt + dense(prompt, params)
    notes.texts = {0: text + [0] * 9}
    engine = make_engine(MODEL, proposer=notes, keep_hidden=True, guesses=3)
    assert engine.step() == []
    key = engine.add(prompt, params)
    engine.step()
    generator = engine.scheduler.sequences[key].generator
    while engine.requests:
        engine.step()
    assert engine.results[key].completions[0].tokens == text[len(prompt) :]
    for draft in notes.drafts:
        assert (draft.key, draft.params, draft.tokens) == (key, params, text[: len(draft.tokens)])
        assert draft.generator is generator
        with torch.no_grad():
            expected = MODEL.hidden(torch.tensor([draft.tokens[:-1]]))[0, -1]
        torch.testing.assert_close(draft.hidden, expected, rtol=1e-9, atol=1e-9)
    assert engine.step() == []
    assert engine.engine.proposals == {}


@task
def test_what_was_guessed_rides_along():
    knows = Knows()
    knows.texts = {0: list(range(20))}
    engine = make_engine(MODEL, proposer=knows)
    key = engine.add([0, 1, 2], replace(GREEDY, logit_bias={3: 100.0}))
    engine.step()
    engine.engine.propose()
    proposal = engine.engine.proposals[key]
    sequence = engine.scheduler.sequences[key]
    assert sequence.draft == proposal.tokens == [4, 5, 6, 8]


@task
def test_how_far_to_guess_may_follow_from_what_has_stayed():
    prompt, params = [1, 2, 3], replace(GREEDY, max_tokens=30)
    text = prompt + dense(prompt, params)
    counts = {}
    for wrong in (1, 100):
        knows, lengths = Knows(wrong), AdaptiveLength(0.4, most=6, prior=0.6, weight=2.0)
        knows.texts = {0: text + [0] * 9}
        engine = make_engine(MODEL, proposer=knows, guesses=lengths)
        first = lengths.length(0)
        assert texts(engine, [(prompt, params)]) == [text[len(prompt) :]]
        assert lengths.seen == {}, "the text has ended"
        counts[wrong] = [count for asked in knows.asked for _, count in asked]
        assert counts[wrong][0] == first
    assert max(counts[100]) > counts[100][0]
    steps = len(text) - len(prompt) - 2
    assert 2 < len(counts[1]) < steps / 2, "it is not asked for a while, and then tried again"


@task
def test_a_text_for_which_there_was_no_place_keeps_its_salt():
    engine = make_engine(MODEL, max_sequences=2)
    prompt = [1, 2, 3] * 4
    [result] = engine.generate([prompt], SamplingParams(max_tokens=9, n=3, seed=5), salt="mine")
    turn = [*prompt, *result.completions[2].tokens]
    assert engine.generate([turn], GREEDY)[0].cached == 0
    assert engine.generate([turn], GREEDY, salt="mine")[0].cached == 20


@task
def test_evicted_blocks_are_counted_once():
    engine = make_engine(MODEL, num_blocks=8)
    for start in range(4):
        engine.generate([[start] * 9, [start + 9] * 9], GREEDY)
    total = engine.saved.prompts.total
    assert total.requests == 8
    assert total.evicted > 0
    assert total.evicted <= engine.manager.pool.evictions
    before = engine.manager.pool.evictions
    engine.generate([[20]], replace(GREEDY, max_tokens=1))
    assert total.evicted in (before, before + 1), "all until the last came in"


@task
def test_a_stop_text_counts_from_min_tokens_on():
    prompt = random_prompts(1, seed=4)[0]
    text, _ = stop_text(prompt)
    stop = text[0]
    for least in (0, 3):
        params = SamplingParams(max_tokens=12, temperature=0, stop=(stop,), min_tokens=least)
        [result] = make_engine(MODEL).generate([prompt], params)
        end = text.find(stop, least)
        assert result.text == (text[:end] if end >= 0 else text)


@task
def test_a_stream_that_somebody_aborts_ends():
    engine = make_engine(MODEL)
    stream = engine.stream("the cat", replace(GREEDY, n=2, logprobs=1))
    first = next(stream)
    assert engine.sampler.logprobs
    assert engine.abort(first.key)
    assert len(list(stream)) <= 1, "what had come before"
    assert engine.sampler.logprobs == engine.owners == {}


@task
def test_priority_and_salt_are_handed_on():
    engine = make_engine(MODEL)
    for ask in (
        lambda **settings: engine.add("a", GREEDY, **settings),
        lambda **settings: engine.generate(["a"], GREEDY, **settings),
        lambda **settings: engine.stream("a", GREEDY, **settings),
    ):
        with raises(UnknownPriorityError, 11):
            ask(priority=11)
        with raises(TypeError, ("int", "3")):
            ask(salt=3)
    with raises(TypeError, ("dict", "{")):
        engine.stream("a", cast(Any, {"max_tokens": 3}))
    assert engine.requests == {}


@task
@pytest.mark.parametrize(
    ("arguments", "name"), [(("a", {"max_tokens": 3}), ("dict", "{")), (("a", GREEDY, 0, 3), ("int", "3"))]
)
def test_types_are_looked_at_where_signatures_are_not_checked(arguments, name):
    """As outside of the tests."""
    with raises(TypeError, name) as caught:
        inspect.unwrap(LLMEngine.add)(make_engine(MODEL), *arguments)
    assert type(caught.value).__name__ != "TypeCheckError", "the check of `ask`'s signature came first"


@task
def test_a_stream_shares_no_blocks_with_another_salt():
    engine = make_engine(MODEL)
    list(engine.stream("the cat sat", GREEDY, salt="mine"))
    (theirs,) = engine.generate(["the cat sat"], GREEDY, salt="yours")
    (again,) = engine.generate(["the cat sat"], GREEDY, salt="mine")
    assert theirs.cached == 0
    assert again.cached > 0


@task
def test_ended_texts_are_kept_for_the_next_turn():
    engine = make_engine(MODEL)
    [first] = engine.generate(["the cat"], replace(GREEDY, max_tokens=10))
    turn = [*first.prompt, *first.completions[0].tokens, 1, 2]
    [second] = engine.generate([turn], GREEDY)
    assert second.cached == 4 * ((len(turn) - 3) // 4)
    assert second.completions[0].tokens == dense(turn, GREEDY)


def test_a_pool_without_blocks():
    with raises(ValueError, 0):
        make_engine(MODEL, num_blocks=0)
    assert BlockPool(0, 4).num_free == 0


@pytest.mark.parametrize("seed", range(2))
def test_more_random_requests(seed):
    asked = requests(16, seed + 10)
    settings = {"num_blocks": 12, "max_sequences": 5, "max_tokens": 10, "chunk": 4, "swap_blocks": 12 * seed}
    assert texts(make_engine(MODEL, **settings), asked) == [dense(*one) for one in asked]
