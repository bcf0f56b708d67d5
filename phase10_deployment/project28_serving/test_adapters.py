"""The engine's side: commands in, one message a step, and several adapters over one base, each with its own text."""

import json

import pytest
import torch

from phase10_deployment.project28_serving.adapters import EngineCore
from phase10_deployment.project28_serving.given.example import make_engine, random_model
from phase10_deployment.project28_serving.given.wire import Ask, add_command, decode, encode
from shared.phase02 import LoraConfig, add_adapter, merge_and_unload, use_adapter
from shared.phase04 import SamplingParams
from shared.testing import raises

pytestmark = pytest.mark.task(10)
PROMPT = [5, 6, 7, 8, 9, 10, 11]
GREEDY = SamplingParams(max_tokens=6, temperature=0)


def adapted(*names):
    """The small model with adapters on it, each of other random weights."""
    model = random_model()
    for seed, name in enumerate(names, start=1):
        add_adapter(model, LoraConfig(rank=2, alpha=8, targets=("q", "v", "out")), name)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for place, parameter in model.named_parameters():
                if f".adapters.{name}." in place:
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    if names:
        use_adapter(model, None)
    return model


def make(*names, **settings):
    model = adapted(*names)
    return EngineCore(model, {name: make_engine(model, **settings) for name in ("", *names)})


def add(core, key, prompt=PROMPT, params=GREEDY, **more):
    core.take(decode(encode(add_command(key, Ask(list(prompt), params, **more)))))


def run(core, most=200):
    """All messages until it is idle, over the wire."""
    found = []
    while (message := core.turn()) is not None:
        found.append(decode(encode(message)))
        assert len(found) < most
    return found


def turn(core):
    """A message that there must be."""
    message = core.turn()
    assert message is not None
    return message


def gathered(messages):
    """By key and text: text, tokens, reason and log-probabilities."""
    found = {}
    for message in messages:
        for key, index, text, tokens, reason, error, logprobs in message["pieces"]:
            one = found.setdefault((key, index), ["", [], None, [], None])
            one[0] += text
            one[1] += tokens
            one[2] = reason or one[2]
            one[3] += logprobs
            one[4] = error
    return found


def alone(params=GREEDY, prompt=PROMPT, model=None):
    return make_engine(model or random_model()).generate([list(prompt)], params)[0]


def test_a_text_is_what_the_engine_writes_alone():
    core = make()
    add(core, 70)
    messages = run(core)
    result = alone()
    text, tokens, reason, _, error = gathered(messages)[70, 0]
    one = result.completions[0]
    assert (text, tokens, reason, error) == (one.text, one.tokens, one.reason, None)
    assert core.asked == {}
    assert core.owners == {}
    assert core.idle
    assert [message.get("cached") for message in messages if "cached" in message] == [[[70, 0]]]


def test_a_message_a_step_for_all():
    core = make()
    for key in range(3):
        add(core, key, prompt=[5 + key, 6, 7])
    messages = run(core)
    assert len(messages) == 6
    assert [len(message["pieces"]) for message in messages] == [3] * 6
    assert messages[0]["stats"]["running"] == 3
    last = messages[-1]["stats"]
    assert (last["running"], last["waiting"], last["free"], last["blocks"], last["steps"]) == (
        0,
        0,
        64,
        64,
        6,
    )
    assert last["queried"] == 9


def test_each_adapter_writes_its_own_text_in_company():
    core = make("poet", "clerk")
    for key, name in enumerate(["poet", "", "clerk", "poet", ""]):
        add(core, key, adapter=name)
    found = gathered(run(core))
    expected = {}
    for name in ("", "poet", "clerk"):
        model = adapted("poet", "clerk")
        use_adapter(model, name or None)
        expected[name] = (
            alone(model=merge_and_unload(model) if name else random_model()).completions[0].tokens
        )
    assert [found[key, 0][1] for key in range(5)] == [
        expected[name] for name in ("poet", "", "clerk", "poet", "")
    ]
    assert len({tuple(tokens) for tokens in expected.values()}) == 3


def test_adapters_take_turns():
    core = make("poet", "clerk")
    for key, name in enumerate(["poet", "clerk", ""]):
        add(core, key, adapter=name)
    keys = [message["pieces"][0][0] for message in run(core)]
    assert keys == [2, 0, 1] * 6


def test_one_with_much_to_do_does_not_hold_the_others_up():
    core = make("poet")
    for key in range(8):
        add(core, key, params=SamplingParams(max_tokens=20, temperature=0))
    core.turn()
    add(core, 8, adapter="poet")
    first = next(i for i in range(10) if any(piece[0] == 8 for piece in turn(core)["pieces"]))
    assert first <= 1


