"""The loop: the same texts as project 8 writes, whatever is guessed; and what a pass reads, asks and leaves behind."""

from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phase04_advanced_inference.project11_speculative_decoding.adaptive import AdaptiveLength
from phase04_advanced_inference.project11_speculative_decoding.distribution import distribution
from phase04_advanced_inference.project11_speculative_decoding.draft_model import DraftProposer
from phase04_advanced_inference.project11_speculative_decoding.expected import (
    acceptance_rate,
    expected_tokens,
)
from phase04_advanced_inference.project11_speculative_decoding.given.example import (
    SHAPES,
    TINY,
    Fixed,
    Oracle,
    random_model,
    random_prompts,
    resembling,
)
from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Proposal
from phase04_advanced_inference.project11_speculative_decoding.ngram import NGramProposer
from phase04_advanced_inference.project11_speculative_decoding.speculation import (
    Reading,
    Text,
    Written,
    ask,
    read_places,
    run_pass,
    speculate,
)
from phase04_advanced_inference.project11_speculative_decoding.verification import verify
from shared import tinyworld
from shared.phase01 import PromptTokenizer, SamplingParams, load_base
from shared.phase03 import KVCache, generate_tokens, step
from shared.testing import raises

task = pytest.mark.task(8)
GREEDY = SamplingParams(max_tokens=14, temperature=0)


def texts(written, count):
    """What was written of each of so many texts."""
    found = [[] for _ in range(count)]
    for one in written:
        found[one.index] += one.tokens
    return found


def proposers(model, rows):
    return {
        "n-grams": NGramProposer(),
        "a model like it": DraftProposer(resembling(model), rows),
        "the model itself": DraftProposer(model, rows),
        "nothing": Fixed([]),
        "nonsense": Fixed([1, 2, 3, 4, 5, 6]),
    }


# ---- the same texts


@task
@pytest.mark.parametrize(
    ("config", "penalty", "count"),
    [(TINY, 1.0, 0), (TINY, 1.4, 1), (SHAPES[1], 1.0, 4), (SHAPES[2], 1.4, 4), (SHAPES[3], 1.0, 5)],
)
def test_greedy_it_writes_what_project_8_writes(config, penalty, count):
    model, prompts = random_model(config), random_prompts(3)
    params = replace(GREEDY, repetition_penalty=penalty)
    expected = generate_tokens(model, prompts, params)
    for name, proposer in proposers(model, 3).items():
        assert texts(speculate(model, prompts, params, proposer, count), 3) == expected, name
    for prompt, text in zip(prompts, expected, strict=True):
        alone = DraftProposer(resembling(model))
        assert texts(speculate(model, [prompt], params, alone, count), 1) == [text]


@task
@settings(max_examples=8)
@given(
    st.lists(st.lists(st.integers(0, 22), min_size=1, max_size=30), min_size=1, max_size=4),
    st.integers(0, 7),
    st.integers(1, 12),
    st.sampled_from(["n-grams", "a model like it", "nonsense"]),
    st.lists(st.integers(0, 22), max_size=3),
)
def test_any_prompts_lengths_and_stops_write_what_project_8_writes(prompts, count, most, name, stops):
    model = random_model()
    params = replace(GREEDY, max_tokens=most, stop_ids=tuple(stops))
    proposer = proposers(model, len(prompts))[name]
    found = texts(speculate(model, prompts, params, proposer, count), len(prompts))
    assert found == generate_tokens(model, prompts, params)


@task
@torch.no_grad()
def test_drawn_texts_are_those_of_verify_with_one_generator():
    """Written out for one text without a cache: guess, then as many numbers as places."""
    model, prompt, count = random_model(), [3, 1, 4, 1, 5, 1], 3
    params = SamplingParams(max_tokens=12, temperature=0.8, top_p=0.9, seed=5)
    draft = resembling(model)
    found = texts(speculate(model, [prompt], params, DraftProposer(draft), count), 1)[0]
    generator, text = torch.Generator().manual_seed(5), list(prompt)
    while len(text) < len(prompt) + 12:
        k = min(count, len(prompt) + 12 - len(text) - 1)
        proposal, [guessed] = Proposal(), [[]]
        distributions = []
        for _ in range(k):
            logits = draft(torch.tensor([[*text, *guessed]]))[0, -1]
            one = verify(logits[None], [*text, *guessed], Proposal(), params, generator)
            distributions.append(distribution(logits, [], params))
            guessed += one
        proposal = Proposal(guessed, torch.stack(distributions) if guessed else None)
        logits = model(torch.tensor([[*text, *guessed]]))[0, len(text) - 1 :]
        text += verify(logits, text, proposal, params, generator)
    assert found == text[len(prompt) :]


