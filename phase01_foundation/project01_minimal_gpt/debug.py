"""Six checks that find most mistakes in a model: ladder run 1 debug

Run them, in this order, on every model you write. Each returns numbers; `main` says what they should be.
"""

import math

import torch
from rich.console import Console
from torch import Tensor, nn

from phase01_foundation.project01_minimal_gpt.attention import causal_attention, torch_attention
from phase01_foundation.project01_minimal_gpt.model import GPT, GPTConfig, next_token_loss
from phase01_foundation.project01_minimal_gpt.training import make_optimizer, training_step

TINY = GPTConfig(vocab_size=11, context_length=16, layers=2, heads=2, dim=16)


def example(config: GPTConfig = TINY, dtype: torch.dtype = torch.float32) -> tuple[GPT, Tensor, Tensor]:
    """A small model with all weights random, so that nothing is hidden by a zero, and a batch: tokens, targets."""
    torch.manual_seed(0)
    model = GPT(config).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    tokens, targets = torch.randint(config.vocab_size, (2, 3, config.context_length))
    return model, tokens, targets


def trace_example() -> None:
    """What `ladder trace 1` shows: one batch through the model, and its loss."""
    model, tokens, targets = example()
    next_token_loss(model(tokens), targets)


def shapes() -> dict[str, tuple[int, ...]]:
    """What goes through the model, by name: the shape that every module puts out for a (3, 16) batch."""
    model, tokens, _ = example()
    found: dict[str, tuple[int, ...]] = {"tokens": tuple(tokens.shape)}

    def watch(name: str, module: nn.Module) -> None:
        def note(module: nn.Module, inputs: object, output: Tensor) -> None:
            found[name] = tuple(output.shape)

        module.register_forward_hook(note)

    for name, module in model.named_modules():
        if not isinstance(module, nn.ModuleList):
            watch(name or "logits", module)
    model(tokens)
    return found


def first_loss() -> tuple[float, float]:
    """The loss of an untrained model, and ln(vocab_size): it knows nothing, so all tokens should be equally likely."""
    _, tokens, targets = example()
    torch.manual_seed(0)
    return next_token_loss(GPT(TINY)(tokens), targets).item(), math.log(TINY.vocab_size)


def causality() -> tuple[float, float]:
    """Change one token; the largest change of any logit before it, and after it. Before it must be exactly 0."""
    model, tokens, _ = example()
    at = TINY.context_length // 2
    changed = tokens.clone()
    changed[:, at] = (changed[:, at] + 1) % TINY.vocab_size
    difference = (model(changed) - model(tokens)).abs()
    return difference[:, :at].max().item(), difference[:, at:].max().item()


def reference() -> float:
    """The largest difference in any logit between attention by hand and torch's own, in float64."""
    model, tokens, _ = example(dtype=torch.float64)
    return (model(tokens, attend=causal_attention) - model(tokens, attend=torch_attention)).abs().max().item()


def gradients_by_differences() -> float:
    """The largest relative error of backward's gradients against finite differences, over twelve weights.

    (loss(w + h) - loss(w - h)) / 2h is the slope, whatever the code of backward says. Float64, or rounding drowns it.
    """
    model, tokens, targets = example(dtype=torch.float64)

    def loss() -> Tensor:
        return next_token_loss(model(tokens), targets)

    loss().backward()
    worst, h = 0.0, 1e-5
    for parameter in model.parameters():
        assert parameter.grad is not None
        place = int(parameter.grad.abs().argmax())  # where the slope is steep, the comparison is sharp
        weight, slope = parameter.data.view(-1), parameter.grad.view(-1)[place].item()
        before = weight[place].item()
        losses = []
        for value in (before + h, before - h):
            weight[place] = value
            losses.append(loss().item())
        weight[place] = before
        measured = (losses[0] - losses[1]) / (2 * h)
        worst = max(worst, abs(measured - slope) / max(abs(measured), abs(slope)))
    return worst


def overfit(steps: int = 200) -> tuple[list[float], list[float]]:
    """Losses and gradient norms of training on one batch again and again: it must be learnt by heart.

    A model that cannot do this cannot do anything; the fault is in the model or the step, not in the data.
    """
    torch.manual_seed(0)
    model = GPT(TINY)
    _, tokens, targets = example()
    optimizer = make_optimizer(model, weight_decay=0.0)
    record = [training_step(model, optimizer, tokens, targets, rate=0.01) for _ in range(steps)]
    return [loss for loss, _ in record], [norm for _, norm in record]


def main() -> None:
    """Run all six, and say for each what came out and what should."""
    console = Console(highlight=False)

    def say(name: str, text: str, fine: bool) -> None:
        console.print(
            f"[{'green' if fine else 'red'}]{'ok  ' if fine else 'FAIL'}[/] [bold]{name}[/]: {text}"
        )

    found = shapes()
    batch = found["tokens"]
    say("shapes", f"tokens {batch} to logits {found['logits']}", found["logits"] == (*batch, TINY.vocab_size))
    for name, shape in found.items():
        console.print(f"       {name:<28} {shape}")
    loss, uniform = first_loss()
    say("first loss", f"{loss:.4f}; ln({TINY.vocab_size}) is {uniform:.4f}", abs(loss - uniform) < 0.01)
    before, after = causality()
    say(
        "causality",
        f"changing a token moves earlier logits by {before} (must be 0), later ones by {after:.3f}",
        before == 0 < after,
    )
    difference = reference()
    say("reference", f"by hand and by torch differ by {difference:.1e} at most", difference < 1e-5)
    error = gradients_by_differences()
    say(
        "gradcheck",
        f"gradients and finite differences differ by {error:.1e} of the slope at most",
        error < 1e-5,
    )
    losses, norms = overfit()
    say(
        "overfit one batch",
        f"loss {losses[0]:.3f} to {losses[-1]:.4f} in {len(losses)} steps",
        losses[-1] < 0.05,
    )
    say(
        "gradient norms",
        f"{norms[0]:.2f} at first, {max(norms):.2f} at most, {norms[-1]:.3f} at last",
        all(map(math.isfinite, norms)) and norms[-1] < max(norms) / 10,
    )


if __name__ == "__main__":
    main()
