"""Paged attention in C++ against float64; no bit depends on blocks or company; nothing read that is not the text's."""

from dataclasses import replace

import pytest
import torch

from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore
from phase04_advanced_inference.project13_paged_attention.given.around import AROUND
from phase04_advanced_inference.project13_paged_attention.given.edge import Guarded, stays_inside
from phase04_advanced_inference.project13_paged_attention.given.example import (
    WIDE,
    empty_store,
    random_model,
    random_numbers,
    scattered,
    shuffled_tables,
)
from phase04_advanced_inference.project13_paged_attention.paged_attention import PagedAttention, PagedStep
from phase04_advanced_inference.project13_paged_attention.paged_kernel import (
    PagedKernel,
    paged_source,
    table_numbers,
)
from shared.phase03 import FORMATS, kernel_library
from shared.testing import raises

task = pytest.mark.task(4)
formats = pytest.mark.parametrize("dtype", FORMATS)
LENGTHS = [50, 17, 4, 1]
NUM_BLOCKS = 80


def make(lengths, width=16, heads=4, kv_heads=2, dtype=torch.float32):
    """Random texts and queries: q (text, head, width), keys and values of each text (kv_head, length, width)."""
    q = random_numbers(len(lengths), heads, width, seed=7, dtype=dtype)
    keys, values = (
        [
            random_numbers(kv_heads, length, width, seed=seed + i, dtype=dtype)
            for i, length in enumerate(lengths)
        ]
        for seed in (100, 200)
    )
    return q, keys, values


def attend(q, keys, values, size, *, seed=0, threads=1, num_blocks=NUM_BLOCKS):
    """By the kernel, with the texts in blocks without any order, and NaN in every other slot."""
    lengths = [text.shape[1] for text in keys]
    tables = shuffled_tables(lengths, size, num_blocks, seed)
    stored = [scattered(texts, tables, num_blocks, size) for texts in (keys, values)]
    return call(q, *stored, tables=tables, lengths=lengths, size=size, threads=threads)


