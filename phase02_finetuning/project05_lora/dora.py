"""DoRA: a weight's rows in direction and length, of which the adapter turns the one and a vector learns the other.

    W' = m · (W + scaling · B A) / ‖W + scaling · B A‖         a length ‖·‖ for each output, so for each row of W

Liu et al. 2024, "DoRA: Weight-Decomposed Low-Rank Adaptation" (arXiv:2402.09353).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from phase02_finetuning.project05_lora.lora import LoRA


class DoRA(LoRA):
    """An adapter with a third parameter, `magnitude` (out), the length of each row of the adapted weight."""

    magnitude: nn.Parameter

    def reset(self, base: nn.Linear) -> None:
        """As LoRA begins; and `magnitude` becomes a parameter with the lengths of the base's rows, in A's dtype.

        So the layer begins as the frozen one here too.
        """
        super().reset(base)
        self.magnitude = nn.Parameter(base.weight.to(self.A.dtype).norm(dim=1))

    def forward(
        self, x: Float[Tensor, "*rest inputs"], y: Float[Tensor, "*rest outputs"], base: nn.Linear
    ) -> Float[Tensor, "*rest outputs"]:
        """The output of W' with the base's bias: g · (W x + scaling · B A x) + bias; y is what the base makes of x.

        g = `magnitude` / ‖W + scaling · B A‖ are `factors`, which multiply outputs, so W' is never made. W x is y
        without the base's bias. Where dropout acts, in training, all that the adapter adds to y is made of the dropped
        x', by another call of the base (as peft does it): y + g · (W x' + scaling · B A x') - W x'. Only there: it is
        as dear as the first. Dtypes are as LoRA.forward has them.
        """
        scale = self.factors(base.weight)
        dropped = self.dropout(x)
        update = self.config.scaling * F.linear(F.linear(dropped.to(self.A.dtype), self.A), self.B)
        straight = base(dropped) if self.training and self.config.dropout else y
        if base.bias is not None:
            straight = straight - base.bias
        return y + ((scale - 1) * straight + scale * update).to(y.dtype)

    def factors(self, weight: Float[Tensor, "outputs inputs"]) -> Float[Tensor, "outputs"]:
        """`magnitude` / ‖W + scaling · B A‖ for each output.

        The length is a constant for the gradient (section 4.3 of the paper): it is made without one, so that only
        `magnitude` gets a gradient here, and it costs no memory on the way back. A row of zeros has length 0: divide by
        the dtype's smallest normal number at least (`torch.finfo(dtype).tiny`), and nothing becomes NaN.
        """
        with torch.no_grad():
            turned = weight + self.config.scaling * (self.B @ self.A)
            length = turned.norm(dim=1).clamp(min=torch.finfo(turned.dtype).tiny)
        return self.magnitude / length

    def merged_weight(self, weight: Float[Tensor, "outputs inputs"]) -> Float[Tensor, "outputs inputs"]:
        """W', in `weight`'s dtype; added up and rounded as LoRA.merged_weight is. It needs no gradient."""
        with torch.no_grad():
            turned = weight + self.config.scaling * (self.B @ self.A)
            return (self.factors(weight)[:, None] * turned).to(weight.dtype)
