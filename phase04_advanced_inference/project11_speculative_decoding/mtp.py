"""Guessing with the target's own thoughts: small heads that go on where its last layer ends.

The target's stream at a token says what comes next, and much of what comes after that. A head takes the stream and the
token that was chosen, and makes of both a stream as it may stand one place further on; the target's own norm and
embedding turn that into logits. Head after head, each goes one place on. Nothing but the heads is trained.

Medusa's heads see the stream alone (Cai et al. 2024, arXiv:2401.10774). To tell a head which token was chosen is what
Hydra (Ankner et al. 2024, arXiv:2402.05109) and DeepSeek-V3's multi-token prediction (arXiv:2412.19437, section 2.2)
do.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from phase04_advanced_inference.project11_speculative_decoding.draft_model import guess
from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Draft, Proposal
from shared.phase01 import IGNORED, LLM, RMSNorm


class MTPHead(nn.Module):
    """One head, for a stream that is `dim` wide: two matrices.

    There is no way around them, as blocks have one: the stream says loudly what the model's own next token is, and a
    sum would have to silence that first. Without it, heads learn faster.
    """

    def __init__(self, dim: int, eps: float = 1e-5):
        super().__init__()
        self.stream_norm, self.token_norm = RMSNorm(dim, eps), RMSNorm(dim, eps)
        self.up = nn.Linear(2 * dim, dim, bias=False)
        self.down = nn.Linear(dim, dim, bias=False)

    def forward(
        self, stream: Float[Tensor, "*rest dim"], token: Float[Tensor, "*rest dim"]
    ) -> Float[Tensor, "*rest dim"]:
        """The stream one place further on, given the embedding of the token that was chosen.

        down(silu(up(a and b))), where a = stream_norm(stream) and b = token_norm(token) stand side by side.
        """
        both = torch.cat([self.stream_norm(stream), self.token_norm(token)], dim=-1)  # (*rest, 2 dim)
        return self.down(F.silu(self.up(both)))


class MTPHeads(nn.Module):
    """`count` heads, in a chain: each goes on where the one before it ends."""

    def __init__(self, dim: int, count: int, eps: float = 1e-5):
        super().__init__()
        self.dim, self.count = dim, count
        # Under this name, project 3's optimizers give their matrices to Muon.
        self.blocks = nn.ModuleList(MTPHead(dim, eps) for _ in range(count))


def mtp_losses(
    heads: MTPHeads,
    model: LLM,
    hidden: Float[Tensor, "batch time dim"],
    targets: Int[Tensor, "batch time"],
) -> Float[Tensor, "head"]:
    """Each head's mean cross-entropy, in nats a token, when it is told what really came.

    hidden[:, t] is the model's stream at place t, and targets[:, t] the token that follows it. The model itself
    predicts that one; head 0, told targets[:, t], predicts targets[:, t + 1]; head 1, told targets[:, t + 1] beside
    head 0's stream at t, predicts targets[:, t + 2]; head i predicts targets[:, t + 1 + i]. The last 1 + i places have
    nothing to be predicted there, and IGNORED targets, which only stand at the end of a row, do not count. The model's
    `embedding` gives the told tokens, its `logits` the predictions. Gradients reach the heads; whether they reach the
    model is up to who calls. `targets` stays as it is. A row must have more places than there are heads: ValueError,
    naming both.
    """
    time = targets.shape[1]
    if time <= heads.count:
        raise ValueError(f"{heads.count} heads need rows of more than {heads.count} tokens, not {time}")
    losses, stream = [], hidden
    for i in range(heads.count):
        told = targets[:, i : time - 1].clamp(min=0)  # (batch, time - 1 - i)
        stream = heads.blocks[i](stream[:, : time - 1 - i], model.embedding(told))
        logits = model.logits(stream)  # (batch, time - 1 - i, vocab)
        losses.append(
            F.cross_entropy(logits.flatten(0, 1), targets[:, i + 1 :].flatten(), ignore_index=IGNORED)
        )
    return torch.stack(losses)


class MTPProposer:
    """A Proposer that asks heads on the target. It keeps nothing between calls, and needs each Draft's `hidden`."""

    def __init__(self, model: LLM, heads: MTPHeads):
        """Raises ValueError, naming both widths, for heads that were made for another stream than the model's."""
        if heads.dim != model.config.dim:
            raise ValueError(f"the heads are {heads.dim} wide, and the model's stream {model.config.dim}")
        self.model, self.heads = model, heads.eval()

    @torch.no_grad()
    def propose(self, drafts: Sequence[Draft]) -> list[Proposal]:
        """Up to `draft.count` tokens for each draft, at most one a head, chosen one after the other by `guess`.

        Head 0 gets `draft.hidden` and the text's last token, head i what head i - 1 made and the token guessed with it.
        All drafts go through a head side by side. Nothing is proposed where hidden is None. A proposal has
        probabilities, (count, vocab) in float64, where its tokens were drawn.
        """
        proposals = [Proposal() for _ in drafts]
        rooms = [0 if draft.hidden is None else min(draft.count, self.heads.count) for draft in drafts]
        streams = {i: draft.hidden for i, draft in enumerate(drafts) if draft.hidden is not None}
        drawn: list[list[Tensor]] = [[] for _ in drafts]
        for number in range(max(rooms, default=0)):
            active = [i for i, room in enumerate(rooms) if room > number]
            last = torch.tensor([[*drafts[i].tokens, *proposals[i].tokens][-1] for i in active])
            stream = torch.stack([streams[i] for i in active])  # (draft, dim)
            told = self.model.embedding(last[None].to(stream.device))[0]  # (draft, dim)
            stream = self.heads.blocks[number](stream, told)
            logits = self.model.logits(stream[None])[0].cpu()  # (draft, vocab)
            for i, one, row in zip(active, stream, logits, strict=True):
                streams[i] = one
                token, probabilities = guess(row, drafts[i], proposals[i].tokens)
                proposals[i].tokens.append(token)
                if probabilities is not None:
                    drawn[i].append(probabilities)
        for proposal, distributions in zip(proposals, drawn, strict=True):
            if distributions:
                proposal.probabilities = torch.stack(distributions)
        return proposals

    def forget(self, key: int) -> None:
        """There is nothing to forget."""