def call(q, keys, values, tables, lengths, size, threads=1):
    kv_heads, slots, width = keys.shape
    config = replace(WIDE[0], heads=q.shape[1], kv_heads=kv_heads, head_dim=width, layers=1)
    store = BlockStore(config, slots // size, size, keys.dtype)
    mixed = PagedKernel(store, threads)(q, keys, values, tables, lengths)
    if mixed is None:
        pytest.skip("there is no C++ compiler")
    return mixed


def exact(q, keys, values):
    """The definition, in float64."""
    mixed = torch.zeros(q.shape, dtype=torch.float64)
    for i, (k, v) in enumerate(zip(keys, values, strict=True)):
        group = q.shape[1] // len(k)
        for h in range(q.shape[1]):
            weights = (k[h // group].double() @ q[i, h].double() / q.shape[2] ** 0.5).softmax(0)
            mixed[i, h] = weights @ v[h // group].double()
    return mixed


def close(found, expected):
    tolerance = 1e-5 if found.dtype == torch.float32 else 0.01
    torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance)


@task
@formats
@pytest.mark.parametrize("width", [16, 32, 48, 64, 128, 256])
@pytest.mark.parametrize("kv_heads", [1, 2, 6])
def test_the_mean_is_right_for_each_width_and_group(width, kv_heads, dtype):
    given = make([50, 17, 4], width, 6, kv_heads, dtype)
    close(attend(*given, size=16), exact(*given))


@task
@formats
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 16, 17, 64])
def test_the_mean_is_right_for_each_size_of_blocks(size, dtype):
    given = make(LENGTHS, dtype=dtype)
    close(attend(*given, size=size), exact(*given))


@task
@formats
@pytest.mark.parametrize("size", [3, 4])
def test_the_mean_is_right_for_each_length(size, dtype):
    for length in range(1, 51):
        given = make([length], dtype=dtype)
        close(attend(*given, size=size), exact(*given))


@task
@formats
@pytest.mark.parametrize("width", [16, 64])
def test_neither_the_size_of_blocks_nor_where_they_lie_changes_a_bit(width, dtype):
    """In blocks of 64 each text is one stretch."""
    given = make(LENGTHS, width, dtype=dtype)
    one_stretch = attend(*given, size=64)
    for seed, size in enumerate((1, 3, 4, 4, 5, 16, 17)):
        assert torch.equal(attend(*given, size=size, seed=seed), one_stretch), f"in blocks of {size}"


@task
@formats
def test_a_texts_bits_do_not_depend_on_its_company_or_threads(dtype):
    q, keys, values = make(LENGTHS, dtype=dtype)
    together = attend(q, keys, values, size=4)
    for i in range(len(LENGTHS)):
        alone = attend(q[i : i + 1], keys[i : i + 1], values[i : i + 1], size=4)
        assert torch.equal(alone[0], together[i])
    for threads in (2, 3, 7):
        assert torch.equal(attend(q, keys, values, size=4, threads=threads), together)


@task
def test_threads_share_long_texts_and_change_no_bit():
    given = make([1000, 700, 900], width=64)
    expected = attend(*given, size=16, num_blocks=200)
    for threads in (2, 3, 7):
        assert torch.equal(attend(*given, size=16, threads=threads, num_blocks=200), expected)


@task
@formats
def test_queries_may_share_a_table_and_each_sees_as_much_as_its_length_says(dtype):
    q, [keys], [values] = make([20], dtype=dtype)
    q = random_numbers(4, 4, 16, seed=9, dtype=dtype)
    [table] = shuffled_tables([20], 4, NUM_BLOCKS)
    stored = [scattered([text], [table], NUM_BLOCKS, 4) for text in (keys, values)]
    lengths = [20, 3, 4, 17]
    found = call(q, *stored, tables=[table] * 4, lengths=lengths, size=4)
    close(found, exact(q, *([text[:, :length] for length in lengths] for text in (keys, values))))


@task
@formats
@pytest.mark.parametrize("scale", [1e-3, 30.0, 1000.0])
def test_large_scores_do_not_overflow(scale, dtype):
    q, keys, values = make([50, 20, 1], dtype=dtype)
    found = attend(scale * q, keys, values, size=4)
    torch.testing.assert_close(found.double(), exact(scale * q, keys, values), rtol=1e-2, atol=1e-2)


@task
@formats
def test_what_is_not_the_texts_is_never_read(dtype):
    """Other blocks, the last block's end, and blocks of the table behind it: NaN there, or infinite, is no matter."""
    q, [keys], [values] = make([13], dtype=dtype)
    table = [5, 9, 2, 7, 0]  # the fourth block is full but for three slots, the fifth is not needed
    stored = [scattered([text], [table[:4]], 10, 4) for text in (keys, values)]
    found = call(q, *stored, tables=[table], lengths=[13], size=4)
    close(found, exact(q, [keys], [values]))
    for number in (torch.inf, -torch.inf, 3e38):
        spoiled = [torch.where(buffer.isnan(), number, buffer).to(dtype) for buffer in stored]
        assert torch.equal(call(q, *spoiled, tables=[table], lengths=[13], size=4), found)


@task
@formats
@pytest.mark.parametrize("held", [1, 2, 7, 16, 17, 33])
@pytest.mark.parametrize("size", [16, 3])
def test_there_may_be_no_memory_but_the_texts(held, size, dtype):
    """The text's last block is where memory ends, and of other texts' blocks every whole page is forbidden."""
    kernels = kernel_library("attention", paged_source(), around=AROUND)
    if kernels is None:
        pytest.skip("there is no C++ compiler")
    heads, width = 3, 128
    blocks = -(-held // size)
    table = [2 * block + 1 for block in range(blocks)]
    slots = table[-1] * size + (held - 1) % size + 1  # nothing behind the last key
    block = size * width * dtype.itemsize
    others = [(2 * i * block, (2 * i + 1) * block) for i in range(blocks)]
    q = Guarded(random_numbers(heads, width, dtype=torch.float32))
    keys, values = (Guarded(random_numbers(slots, width, seed=seed, dtype=dtype), others) for seed in (1, 2))
    rows, length = (Guarded(torch.tensor(part)) for part in ([0, *table_numbers([table], size)], [held]))
    out = Guarded(torch.zeros(heads, width))
    arrays = [array.address for array in (q, keys, values, rows, length, out)]
    sizes = 1, heads, 1, slots, width, 1  # one query a head, one head of keys and values, one thread
    assert stays_inside(lambda: kernels[f"decode_attention_{FORMATS[dtype]}"](*arrays, *sizes)), (
        "it reads keys or values that are not the text's"
    )


@task
@formats
@pytest.mark.parametrize("config", WIDE)
def test_in_a_model_it_gives_what_the_gather_gives(config, dtype):
    model = random_model(config, dtype)
    stores = [empty_store(config, 12, 4, dtype) for _ in range(2)]
    with_kernel, without = PagedAttention(stores[0], PagedKernel(stores[0])), PagedAttention(stores[1])
    tables = [[7, 3], [0, 11], [5]]
    generator = torch.Generator().manual_seed(0)
    for starts, counts in [([0, 0, 0], [3, 5, 1]), ([3, 5, 1], [1, 2, 1]), ([4, 7, 2], [4, 1, 1])]:
        tokens = torch.randint(29, (1, sum(counts)), generator=generator)
        step = PagedStep(counts, starts, tables)
        with torch.no_grad():
            found, expected = (model(tokens, one.plan(step), one) for one in (with_kernel, without))
        tolerance = 1e-4 if dtype == torch.float32 else 0.3
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@task
def test_the_text_of_the_kernel_compiles_with_the_whole_step_too():
    model, store = random_model(WIDE[0], torch.float32), empty_store(WIDE[0], 9, 4, torch.float32)
    from phase04_advanced_inference.project13_paged_attention.given.paged_step import PagedStepDecode

    one_call = PagedStepDecode(model)
    with torch.no_grad():
        expected = model(torch.tensor([[3, 1, 4, 1, 5, 9]]))[0]
    step = PagedStep([6], [0], [[7, 2]])
    found = one_call(store, step, [3, 1, 4, 1, 5, 9], torch.arange(6))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_table_that_queries_share_is_handed_over_once():
    one, other = [4, 2], [9]
    assert table_numbers([one, one, other, one], 16) == [16, 0, 0, 2, 0, 4, 2, 9]


@pytest.mark.parametrize(
    ("change", "dtype", "device", "threads", "facts"),
    [
        ({"head_dim": 8}, torch.float32, "cpu", 1, (8, 16, 256)),
        ({"head_dim": 24}, torch.float32, "cpu", 1, (24,)),
        ({"head_dim": 272}, torch.float32, "cpu", 1, (272, 256)),
        ({}, torch.float16, "cpu", 1, ("float16", "float32", "bfloat16")),
        ({}, torch.float32, "meta", 1, ("meta", "cpu")),
        ({}, torch.float32, "cpu", 0, (0, 1)),
    ],
)
def test_what_the_kernel_was_not_made_for_is_refused(change, dtype, device, threads, facts):
    store = BlockStore(replace(WIDE[0], **change), 2, 4, dtype, device)
    with raises(ValueError, *facts):
        PagedKernel(store, threads)
