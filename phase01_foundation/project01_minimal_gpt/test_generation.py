from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phase01_foundation.project01_minimal_gpt import debug
from phase01_foundation.project01_minimal_gpt.attention import torch_attention
from phase01_foundation.project01_minimal_gpt.generation import (
    encode_prompts,
    generate,
    next_logits,
    partial_stop_length,
    stream,
)
from phase01_foundation.project01_minimal_gpt.model import GPT
from phase01_foundation.project01_minimal_gpt.sampling import SamplingParams, choose
from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from shared.testing import raises

TOKENIZER = CharTokenizer("abcdefghijk")
PROMPTS = ["a", "bcdefgh", "kj"]
PARAMS = SamplingParams(max_tokens=12, seed=3)

task = pytest.mark.task(10)


@pytest.fixture(scope="module")
def model():
    return debug.example(dtype=torch.float64)[0]  # float64, so that padding cannot tip a close choice


def slow_way(model, prompt, params):
    """One prompt at a time, every token from a fresh forward pass, nothing streamed."""
    ids, generator = TOKENIZER.encode(prompt), torch.Generator().manual_seed(params.seed)
    for _ in range(params.max_tokens):
        window = torch.tensor([ids[-model.config.context_length :]])
        with torch.no_grad():
            logits = model(window)[0, -1]
        ids.append(choose(logits, torch.tensor(ids), params, generator))
    return TOKENIZER.decode(ids[len(prompt) :])


@task
@pytest.mark.parametrize(
    "params",
    [PARAMS, replace(PARAMS, temperature=0), replace(PARAMS, top_k=3, repetition_penalty=1.5, top_p=0.9)],
)
def test_a_batch_of_different_lengths_writes_what_each_prompt_would_alone(model, params):
    expected = [slow_way(model, prompt, params) for prompt in PROMPTS]
    assert generate(model, TOKENIZER, PROMPTS, params) == expected


@task
def test_logits_of_shorter_rows_do_not_see_the_padding(model):
    rows = [TOKENIZER.encode(prompt) for prompt in PROMPTS]
    together = next_logits(model, rows)
    alone = torch.cat([next_logits(model, [row]) for row in rows])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(alone[1], model(torch.tensor([rows[1]]))[0, -1])


@task
def test_attend_reaches_every_layer(model):
    layers = []

    def attend(layer, q, k, v):
        layers.append(layer)
        return torch_attention(layer, q, k, v)

    rows = [TOKENIZER.encode(prompt) for prompt in PROMPTS]
    torch.testing.assert_close(next_logits(model, rows, attend), next_logits(model, rows))
    assert layers == list(range(model.config.layers))
    params = replace(PARAMS, max_tokens=3)
    assert generate(model, TOKENIZER, ["a"], params, attend) == generate(model, TOKENIZER, ["a"], params)
    assert len(layers) == 4 * model.config.layers


@task
def test_text_beyond_the_context_goes_on_with_the_last_window(model):
    params = replace(PARAMS, max_tokens=2 * model.config.context_length)
    [text] = generate(model, TOKENIZER, ["abc"], params)
    assert text == slow_way(model, "abc", params)
    assert len(text) == 2 * model.config.context_length


class Constant(torch.nn.Module):
    """A model of a short context that finds the same letters likely, whatever it reads."""

    def __init__(self, logits):
        super().__init__()
        self.config = replace(debug.TINY, context_length=2)
        self.logits = torch.nn.Parameter(torch.tensor(logits))

    def forward(self, tokens):
        return self.logits.expand(*tokens.shape, -1)


@task
def test_the_penalty_falls_on_all_tokens_of_the_text_also_on_those_beyond_the_context():
    params = SamplingParams(max_tokens=6, temperature=0, repetition_penalty=2.0)
    # Each letter once, the prompt's not again, and then the one that is the likeliest at half its logit.
    assert generate(Constant([8.0, 7.0, 6.0, 5.0]), CharTokenizer("abcd"), ["a"], params) == ["bcdaaa"]


@task
def test_pieces_come_one_by_one_and_make_up_the_text(model):
    pieces = list(stream(model, TOKENIZER, PROMPTS, PARAMS))
    assert [i for i, _ in pieces[:3]] == [0, 1, 2]
    assert len(pieces) == len(PROMPTS) * PARAMS.max_tokens, "without a stop text, every character is certain"
    texts = ["".join(piece for i, piece in pieces if i == row) for row in range(3)]
    assert texts == generate(model, TOKENIZER, PROMPTS, PARAMS)