def test_adapters_and_salts_share_no_blocks():
    core = make("poet")
    long = list(range(5, 45))
    hits, base = [], {"adapter": "", "salt": ""}
    for key, more in enumerate(
        [base, base, {"adapter": "poet"}, {"salt": "ada"}, {"salt": "bob"}, {"salt": "ada"}]
    ):
        command = add_command(key, Ask(long, GREEDY))
        core.take({**command, **more})
        hits.append(next(count for message in run(core) for _, count in message.get("cached", ())))
    assert hits[0] == 0
    assert hits[1] > 30
    assert hits[2:5] == [0, 0, 0]
    assert hits[5] > 30


def test_the_base_alone_leaves_the_model_as_it_is():
    model = random_model()
    core = EngineCore(model, {"": make_engine(model)})
    assert core.switch("") is core.engines[""]
    with pytest.raises(KeyError):
        core.switch("poet")
    model = adapted("poet")
    use_adapter(model, "poet")
    core = EngineCore(model, {"": make_engine(model)})
    add(core, 1)
    written = gathered(run(core))[1, 0][1]
    assert written == alone(model=merge_and_unload(model)).completions[0].tokens


def test_several_texts_of_one_prompt():
    params = SamplingParams(max_tokens=5, n=3, temperature=0.9, seed=4)
    core = make()
    add(core, 1, params=params)
    found = gathered(run(core))
    assert [found[1, i][1] for i in range(3)] == [one.tokens for one in alone(params).completions]


def test_the_best_come_at_the_end_only():
    params = SamplingParams(max_tokens=5, n=2, best_of=4, temperature=0.9, seed=4, logprobs=1)
    core = make()
    add(core, 1, params=params)
    messages = run(core)
    assert all(not message["pieces"] for message in messages[:-1])
    found = gathered(messages)
    assert [found[1, i][1] for i in range(2)] == [one.tokens for one in alone(params).completions]
    assert sorted(found) == [(1, 0), (1, 1)]
    assert [len(found[1, i][3]) for i in range(2)] == [len(found[1, i][1]) for i in range(2)]


@pytest.mark.parametrize("n", [1, 2])
def test_log_probabilities_come_with_their_tokens(n):
    params = SamplingParams(max_tokens=5, logprobs=2, temperature=0.7, seed=3, n=n)
    core = make()
    add(core, 1, params=params)
    messages = run(core)
    for message in messages:
        for piece in message["pieces"]:
            assert len(piece[6]) == len(piece[3])
            assert [entry[0] for entry in piece[6]] == piece[3]
    found = gathered(messages)
    for index, one in enumerate(alone(params).completions):
        expected = [
            [entry.token, entry.logprob, [list(pair) for pair in entry.top]] for entry in one.logprobs
        ]
        assert found[1, index][3] == json.loads(json.dumps(expected[: len(one.tokens)]))


def test_without_asking_there_are_none():
    core = make()
    add(core, 1, params=SamplingParams(max_tokens=3, best_of=2, seed=1))
    assert all(piece[6] == [] for message in run(core) for piece in message["pieces"])


def test_a_prompts_log_probabilities():
    core = make("poet")
    add(core, 1, adapter="poet", prompt_logprobs=2)
    messages = run(core)
    ((key, entries),) = messages[0]["prompt"]
    assert (key, len(entries), entries[0]) == (1, len(PROMPT), None)
    model = adapted("poet")
    use_adapter(model, "poet")
    with torch.no_grad():
        logprobs = model(torch.tensor([PROMPT]))[0].double().log_softmax(-1)
    for place, (token, logprob, top) in enumerate(entries[1:]):
        assert token == PROMPT[place + 1]
        assert logprob == pytest.approx(float(logprobs[place, token]), abs=1e-6)
        assert [one for one, _ in top] == logprobs[place].topk(2).indices.tolist()


def test_a_prompt_that_is_only_scored_ends_at_once():
    core = make()
    add(core, 1, prompt_logprobs=0, generate=False)
    assert not core.idle
    (message,) = run(core)
    assert message["pieces"] == [[1, 0, "", [], "length", None, []]]
    assert len(message["prompt"][0][1]) == len(PROMPT)
    assert core.asked == {}
    assert run(core) == []


def test_an_abort_leaves_nothing_and_is_told():
    core = make("poet")
    for key, name in enumerate(["", "poet", ""]):
        add(core, key, adapter=name, params=SamplingParams(max_tokens=50, temperature=0, n=2))
    for _ in range(5):
        core.turn()
    for key in range(3):
        core.take({"do": "abort", "key": key})
    message = core.turn()
    assert message is not None
    stats = message["stats"]
    assert (message["pieces"], stats["running"], stats["waiting"], stats["free"]) == (
        [],
        0,
        0,
        stats["blocks"],
    )
    assert core.turn() is None
    assert (core.asked, core.owners) == ({}, {})
    core.take({"do": "abort", "key": 0})
    core.take({"do": "abort", "key": 99})
    assert "refused" not in (core.turn() or {})


