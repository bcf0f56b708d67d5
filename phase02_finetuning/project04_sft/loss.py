"""The loss of supervised fine-tuning, for the trainer's Loss seam: what the answers' tokens cost, on average."""

from torch import Tensor, nn

from phase02_finetuning.project04_sft.packing import document_attention
from shared.phase01 import IGNORED, Batch


def sft_loss(model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean cross-entropy of the targets that are not IGNORED, in nats a token; 0 where there is none.

    The metrics have "weight", how many such targets there are. It is what makes the step independent of how a batch
    is cut: the trainer weighs each part's mean by it. A mean of the parts' means would give a row with one target
    as much say as one with a hundred. Both stay tensors: no number is read back from the device.

    A batch of `collate` has tokens and targets. One of `packed_batch` has documents and positions besides: its rows
    go through the model as one, (1, row × time), with their positions and with `document_attention`. The model itself
    gives the sum over all targets, model(tokens, positions, attend, targets), or model(tokens, targets=targets).
    """
    tokens, targets = batch["tokens"], batch["targets"]
    weight = (targets != IGNORED).sum()
    if "documents" in batch:
        attend = document_attention(batch["documents"])
        total = model(tokens.reshape(1, -1), batch["positions"].reshape(-1), attend, targets.reshape(1, -1))
    else:
        total = model(tokens, targets=targets)
    return total / weight.clamp(min=1), {"weight": weight}
