"""Steps as on a GPU: here with Triton's interpreter and without graphs; with both where there is a GPU."""

import pytest
import torch

pytest.importorskip("triton", reason="there is no package triton here")

from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Proposal
from phase04_advanced_inference.project13_paged_attention.given import paged_launch
from phase04_advanced_inference.project13_paged_attention.given.cuda_graphs import GraphDecode
from phase04_advanced_inference.project13_paged_attention.given.example import (
    WIDE,
    empty_store,
    random_model,
)
from phase04_advanced_inference.project13_paged_attention.given.on_gpu import DeviceSampler, on_gpu, plain
from phase04_advanced_inference.project13_paged_attention.given.small import make_engine
from phase04_advanced_inference.project13_paged_attention.paged_attention import PagedAttention, PagedStep
from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams
from shared.testing import raises

no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
PROMPTS = [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [1, 2, 3, 4, 5, 6, 7, 8, 20], [5], [6, 7], [8, 9, 10, 11, 12]]
GREEDY = [SamplingParams(max_tokens=count, temperature=0) for count in (9, 4, 12, 7, 3)]


def engine(device="cpu", graphs=True, config=WIDE[0], proposer=None):
    model = random_model(config, torch.float32).to(device)
    made = make_engine(model, 40, max_tokens=12, chunk=6, proposer=proposer)
    kernels = paged_launch.interpreted() if device == "cpu" else None
    return on_gpu(made, graphs, kernels, sizes=(1, 2, 4, 8))


def tokens(results):
    return [[one.tokens for one in result.completions] for result in results]


def reference(config=WIDE[0], params=GREEDY):
    return tokens(make_engine(random_model(config, torch.float32), 40).generate(PROMPTS, params))


@pytest.mark.parametrize("config", WIDE)
def test_a_step_gives_the_logits_that_the_gather_gives(config):
    model = random_model(config, torch.float32)
    stores = [empty_store(config, 12, 4, torch.float32) for _ in range(2)]
    decode = GraphDecode(model, stores[0], (2, 8), kernels=paged_launch.interpreted())
    attend = PagedAttention(stores[1])
    for starts, counts in [([0, 0], [3, 5]), ([3, 5], [2, 1]), ([5, 6], [1, 1])]:
        step = PagedStep(counts, starts, [[7, 3, 2], [0, 11]])
        ids = list(range(sum(counts)))
        with torch.no_grad():
            expected = model(torch.tensor([ids]), attend.plan(step), attend)[0]
        torch.testing.assert_close(decode(stores[0], step, ids), expected, rtol=1e-4, atol=1e-4)


def test_places_that_a_size_has_too_many_repeat_the_first_token():
    decode = GraphDecode(
        random_model(WIDE[0], torch.float32), empty_store(WIDE[0], 12, 4, torch.float32), (5,),
        kernels=paged_launch.interpreted(),
    )  # fmt: skip
    rows = decode.numbers(PagedStep([1, 2], [9, 4], [[7, 3, 2], [0, 11]]), [20, 21, 22], 5)
    assert rows[:, :4].tolist() == [
        [20, 9, 9, 10],
        [21, 4, 44, 5],
        [22, 5, 45, 6],
        [20, 9, 9, 10],
        [20, 9, 9, 10],
    ]
    assert rows[:, 4:7].tolist() == [[7, 3, 2], [0, 11, 0], [0, 11, 0], [7, 3, 2], [7, 3, 2]]


def test_what_a_graph_cannot_do_is_refused():
    model, store = random_model(WIDE[0], torch.float32), empty_store(WIDE[0], 12, 4, torch.float32)
    kernels = paged_launch.interpreted()
    with raises(ValueError, 4, 2):
        GraphDecode(model, store, (4, 2), kernels=kernels)
    decode = GraphDecode(model, store, (1, 2), kernels=kernels)
    assert (decode.fits(2), decode.fits(3)) == (True, False)
    with raises(ValueError, 2, 3):
        decode(store, PagedStep([3], [0], [[1]]), [1, 2, 3])
    with raises(ValueError):
        decode(empty_store(WIDE[0], 12, 4, torch.float32), PagedStep([1], [0], [[1]]), [1])
    busy = make_engine(model)
    busy.add([1], GREEDY[0])
    with raises(ValueError, 1):
        on_gpu(busy, kernels=kernels)


def test_an_engine_writes_what_it_writes_on_a_cpu():
    assert tokens(engine().generate(PROMPTS, GREEDY)) == reference()


def test_logits_that_more_is_wanted_of_are_there():
    params = [
        SamplingParams(max_tokens=6, temperature=0.9, seed=3),
        SamplingParams(max_tokens=5, temperature=0, repetition_penalty=1.5),
        SamplingParams(max_tokens=5, temperature=0, logprobs=2),
        SamplingParams(max_tokens=8, temperature=0, regex="[a-c]{3,6}"),
        SamplingParams(max_tokens=8, temperature=0, n=2),
    ]
    assert [plain(one) for one in params] == [False, False, False, False, True]
    found = engine().generate(PROMPTS, params)
    assert tokens(found) == reference(params=params)
    assert len(found[2].completions[0].logprobs) == 5


def test_a_step_with_guesses_is_judged_by_its_logits():
    class Wrong:
        def propose(self, drafts):
            return [Proposal([3] * draft.count) for draft in drafts]

        def forget(self, key):
            pass

    made = engine(proposer=Wrong())
    assert isinstance(made.sampler, DeviceSampler)
    assert tokens(made.generate(PROMPTS[:2], GREEDY[:2])) == reference()[:2]
    assert made.saved.guessed > 0


@pytest.mark.gpu
@no_gpu
@pytest.mark.parametrize("config", WIDE)
def test_on_a_gpu_the_texts_are_those_of_a_cpu_with_and_without_graphs(config):
    expected = reference(config)
    for graphs in (False, True):
        made = engine("cuda", graphs, config)
        assert tokens(made.generate(PROMPTS, GREEDY)) == expected
        decode = made.runner.decode
        assert isinstance(decode, GraphDecode)
        assert bool(decode.recorded) == graphs


@pytest.mark.gpu
@no_gpu
def test_a_replayed_graph_gives_what_its_kernels_give():
    model = random_model(WIDE[0], torch.float32).cuda()
    stores = [empty_store(WIDE[0], 12, 4, torch.float32) for _ in range(2)]
    for store in stores:
        store.device = torch.device("cuda")
        store.keys, store.values = ([one.cuda() for one in part] for part in (store.keys, store.values))
    arms = [
        GraphDecode(model, store, (1, 4), graphs) for store, graphs in zip(stores, (True, False), strict=True)
    ]
    for start in range(8):
        step = PagedStep([1, 1], [start, start], [[7, 3], [0, 11]])
        found, expected = (arm(arm.store, step, [start, start + 9]).clone() for arm in arms)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert list(arms[0].recorded) == [4]
