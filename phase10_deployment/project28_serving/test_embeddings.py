"""A text as a vector: against the logits of the same model, and as OpenAI's client reads it."""

import base64
import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from phase10_deployment.project28_serving.embeddings import encode_base64, mean_of_last_hidden, unit_length
from phase10_deployment.project28_serving.given.example import random_model
from shared.phase01 import torch_attention

pytestmark = pytest.mark.task(9)


@pytest.mark.parametrize("length", [1, 2, 9])
def test_the_head_over_the_mean_is_the_mean_of_the_logits(length):
    """The head is linear: so logits, which the model gives, say what the mean must be."""
    model = random_model(dtype=torch.float64)
    tokens = torch.arange(3, 3 + length)
    vector = mean_of_last_hidden(model, tokens)
    assert vector.shape == (32,)
    assert vector.dtype == torch.float32
    assert not vector.requires_grad
    logits = model(tokens[None])[0].mean(dim=0).float()
    assert_close(vector @ model.head.weight.float().T, logits, rtol=1e-5, atol=1e-5)


def test_each_token_counts_and_so_does_its_place():
    model = random_model()
    vectors = [
        mean_of_last_hidden(model, torch.tensor(tokens)) for tokens in ([1, 2, 3], [3, 2, 1], [1, 2, 4])
    ]
    assert not torch.allclose(vectors[0], vectors[1])
    assert not torch.allclose(vectors[0], vectors[2])


def test_it_attends_as_the_model_does():
    model, calls = random_model(), []

    def attend(layer, q, k, v):
        calls.append(layer)
        return torch_attention(layer, q, k, v)

    expected = mean_of_last_hidden(model, torch.tensor([5, 6, 7]))
    model.attend = attend
    assert_close(mean_of_last_hidden(model, torch.tensor([5, 6, 7])), expected)
    assert calls == [0, 1]


def test_bfloat16_is_averaged_in_float32():
    model = random_model(dtype=torch.float64)
    tokens = torch.arange(150)
    exact = mean_of_last_hidden(model, tokens)
    half = mean_of_last_hidden(model.to(torch.bfloat16), tokens)
    assert half.dtype == torch.float32
    assert torch.cosine_similarity(half, exact, dim=0) > 0.99


def test_unit_length():
    vector = unit_length([3.0, -4.0])
    assert vector == [0.6, -0.8]
    assert unit_length([0.0, 0.0, 0.0]) == [0.0, 0.0, 0.0]
    assert math.hypot(*unit_length([1e-30, 2e-30, 5.0])) == pytest.approx(1)


def test_base64_is_what_openais_client_decodes():
    numbers = [1.0, -2.5, 1e-8, 3.14159265358979]
    text = encode_base64(numbers)
    assert isinstance(text, str)
    decoded = np.frombuffer(base64.b64decode(text), dtype="float32")  # as openai/resources/embeddings.py does
    assert decoded.tolist() == np.array(numbers, dtype="float32").tolist()
    assert len(base64.b64decode(text)) == 4 * len(numbers)