def test_one_that_waits_can_be_aborted():
    core = make(max_sequences=1)
    add(core, 0)
    add(core, 1)
    core.turn()
    core.take({"do": "abort", "key": 1})
    found = gathered(run(core))
    assert {key for key, _ in found} == {0}


@pytest.mark.parametrize(
    ("command", "kind", "said"),
    [
        ({**add_command(7, Ask([], GREEDY))}, "EmptyPromptError", ""),
        ({**add_command(7, Ask([400], GREEDY))}, "UnknownTokenError", "400"),
        ({**add_command(7, Ask([5], GREEDY, adapter="nobody"))}, "KeyError", "nobody"),
        ({**add_command(7, Ask([5] * 150, SamplingParams(max_tokens=5)))}, "NeverFitsError", ""),
        ({"do": "embed", "key": 7, "texts": [[5], []], "adapter": ""}, "ValueError", "160"),
        ({"do": "attention", "key": 7, "tokens": [295]}, "ValueError", "295"),
        ({"do": "dance", "key": 7}, "KeyError", "dance"),
    ],
)
def test_a_wrong_command_costs_nobody_else_anything(command, kind, said):
    core = make(blocks=16)
    add(core, 1)
    core.take(decode(encode(command)))
    messages = run(core)
    ((key, name, text),) = messages[0]["refused"]
    assert (key, name) == (7, kind)
    assert said in text
    assert gathered(messages)[1, 0][1] == alone().completions[0].tokens
    assert all("refused" not in message for message in messages[1:])


def test_a_step_that_raises_fails_its_own_alone():
    core = make("poet")
    add(core, 1)
    add(core, 2, adapter="poet")
    broken = core.engines[""].runner
    core.engines[""].engine.runner = Broken(broken)
    found = gathered(run(core))
    assert (found[1, 0][2], found[1, 0][4]) == ("error", "ArithmeticError: no such number")
    assert found[2, 0][2] == "length"
    core.engines[""].engine.runner = broken
    add(core, 3)
    assert gathered(run(core))[3, 0][1] == alone().completions[0].tokens
    assert core.engines[""].manager.pool.num_free == 64


def test_the_best_of_what_fails_say_so_too():
    core = make()
    add(core, 1, params=SamplingParams(max_tokens=3, n=1, best_of=2, seed=1))
    core.engines[""].engine.runner = Broken(core.engines[""].runner)
    assert gathered(run(core))[1, 0][4] == "ArithmeticError: no such number"


class Broken:
    """A runner that raises."""

    def __init__(self, runner):
        self.config = runner.config

    def __call__(self, scheduled):
        raise ArithmeticError("no such number")


def test_what_is_fatal_gets_out():
    core = make()
    add(core, 1)

    def step():
        raise RuntimeError("nobody can go on")

    core.engines[""].step = step
    with raises(RuntimeError, "nobody can go on"):
        core.turn()


def test_vectors_and_weights_between_two_steps():
    core = make("poet")
    add(core, 1)
    core.turn()
    core.take({"do": "embed", "key": 2, "texts": [[5, 6], [7]], "adapter": "poet"})
    core.take({"do": "embed", "key": 3, "texts": [[5, 6]], "adapter": ""})
    core.take({"do": "attention", "key": 4, "tokens": [5, 6, 7]})
    messages = run(core)
    answers = dict(messages[0]["answers"])
    assert [len(vector) for vector in answers[2]] == [32, 32]
    assert answers[2][0] != answers[3][0]
    weights = torch.tensor(answers[4])
    assert weights.shape == (2, 4, 3, 3)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 3), atol=2e-4, rtol=0)
    assert float(weights.triu(1).abs().sum()) == 0
    assert answers[4][0][0][0] == [1, 0, 0]
    expected = alone().completions[0].tokens
    assert gathered(messages)[1, 0][1] == expected[1:]


def test_who_looks_sees_a_snapshot_and_then_each_step():
    core = make()
    add(core, 11)
    core.turn()
    core.take({"do": "watch", "on": True})
    message = turn(core)
    snapshot, step = message["views"]
    assert snapshot["snapshot"] is True
    assert "snapshot" not in step
    assert step["step"] == snapshot["step"] + 1
    (one,) = step["running"]
    assert one["request"] == 11
    assert one["tokens"] == len(PROMPT) + 2
    assert len(one["blocks"]) == step["blocks"] - step["free"]
    core.take({"do": "watch", "on": False})
    assert all("views" not in message for message in run(core))


def test_nothing_new_is_no_message():
    core = make()
    assert core.idle
    assert core.turn() is None
    core.take({"do": "watch", "on": False})
    assert not core.idle
    assert core.turn() is not None
    assert core.turn() is None
