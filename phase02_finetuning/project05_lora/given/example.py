"""Small models with random weights, for tests, pictures and traces."""

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from shared.phase01 import LLM, Config

TINY = Config(
    vocab_size=19,
    context_length=24,
    layers=2,
    heads=4,
    kv_heads=2,
    dim=16,
    hidden_dim=24,
    tied_embeddings=True,
)


def random_model(config: Config = TINY, dtype: torch.dtype = torch.float32, seed: int = 0) -> LLM:
    """A model whose matrices are all random: a fresh one has zeros in `out` and `down`, and its blocks do nothing."""
    torch.manual_seed(seed)
    model = LLM(config).to(dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def random_tokens(rows: int = 3, time: int = 7, vocab_size: int = TINY.vocab_size) -> Int[Tensor, "row time"]:
    """Rows of random tokens, always the same."""
    return torch.randint(vocab_size, (rows, time), generator=torch.Generator().manual_seed(1))


def at(model: nn.Module, place: str) -> Any:
    """What stands at this name in a model: "blocks.0.attention.q.adapters.default", or the parameter A in it."""
    found: Any = model
    for part in place.split("."):
        found = found[part] if isinstance(found, nn.ModuleDict) else getattr(found, part)
    return found


def trained(model: nn.Module, name: str = "default", seed: int = 7) -> nn.Module:
    """The model, with this adapter's parameters moved at random, as if it had been trained; B is not zero any more."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for place, parameter in model.named_parameters():
            if f".adapters.{name}." in place:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=random).to(parameter))
    return model


def trace_example() -> Tensor:
    """Two adapters on one small base, one of them a DoRA: a mixed batch, a merge, and a step back through four bits."""
    from phase02_finetuning.project05_lora.adapters import add_adapter, train_only
    from phase02_finetuning.project05_lora.lora import LoraConfig
    from phase02_finetuning.project05_lora.merging import merge, unmerge
    from phase02_finetuning.project05_lora.qlora import quantize_base
    from phase02_finetuning.project05_lora.switching import select_adapter

    model, tokens = random_model(replace(TINY, layers=1)), random_tokens(2, 4)
    add_adapter(model, LoraConfig(rank=2, alpha=4, targets=("q", "down")), "a")
    add_adapter(model, LoraConfig(rank=1, alpha=2, targets=("q",), dora=True), "b")
    with select_adapter(model, ["a", "b"]):
        model(tokens)
    merge(model, "b")
    unmerge(model, "b")
    quantize_base(model)
    train_only(model, "a")
    loss = model(tokens[:, :-1], targets=tokens[:, 1:])
    loss.backward()
    return loss.detach()
