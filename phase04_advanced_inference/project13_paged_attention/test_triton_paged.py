"""Paged attention in Triton: in the interpreter, on the CPU, against attention written out; compiled where a GPU is."""

import pytest
import torch

pytest.importorskip("triton", reason="there is no package triton here")

from dataclasses import replace

from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore
from phase04_advanced_inference.project13_paged_attention.given import paged_launch
from phase04_advanced_inference.project13_paged_attention.given.example import (
    TINY,
    WIDE,
    empty_store,
    random_model,
    random_numbers,
    scattered,
    shuffled_tables,
)
from phase04_advanced_inference.project13_paged_attention.given.paged_launch import TritonDecode
from phase04_advanced_inference.project13_paged_attention.paged_attention import PagedAttention, PagedStep
from shared.testing import raises

task = pytest.mark.task(5)
TOLERANCE = {torch.float32: 3e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2}
GUARD = 64
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float16])


def make(lengths, width=16, heads=4, kv_heads=2, dtype=torch.float32, num_blocks=30, size=4):
    """Random texts in blocks without any order, NaN in every other slot; and what is to come of them, in float64."""
    q = random_numbers(len(lengths), heads, width, seed=7, dtype=dtype)
    texts = [
        [
            random_numbers(kv_heads, length, width, seed=seed + i, dtype=dtype)
            for i, length in enumerate(lengths)
        ]
        for seed in (100, 200)
    ]
    tables = shuffled_tables(lengths, size, num_blocks)
    keys, values = (scattered(text, tables, num_blocks, size) for text in texts)
    return q, keys, values, tables, exact(q, *texts)


def exact(q, keys, values):
    mixed = torch.zeros(q.shape, dtype=torch.float64)
    for i, (k, v) in enumerate(zip(keys, values, strict=True)):
        for h in range(q.shape[1]):
            at = h // (q.shape[1] // len(k))
            weights = (k[at].double() @ q[i, h].double() / q.shape[2] ** 0.5).softmax(0)
            mixed[i, h] = weights @ v[at].double()
    return mixed


def attend(q, keys, values, tables, lengths, size, kernels=None):
    config = replace(WIDE[0], heads=q.shape[1], kv_heads=len(keys), head_dim=q.shape[2])
    store = BlockStore(config, 1, size, keys.dtype, keys.device)
    kernels = kernels or (paged_launch.interpreted() if keys.device.type == "cpu" else None)
    return TritonDecode(store, kernels)(q, keys, values, tables, lengths)


def close(found, expected):
    tolerance = TOLERANCE[found.dtype]
    torch.testing.assert_close(found.double().cpu(), expected, rtol=tolerance, atol=tolerance)


# This one is the first: what is written beyond a buffer can end the process, in any test.
@task
def test_query_heads_that_there_are_not_are_not_written():
    """A group of three is a tile of four: the fourth belongs to the next group, or to nobody."""
    q, keys, values, tables, expected = make([5], heads=3, kv_heads=1)
    room = torch.full((3 * 16 + GUARD,), 7.0)
    out = room[: 3 * 16].view(1, 3, 16)
    table, length = torch.tensor(tables, dtype=torch.int32), torch.tensor([5], dtype=torch.int32)
    paged_launch.launch(q, keys, values, table, length, out, 4, paged_launch.interpreted())
    assert (room[3 * 16 :] == 7).all(), (
        "the store of the output goes beyond the last query head: it needs a mask"
    )
    close(out, expected)


@task
@dtypes
@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (6, 2), (5, 1)], ids=str)
def test_the_mean_is_right_for_each_group(heads, dtype):
    lengths = [9, 4, 1]
    *given, expected = make(lengths, 16, *heads, dtype=dtype)
    found = attend(*given, lengths=lengths, size=4)
    assert found.dtype == dtype
    close(found, expected)


@task
@pytest.mark.parametrize("size", [1, 3, 4, 8, 16])
def test_the_mean_is_right_for_each_size_of_blocks(size):
    lengths = [17, 5, 1]
    *given, expected = make(lengths, size=size)
    close(attend(*given, lengths=lengths, size=size), expected)


@task
def test_the_mean_is_right_for_each_length():
    for length in range(1, 14):
        *given, expected = make([length], heads=2, kv_heads=1)
        close(attend(*given, lengths=[length], size=4), expected)


@task
@pytest.mark.parametrize("width", [32, 64])
def test_the_mean_is_right_for_wider_heads(width):
    *given, expected = make([7, 6], width)
    close(attend(*given, lengths=[7, 6], size=4), expected)