@task
def test_a_stop_text_ends_its_own_prompt_alone_and_is_not_shown(model):
    full = generate(model, TOKENIZER, PROMPTS, PARAMS)
    stop = full[0][4:7]
    stopped = generate(model, TOKENIZER, PROMPTS, replace(PARAMS, stop=(stop,)))
    assert stopped == [text.split(stop)[0] for text in full]
    assert stopped[0] != full[0]


@task
def test_the_earliest_of_several_stop_texts_counts(model):
    [full] = generate(model, TOKENIZER, ["a"], PARAMS)
    stops = (full[6:9], full[3:5])
    [text] = generate(model, TOKENIZER, ["a"], replace(PARAMS, stop=stops))
    assert text == full[: min(full.find(stop) for stop in stops)]


@task
@pytest.mark.parametrize("stops", [("b", "ab"), ("ab", "b"), ("c", "ab", "b")])
def test_of_two_stop_texts_completed_at_once_the_one_that_begins_first_counts(stops):
    assert written([b"xxab!"], stop=stops) == [["x", "x"]]


@task
def test_what_still_waits_when_some_of_it_is_shown_may_begin_a_stop_text():
    assert written([b"aaaab!"], stop=("aaab",)) == [["a"]]


@task
def test_a_prompt_that_has_ended_is_not_computed_any_more(monkeypatch):
    counts, forward = [], Script.forward
    monkeypatch.setattr(
        Script, "forward", lambda self, tokens: counts.append(len(tokens)) or forward(self, tokens)
    )
    written([b"ab!xyz", b"xyzabc"], stop=("!",))
    assert counts == [2, 2, 2, 1, 1, 1]


@task
def test_rows_are_brought_to_where_the_model_is():
    with torch.device("meta"):  # a device that has shapes and no numbers, on every machine
        model = GPT(debug.TINY)
    assert next_logits(model, [[1, 2], [3]]).device.type == "meta"


@task
def test_a_stop_text_counts_as_soon_as_it_is_whole():
    assert written([b"xab!"], stop=("a", "ab!")) == [["x"]]
    assert written([b"xab!"], stop=("ab!", "b")) == [["x", "a"]], (
        "what was held back comes before the stop text"
    )


@task
def test_a_model_in_training_mode_writes_without_dropout():
    model, _, _ = debug.example(replace(debug.TINY, dropout=0.5), torch.float64)
    expected = generate(model.eval(), TOKENIZER, PROMPTS, PARAMS)
    assert generate(model.train(), TOKENIZER, PROMPTS, PARAMS) == expected
    assert not model.training


@task
def test_a_prompt_that_is_refused_is_named():
    with raises(ValueError, 2):
        list(stream(debug.example()[0], TOKENIZER, ["a", ""], PARAMS))


@task
def test_a_stop_text_that_does_not_come_holds_nothing_back_in_the_end(model):
    [full] = generate(model, TOKENIZER, ["a"], PARAMS)
    never = full[-3:] + "?"  # the text ends as if it were about to come
    assert generate(model, TOKENIZER, ["a"], replace(PARAMS, stop=(never,))) == [full]


@task
def test_no_piece_shows_what_may_be_the_beginning_of_a_stop_text(model):
    [full] = generate(model, TOKENIZER, ["a"], PARAMS)
    stop = full[5:9]
    shown = ""
    for _, piece in stream(model, TOKENIZER, ["a"], replace(PARAMS, stop=(stop,))):
        shown += piece
        assert full.startswith(shown)
    assert shown == full[: full.find(stop)]


class Script(torch.nn.Module):
    """A model that has learnt bytes by heart: after each token the next one of its row, whatever went before."""

    def __init__(self, *rows):
        super().__init__()
        self.config = replace(debug.TINY, context_length=1000)
        self.rows = rows
        self.weight = torch.nn.Parameter(torch.zeros(1))  # which says on what device the model is

    def forward(self, tokens):
        """A row begins with its number; row r, position t: the t-th byte of the r-th text."""
        logits = torch.zeros(*tokens.shape, 257)
        for r, row in enumerate(tokens.tolist()):
            for t, byte in enumerate(self.rows[row[0]][: len(row)]):
                logits[r, t, byte] = 1
        return logits


