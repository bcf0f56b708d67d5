import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phase01_foundation.project03_pretrain.batches import (
    Batches,
    micro_batches,
    to_device,
    validation_batches,
)

task = pytest.mark.task(2)

IDS = np.arange(1000, dtype=np.uint16)  # each token is its place
SIZES = st.fixed_dictionaries(
    {"length": st.integers(2, 60), "context_length": st.integers(1, 12), "batch_size": st.integers(1, 5)}
).filter(lambda sizes: sizes["length"] > sizes["context_length"])


def take(source, steps):
    """So many batches as one tensor of tokens and one of targets, each (steps × rows, time)."""
    taken = [source.next() for _ in range(steps)]
    return tuple(torch.cat([batch[name] for batch in taken]) for name in ("tokens", "targets"))


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def one_pass(source):
    """The windows' first places, for batches of one row, over a pass."""
    tokens, _ = take(source, source.windows)
    return tokens[:, 0].tolist()


@task
@given(SIZES, st.integers(0, 2**32))
def test_a_row_is_a_piece_of_the_text_and_its_targets_are_one_place_later(sizes, seed):
    ids = IDS[: sizes["length"]]
    source = Batches(ids, sizes["batch_size"], sizes["context_length"], seed)
    for _ in range(5):
        batch = source.next()
        assert set(batch) == {"tokens", "targets"}
        assert batch["tokens"].shape == (sizes["batch_size"], sizes["context_length"])
        assert batch["tokens"].dtype == batch["targets"].dtype == torch.int64
        steps = torch.arange(sizes["context_length"])
        assert torch.equal(batch["tokens"], batch["tokens"][:, :1] + steps)
        assert torch.equal(batch["targets"], batch["tokens"] + 1)


@task
@given(SIZES, st.integers(0, 2**32))
def test_a_pass_has_each_window_once_and_leaves_out_less_than_two(sizes, seed):
    length, width = sizes["length"], sizes["context_length"]
    source = Batches(IDS[:length], 1, width, seed)
    for _ in range(3):
        begins = sorted(one_pass(source))
        assert np.diff(begins).tolist() == [width] * (len(begins) - 1), "side by side, none twice"
        assert begins[-1] + width < length
        assert length - 1 - len(begins) * width < 2 * width


@task
def test_each_pass_has_another_order_and_other_cuts():
    source = Batches(IDS, 1, 8)
    passes = [one_pass(source) for _ in range(40)]
    cuts = {begins[0] % 8 for begins in passes}
    assert cuts == set(range(8)), "a token is at each place of a window in time"
    orders = {tuple(np.argsort(begins)) for begins in passes}
    assert len(orders) == 40
    assert all(begins != sorted(begins) for begins in passes)


@task
def test_every_token_becomes_a_target():
    seen = set()
    source = Batches(IDS[:50], 4, 8)
    for _ in range(200):
        seen |= set(source.next()["targets"].flatten().tolist())
    assert seen == set(range(1, 50))


@task
def test_the_seed_decides():
    rows = take(Batches(IDS, 4, 8, seed=5), 60)
    assert same(take(Batches(IDS, 4, 8, seed=5), 60), rows)
    assert not torch.equal(take(Batches(IDS, 4, 8, seed=6), 60)[0], rows[0])


@task
def test_nobody_elses_random_numbers_are_drawn():
    before = torch.get_rng_state()
    take(Batches(IDS, 4, 8), 3)
    assert torch.equal(torch.get_rng_state(), before)


@task
@given(SIZES, st.integers(0, 50))
def test_resuming_is_never_having_stopped(sizes, stop):
    def begin():
        return Batches(IDS[: sizes["length"]], sizes["batch_size"], sizes["context_length"], seed=3)

    whole = begin()
    take(whole, stop) if stop else None
    state = whole.state_dict()
    expected = take(whole, 10)
    resumed = begin()
    take(resumed, 1)
    for _ in range(2):
        resumed.load_state_dict(state)
        assert same(take(resumed, 10), expected)


@task
@given(
    st.integers(2, 200), st.integers(1, 8), st.sampled_from([1, 2, 4]), st.integers(1, 3), st.integers(0, 9)
)
def test_all_ranks_together_are_one_process(length, context_length, ranks, share, stop):
    context_length = min(context_length, length - 1)
    ids = IDS[:length]
    alone = Batches(ids, share * ranks, context_length, 7)
    sources = [Batches(ids, share * ranks, context_length, 7, rank, ranks) for rank in range(ranks)]
    for source in (alone, *sources):
        source.load_state_dict({"number": stop})
    for _ in range(6):
        batches = [source.next() for source in sources]
        assert all(len(batch["tokens"]) == share for batch in batches)
        together = {name: torch.cat([batch[name] for batch in batches]) for name in ("tokens", "targets")}
        assert same(together.values(), alone.next().values())


@task
def test_only_the_rows_taken_are_read():
    """A text on disk may be larger than memory."""

    class Watched(np.ndarray):
        def __getitem__(self, key):
            found = np.asarray(self)[key]
            assert found.size <= 9, "more than a window and the token after it"
            return found

    take(Batches(IDS.view(Watched), 4, 8), 300)


