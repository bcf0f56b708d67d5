"""How much arithmetic a training step takes, and what share of the machine's peak that is (MFU)."""

from phase01_foundation.project03_pretrain.model import Config


def flops_per_token(config: Config) -> float:
    """Floating-point operations of forward and backward for one token, attention over the whole context included.

    Two for each weight of a matrix going forward (multiply, add), twice that going back: 6 × weights. Scores and
    mixing take 2 × 2 × heads × head_dim for each pair of positions going forward; as a position sees half of them
    on average, but kernels may compute all, this counts all, as nanoGPT and PaLM (arXiv:2204.02311, appendix B) do.
    What gradient checkpointing computes a second time is not counted: it is no progress.
    """
    width = config.head_width
    attention = config.dim * width * (2 * config.heads + 2 * config.kv_heads)
    matrices = 3 if config.activation == "swiglu" else 2
    weights = config.layers * (attention + matrices * config.dim * config.hidden_dim)
    weights += config.dim * config.vocab_size  # the head; the embedding is looked up, not multiplied
    return 6 * weights + 12 * config.layers * config.heads * width * config.context_length