class Bytes:
    """A tokenizer whose tokens are bytes, and 256, which stands for several: `last`."""

    def __init__(self, last):
        self.last = last

    def encode(self, text):
        return list(text.encode())

    def decode(self, ids):
        return b"".join(bytes([id]) if id < 256 else self.last for id in ids).decode(errors="replace")


def written(texts, last=b"<end>", **params):
    """What is streamed, in pieces for each text, of a model that has learnt these bytes by heart.

    256 is for the tests a token that ends a text; decoded by mistake, it shows.
    """
    prompts = [chr(row) for row in range(len(texts))]
    length = params.pop("max_tokens", max(map(len, texts)))
    settings = SamplingParams(max_tokens=length, temperature=0, **params)
    pieces = [[] for _ in texts]
    for i, piece in stream(Script(*texts), Bytes(last), prompts, settings):
        pieces[i].append(piece)
    return pieces


@task
@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\ufffd"), min_size=1, max_size=12),
    st.integers(1, 40),
)
def test_a_character_of_several_bytes_is_shown_whole(text, max_tokens):
    content = text.encode()[:max_tokens]
    [pieces] = written([content])
    assert "".join(pieces) == content.decode(errors="replace")
    whole = len(content.decode(errors="ignore"))
    assert all(len(piece) == 1 for piece in pieces[:whole]), "every character comes as soon as it is whole"
    assert len(pieces) <= whole + 1


@task
@given(st.binary(min_size=1, max_size=20))
def test_bytes_that_are_no_text_are_shown_as_decoding_shows_them(content):
    [pieces] = written([content])
    assert "".join(pieces) == content.decode(errors="replace")


@task
def test_a_stop_text_is_found_though_the_last_character_is_not_whole():
    assert written(["née\n".encode() + b"\xc3"], stop=("\n",)) == [["n", "é", "e"]]
    assert written(["café".encode()], stop=("é!",)) == [["c", "a", "f", "é"]]


@task
@pytest.mark.parametrize("rest", [[], [0xA9], [0xA9, *b"t\xc3\xa9"]])
def test_a_stop_text_is_found_though_its_token_ends_in_the_middle_of_a_character(rest):
    text = [*b"n", 256, *rest]
    assert "".join(written([text], last=b"e\n\xc3", stop=("\n",))[0]) == "ne"
    whole = (b"ne\n\xc3" + bytes(rest)).decode(errors="replace")
    assert "".join(written([text], last=b"e\n\xc3")[0]) == whole


@task
def test_a_stop_id_ends_its_own_prompt_alone_and_is_not_shown():
    texts = [[*b"one", 256, *b"more"], [*b"another!"]]
    assert ["".join(pieces) for pieces in written(texts, stop_ids=(7, 256))] == ["one", "another!"]
    assert ["".join(pieces) for pieces in written(texts)] == ["one<end>more", "another!"]


@task
def test_a_stop_id_shows_what_was_held_back():
    text = [*b"to be?", 256, *b"!"]
    assert "".join(written([text], stop=("?!",), stop_ids=(256,))[0]) == "to be?"
    torn = [*"é".encode()[:1], 256]
    assert written([torn], stop_ids=(256,)) == [["\ufffd"]]


@task
@given(st.text("ab", max_size=12), st.lists(st.text("ab", min_size=1, max_size=5), max_size=3))
def test_what_is_held_back_is_the_longest_possible_beginning(text, stops):
    beginnings = {stop[:length] for stop in stops for length in range(1, len(stop))}
    expected = max((len(beginning) for beginning in beginnings if text.endswith(beginning)), default=0)
    assert partial_stop_length(text, stops) == expected


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([], "there is no prompt"),
        (["a", ""], "prompt 2 is empty"),
        ([""], "the prompt is empty"),
        (["a", "b", "x"], "prompt 3 cannot be encoded"),
        (["a" * 17], "the prompt has 17 tokens; the model reads at most 16"),
    ],
)
def test_a_prompt_the_model_cannot_start_from_is_refused(prompts, message):
    with pytest.raises(ValueError, match=message):
        encode_prompts(prompts, TOKENIZER, context_length=16)
