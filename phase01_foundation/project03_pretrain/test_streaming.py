import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain.streaming import StreamingBatches
from phase01_foundation.project03_pretrain.token_file import END_OF_TEXT, read_tokens, write_tokens
from shared import checkpoint
from shared.corpora import stream
from shared.testing import raises

task = pytest.mark.task(2)

TOKENIZER = Tokenizer(ByteBPE.train(["the cat sat on the mat, the rat ran"], 270), {END_OF_TEXT: 270})
END = 270
# Of many lengths, an empty one, one longer than a batch, and one that itself marks an end.
DOCUMENTS = [f"{i} the cat sat on the mat " * (i % 5) + str(i) for i in range(23)]
DOCUMENTS += ["", "the rat " * 200, f"one{END_OF_TEXT}two", "é🙂 <|end"]


class Documents:
    """Counts what is drawn from it."""

    def __init__(self, texts=DOCUMENTS):
        self.texts, self.drawn, self.starts = texts, 0, []

    def __call__(self, start):
        self.starts.append(start)
        for text in self.texts[start:]:
            self.drawn += 1
            yield text


def batches(documents=None, **settings):
    settings = {"context_length": 7, "batch_size": 6, "buffer_size": 8, "seed": 3} | settings
    return StreamingBatches(documents or Documents(), TOKENIZER, **settings)


def take(source, steps):
    """So many batches as one tensor of tokens and one of targets, each (steps, rows, time)."""
    taken = [source.next() for _ in range(steps)]
    return tuple(torch.stack([batch[name] for batch in taken]) for name in ("tokens", "targets"))


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def same_state(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict | list):
        inside = one if isinstance(one, dict) else range(len(one))
        return len(one) == len(other) and all(same_state(one[key], other[key]) for key in inside)
    return one == other


def ids_of(text):
    return [END, *TOKENIZER.encode(text, allowed_special="all")]


@task
def test_unshuffled_rows_are_the_token_file_cut_up(tmp_path):
    """Two passes over the documents equal their token file, twice: all encoded, each led by an end mark."""
    write_tokens(tmp_path / "ids.npy", DOCUMENTS, TOKENIZER)
    ids = np.concatenate([read_tokens(tmp_path / "ids.npy")] * 2).astype(np.int64)
    source = batches(buffer_size=1)
    steps = (len(ids) - 1) // 42
    tokens, targets = take(source, steps)
    assert tokens.shape == targets.shape == (steps, 6, 7)
    assert tokens.dtype == targets.dtype == torch.int64
    assert torch.equal(tokens.flatten(), torch.from_numpy(ids[: steps * 42]))
    assert torch.equal(targets.flatten(), torch.from_numpy(ids[1 : steps * 42 + 1]))


@task
@pytest.mark.parametrize("ranks", [2, 3])
def test_all_ranks_together_are_one_process(ranks):
    alone = take(batches(), 40)
    shares = [take(batches(rank=rank, world_size=ranks), 40) for rank in range(ranks)]
    together = [torch.cat(parts, dim=1) for parts in zip(*shares, strict=True)]
    assert same(alone, together)


@task
@given(stop=st.integers(0, 60), buffer_size=st.sampled_from([1, 2, 8, 100]), ranks=st.sampled_from([1, 2]))
def test_resuming_is_never_having_stopped(tmp_path_factory, stop, buffer_size, ranks):
    settings = {"buffer_size": buffer_size, "rank": ranks - 1, "world_size": ranks}
    whole = batches(**settings)
    take(whole, stop) if stop else None
    path = tmp_path_factory.mktemp("state") / "state.safetensors"
    checkpoint.write(path, whole.state_dict())
    expected = take(whole, 20)
    documents = Documents()
    resumed = batches(documents, **settings)
    resumed.load_state_dict(checkpoint.read(path))
    assert same(take(resumed, 20), expected)
    assert resumed.passes == whole.passes


@task
def test_resuming_reads_no_document_again():
    first, documents = Documents(), Documents()
    source = batches(first)
    take(source, 5)
    resumed = batches(documents)
    resumed.load_state_dict(source.state_dict())
    before = documents.drawn
    resumed.next_document()
    assert documents.starts == [0, first.drawn]
    assert documents.drawn == before + 1, "one for the place in the buffer that the last one left"


@task
@pytest.mark.parametrize("buffer_size", [1, 8])
def test_a_state_is_not_changed_by_what_follows_it(buffer_size):
    source = batches(buffer_size=buffer_size)
    take(source, 3)
    state = source.state_dict()
    expected = take(source, 10)
    resumed = batches(buffer_size=buffer_size)
    for _ in range(2):
        resumed.load_state_dict(state)
        assert same_state(resumed.state_dict(), state)
        assert same(take(resumed, 10), expected)


