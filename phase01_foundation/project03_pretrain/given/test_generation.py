"""Project 1's generation with this project's model and project 2's tokenizer."""

import pytest
import torch

from phase01_foundation.project01_minimal_gpt.generation import generate, next_logits, stream
from phase01_foundation.project01_minimal_gpt.sampling import SamplingParams, choose
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain.given.example import example
from phase01_foundation.project03_pretrain.model import Config, torch_attention
from shared.testing import raises

TEXT = "The café is open. The cat sat in the café. 日本 🙂 " * 20
END = "<|endoftext|>"
BPE = ByteBPE.train([TEXT], 280)
TOKENIZER = Tokenizer(BPE, {END: BPE.vocab_size})
SHAPE = Config(TOKENIZER.vocab_size, context_length=16, layers=2, heads=4, kv_heads=2, dim=16, hidden_dim=24)
PROMPTS = ["The", "日本 is", "c"]
PARAMS = SamplingParams(max_tokens=40, seed=3)


@pytest.fixture(scope="module")
def model():
    return example(SHAPE, torch.float64)[0]  # float64, so that padding cannot tip a close choice


def slow_way(model, prompt, params):
    """The ids that follow one prompt, every one from a fresh forward pass, and up to the first stop id."""
    ids, generator = TOKENIZER.encode(prompt), torch.Generator().manual_seed(params.seed)
    start = len(ids)
    for _ in range(params.max_tokens):
        with torch.no_grad():
            logits = model(torch.tensor([ids[-model.config.context_length :]]))[0, -1]
        ids.append(choose(logits, torch.tensor(ids), params, generator))
        if ids[-1] in params.stop_ids:
            return ids[start:-1]
    return ids[start:]


def test_a_batch_of_different_lengths_writes_what_each_prompt_would_alone(model):
    expected = [TOKENIZER.decode(slow_way(model, prompt, PARAMS)) for prompt in PROMPTS]
    assert generate(model, TOKENIZER, PROMPTS, PARAMS) == expected
    assert generate(model, TOKENIZER, PROMPTS, PARAMS, torch_attention) == expected


def test_the_token_that_ends_a_text_ends_its_row(model):
    free = slow_way(model, PROMPTS[0], PARAMS)
    params = SamplingParams(max_tokens=40, seed=3, stop_ids=(free[9], TOKENIZER.special_tokens[END]))
    expected = [slow_way(model, prompt, params) for prompt in PROMPTS]
    assert len(expected[0]) < len(free)
    assert generate(model, TOKENIZER, PROMPTS, params) == [TOKENIZER.decode(ids) for ids in expected]


def test_no_piece_ends_inside_a_character():
    text = "🙂é日"
    ids = TOKENIZER.encode(text)
    assert len(ids) > len(text), "the tokenizer must cut a character for this test to see anything"

    class Writes(torch.nn.Module):
        config = SHAPE

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, tokens):
            logits = torch.zeros(*tokens.shape, SHAPE.vocab_size)
            for position in range(tokens.shape[1]):
                logits[:, position, ids[position % len(ids)]] = 1
            return logits

    params = SamplingParams(max_tokens=len(ids), temperature=0)
    assert [piece for _, piece in stream(Writes(), TOKENIZER, ["c"], params)] == list(text)


def test_next_logits_of_grouped_heads(model):
    rows = [TOKENIZER.encode(prompt) for prompt in PROMPTS]
    expected = torch.cat([model(torch.tensor([row]))[:, -1] for row in rows])
    torch.testing.assert_close(next_logits(model, rows), expected, rtol=1e-9, atol=1e-9)


def test_a_special_token_in_a_prompt_is_refused(model):
    with raises(ValueError, 2, END):
        generate(model, TOKENIZER, ["a", END], PARAMS)