@task
@pytest.mark.parametrize("ranks", [1, 2])
def test_another_kind_of_window_takes_its_place(ranks):
    """DocumentBatches has windows of its own; they are asked for by their numbers, one after another."""

    class Counted(Batches):
        def _window(self, row):
            return np.arange(1000 * row, 1000 * row + 9, dtype=np.uint32)

    parts = [take(Counted(IDS, 4, 8, rank=rank, world_size=ranks), 3) for rank in range(ranks)]
    rows = [tokens[:, 0].view(3, -1) // 1000 for tokens, _ in parts]
    assert torch.cat(rows, dim=1).flatten().tolist() == list(range(12))


@task
def test_the_longest_context_that_fits():
    batch = Batches(IDS, 2, 999).next()
    assert batch["tokens"].tolist() == [list(range(999))] * 2
    assert batch["targets"][:, -1].tolist() == [999, 999]


# ---- what is given


@given(SIZES)
def test_side_by_side_is_the_whole_text_once(sizes):
    length, width = sizes["length"], sizes["context_length"]
    found = list(validation_batches(IDS[:length], sizes["batch_size"], width))
    fit = (length - 1) // width * width
    assert torch.cat([batch["tokens"].flatten() for batch in found]).tolist() == list(range(fit))
    assert torch.cat([batch["targets"].flatten() for batch in found]).tolist() == list(range(1, fit + 1))
    assert all(len(batch["tokens"]) == sizes["batch_size"] for batch in found[:-1])


@pytest.mark.parametrize("windows", [1, 2, 7, 64, 123])
def test_some_windows_are_spread_over_the_text(windows):
    found = list(validation_batches(IDS, 5, 8, windows))
    begins = torch.cat([batch["tokens"][:, 0] for batch in found])
    assert len(begins) == windows
    assert (begins % 8 == 0).all()
    gaps = begins.diff(append=torch.tensor([124 * 8]))
    assert gaps.max() - gaps.min() <= 8, "as evenly as whole windows can be"


def test_there_are_no_more_windows_than_the_text_has():
    assert sum(len(batch["tokens"]) for batch in validation_batches(IDS, 5, 8, 10_000)) == 124


@given(SIZES, st.integers(1, 70) | st.none(), st.sampled_from([1, 2, 3, 4]))
def test_side_by_side_ranks_count_each_target_once(sizes, windows, ranks):
    ids = IDS[: sizes["length"]]
    alone = list(validation_batches(ids, sizes["batch_size"], sizes["context_length"], windows))
    parts = [
        list(validation_batches(ids, sizes["batch_size"], sizes["context_length"], windows, rank, ranks))
        for rank in range(ranks)
    ]
    assert len({len(part) for part in parts}) == 1, "all ranks call the model equally often"

    def counted(batches):
        pairs = [
            pair
            for batch in batches
            for pair in zip(
                batch["tokens"].flatten().tolist(), batch["targets"].flatten().tolist(), strict=True
            )
        ]
        return sorted(pair for pair in pairs if pair[1] != -100)

    assert counted([batch for part in parts for batch in part]) == counted(alone)
    if ranks > 1:
        assert all(len(batch["tokens"]) == sizes["batch_size"] for part in parts for batch in part)


def test_the_text_is_not_written_to():
    ids = IDS.astype(np.uint16)
    for rank in range(4):
        list(validation_batches(ids, 2, 8, 3, rank, 4))
    assert np.array_equal(ids, IDS)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"context_length": 1000}, "the text has 1,000 tokens; a context of 1000 needs at least 1001"),
        ({"batch_size": 5, "world_size": 2}, "batch_size must be a multiple of the 2 processes"),
        ({"batch_size": 0}, "batch_size must be a multiple of the 1 processes that share it, not 0"),
        ({"rank": 2, "world_size": 2}, "rank must be from 0 to 1, not 2"),
        ({"rank": -1}, "rank must be from 0 to 0, not -1"),
    ],
)
def test_impossible_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        Batches(IDS, **{"batch_size": 4, "context_length": 8, **settings})
    if "world_size" not in settings or "rank" in settings:  # its batch_size is each rank's own
        with pytest.raises(ValueError, match=words):
            list(validation_batches(IDS, **{"batch_size": 4, "context_length": 8, **settings}))


@given(st.integers(1, 9), st.integers(0, 12))
def test_a_batch_is_cut_into_parts_that_make_it_up(count, rows):
    batch = {"tokens": torch.randn(count, 3), "chosen": torch.randn(count)}
    parts = micro_batches(batch, rows)
    for name, whole in batch.items():
        assert torch.equal(torch.cat([part[name] for part in parts]), whole)
    assert [len(part["chosen"]) for part in parts[:-1]] == [rows] * (len(parts) - 1)
    assert 0 < len(parts[-1]["chosen"]) <= (rows or count)


def test_a_batch_goes_to_the_device():
    batch = Batches(IDS, 2, 8).next()
    moved = to_device(batch, torch.device("cpu"))
    assert same(moved.values(), batch.values())
    meta = to_device(batch, torch.device("meta"))
    assert {tensor.device.type for tensor in meta.values()} == {"meta"}


def test_pinned_memory_serves_a_gpu():
    """What a GPU gets is pinned first, for only then does the copy run beside other work."""
    calls = []

    class Watched(torch.Tensor):
        def pin_memory(self, device=None):
            calls.append("pinned")
            return self

        def to(self, *arguments, **options):
            calls.append((arguments, options))
            return self

    to_device({"tokens": torch.zeros(1).as_subclass(Watched)}, torch.device("cuda"))
    assert calls == ["pinned", ((torch.device("cuda"),), {"non_blocking": True})]
