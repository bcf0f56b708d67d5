"""What is computed of a prompt outside of the engine's steps: log-probabilities, a vector, attention weights."""

from typing import Any

import torch
from torch import Tensor

from phase10_deployment.project28_serving.embeddings import mean_of_last_hidden
from phase10_deployment.project28_serving.given.wire import Logprob
from shared.phase01 import LLM, attention_weights, causal_attention, repeat_heads


def check_tokens(model: LLM, tokens: list[int]) -> Tensor:
    """The tokens as the model reads them, (1, time). Raises ValueError for none, too many, and unknown ones."""
    config = model.config
    if not 1 <= len(tokens) <= config.context_length:
        raise ValueError(f"the model reads 1 to {config.context_length} tokens, not {len(tokens)}")
    for token in tokens:
        if not 0 <= token < config.vocab_size:
            raise ValueError(f"the model knows the tokens 0 to {config.vocab_size - 1}, not {token}")
    return torch.tensor([tokens], device=model.embedding.weight.device)


@torch.no_grad()
def prompt_logprobs(model: LLM, tokens: list[int], most: int) -> list[Logprob | None]:
    """Of each token but the first, for which it is None: how likely it was, and the `most` likeliest in its place."""
    logits = model(check_tokens(model, tokens))[0].double()  # (time, vocab)
    logprobs = logits.log_softmax(dim=-1)[:-1]  # (time - 1, vocab)
    best = logprobs.topk(min(most, logprobs.shape[-1]), dim=-1)
    found: list[Logprob | None] = [None]
    for place, token in enumerate(tokens[1:]):
        top = zip(best.indices[place].tolist(), best.values[place].tolist(), strict=True)
        found.append((token, float(logprobs[place, token]), list(top)))
    return found


@torch.no_grad()
def embed(model: LLM, tokens: list[int]) -> list[float]:
    """The text as a vector."""
    return mean_of_last_hidden(model, check_tokens(model, tokens)[0]).tolist()


@torch.no_grad()
def attention_of(model: LLM, tokens: list[int]) -> list[Any]:
    """How much each token looks at each other: weights by layer, head, query and key."""
    weights: list[Any] = []

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        rows = attention_weights(q.float(), repeat_heads(k, q.shape[1]).float())[0]  # (head, query, key)
        weights.append([[[round(one, 4) for one in row] for row in head] for head in rows.tolist()])
        return causal_attention(layer, q, k, v)

    model.hidden(check_tokens(model, tokens), attend=attend)
    return weights