@task
def test_alone_and_in_company_the_same_text_is_drawn():
    model, prompts = random_model(), random_prompts(5, seed=3)
    params = SamplingParams(max_tokens=12, temperature=0.9, seed=2)
    draft = resembling(model)
    together = texts(speculate(model, prompts, params, DraftProposer(draft, 5), 3), 5)
    alone = [texts(speculate(model, [one], params, DraftProposer(draft), 3), 1)[0] for one in prompts]
    assert together == alone
    assert together != texts(
        speculate(model, prompts, replace(params, seed=3), DraftProposer(draft, 5), 3), 5
    )


@task
def test_a_model_that_guesses_itself_is_always_right():
    model, prompts = random_model(), random_prompts(3)
    for params in (GREEDY, SamplingParams(max_tokens=14, temperature=0.8, top_k=9, seed=4)):
        written = list(speculate(model, prompts, params, DraftProposer(model, 3), 4))
        assert all(one.accepted == one.guessed for one in written)
        assert [len(one.tokens) for one in written if one.index == 0] == [5, 5, 4]


# ---- what a pass does


@task
def test_what_is_written_is_told_pass_by_pass():
    model, prompt = random_model(), [3, 1, 4]
    [text] = generate_tokens(model, [prompt], GREEDY)
    written = list(speculate(model, [prompt], GREEDY, Oracle([prompt + text], 23, wrong=3), 4))
    assert written[0] == Written(0, text[:3], 4, 2)
    assert written[1] == Written(0, text[3:6], 4, 2)
    assert [token for one in written for token in one.tokens] == text


@task
def test_a_pass_reads_what_is_pending_and_the_guesses_and_nothing_else():
    model, seen = random_model(), []
    prompts = [[3, 1, 4], [2, 7]]
    wholes = [a + b for a, b in zip(prompts, generate_tokens(model, prompts, GREEDY), strict=True)]
    model.embedding.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].tolist()))
    list(speculate(model, prompts, replace(GREEDY, max_tokens=7), Oracle(wholes, 23, wrong=2), 2))
    (a, b), wrong = wholes, [[(token + 1) % 23 for token in whole] for whole in wholes]
    assert seen[0] == [[*a[:4], wrong[0][4], *b[:3], wrong[1][3]]]
    assert seen[1] == [[*a[4:6], wrong[0][6], *b[3:5], wrong[1][5]]]
    assert len(seen) == 4
    assert seen[3] == [[a[8], b[7]]], "one token may be written: no guess"


@task
def test_the_cache_is_left_with_all_but_the_last_token():
    model, prompts = random_model(), random_prompts(3, seed=6)
    cache = KVCache(TINY, 3, dtype=torch.float64)
    found = texts(speculate(model, prompts, GREEDY, DraftProposer(resembling(model), 3), 4, cache), 3)
    assert cache.lengths == [len(a) + len(b) - 1 for a, b in zip(prompts, found, strict=True)]
    fresh = KVCache(TINY, 3, dtype=torch.float64)
    step(model, fresh, [(a + b)[:-1] for a, b in zip(prompts, found, strict=True)])
    for own, other in zip([*cache.keys, *cache.values], [*fresh.keys, *fresh.values], strict=True):
        for row, length in enumerate(cache.lengths):
            torch.testing.assert_close(own[row, :, :length], other[row, :, :length], rtol=1e-9, atol=1e-11)