@task
@pytest.mark.parametrize("scale", [30.0, 1000.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_large_scores_do_not_overflow(scale, sign):
    """All scores of one sign too: a weight of what is not seen, e^(0 + 3000), would be infinite."""
    q, keys, values, tables, _ = make([9])
    q, keys = scale * q.abs(), sign * keys.abs()
    texts = [
        [torch.cat([one[:, 4 * block : 4 * block + 4] for block in tables[0]], 1)[:, :9]]
        for one in (keys, values)
    ]
    found = attend(q, keys, values, tables, [9], 4)
    torch.testing.assert_close(found.double(), exact(q, *texts), rtol=5e-3, atol=5e-3)


@task
@pytest.mark.parametrize("number", [torch.inf, -torch.inf, 3e38])
def test_what_is_not_the_texts_never_comes_through(number):
    q, keys, values, tables, expected = make([9, 6])
    close(attend(q, keys, values, tables, [9, 6], 4), expected)  # with NaN everywhere else
    keys, values = (torch.where(one.isnan(), number, one) for one in (keys, values))
    close(attend(q, keys, values, tables, [9, 6], 4), expected)


@task
def test_numbers_of_the_table_behind_the_text_are_not_followed():
    """They may be anything: a block that does not exist would be read outside of the store."""
    q, keys, values, tables, expected = make([8, 3])
    far = 10**9
    found = attend(q, keys, values, [[*tables[0], far, far], [*tables[1], far]], [8, 3], 4)
    close(found, expected)


@task
def test_queries_may_share_a_table_and_each_sees_as_much_as_its_length_says():
    _, keys, values, [table], _ = make([12])
    q, lengths = random_numbers(3, 4, 16, seed=3, dtype=torch.float32), [12, 4, 7]
    text = [torch.cat([one[:, 4 * block : 4 * block + 4] for block in table], 1) for one in (keys, values)]
    expected = exact(q, *([one[:, :length] for length in lengths] for one in text))
    close(attend(q, keys, values, [table] * 3, lengths, 4), expected)


@task
def test_which_blocks_a_text_has_changes_no_bit():
    q, keys, values, [table], _ = make([14])
    text = [
        torch.cat([one[:, 4 * block : 4 * block + 4] for block in table], 1)[:, :14] for one in (keys, values)
    ]
    found = [
        attend(q, *(scattered([one], [blocks], 30, 4) for one in text), tables=[blocks], lengths=[14], size=4)
        for blocks in (table, [0, 1, 2, 3], [29, 3, 17, 0])
    ]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@task
def test_in_a_model_it_gives_what_the_gather_gives():
    model, config = random_model(WIDE[0], torch.float32), WIDE[0]
    stores = [empty_store(config, 12, 4, torch.float32) for _ in range(2)]
    decode = TritonDecode(stores[0], paged_launch.interpreted())
    arms = [PagedAttention(stores[0], decode), PagedAttention(stores[1])]
    for starts, counts in [([0, 0], [3, 5]), ([3, 5], [2, 1])]:
        step = PagedStep(counts, starts, [[7, 3], [0, 11]])
        tokens = torch.arange(sum(counts))[None]
        with torch.no_grad():
            found, expected = (model(tokens, one.plan(step), one) for one in arms)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@task
@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_compiled_for_a_gpu_it_is_right_too(dtype):
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    for width, heads, size in [(64, (12, 12), 16), (128, (16, 2), 16), (64, (6, 2), 3)]:
        lengths = [500, 17, 16, 1]
        q, keys, values, tables, expected = make(
            lengths, width, *heads, dtype=dtype, num_blocks=300, size=size
        )
        found = attend(q.cuda(), keys.cuda(), values.cuda(), tables, lengths, size)
        close(found, expected)


@task
@pytest.mark.gpu
def test_a_store_of_more_than_two_thousand_million_numbers():
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    q, keys, values, tables, expected = make([40], 128, 1, 1, dtype=torch.float16, num_blocks=10, size=4)
    slots = 2**31 // 128 + 40
    large = []
    for one in (keys, values):
        room = torch.empty(1, slots, 128, dtype=torch.float16, device="cuda")
        room[:, -40:] = one.cuda()
        large.append(room)
    moved = [[slots // 4 - 10 + block for block in tables[0]]]
    close(attend(q.cuda(), *large, tables=moved, lengths=[40], size=4), expected)


@pytest.mark.parametrize(
    ("config", "dtype", "facts"),
    [
        (WIDE[0], torch.float64, ("float64", "float16")),
        (replace(TINY, head_dim=48), torch.float32, (48, 64)),
        (WIDE[0], torch.float32, ("cpu", "cuda")),
    ],
)
def test_what_the_kernel_was_not_made_for_is_refused(config, dtype, facts):
    with raises(ValueError, *facts):
        TritonDecode(BlockStore(config, 2, 4, dtype))


def test_the_interpreters_copy_leaves_the_other_one_alone():
    triton = pytest.importorskip("triton", reason="there is no package triton here")
    found = paged_launch.interpreted()
    assert found.triton is not triton
    assert type(found.paged_kernel).__name__ == "InterpretedFunction"
    assert paged_launch.power_of_two(1) == 1
    assert paged_launch.power_of_two(5) == 8
