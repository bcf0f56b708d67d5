"""The reference's log-probabilities on disk: computed once for a model and its pairs, and never taken for another's.

The reference does not change while the policy is trained, so one pass over the pairs is enough for all epochs and all
runs. A stale entry is worse than none: the loss still falls, away from another model. So the key is made of everything
that the numbers depend on.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from phase02_finetuning.project05_lora.lora import lora_layers
from phase02_finetuning.project06_dpo.pairs import PairExample
from shared.checkpoint import CheckpointError, read_dict, write

ENTRIES = {"weights": str, "pairs": str, "dtype": str, "logprobs": Tensor}
"""what a file of the cache holds, and of which kind"""


def base_state(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Name and tensor of every weight and buffer but the adapters', by the names of a model without any, sorted."""
    layers = lora_layers(model)
    found = {}
    for name, tensor in model.state_dict().items():
        layer = next((layer for layer in layers if name.startswith(f"{layer}.")), None)
        if layer is None:
            found[name] = tensor
        elif name.startswith(f"{layer}.base."):
            found[f"{layer}.{name.removeprefix(f'{layer}.base.')}"] = tensor
    yield from sorted(found.items())


def hash_of_weights(model: nn.Module) -> str:
    """SHA-256, in hex, of the base: of `base_state`'s names, shapes, dtypes and bytes, all of them.

    So a model with adapters on it, trained or not, has the hash of its base alone; and one number of one layer that
    differs by a bit, a layer with another name, or the same bytes in another shape or dtype give another hash. The
    device does not matter.
    """
    digest = hashlib.sha256()
    for name, tensor in base_state(model):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def hash_of_pairs(examples: Sequence[PairExample]) -> str:
    """SHA-256, in hex, of the pairs: ids and labels of both answers, in their order.

    Where one list ends and the next begins is part of it: [1, 2] and [3] are not [1] and [2, 3]. Chosen and rejected
    swapped, pairs in another order, and other labels give another hash.
    """
    digest = hashlib.sha256()
    for example in examples:
        digest.update(f"{[tuple(answer) for answer in example]}\n".encode())
    return digest.hexdigest()


class ReferenceCache:
    """Log-probabilities of a reference, in a folder: one file for each model, set of pairs, and dtype."""

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)

    def path(self, weights: str, pairs: str, dtype: torch.dtype) -> Path:
        """Where the entry of these hashes lies."""
        key = hashlib.sha256(f"{weights} {pairs} {dtype}".encode()).hexdigest()
        return self.folder / f"{key[:32]}.safetensors"

    def get(
        self,
        model: nn.Module,
        examples: Sequence[PairExample],
        make: Callable[[], Tensor],
        dtype: torch.dtype = torch.float32,
    ) -> Float[Tensor, "pair 2"]:
        """The reference's log-probabilities of the chosen and the rejected answers: from disk, or made and written.

        `dtype` is what matrix products run in: a reference in bfloat16 is not the one in float32. The file at `path` is
        taken if `read_dict` with ENTRIES can read it, if it says the very same "weights", "pairs" and "dtype" (the
        latter as a text), and if its "logprobs" are of shape (pairs, 2). Any other file, a broken one or one that was
        renamed, counts as none: it is made anew and replaced.

        What `make` gives is detached, brought to the CPU and written with shared.checkpoint's `write`, whole or not at
        all. Raises ValueError, with nothing written, where it is not of shape (pairs, 2), naming both shapes, or has
        a number that is not finite.
        """
        weights, pairs = hash_of_weights(model), hash_of_pairs(examples)
        path = self.path(weights, pairs, dtype)
        said = {"weights": weights, "pairs": pairs, "dtype": str(dtype)}
        shape = (len(examples), 2)
        try:
            found = read_dict(path, ENTRIES)
            if all(found[name] == value for name, value in said.items()) and found["logprobs"].shape == shape:
                return found["logprobs"]
        except CheckpointError:
            pass  # there is none, or one that cannot be trusted
        logprobs = make().detach().cpu()
        if logprobs.shape != shape:
            raise ValueError(f"the reference gave {tuple(logprobs.shape)} numbers; the pairs need {shape}")
        if not logprobs.isfinite().all():
            raise ValueError("the reference gave a log-probability that is not finite")
        write(path, {**said, "logprobs": logprobs})
        return logprobs