@task
def test_the_proposer_is_asked_once_a_round_for_what_may_be_written():
    model, proposer = random_model(), Fixed([1, 2, 3, 4, 5])
    params = SamplingParams(max_tokens=6, temperature=0)
    found = texts(speculate(model, [[3, 1], [4]], params, proposer, 4), 2)
    drafts = [one for asked in proposer.asked for one in asked]
    for one in drafts:
        whole = [[3, 1], [4]][one.key] + found[one.key]
        assert one.tokens == whole[: len(one.tokens)]
        assert one.count == min(4, len(whole) - len(one.tokens) - 1)
        assert one.params == params
    assert [one.key for one in proposer.asked[0]] == [0, 1]
    assert sorted(proposer.forgotten) == [0, 1]
    generators = {one.key: one.generator for one in drafts}
    assert generators[0] is not generators[1]


@task
def test_the_draft_has_the_stream_that_chose_the_last_token():
    model, prompt = random_model(), [3, 1, 4]
    whole = prompt + generate_tokens(model, [prompt], GREEDY)[0]
    proposer = Oracle([whole], 23, wrong=3)
    list(speculate(model, [prompt], GREEDY, proposer, 4))
    hidden = model.hidden(torch.tensor([whole]))[0]
    [first], *rest = proposer.asked
    assert first.hidden is None
    for [one] in rest:
        torch.testing.assert_close(one.hidden, hidden[len(one.tokens) - 2], rtol=1e-9, atol=1e-9)


@task
def test_asking_near_the_end_of_text_and_context():
    cache, generator = KVCache(TINY, dtype=torch.float64), torch.Generator()
    for length, end, wanted, expected in (
        (5, 30, 4, 4), (5, 8, 4, 2), (5, 6, 4, 0), (5, 30, 0, 0), (38, 90, 4, 2), (40, 90, 4, 0), (38, 40, 4, 1),
    ):  # fmt: skip
        text = Text([1] * length, end, generator)
        draft = ask(7, text, wanted, GREEDY, cache)
        assert draft.count == expected
        assert (draft.key, draft.tokens, draft.params, draft.generator) == (
            7,
            [1] * length,
            GREEDY,
            generator,
        )
        assert draft.tokens is not text.tokens
    cache.limit = None
    assert ask(7, Text([1] * 60, 90, generator), 4, GREEDY, cache).count == 4


@task
def test_one_pass():
    model, cache, generator = random_model(), KVCache(TINY, 3, dtype=torch.float64), torch.Generator()
    texts = {0: Text([3, 1, 4], 20, generator), 2: Text([2, 7], 20, generator)}
    whole = [3, 1, 4, *generate_tokens(model, [[3, 1, 4]], GREEDY)[0]]
    proposals = {0: Proposal(whole[3:5]), 2: Proposal([])}
    found = run_pass(texts, proposals, GREEDY, cache, partial(read_places, model))
    assert found[0] == Written(0, whole[3:6], 2, 2)
    assert (found[1].index, len(found[1].tokens), found[1].guessed, found[1].accepted) == (2, 1, 0, 0)
    assert texts[0].tokens == whole[:6]
    assert cache.lengths == [5, 0, 2]
    hidden = model.hidden(torch.tensor([whole]))[0]
    torch.testing.assert_close(texts[0].hidden, hidden[4], rtol=1e-9, atol=1e-9)


@task
def test_a_pass_asks_nothing_of_other_rows_and_keeps_no_stop_id():
    model, asked = random_model(), []
    cache = KVCache(TINY, 3, dtype=torch.float64)
    whole = [3, 1, 4, *generate_tokens(model, [[3, 1, 4]], GREEDY)[0]]
    assert whole[3] != whole[4]

    def read(cache, new, places):
        asked.append(([list(tokens) for tokens in new], list(places)))
        return read_places(model, cache, new, places)

    texts = {1: Text([3, 1, 4], 20, torch.Generator())}
    stopping = replace(GREEDY, stop_ids=(whole[4],))
    [found] = run_pass(texts, {1: Proposal(whole[3:6])}, stopping, cache, read)
    assert asked == [([[], whole[:6], []], [0, 4, 0])]
    assert found.tokens == whole[3:4]
    assert texts[1].tokens == whole[:4]
    assert cache.lengths == [0, 3, 0]


