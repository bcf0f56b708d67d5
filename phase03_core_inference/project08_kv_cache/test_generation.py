"""With the cache and without it, token for token; alone and in company; and as transformers writes with its own."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from phase03_core_inference.project08_kv_cache.generation import generate_tokens, step, stream_tokens
from phase03_core_inference.project08_kv_cache.given.example import (
    SHAPES,
    TINY,
    random_model,
    random_prompts,
    spoiled,
    without_cache,
)
from phase03_core_inference.project08_kv_cache.kv_cache import KVCache
from phase03_core_inference.project08_kv_cache.window import SlidingWindowCache
from shared.phase01 import (
    SamplingParams,
    load_base,
    load_llama2c,
    load_llama2c_tokenizer,
    rotary_angles,
    save_model,
    torch_attention,
)
from shared.testing import raises

task = pytest.mark.task(5)
GREEDY = SamplingParams(max_tokens=16, temperature=0)


@task
@pytest.mark.parametrize("config", SHAPES)
@pytest.mark.parametrize(
    "params",
    [
        GREEDY,
        SamplingParams(max_tokens=16, seed=3),
        SamplingParams(max_tokens=16, top_k=5, top_p=0.9, repetition_penalty=1.3),
    ],
)
def test_with_the_cache_each_text_is_what_it_is_without(config, params):
    model, prompts = random_model(config), random_prompts(6)
    expected = [without_cache(model, prompt, params) for prompt in prompts]
    assert generate_tokens(model, prompts, params) == expected
    assert [generate_tokens(model, [prompt], params)[0] for prompt in prompts] == expected


@task
def test_many_random_prompts_in_mixed_batches_write_the_same():
    model, prompts = random_model(replace(TINY, context_length=64)), random_prompts(36, seed=5, longest=40)
    params = replace(GREEDY, max_tokens=8)
    expected = [without_cache(model, prompt, params) for prompt in prompts]
    for size in (1, 3, 16):
        batches = [prompts[i : i + size] for i in range(0, len(prompts), size)]
        assert [text for batch in batches for text in generate_tokens(model, batch, params)] == expected


@task
def test_a_step_gives_the_logits_after_each_rows_last_token():
    model, cache = random_model(), spoiled(KVCache(TINY, rows=3, capacity=2, dtype=torch.float64))
    texts = [[], [], []]
    for new in ([[1, 2, 3], [], [4, 5]], [[], [6], [7]], [[8, 9], [], []]):
        found = step(model, cache, new)
        texts = [text + more for text, more in zip(texts, new, strict=True)]
        expected = [model(torch.tensor([text]))[0, -1] for text, more in zip(texts, new, strict=True) if more]
        torch.testing.assert_close(found, torch.stack(expected), rtol=1e-11, atol=1e-11)
    assert cache.lengths == [5, 1, 3]


@task
def test_logits_are_worked_out_at_the_last_places_only():
    model, seen = random_model(), []
    model.head.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    step(model, KVCache(TINY, rows=3, dtype=torch.float64), [[1, 2, 3], [], [4, 5]])
    assert seen == [(1, 2, 24)]


@task
def test_every_token_goes_through_the_model_once():
    model, seen = random_model(), []
    model.embedding.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    generate_tokens(model, [[1, 2, 3], [4, 5]], replace(GREEDY, max_tokens=4))
    assert seen == [(1, 3), (1, 2), (1, 2), (1, 2), (1, 2)], (
        "each prompt by itself, then a token of each; not the last"
    )


@task
def test_tokens_come_as_soon_as_they_are_chosen():
    tokens = stream_tokens(random_model(), [[1, 2], [3]], GREEDY)
    pairs = [next(tokens) for _ in range(4)]
    assert [i for i, _ in pairs] == [0, 1, 0, 1]
    texts = generate_tokens(random_model(), [[1, 2], [3]], GREEDY)
    assert [token for _, token in pairs] == [texts[0][0], texts[1][0], texts[0][1], texts[1][1]]


@task
def test_a_stop_id_ends_its_own_text_alone_and_is_not_given():
    model, prompts = random_model(), random_prompts(4)
    free = generate_tokens(model, prompts, SamplingParams(max_tokens=16, seed=1))
    stop = next(token for token in free[0] if not all(token in text for text in free))
    params = SamplingParams(max_tokens=16, seed=1, stop_ids=(stop,))
    expected = [text[: text.index(stop)] if stop in text else text for text in free]
    assert generate_tokens(model, prompts, params) == expected
    assert len(expected[0]) < 16 == max(map(len, expected))


@task
def test_what_has_ended_is_not_computed_any_more():
    model, seen, ended = random_model(), [], set()
    model.embedding.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    texts = [[], [], []]
    for i, token in stream_tokens(model, [[1], [2], [3]], replace(GREEDY, max_tokens=5), ended=ended):
        texts[i].append(token)
        if len(texts[1]) == 2:
            ended.add(1)
    assert seen == [1, 1, 1, 3, 2, 2, 2]
    assert [len(text) for text in texts] == [5, 2, 5]


@task
def test_a_text_ends_when_the_cache_is_full():
    model, prompts = random_model(), [[1] * 30, [2] * 40, [3]]
    texts = generate_tokens(model, prompts, replace(GREEDY, max_tokens=60))
    assert [len(text) for text in texts] == [11, 1, 40], "the last token is chosen, and not read"
    assert texts == [without_cache(model, prompt, replace(GREEDY, max_tokens=60)) for prompt in prompts]


@task
def test_a_cache_and_a_step_of_ones_own_are_used():
    model, asked = random_model(), []

    def decode(cache, new):
        asked.append(new)
        return step(model, cache, new)

    cache = KVCache(TINY, rows=2, dtype=torch.float64)
    texts = generate_tokens(model, [[1, 2], [3]], replace(GREEDY, max_tokens=3), cache, decode)
    assert asked == [[[texts[0][0]], [texts[1][0]]], [[texts[0][1]], [texts[1][1]]]]
    assert cache.lengths == [4, 3]


@task
def test_a_model_in_training_mode_writes_without_dropout():
    config = replace(TINY, dropout=0.5)
    expected = generate_tokens(random_model(config), [[1, 2]], GREEDY)
    assert generate_tokens(random_model(config).train(), [[1, 2]], GREEDY) == expected


@task
@pytest.mark.parametrize(
    ("prompts", "facts"),
    [
        ([], ()),
        ([[1], []], (2,)),
        ([[1], [2], [3] * 41], (3, 41, 40)),
        ([[1, 29]], (1, 29, 28)),
        ([[-1]], (-1,)),
    ],
)
def test_a_prompt_that_the_model_cannot_start_from_is_named(prompts, facts):
    with raises(ValueError, *facts):
        list(stream_tokens(random_model(), prompts, GREEDY))


@task
def test_a_cache_with_other_rows_than_prompts_is_refused():
    with raises(ValueError, 3, 2):
        list(stream_tokens(random_model(), [[1], [2]], GREEDY, KVCache(TINY, rows=3, dtype=torch.float64)))


@task
@pytest.mark.parametrize("config", [SHAPES[0], SHAPES[1], replace(SHAPES[2], layers=1)])
def test_it_equals_transformers_generate_with_its_cache(tmp_path, config):
    transformers = pytest.importorskip("transformers", reason="transformers, the peer, is not installed")
    model, prompts = random_model(config), random_prompts(5, seed=2)
    found = generate_tokens(model, prompts, GREEDY)
    save_model(model, tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float64).eval()
    # Their rotary frequencies differ from ours in the last bit of float32.
    theirs.model.rotary_emb.inv_freq = rotary_angles(torch.tensor([1]), config.head_width, config.rope_base)[
        0
    ]
    for prompt, text in zip(prompts, found, strict=True):
        expected = theirs.generate(
            torch.tensor([prompt]), max_new_tokens=16, do_sample=False, use_cache=True, eos_token_id=None,
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        )  # fmt: skip
        assert text == expected[0, len(prompt) :].tolist()


@task
def test_stories260k_tells_the_story_its_card_gives():
    mirror = os.environ.get("LADDER_DATA_MIRROR")
    folder = Path(mirror or "LADDER_DATA_MIRROR") / "models" / "stories260K"
    if not mirror or not (folder / "stories260K.bin").is_file():
        pytest.skip(f"there is no {folder / 'stories260K.bin'}")
    model = load_llama2c(folder / "stories260K.bin")
    tokenizer = load_llama2c_tokenizer(folder / "tok512.bin")
    start = tokenizer.encode("")
    [text] = generate_tokens(model, [start], SamplingParams(max_tokens=256, temperature=0))
    expected = (folder / "expected_greedy.txt").read_text(encoding="utf-8")
    assert tokenizer.decode([*start, *text]).strip() == expected.strip()


@task
def test_tiny_base_writes_the_same_with_the_cache():
    model, tokenizer = load_base("tiny-base", torch.float64)
    start = [tokenizer.special_tokens["<|endoftext|>"]]
    prompts = [
        [*start, *tokenizer.encode(text)] for text in ("Once upon a time", "Question: Who?\nAnswer:", "")
    ]
    params = SamplingParams(max_tokens=10, temperature=0)
    model.attend = torch_attention
    assert generate_tokens(model, prompts, params) == [
        without_cache(model, prompt, params) for prompt in prompts
    ]


@task
def test_a_cache_that_has_grown_in_a_step_can_be_written_to_by_hand():
    model, cache = random_model(), KVCache(TINY, capacity=2, dtype=torch.float64)
    step(model, cache, [[1, 2, 3]])
    with torch.no_grad():
        found = model(torch.tensor([[4]]), cache.plan([1]), cache)[0, -1]
    torch.testing.assert_close(found, model(torch.tensor([[1, 2, 3, 4]]))[0, -1], rtol=1e-10, atol=1e-10)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_writes_the_same():
    model, prompts = random_model(), random_prompts(5)
    expected = generate_tokens(model, prompts, GREEDY)
    ring = generate_tokens(model, prompts, GREEDY, SlidingWindowCache(TINY, 6, 5, torch.float64))
    model.to("cuda")
    assert generate_tokens(model, prompts, GREEDY) == expected
    on_gpu = SlidingWindowCache(TINY, 6, 5, torch.float64, "cuda")
    assert generate_tokens(model, prompts, GREEDY, on_gpu) == ring
