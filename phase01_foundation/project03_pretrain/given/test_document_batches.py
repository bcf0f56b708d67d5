from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phase01_foundation.project02_tokenizer.given.training import train_tokenizer
from phase01_foundation.project03_pretrain.batches import Batches
from phase01_foundation.project03_pretrain.given.document_batches import DocumentBatches, document_windows
from phase01_foundation.project03_pretrain.given.pretraining_data import TextData
from phase01_foundation.project03_pretrain.given.settings import PretrainConfig
from phase01_foundation.project03_pretrain.parallel import Processes
from phase01_foundation.project03_pretrain.token_file import END_OF_TEXT
from phase01_foundation.project03_pretrain.train import make_batches

END = 0


def text_of(lengths):
    """Documents of so many tokens, each led by END; the other tokens are their own places."""
    parts = []
    for length in lengths:
        begin = sum(len(part) for part in parts)
        parts.append([END, *range(begin + 1, begin + length)])
    return np.array([token for part in parts for token in part], dtype=np.uint16)


TEXTS = st.lists(st.integers(1, 12), min_size=8, max_size=30).map(text_of)


def windows_of(ids, context_length):
    begins = document_windows(ids, END, context_length)
    return [range(int(begin), int(begin) + context_length + 1) for begin in begins]


@given(TEXTS, st.integers(1, 7))
def test_every_token_becomes_a_target_up_to_a_rest(ids, context_length):
    windows = windows_of(ids, context_length)
    targets = {place for window in windows for place in window[1:]}
    assert targets == set(range(1, windows[-1][-1] + 1))
    assert windows[0][0] == 0
    assert windows[-1][-1] < len(ids)


@given(TEXTS, st.integers(1, 7))
def test_a_document_that_fits_is_whole_in_a_window(ids, context_length):
    windows = windows_of(ids, context_length)
    starts = [*np.flatnonzero(ids == END).tolist(), len(ids)]
    for start, behind in pairwise(starts):
        if behind - start <= context_length and behind <= windows[-1][-1]:
            assert any(window[0] <= start and behind - 1 <= window[-1] for window in windows)


@given(TEXTS, st.integers(1, 7))
def test_a_window_begins_with_a_document_or_goes_on_with_a_long_one(ids, context_length):
    windows = windows_of(ids, context_length)
    for before, window in pairwise(windows):
        assert ids[window[0]] == END or window[0] == before[-1], "or the document fills more than a window"
        if ids[window[0]] != END:
            assert END not in ids[before[0] + 1 : window[0] + 1]


def test_an_example():
    # Documents of 4, 3 and 9 tokens, windows of 6 and a target: the second document is cut, so a window begins there.
    assert document_windows(text_of([4, 3, 9]), END, 6).tolist() == [0, 4, 7]
    # The second document ends where the window does, whole: the next window begins with the third.
    assert document_windows(text_of([2, 4, 5, 8]), END, 6).tolist() == [0, 6, 11]
    # One of them is longer than two windows, which lie side by side in it.
    assert document_windows(text_of([14, 3, 3]), END, 6).tolist() == [0, 6, 12]


def test_a_text_without_ends_is_cut_side_by_side():
    assert document_windows(np.arange(1, 24, dtype=np.uint16), END, 5).tolist() == [0, 5, 10, 15]


def test_batches_are_the_windows_each_once_a_pass_in_a_new_order():
    ids = text_of([4, 3, 9, 2, 5, 7, 3, 8, 6])
    source = DocumentBatches(ids, END, 1, 6, seed=3)
    begins = source.begins.tolist()
    orders = []
    for _ in range(4):
        seen = []
        for _ in begins:
            batch = source.next()
            whole = torch.cat([batch["tokens"][0], batch["targets"][0, -1:]]).numpy()
            seen.append(next(b for b in begins if np.array_equal(ids[b : b + 7], whole)))
        assert sorted(seen) == begins
        orders.append(tuple(seen))
    assert len(set(orders)) == 4


@given(st.sampled_from([1, 2, 4]), st.integers(0, 20), st.integers(0, 2**32))
def test_ranks_and_resuming_change_nothing(ranks, stop, seed):
    ids = text_of([4, 3, 9, 2, 5, 7, 3, 8, 6])
    alone = DocumentBatches(ids, END, 4, 6, seed)
    for _ in range(stop):
        alone.next()
    sources = [DocumentBatches(ids, END, 4, 6, seed, rank, ranks) for rank in range(ranks)]
    for source in sources:
        source.load_state_dict(alone.state_dict())
    for _ in range(5):
        together = torch.cat([source.next()["tokens"] for source in sources])
        assert torch.equal(together, alone.next()["tokens"])


def test_a_text_too_short_is_named():
    with pytest.raises(ValueError, match="the text has 4 tokens; a context of 6 needs at least 7"):
        DocumentBatches(text_of([4]), END, 1, 6)


def test_a_run_reads_whole_documents_when_it_should():
    tokenizer = train_tokenizer(["a"], "char", None, [END_OF_TEXT])
    end = tokenizer.special_tokens[END_OF_TEXT]
    ids = text_of([4, 3, 9, 2, 5, 7, 3, 8, 6])
    ids = np.where(ids == END, end, ids + 100).astype(np.uint16)
    text = TextData("tinyworld", tokenizer, ids, ids, "example")
    settings = PretrainConfig(batch_size=2, context_length=6, whole_documents=True)
    found, expected = make_batches(text, settings, Processes(1, 2)), DocumentBatches(ids, end, 2, 6, 0, 1, 2)
    assert torch.equal(found.next()["tokens"], expected.next()["tokens"])
    assert type(make_batches(text, replace(settings, whole_documents=False), Processes(1, 2))) is Batches