@task
def test_logits_are_worked_out_at_the_asked_places_only():
    model, seen = random_model(), []
    model.head.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    cache = KVCache(TINY, 3, dtype=torch.float64)
    found = read_places(model, cache, [[3, 1, 4, 1, 5], [], [2, 7]], [2, 0, 1])
    assert seen == [(1, 3, 24)]
    a, b = torch.tensor([[3, 1, 4, 1, 5]]), torch.tensor([[2, 7]])
    expected = torch.cat([model(a)[0, 3:], model(b)[0, 1:]])
    torch.testing.assert_close(found.logits, expected, rtol=1e-10, atol=1e-10)
    streams = torch.cat([model.hidden(a)[0, 3:], model.hidden(b)[0, 1:]])
    torch.testing.assert_close(found.hidden, streams, rtol=1e-10, atol=1e-10)
    assert cache.lengths == [5, 0, 2]
    assert not found.logits.requires_grad


@task
def test_it_reads_by_a_reader_of_ones_own_which_may_have_no_stream():
    model, asked = random_model(), []

    def read(cache, new, places):
        asked.append((new, places))
        return Reading(read_places(model, cache, new, places).logits, None)

    proposer = Fixed([1])
    found = texts(speculate(model, [[3, 1, 4]], replace(GREEDY, max_tokens=3), proposer, 1, read=read), 1)
    assert found == generate_tokens(model, [[3, 1, 4]], replace(GREEDY, max_tokens=3))
    assert asked[0] == ([[3, 1, 4, 1]], [2])
    assert all(draft.hidden is None for [draft] in proposer.asked)


# ---- where a text ends


@task
@pytest.mark.parametrize("most", [1, 2, 5, 6])
def test_never_more_than_max_tokens(most):
    model, prompt = random_model(), [3, 1, 4]
    [text] = generate_tokens(model, [prompt], GREEDY)
    proposer = Oracle([prompt + text], 23)
    assert texts(speculate(model, [prompt], replace(GREEDY, max_tokens=most), proposer, 8), 1) == [
        text[:most]
    ]
    assert len(proposer.asked) == 1


@task
@pytest.mark.parametrize("place", range(7))
def test_a_stop_id_ends_the_text_wherever_it_stands_in_a_pass(place):
    model, prompt = random_model(), [3, 1, 4]
    [text] = generate_tokens(model, [prompt], GREEDY)
    stop = text[place]
    params = replace(GREEDY, stop_ids=(stop,))
    for proposer in (Oracle([prompt + text], 23), Oracle([prompt + text], 23, wrong=2), Fixed([])):
        written = list(speculate(model, [prompt], params, proposer, 4))
        assert texts(written, 1) == [text[: text.index(stop)]]
        assert [len(one.tokens) <= one.accepted for one in written] == [False] * (len(written) - 1) + [True]
        assert proposer.forgotten == [0]


@task
def test_a_text_that_ends_leaves_the_others_alone():
    model, prompts = random_model(), random_prompts(4)
    free = generate_tokens(model, prompts, GREEDY)
    stop = next(token for token in free[0] if not all(token in text for text in free))
    params, seen = replace(GREEDY, stop_ids=(stop,)), []
    expected = generate_tokens(model, prompts, params)
    cache, proposer = KVCache(TINY, 4, dtype=torch.float64), Fixed([1, 2])

    def read(cache, new, places):
        seen.append([bool(row) for row in new])
        return read_places(model, cache, new, places)

    assert texts(speculate(model, prompts, params, proposer, 2, cache, read), 4) == expected
    for before, after in pairwise(seen):
        assert all(old or not new for old, new in zip(before, after, strict=True)), (
            "what has ended comes back"
        )
    assert not all(seen[-1])


@task
@pytest.mark.parametrize("length", [30, 37, 39, 40])
def test_a_text_ends_with_the_context(length):
    model, prompt = random_model(), [(7 * i) % 23 for i in range(length)]
    params = replace(GREEDY, max_tokens=60)
    [text] = generate_tokens(model, [prompt], params)
    assert len(prompt + text) == 41
    for proposer in (Oracle([prompt + text], 23), DraftProposer(resembling(model)), Fixed([1, 2, 3, 4])):
        assert texts(speculate(model, [prompt], params, proposer, 4), 1) == [text]


# ---- how many are asked for


