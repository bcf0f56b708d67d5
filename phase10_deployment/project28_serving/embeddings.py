"""A text as a vector: the mean of what the model thinks at each of its tokens.

The stream after the last block, with the last norm, is what the head reads the next token from. Its mean over the
text is the plainest vector there is for a text; models that are trained for it do better (Reimers & Gurevych 2019,
Sentence-BERT, arXiv:1908.10084, has the mean among its poolings, and measures it).
"""

import base64
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from shared.phase01 import LLM


@torch.no_grad()
def mean_of_last_hidden(model: LLM, tokens: Int[Tensor, "time"]) -> Float[Tensor, "dim"]:
    """The mean over a text's tokens of the stream after the last block and the last norm, in float32 on the CPU.

    The tokens attend as the model does, by `model.attend`.
    """
    hidden = model.norm(model.hidden(tokens[None], attend=model.attend))[0]  # (time, dim)
    return hidden.float().mean(dim=0).cpu()


def unit_length(vector: Sequence[float]) -> list[float]:
    """The vector with length 1, so that a dot product of two is their cosine; one of zeros stays as it is."""
    values = np.asarray(vector, dtype=np.float64)
    length = float(np.linalg.norm(values))
    return (values / length if length else values).tolist()


def encode_base64(vector: Sequence[float]) -> str:
    """The numbers as OpenAI's client wants them by default: float32, the lowest byte first, in base64."""
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode("ascii")
