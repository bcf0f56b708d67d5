"""Small random models and matrices to try things on, and a small example for `ladder trace 14`."""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from shared.phase01 import LLM, Config

TINY = Config(
    vocab_size=29,
    context_length=24,
    layers=2,
    heads=4,
    kv_heads=2,
    dim=24,
    hidden_dim=40,
    tied_embeddings=True,
)
WIDE = Config(
    vocab_size=67,
    context_length=24,
    layers=2,
    heads=4,
    kv_heads=2,
    dim=64,
    hidden_dim=192,
    tied_embeddings=True,
)
"""of sizes that the kernels are made for"""
SHAPES = [TINY, replace(TINY, tied_embeddings=False, qk_norm=True)]


def random_model(config: Config = TINY, seed: int = 0) -> LLM:
    """A model with all weights random; the same at every call."""
    generator = torch.Generator().manual_seed(seed)
    model = LLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            mean = 1.0 if parameter.ndim == 1 else 0.0
            parameter.copy_(mean + 0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def random_tokens(
    rows: int = 8, time: int = 12, vocab_size: int = 29, seed: int = 1
) -> Int[Tensor, "row time"]:
    """Rows of random tokens, always the same."""
    return torch.randint(vocab_size, (rows, time), generator=torch.Generator().manual_seed(seed))


def random_matrix(outputs: int, inputs: int, seed: int = 0) -> Float[Tensor, "outputs inputs"]:
    """Normal numbers."""
    return torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(seed))


def random_hessian(inputs: int, tokens: int = 400, seed: int = 0) -> Float[Tensor, "inputs inputs"]:
    """2 · mean of x xᵀ over tokens whose inputs go together, as those of a model do."""
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(inputs, inputs, generator=generator) * 0.3 + torch.eye(inputs)
    x = torch.randn(tokens, inputs, generator=generator) @ mixed
    return 2 * x.T @ x / tokens


def trace_example() -> Tensor:
    """A block quantized by GPTQ, an embedding in eight bits, two products, a plan and Q8_0 blocks."""
    from phase05_quantization.project14_ptq.activations import int8_linear, quantize_rows
    from phase05_quantization.project14_ptq.gguf_blocks import q8_0_blocks
    from phase05_quantization.project14_ptq.given.methods import quantize_model
    from phase05_quantization.project14_ptq.grids import Grid
    from phase05_quantization.project14_ptq.plan import choose_bits

    model, tokens = random_model(replace(TINY, layers=1)), random_tokens()
    quantize_model(model, "gptq-clip", Grid(4, 16), tokens)
    weight = random_matrix(8, 32)
    int8_linear(random_matrix(3, 32, 1), *quantize_rows(weight), threshold=2.5)
    choose_bits({"a": {2: 1.0, 4: 0.1}, "b": {2: 0.2, 4: 0.1}}, {"a": {2: 8, 4: 16}, "b": {2: 8, 4: 16}}, 24)
    q8_0_blocks(weight)
    return model(tokens)