@task
def test_all_ranks_have_the_same_state_and_can_become_more():
    states = []
    for rank in range(2):
        source = batches(rank=rank, world_size=2)
        take(source, 4)
        states.append(source.state_dict())
    assert same_state(*states)
    alone = batches()
    take(alone, 4)
    expected = take(alone, 10)
    shares = []
    for rank in range(3):
        source = batches(rank=rank, world_size=3)
        source.load_state_dict(states[0])
        shares.append(take(source, 10))
    assert same([torch.cat(parts, dim=1) for parts in zip(*shares, strict=True)], expected)


@task
@given(seed=st.integers(0, 2**32), buffer_size=st.integers(1, 40))
def test_every_document_comes_once_in_every_pass(seed, buffer_size):
    source = batches(seed=seed, buffer_size=buffer_size)
    for number in range(3):
        drawn = [source.next_document().tolist() for _ in DOCUMENTS]
        assert sorted(drawn) == sorted(map(ids_of, DOCUMENTS))
        assert source.passes == number


@task
def test_the_order_is_shuffled_within_the_buffer_and_by_the_seed():
    numbers = [str(i) for i in range(200)]

    def order(**settings):
        source = batches(Documents(numbers), **settings)
        return [int(TOKENIZER.decode(source.next_document()[1:].tolist())) for _ in range(400)]

    one = order(buffer_size=16)
    assert one == order(buffer_size=16)
    assert one != order(buffer_size=16, seed=4)
    assert sorted(one[:200]) == list(range(200))
    assert one[:200] != one[200:], "each pass has its own order"
    assert all(number < place + 16 for place, number in enumerate(one[:200])), (
        "no document before it was read"
    )
    # Drawn evenly, a document waits 16 draws on average; it must not stay where it was.
    moved = [abs(place - number) for place, number in enumerate(one[:200])]
    assert 4 < sum(moved) / 200 < 16
    assert order(buffer_size=1)[:200] == list(range(200))


@task
def test_no_more_documents_are_drawn_than_the_buffer_holds():
    documents = Documents(["the cat"] * 10_000)
    source = batches(documents, buffer_size=8)
    for step in range(1, 50):
        source.next()
        used = -(-(step * 42 + 1) // len(ids_of("the cat")))
        assert documents.drawn <= used + 8 - 1


@task
@given(
    texts=st.lists(st.text("the cat", max_size=20), min_size=1, max_size=9),
    context_length=st.integers(1, 9),
    batch_size=st.integers(1, 5),
    buffer_size=st.integers(1, 12),
)
def test_targets_are_the_tokens_one_place_later(texts, context_length, batch_size, buffer_size):
    source = batches(
        Documents(texts), context_length=context_length, batch_size=batch_size, buffer_size=buffer_size
    )
    tokens, targets = (part.flatten() for part in take(source, 6))
    assert tokens[0] == END
    assert torch.equal(tokens[1:], targets[:-1])


@task
def test_a_corpus_can_be_streamed(capsys):
    source = batches(lambda start: stream("tinyworld", start=start))
    tokens, _ = take(source, 3)
    assert (tokens == END).sum() > 0
    assert "tinyworld, train piece by piece" in capsys.readouterr().err


@task
def test_a_state_of_other_settings_is_refused():
    state = batches(seed=3).state_dict()
    with raises(ValueError, "seed", 3, 4):
        batches(seed=4).load_state_dict(state)
    with raises(ValueError, "buffer_size", 8, 9):
        batches(buffer_size=9).load_state_dict(state)
    larger = Tokenizer(TOKENIZER.model, {END_OF_TEXT: 271})
    with raises(ValueError, "vocab_size", 271, 272):
        StreamingBatches(
            Documents(), larger, context_length=7, batch_size=6, buffer_size=8, seed=3
        ).load_state_dict(state)


@task
def test_the_documents_may_be_a_list():
    listed = batches(lambda start: DOCUMENTS[start:])
    state = listed.state_dict()
    expected = take(listed, 30)
    assert same(take(batches(), 30), expected)
    listed.load_state_dict(state)
    assert same(take(listed, 30), expected)


# ---- what is given: the checks before any work


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"batch_size": 5, "world_size": 2}, "batch_size must be a multiple of the 2 processes"),
        ({"batch_size": 0}, "batch_size"),
        ({"rank": 2, "world_size": 2}, "rank must be from 0 to 1, not 2"),
        ({"context_length": 0}, "context_length must be at least 1, not 0"),
        ({"buffer_size": 0}, "buffer_size must be at least 1, not 0"),
    ],
)
def test_impossible_settings(settings, words):
    documents = Documents()
    with pytest.raises(ValueError, match=words):
        batches(documents, **settings)
    assert documents.starts == [], "nothing was begun"


def test_no_documents():
    with pytest.raises(
        ValueError, match=r"there are no documents: documents\(0\) ended before the first one"
    ):
        batches(Documents([]))


def test_a_tokenizer_that_does_not_fit():
    letters = CharTokenizer.from_text("abc")
    settings = {"context_length": 4, "batch_size": 1}
    with pytest.raises(ValueError, match=r"needs the special token <\|endoftext\|>; it has <\|pad\|>"):
        StreamingBatches(Documents(), Tokenizer(letters, {"<|pad|>": 3}), **settings)
