"""The parts of training: batches, the learning rate's path, clipping, one step, and validation."""

import torch
from jaxtyping import Int
from torch import Tensor

from phase01_foundation.project01_minimal_gpt.attention import Attend, causal_attention
from phase01_foundation.project01_minimal_gpt.model import GPT, next_token_loss
from shared.device import autocast


def sample_batch(
    data: Int[Tensor, "length"], batch_size: int, context_length: int, generator: torch.Generator
) -> tuple[Int[Tensor, "batch time"], Int[Tensor, "batch time"]]:
    """Pieces from random places of `data`, and the same pieces one token later: what the model is to predict.

    Each is (batch_size, context_length). All places that have room for a piece and its next token are equally likely,
    and `generator` alone draws them. Raises ValueError for data too short to hold one piece and its next token, naming
    its length and the length needed.
    """
    if len(data) <= context_length:
        raise ValueError(
            f"the text has {len(data)} tokens; a context of {context_length} needs at least {context_length + 1}"
        )
    starts = torch.randint(len(data) - context_length, (batch_size,), generator=generator)
    pieces = data[starts[:, None] + torch.arange(context_length + 1)]  # (batch, time + 1)
    return pieces[:, :-1], pieces[:, 1:]


def learning_rate(step: int, *, peak: float, warmup: int, steps: int, decay_share: float = 0.7) -> float:
    """The learning rate of step 0, 1, ..., steps - 1: up in a straight line, along the peak, down to nearly 0.

    peak × min(1, (step + 1) / warmup, (steps - step) / decay), where decay is steps × decay_share, rounded to a whole
    number. It climbs for `warmup` steps, as Adam's averages mean little at first, and falls for `decay` steps, as
    small steps settle what large ones leave jittering. A warm-up or a decay of no steps leaves its part out. Hägele
    et al. 2024 (arXiv:2405.18392).
    """
    up = (step + 1) / max(1, warmup)  # none is as good as one, whose only step is at the peak
    down = (steps - step) / max(1, round(steps * decay_share))
    return peak * min(1.0, up, down)


def make_optimizer(
    model: GPT, weight_decay: float, betas: tuple[float, float] = (0.9, 0.95)
) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101); only the blocks' matrices decay.

    Embedding and head are left alone: a rare character's row hardly gets a gradient, and would decay to nothing.
    """
    matrices = list(model.blocks.parameters())
    others = [*model.embedding.parameters(), *model.head.parameters()]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, betas=betas, fused=True)  # the step sets the learning rate


def clip_gradients(parameters: list[torch.nn.Parameter], max_norm: float) -> float:
    """Scale all gradients by one factor so that their norm, taken over all together, is at most `max_norm`.

    Returns the norm before, which is worth watching: a sudden jump comes before a spike of the loss. Gradients
    within the limit are not touched. Pascanu et al. 2013 (arXiv:1211.5063).
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    if norm > max_norm:
        for gradient in gradients:
            gradient.mul_(max_norm / norm)
    return norm.item()


def training_step(
    model: GPT,
    optimizer: torch.optim.Optimizer,
    tokens: Int[Tensor, "batch time"],
    targets: Int[Tensor, "batch time"],
    rate: float,
    max_norm: float = 1.0,
    dtype: torch.dtype = torch.float32,
    attend: Attend = causal_attention,
) -> tuple[float, float]:
    """One step of gradient descent on one batch; returns the loss before it (nats a token) and the gradient norm.

    The model is put into training mode and stays there. It attends by `attend`. Matrix products run in `dtype`
    (`autocast`); weights, gradients and the optimizer's state stay in float32. Gradients left from
    an earlier step do not count; those of this one are clipped to `max_norm`. The optimizer takes its step with the
    learning rate `rate`, in every group. Raises FloatingPointError when the loss or the norm is not finite, naming
    both, and leaves the weights as they are.
    """
    model.train()
    with autocast(tokens.device, dtype):
        loss = next_token_loss(model(tokens, attend=attend), targets)
    optimizer.zero_grad()
    loss.backward()
    norm = clip_gradients(list(model.parameters()), max_norm)
    if not torch.isfinite(torch.tensor([loss.item(), norm])).all():
        raise FloatingPointError(
            f"the loss is {loss.item()} and the gradient norm {norm}: training has come apart; "
            "try a lower learning rate"
        )
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return loss.item(), norm


@torch.no_grad()
def evaluate(
    model: GPT,
    data: Int[Tensor, "length"],
    batch_size: int = 64,
    dtype: torch.dtype = torch.float32,
    attend: Attend = causal_attention,
) -> float:
    """Mean loss over the whole of `data`, in nats a token: every token but the first is predicted once.

    The text is cut into windows of the context length, side by side, the last one shorter where some are left over;
    the model reads `batch_size` of them at once, fewer in the end. A window's first tokens are guessed with little to
    go by, so a longer context gives a lower loss. Dropout is off, and the model comes back in the mode it was in. It
    attends by `attend`, and matrix products run in `dtype` (`autocast`). `data` may lie on another device than the
    model; each batch is brought to the model's. Raises ValueError for fewer than two tokens, naming how many there are.
    """
    if len(data) < 2:
        raise ValueError(f"evaluation needs at least 2 tokens, not {len(data)}")
    was_training = model.training
    model.eval()
    context, device = model.config.context_length, model.head.weight.device
    tokens, targets = data[:-1], data[1:]
    whole = len(tokens) // context * context  # the rest makes one shorter window
    batches = []
    for start in range(0, whole, batch_size * context):
        part = slice(start, min(start + batch_size * context, whole))
        batches.append((tokens[part].view(-1, context), targets[part].view(-1, context)))
    if whole < len(tokens):
        batches.append((tokens[None, whole:], targets[None, whole:]))
    total = 0.0
    for inputs, expected in batches:
        with autocast(device, dtype):
            loss = next_token_loss(model(inputs.to(device), attend=attend), expected.to(device))
        total += loss.item() * expected.numel()
    model.train(was_training)
    return total / (len(data) - 1)
