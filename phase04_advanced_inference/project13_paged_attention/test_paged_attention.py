"""Slots, gathers, copies, and the attend over blocks against the model without any cache."""

import pytest
import torch
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from phase04_advanced_inference.project13_paged_attention.given.example import (
    SHAPES,
    TINY,
    empty_store,
    random_model,
    random_numbers,
    scattered,
    shuffled_tables,
)
from phase04_advanced_inference.project13_paged_attention.paged_attention import (
    FEW,
    PagedAttention,
    PagedStep,
    copy_blocks,
    gather,
    slot_mapping,
)
from shared.phase03 import attend_row
from shared.testing import raises

task = pytest.mark.task(3)
SIZES = [1, 2, 3, 4, 16]


def exact_decode(q, keys, values, tables, lengths, block_size=4):
    """What a `decode` is to give, token by token, in the dtype that came."""
    mixed = torch.empty_like(q)
    for i, (table, length) in enumerate(zip(tables, lengths, strict=True)):
        slots = [table[p // block_size] * block_size + p % block_size for p in range(length)]
        mixed[i] = attend_row(q[i, :, None], keys[:, slots], values[:, slots])[:, 0]
    return mixed


# ---- slots


@task
def test_the_slots_of_the_docstrings_example():
    found = slot_mapping([[7, 2]], [3], [3], 4)
    assert found.dtype == torch.int64
    assert found.tolist() == [31, 8, 9]


@task
@given(data=st.data())
@how(max_examples=60)
def test_slots_are_those_of_the_definition(data):
    size = data.draw(st.integers(1, 5))
    count = st.integers(0, 12)
    texts = data.draw(st.lists(st.tuples(count, count), min_size=1, max_size=4))
    starts, counts = [start for start, _ in texts], [count for _, count in texts]
    tables = [
        data.draw(st.lists(st.integers(0, 99), min_size=-(-(a + b) // size), max_size=30)) for a, b in texts
    ]
    expected = [
        table[place // size] * size + place % size
        for table, start, count in zip(tables, starts, counts, strict=True)
        for place in range(start, start + count)
    ]
    assert slot_mapping(tables, starts, counts, size).tolist() == expected


# ---- gather


@task
@pytest.mark.parametrize("size", SIZES)
def test_a_gather_gives_a_text_in_its_order_and_nothing_else(size):
    lengths = [13, 1, size, 2 * size]
    texts = [random_numbers(3, length, 5, seed=i) for i, length in enumerate(lengths)]
    tables = shuffled_tables(lengths, size, 40)
    stored = scattered(texts, tables, 40, size)
    for text, table in zip(texts, tables, strict=True):
        for length in {1, text.shape[1] - 1, text.shape[1]} - {0}:
            assert torch.equal(gather(stored, [*table, 39, 0], length, size), text[:, :length])


@task
def test_blocks_behind_the_text_are_not_touched():
    stored = random_numbers(2, 12, 3)
    assert torch.equal(gather(stored, [1, 999], 4, 4), stored[:, 4:8])


# ---- copies


@task
def test_copies_are_bit_for_bit_in_every_layer_and_leave_the_rest():
    store = empty_store(TINY, 6, 4)
    for i, buffer in enumerate([*store.keys, *store.values]):
        buffer.copy_(random_numbers(*buffer.shape, seed=i))
    before = [buffer.clone() for buffer in [*store.keys, *store.values]]
    copy_blocks(store, [(4, 1), (0, 5)])
    for buffer, old in zip([*store.keys, *store.values], before, strict=True):
        expected = old.clone()
        expected[:, 4:8], expected[:, 20:24] = old[:, 16:20], old[:, 0:4]
        assert torch.equal(buffer, expected)


@task
def test_copies_are_made_as_if_at_once():
    store = empty_store(TINY, 4, 2)
    for buffer in [*store.keys, *store.values]:
        buffer.copy_(random_numbers(*buffer.shape))
    old = store.values[1].clone()
    copy_blocks(store, [(0, 1), (1, 2), (2, 0)])
    assert torch.equal(store.values[1][:, 2:4], old[:, 0:2])
    assert torch.equal(store.values[1][:, 4:6], old[:, 2:4])
    assert torch.equal(store.values[1][:, 0:2], old[:, 4:6])


@task
def test_one_block_may_be_copied_to_several_and_none_to_none():
    store = empty_store(TINY, 4, 2)
    store.keys[0].copy_(random_numbers(*store.keys[0].shape))
    old = store.keys[0].clone()
    copy_blocks(store, [])
    assert torch.equal(store.keys[0], old)
    copy_blocks(store, [(3, 1), (3, 0)])
    assert torch.equal(store.keys[0][:, 0:2], old[:, 6:8])
    assert torch.equal(store.keys[0][:, 2:4], old[:, 6:8])


@task
@pytest.mark.parametrize(
    ("copies", "facts"),
    [
        ([(0, 1), (4, 2)], (4,)),
        ([(0, 1), (2, -1)], (-1, 4)),
        ([(0, 1), (1, 3), (2, 3)], (3,)),
        ([(0, 3), (2, 3)], (3,)),
    ],
)
def test_a_wrong_copy_is_refused_and_nothing_is_copied(copies, facts):
    store = empty_store(TINY, 4, 2)
    store.keys[0].copy_(random_numbers(*store.keys[0].shape))
    old = store.keys[0].clone()
    with raises(ValueError, *facts):
        copy_blocks(store, copies)
    assert torch.equal(store.keys[0], old)


# ---- plans


@task
def test_a_plan_gives_the_places_and_the_slots():
    attend = PagedAttention(empty_store(TINY, 8, 4))
    places = attend.plan(PagedStep([3, 1, 5], [0, 6, 2], [[7], [2, 5], [1, 0]]))
    assert places.dtype == attend.slots.dtype == torch.int64
    assert places.tolist() == [0, 1, 2, 6, 2, 3, 4, 5, 6]
    assert attend.slots.tolist() == [28, 29, 30, 22, 6, 7, 0, 1, 2]


@task
@pytest.mark.parametrize(
    ("step", "facts"),
    [
        (PagedStep([], [], []), (0,)),
        (PagedStep([1, 1], [0], [[0], [1]]), (2, 1)),
        (PagedStep([1, 1], [0, 0], [[0]]), (2, 1)),
        (PagedStep([1, 0], [0, 3], [[0], [1]]), (1, 0)),
        (PagedStep([1], [-1], [[0]]), (0, -1)),
        (PagedStep([1, 3], [0, 6], [[0], [1, 2]]), (1, 9, 2, 4)),
        (PagedStep([1, 1], [0, 0], [[0], [8]]), (1, 8)),
        (PagedStep([1], [0], [[-1]]), (0, -1)),
        (PagedStep([1, 1], [2, 2], [[3], [3]]), (14,)),
        (PagedStep([2, 1], [3, 0], [[1, 6], [6]]), (24,)),
    ],
)
def test_a_step_that_has_no_room_is_refused_and_the_plan_stays(step, facts):
    attend = PagedAttention(empty_store(TINY, 8, 4))
    good = PagedStep([1], [0], [[0]])
    attend.plan(good)
    with raises(ValueError, *facts):
        attend.plan(step)
    assert attend.step is good
    assert attend.slots.tolist() == [0]


# ---- the attend, in a model


def run(model, attend, texts, step):
    """The logits of a step's new tokens, by text."""
    new = [text[a : a + b] for text, a, b in zip(texts, step.starts, step.counts, strict=True)]
    tokens = torch.tensor([[token for part in new for token in part]])
    with torch.no_grad():
        return model(tokens, attend.plan(step), attend)[0].split(step.counts)


def random_texts(lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(29, (length,), generator=generator).tolist() for length in lengths]


def follow(model, attend, texts, cuts, tables):
    """Compute each text up to its first cut, then to its second, all texts in each step that go on; all logits."""
    logits = [[] for _ in texts]
    for number in range(max(map(len, cuts)) - 1):
        who = [i for i, cut in enumerate(cuts) if number + 1 < len(cut)]
        step = PagedStep(
            [cuts[i][number + 1] - cuts[i][number] for i in who],
            [cuts[i][number] for i in who],
            [tables[i] for i in who],
        )
        for i, part in zip(who, run(model, attend, [texts[i] for i in who], step), strict=True):
            logits[i].append(part)
    return [torch.cat(parts) for parts in logits]


CUTS = [[0, 17, 18, 19, 20], [0, 1, 2, 13], [0, 4, 8, 9, 22], [0, 5, 5 + FEW, 6 + 2 * FEW]]


@task
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("config", SHAPES)
@pytest.mark.parametrize("with_decode", [False, True])
def test_the_model_says_over_blocks_what_it_says_without(config, size, with_decode):
    """Prompts, chunks, drafts and single tokens of four texts, in one step each, in blocks without any order."""
    model, texts = random_model(config), random_texts([cut[-1] for cut in CUTS])
    store = empty_store(config, 100, size)
    tables = shuffled_tables([len(text) for text in texts], size, 100)
    decode = (lambda *given: exact_decode(*given, block_size=size)) if with_decode else None
    found = follow(model, PagedAttention(store, decode), texts, CUTS, tables)
    for text, logits in zip(texts, found, strict=True):
        with torch.no_grad():
            expected = model(torch.tensor([text]))[0]
        torch.testing.assert_close(logits, expected, rtol=1e-10, atol=1e-10)


@task
def test_which_blocks_a_text_has_changes_no_bit():
    model, texts = random_model(), random_texts([cut[-1] for cut in CUTS])
    lengths = [len(text) for text in texts]
    first, second = (
        follow(
            model,
            PagedAttention(empty_store(TINY, 50, 4)),
            texts,
            CUTS,
            shuffled_tables(lengths, 4, 50, seed),
        )
        for seed in (0, 1)
    )
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)


@task
def test_texts_that_share_blocks_read_them_together():
    model, [start, one, other] = random_model(), random_texts([8, 5, 3])
    attend = PagedAttention(empty_store(TINY, 9, 4))
    run(model, attend, [start], PagedStep([8], [0], [[6, 1]]))
    texts = [start + one, start + other]
    found = run(model, attend, texts, PagedStep([5, 3], [8, 8], [[6, 1, 3, 0], [6, 1, 8]]))
    for text, logits in zip(texts, found, strict=True):
        with torch.no_grad():
            expected = model(torch.tensor([text]))[0, 8:]
        torch.testing.assert_close(logits, expected, rtol=1e-10, atol=1e-10)


@task
def test_tokens_that_were_wrong_are_written_over():
    """A draft of which nothing was right: its slots are used again, and what was in them is never seen."""
    model, [text, wrong] = random_model(), random_texts([12, 4])
    attend, table = PagedAttention(empty_store(TINY, 9, 4), exact_decode), [6, 1, 3]
    run(model, attend, [text], PagedStep([6], [0], [table]))
    run(model, attend, [text[:6] + wrong], PagedStep([4], [6], [table]))
    [found] = run(model, attend, [text], PagedStep([1], [6], [table]))
    with torch.no_grad():
        expected = model(torch.tensor([text[:7]]))[0, 6:]
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


# ---- the attend, call by call


def heads(step, seed=0, config=TINY):
    total = sum(step.counts)
    return [
        random_numbers(1, n, total, config.head_width, seed=seed + i)
        for i, n in enumerate((config.heads, config.kv_heads, config.kv_heads))
    ]


def filled(config=TINY, num_blocks=9, block_size=4):
    store = empty_store(config, num_blocks, block_size)
    for i, buffer in enumerate([*store.keys, *store.values]):
        buffer.copy_(random_numbers(*buffer.shape, seed=50 + i))
    return store


@task
def test_new_keys_and_values_are_written_where_they_belong_and_nowhere_else():
    store, step = filled(), PagedStep([3, 2], [6, 0], [[8, 2, 5], [0]])
    before = [[buffer.clone() for buffer in buffers] for buffers in (store.keys, store.values)]
    attend, (q, k, v) = PagedAttention(store), heads(step)
    attend.plan(step)
    attend(1, q, k, v)
    slots = [10, 11, 20, 0, 1]
    for buffers, old, new in zip((store.keys, store.values), before, (k, v), strict=True):
        expected = old[1].clone()
        expected[:, slots] = new[0]
        assert torch.equal(buffers[1], expected)
        assert torch.equal(buffers[0], old[0])


@task
def test_single_tokens_go_to_decode_in_one_call_each_with_its_own_length():
    asked, seen = [], []

    def decode(q, keys, values, tables, lengths):
        asked.append((q.shape[0], tables, lengths))
        return exact_decode(q, keys, values, tables, lengths)

    def attend_seen(q, k, v):
        seen.append(k.shape[1])
        return attend_row(q, k, v)

    store = filled()
    step = PagedStep([1, FEW, FEW + 1, 1], [6, 3, 1, 0], [[8, 2], [1, 7, 6], [0, 3, 4], [5]])
    attend, (q, k, v) = PagedAttention(store, decode, attend_seen), heads(step)
    before = q.clone()
    attend.plan(step)
    attend(0, q, k, v)
    # The last two do not: the third brings too many, and of the last one there is nothing before.
    assert asked == [(1 + FEW, [[8, 2], *[[1, 7, 6]] * FEW], [7, *range(4, 4 + FEW)])]
    assert seen == [2 + FEW, 1], "what decode has done is not done again"
    assert torch.equal(q, before)


@task
def test_decode_is_not_called_for_nothing():
    def decode(*given):
        raise AssertionError("there is no single token")

    step = PagedStep([2], [0], [[1]])
    attend, (q, k, v) = PagedAttention(filled(), decode), heads(step)
    attend.plan(step)
    attend(0, q, k, v)


@task
def test_where_decode_does_not_want_to_the_gather_does_it():
    store, step = filled(), PagedStep([1, 2], [6, 3], [[8, 2], [1, 7]])
    found = []
    for decode in (None, lambda *given: None, exact_decode):
        attend, (q, k, v) = PagedAttention(store, decode), heads(step)
        attend.plan(step)
        found.append(attend(0, q, k, v))
    assert torch.equal(found[0], found[1])
    torch.testing.assert_close(found[0], found[2], rtol=1e-12, atol=1e-12)


@task
def test_a_prompt_with_nothing_before_it_is_not_gathered():
    seen = []

    def attend_seen(q, k, v):
        seen.append((k.shape[1], k.untyped_storage().data_ptr()))
        return attend_row(q, k, v)

    store, step = filled(), PagedStep([5, 3], [0, 4], [[8, 2], [1, 7]])
    attend, (q, k, v) = PagedAttention(store, attend=attend_seen), heads(step)
    attend.plan(step)
    attend(0, q, k, v)
    assert [length for length, _ in seen] == [5, 7]
    assert seen[0][1] == k.untyped_storage().data_ptr()


@task
def test_a_plan_holds_until_the_last_layer_is_done():
    step = PagedStep([1], [6], [[8, 2]])
    attend, (q, k, v) = PagedAttention(filled()), heads(step)
    for _ in range(2):
        attend.plan(step)
        attend(0, q, k, v)
        attend(0, q, k, v)  # a step that failed may be done again
        attend(1, q, k, v)
        with raises(ValueError, "plan"):
            attend(0, q, k, v)


@task
def test_keys_that_do_not_fit_are_refused_before_anything_is_written():
    store, step = filled(), PagedStep([2], [5], [[8, 2]])
    attend, (q, k, v) = PagedAttention(store), heads(step)
    attend.plan(step)
    before = store.keys[0].clone()
    one, wide = (tensor[:, :, :1] for tensor in (q, k, v)), (tensor[..., :4] for tensor in (q, k, v))
    for layer, heads_of_it, facts in [
        (0, one, (2, 1)),
        (0, wide, (6, 4)),
        (0, (q, k[:, :1], v[:, :1]), (2, 1)),
        (2, (q, k, v), (2,)),
        (0, (q.float(), k.float(), v.float()), ("float64", "float32")),
        (0, (q, k.float(), v), ("float64", "float32")),
        (0, (q, k, v.float()), ("float64", "float32")),
    ]:
        with raises(ValueError, *facts):
            attend(layer, *heads_of_it)
    assert torch.equal(store.keys[0], before)
    assert attend.step is step
