"""Each method on a whole model; files for llama.cpp; what a model has lost."""

import pytest
import torch

from phase05_quantization.project14_ptq.gguf_blocks import q4_0_blocks, q8_0_blocks
from phase05_quantization.project14_ptq.given.damage import Test, loss_on, make_test, measure_model
from phase05_quantization.project14_ptq.given.example import (
    SHAPES,
    WIDE,
    random_model,
    random_tokens,
    trace_example,
)
from phase05_quantization.project14_ptq.given.gguf_file import KINDS, size_of, write_gguf
from phase05_quantization.project14_ptq.given.methods import METHODS, calibration_tokens, quantize_model
from phase05_quantization.project14_ptq.given.peers import HAS, library
from phase05_quantization.project14_ptq.grids import Grid
from phase05_quantization.project14_ptq.quant_linear import QuantEmbedding, QuantLinear
from shared.phase01 import greedy_batch, load_base
from shared.testing import raises


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("config", SHAPES)
def test_a_model_is_quantized_and_about_the_same(method, config):
    model, tokens = random_model(config), random_tokens()
    expected = model(tokens)
    quantize_model(model, method, Grid(8, 8), tokens, Grid(8))
    layers = [part for part in model.modules() if isinstance(part, QuantLinear)]
    assert len(layers) == 15
    assert isinstance(model.embedding, QuantEmbedding)
    found = model(tokens)
    assert 0 < (found - expected).norm() < 0.05 * expected.norm()


def test_methods_that_are_none_or_lack_tokens():
    with raises(ValueError, "obq"):
        quantize_model(random_model(), "obq", Grid(4))
    with raises(ValueError, "gptq"):
        quantize_model(random_model(), "gptq", Grid(4))


def test_calibration_texts_are_always_the_same_and_of_the_tokenizer():
    _, tokenizer = load_base()
    found = calibration_tokens(tokenizer, 3, 40)
    assert found.shape == (3, 40)
    assert torch.equal(found, calibration_tokens(tokenizer, 3, 40))
    assert not torch.equal(found, calibration_tokens(tokenizer, 3, 40, seed=6))


def test_answers_are_those_that_greedy_decoding_writes():
    model, tokenizer = load_base()
    test = make_test(tokenizer, documents=1, per_skill=1)
    short = [i for i, (_, answer) in enumerate(test.texts) if len(answer) <= 8][:6]
    test = Test(test.ids, [test.texts[i] for i in short], [test.skills[i] for i in short])
    found = measure_model(model, test)
    written = greedy_batch(
        model, [question for question, _ in test.texts], 1 + max(len(one) for _, one in test.texts)
    )
    right = [text[: len(one)] == one for text, (_, one) in zip(written, test.texts, strict=True)]
    assert found.exact == pytest.approx(sum(right) / len(right))
    assert 1 < found.perplexity < 3
    assert set(found.by_skill) == set(test.skills)


def test_the_loss_is_a_tokens():
    model, tokens = random_model(), random_tokens()
    expected = torch.nn.functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    assert loss_on(tokens)(model) == pytest.approx(expected.item(), rel=1e-5)


def test_the_example_runs():
    assert trace_example().isfinite().all()


def test_a_files_kind_must_be_known(tmp_path):
    with raises(ValueError, "Q5_0"):
        write_gguf(random_model(WIDE), tmp_path / "model.gguf", "Q5_0")


@pytest.mark.skipif(not HAS["gguf"], reason="gguf is not installed")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("qk_norm", [True, False])
def test_gguf_reads_the_same_matrices(tmp_path, kind, qk_norm):
    from dataclasses import replace

    model = random_model(replace(WIDE, qk_norm=qk_norm))
    path = tmp_path / "model.gguf"
    write_gguf(model, path, kind)
    reader = library("gguf").GGUFReader(str(path))
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    blocks = q8_0_blocks if kind == "Q8_0" else q4_0_blocks
    down = tensors["blk.1.ffn_down.weight"]
    assert (
        down.data.tobytes()
        == blocks(model.get_submodule("blocks.1.feed_forward.down").get_parameter("weight")).numpy().tobytes()
    )
    assert (
        tensors["token_embd.weight"].data.tobytes() == q8_0_blocks(model.embedding.weight).numpy().tobytes()
    )
    assert ("blk.0.attn_q_norm.weight" in tensors) == qk_norm
    assert "output.weight" not in tensors, "a tied head is the embedding"
    assert size_of(model, kind) == sum(tensor.n_bytes for tensor in reader.tensors)