@task
def test_an_adaptive_length_is_asked_told_and_made_to_forget():
    model, prompts = random_model(), [[3, 1, 4], [2, 7]]
    wholes = [a + b for a, b in zip(prompts, generate_tokens(model, prompts, GREEDY), strict=True)]
    calls = []

    class Noted(AdaptiveLength):
        def length(self, key):
            calls.append(("length", key))
            return 2 + key

        def update(self, key, guessed, accepted):
            calls.append(("update", key, guessed, accepted))

        def forget(self, key):
            calls.append(("forget", key))

    proposer = Oracle(wholes, 23)
    assert texts(speculate(model, prompts, replace(GREEDY, max_tokens=4), proposer, Noted(0.1)), 2) == [
        wholes[0][3:7], wholes[1][2:6],
    ]  # fmt: skip
    assert [draft.count for draft in proposer.asked[0]] == [2, 3]
    assert calls[:2] == [("length", 0), ("length", 1)]
    assert ("update", 0, 2, 2) in calls
    assert ("update", 1, 3, 3) in calls
    assert {call for call in calls if call[0] == "forget"} == {("forget", 0), ("forget", 1)}


@task
def test_with_an_adaptive_length_the_text_is_the_same():
    model, prompts = random_model(), random_prompts(3)
    written = list(
        speculate(model, prompts, GREEDY, DraftProposer(resembling(model), 3), AdaptiveLength(0.05, most=6))
    )
    assert texts(written, 3) == generate_tokens(model, prompts, GREEDY)
    assert len({one.guessed for one in written}) > 2


@task
def test_on_stories_the_formula_holds():
    """tiny-base and tiny-draft: tokens a pass as expected from the rate of acceptance, within 5%."""
    model, tokenizer = load_base("tiny-base")
    draft, _ = load_base("tiny-draft")
    encode = PromptTokenizer(tokenizer).encode
    stories = tinyworld.documents("test", 0, ["story"])
    prompts = [encode(next(stories).text)[:24] for _ in range(8)]
    params = SamplingParams(
        max_tokens=50, temperature=0, stop_ids=(tokenizer.special_tokens["<|endoftext|>"],)
    )
    written = list(speculate(model, prompts, params, DraftProposer(draft, 8), 4))
    judged = [(one.guessed, one.accepted) for one in written if one.guessed == 4]
    mean = sum(accepted + 1 for _, accepted in judged) / len(judged)
    assert mean == pytest.approx(expected_tokens(acceptance_rate(judged), 4), rel=0.05)
    assert mean > 3.5


# ---- what is refused


@task
@pytest.mark.parametrize(
    ("prompts", "facts"),
    [
        ([], ()),
        ([[1], []], (2,)),
        ([[1], [2], [3] * 41], (3, 41, 40)),
        ([[1, 23]], (1, 23, 22)),
        ([[-1]], (-1,)),
    ],
)
def test_a_prompt_that_the_model_cannot_start_from_is_named(prompts, facts):
    proposer = Fixed([])
    with raises(ValueError, *facts):
        list(speculate(random_model(), prompts, GREEDY, proposer))
    assert proposer.asked == []


@task
def test_another_caches_rows_and_a_count_below_0_are_named():
    with raises(ValueError, 3, 2):
        list(
            speculate(random_model(), [[1], [2]], GREEDY, Fixed([]), 4, KVCache(TINY, 3, dtype=torch.float64))
        )
    with raises(ValueError, -1):
        list(speculate(random_model(), [[1]], GREEDY, Fixed([]), -1))


@task
@pytest.mark.parametrize(
    ("proposals", "facts"),
    [
        ([Proposal([1, 2, 3])], (3, 2)),
        ([Proposal([1, 23])], (23, 22)),
        ([], (1, 0)),
        ([Proposal([1, 2], torch.ones(2, 22, dtype=torch.float64))], (2, 22, 23)),
    ],
)
def test_a_proposal_that_is_none_is_refused(proposals, facts):
    class Odd(Fixed):
        def propose(self, drafts):
            return proposals

    with raises(ValueError, *facts):
        list(speculate(random_model(), [[1]], GREEDY, Odd([]), 2))


@task
def test_a_model_in_training_mode_writes_without_dropout():
    config = replace(TINY, dropout=0.5)
    expected = generate_tokens(random_model(config), [[1, 2]], GREEDY)
    assert texts(speculate(random_model(config).train(), [[1, 2]], GREEDY, Fixed([1])), 1) == expected
