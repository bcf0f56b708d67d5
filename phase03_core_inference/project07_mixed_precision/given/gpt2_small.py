"""What the benchmark times: a training step, the reading of a prompt, and one step of decoding, in several formats.

The shape is GPT-2 small's, 124 million weights, random: speed and memory do not depend on what they are.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from phase03_core_inference.project07_mixed_precision.autocast import Autocast
from phase03_core_inference.project07_mixed_precision.inference import cast_for_inference
from phase03_core_inference.project07_mixed_precision.kahan import KahanAdamW
from phase03_core_inference.project07_mixed_precision.memory import Memory, memory_report
from phase03_core_inference.project07_mixed_precision.scaler import GradScaler
from shared.measuring.arms import Arm, Measurement, measure
from shared.phase01 import LLM, Config, torch_attention

SHAPE = Config(
    vocab_size=50_257,
    context_length=1024,
    layers=12,
    heads=12,
    kv_heads=12,
    dim=768,
    hidden_dim=2048,
    tied_embeddings=True,
)
SMALL = Config(
    vocab_size=300,
    context_length=1024,
    layers=2,
    heads=2,
    kv_heads=2,
    dim=64,
    hidden_dim=128,
    tied_embeddings=True,
)
Block = Callable[[], AbstractContextManager[object]]


@dataclass
class Timed:
    """One way: its time, and what it holds, and needs beyond that at its peak."""

    measured: Measurement
    held: Memory


def make_model(shape: Config, device: torch.device) -> LLM:
    """A model whose attention is torch's fused kernel, in every format the same."""
    torch.manual_seed(0)
    with device:
        model = LLM(shape)
    for block in model.blocks:  # zeros would be multiplied as fast; the check of the losses would see less
        for name, parameter in block.named_parameters():
            if name.endswith(("out.weight", "down.weight")):
                torch.nn.init.normal_(parameter, std=0.02)
    model.attend = torch_attention
    return model


def training_steps(
    shape: Config, rows: int, time: int, device: torch.device, repeats: int, seconds: float
) -> dict[str, Timed]:
    """A step in each format: forward, backward and AdamW, at a rate of 0, so that every step is the same.

    The ways with float32 weights share one model, and so do those with bfloat16 weights.
    """
    wide = make_model(shape, device)
    narrow = make_model(shape, device).to(torch.bfloat16)
    adamw = torch.optim.AdamW(wide.parameters(), lr=0.0, fused=True)
    alone = torch.optim.AdamW(narrow.parameters(), lr=0.0, fused=True)
    kahan = KahanAdamW(narrow.parameters(), lr=0.0)
    tokens = torch.randint(shape.vocab_size, (rows, time + 1), generator=torch.Generator().manual_seed(0)).to(
        device
    )
    kind = device.type
    held: dict[str, Memory] = {}

    def step(
        name: str, model: LLM, optimizer: torch.optim.Optimizer, block: Block, scaler: GradScaler | None
    ) -> Tensor:
        optimizer.zero_grad()
        with block():
            # All logits at once: the model's own loss computes them anew on the way back, and on a GPU that runs in
            # another thread, where our block is not.
            logits = model(tokens[:, :-1]).flatten(0, 1)  # (rows · time, vocab)
            loss = torch.nn.functional.cross_entropy(logits.float(), tokens[:, 1:].flatten())
            casts = [copy for _, copy in Autocast.casts.values()]
            (scaler.scale(loss) if scaler else loss).backward()
            if name not in held:
                held[name] = memory_report(model, [optimizer], casts)
        if scaler:
            scaler.step(optimizer)
            scaler.update()
        else:
            optimizer.step()
        return loss.detach()

    ways: dict[str, tuple[LLM, torch.optim.Optimizer, Block, GradScaler | None]] = {
        "float32": (wide, adamw, nullcontext, None),
        "autocast": (wide, adamw, lambda: Autocast(torch.bfloat16, kind), None),
        "torch.autocast": (wide, adamw, lambda: torch.autocast(kind, torch.bfloat16), None),
        "bfloat16": (narrow, alone, nullcontext, None),
        "Kahan": (narrow, kahan, nullcontext, None),
    }
    if kind == "cuda":
        scaler = GradScaler(init_scale=2.0**12)
        ways["float16"] = (wide, adamw, lambda: Autocast(torch.float16, kind), scaler)
    for name, way in ways.items():  # the first step makes the optimizer's state
        step(name, *way)
    held.clear()
    arms = [
        Arm(name, lambda name=name, way=way: step(name, *way), work=rows * time) for name, way in ways.items()
    ]
    measured = measure(arms, same_losses, warmup=0, repeats=repeats, seconds=seconds, device=device)
    return {name: Timed(measured[name], held[name]) for name in ways}


def same_losses(losses: Mapping[str, Tensor]) -> None:
    """Raises AssertionError unless all losses are float32's, to a format's digits, and our autocast's is torch's."""
    exact = losses["float32"].item()
    for name, loss in losses.items():
        if abs(loss.item() - exact) > 0.01 * exact:
            raise AssertionError(f"the loss in {name} is {loss.item():.4f}, and in float32 {exact:.4f}")
    if not torch.equal(losses["autocast"], losses["torch.autocast"]):
        raise AssertionError(f"the loss of our autocast is not torch's: {losses}")


def inference(
    shape: Config, time: int, device: torch.device, repeats: int, seconds: float
) -> dict[str, Measurement]:
    """Logits of the last of `time` tokens, in float32, under autocast, and with weights cast once."""
    model = make_model(shape, device).eval().requires_grad_(False)
    cast = cast_for_inference(model, torch.bfloat16)
    assert isinstance(cast, LLM)
    tokens = torch.randint(shape.vocab_size, (1, time), generator=torch.Generator().manual_seed(0)).to(device)

    def read(model: LLM, block: Block) -> Tensor:
        with torch.inference_mode(), block():
            return model.logits(model.hidden(tokens, attend=torch_attention)[:, -1:])

    arms = [
        Arm("float32", lambda: read(model, nullcontext), work=time),
        Arm("autocast", lambda: read(model, lambda: Autocast(torch.bfloat16, device.type)), work=time),
        Arm("cast once", lambda: read(cast, nullcontext), work=time),
    ]
    return measure(arms, same_logits, repeats=repeats, seconds=seconds, device=device)


def same_logits(logits: Mapping[str, Tensor]) -> None:
    """Raises AssertionError unless all logits are float32's, but for the digits a format lacks."""
    exact = logits["float32"]
    for name, one in logits.items():
        error = ((one - exact).norm() / exact.norm()).item()
        if error > 0.05:
            raise AssertionError(f"the logits in {name} are {error:.1%} from those in float32")
