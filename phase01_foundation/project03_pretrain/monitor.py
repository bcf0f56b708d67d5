"""Watching a run: sudden jumps of the loss and of the gradient norm, before they end it, and what a token costs."""

from collections import deque
from dataclasses import dataclass, field
from statistics import median, pstdev

from phase01_foundation.project03_pretrain.model import Config
from phase01_foundation.project03_pretrain.step import Step

RECENT = 64  # steps that are remembered
ENOUGH = 16  # of them before anything can count as a jump
PATIENCE = 10  # steps in a row that may fail


class DivergedError(ArithmeticError):
    """Training has come apart: step after step has no finite gradient."""


@dataclass
class Monitor:
    """Compares each step with those before it, and counts what stands out.

    A loss spike is a loss more than six standard deviations (`pstdev`), and more than 0.1 nats, above the median of the
    last 64 steps; a gradient spike is a norm more than ten times the median, where that is not 0. Nothing is one before
    there are ENOUGH steps to compare with. Large models spike now and then, and often recover; many spikes mean that
    the learning rate is too high (Chowdhery et al. 2022, PaLM, arXiv:2204.02311, section 5.1). Its state is numbers
    only, so that a resumed run sees what one that never stopped would.
    """

    losses: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    norms: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    loss_spikes: int = 0
    gradient_spikes: int = 0
    skipped: int = 0
    failed_in_a_row: int = 0

    def update(self, step: Step) -> list[str]:
        """Take note of a step; returns what is odd about it, a text for each oddity, mostly none.

        The step is compared with those before it. The text of a loss spike has the word loss, and names the loss and
        the median; that of a gradient spike has the word gradient, and names the norm and the median. A step that was
        not applied is told too, by its loss, and is no part of what is usual. All three are counted.

        Raises DivergedError after ten steps in a row that were not applied, naming how many, and the last one's loss.
        """
        if not step.applied:
            self.skipped += 1
            self.failed_in_a_row += 1
            if self.failed_in_a_row >= PATIENCE:
                raise DivergedError(
                    f"{PATIENCE} steps in a row had no finite gradient (loss {step.loss:g}): training has come "
                    "apart; try a lower learning rate, a longer warm-up, or bfloat16 for float16"
                )
            return [f"the gradient is not finite (loss {step.loss:g}); the step is skipped"]
        self.failed_in_a_row = 0
        odd = []
        if len(self.losses) >= ENOUGH:
            usual, deviation = median(self.losses), pstdev(self.losses)
            if step.loss > usual + max(6 * deviation, 0.1):
                self.loss_spikes += 1
                odd.append(f"loss spike: {step.loss:.3f}, usually {usual:.3f}")
            usual = median(self.norms)
            if step.gradient_norm > 10 * usual > 0:
                self.gradient_spikes += 1
                odd.append(f"gradient spike: norm {step.gradient_norm:.2f}, usually {usual:.2f}")
        self.losses.append(step.loss)
        self.norms.append(step.gradient_norm)
        return odd

    def state_dict(self) -> dict[str, list[float] | int]:
        """All of it, for a checkpoint."""
        return {
            name: list(value) if isinstance(value, deque) else value for name, value in vars(self).items()
        }

    def load_state_dict(self, state: dict[str, list[float] | int]) -> None:
        """Take up what `state_dict` gave."""
        for name, value in state.items():
            setattr(self, name, deque(value, maxlen=RECENT) if isinstance(value, list) else value)


def flops_per_token(config: Config) -> float:
    """Floating-point operations of forward and backward for one token, attention over the whole context included.

    Two for each weight of a matrix going forward (multiply, add), twice that going back: 6 × weights. The matrices are
    those of the blocks and the head, tied or not; the embedding is looked up, which multiplies nothing. In each layer,
    scores and mixing take 2 × 2 × heads × head_dim for each pair of positions going forward, and twice that going back;
    as a position sees half of them on average, but kernels may compute all, this counts all, as nanoGPT and PaLM
    (arXiv:2204.02311, appendix B) do. What gradient checkpointing computes a second time is not counted: it is no
    progress.
    """
    width = config.head_width
    attention = config.dim * width * (2 * config.heads + 2 * config.kv_heads)
    matrices = 3 if config.activation == "swiglu" else 2
    weights = config.layers * (attention + matrices * config.dim * config.hidden_dim)
    weights += config.dim * config.vocab_size  # the head
    return 6 * weights + 12 * config.layers * config.heads * width * config.context_length
