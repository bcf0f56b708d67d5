"""Beam search over blocks: the likeliest texts, of which most share most of their blocks.

Of all beginnings of a length the `width` likeliest are kept. In each step every beam is continued by every token, and
the likeliest of all these go on. Some beams go on in several ways, others end: so beams fork and are freed, and a fork
costs no copy of a text but at most one block's, when its first own token is written.

It follows transformers' beam search, which its tests compare with; Kwon et al. 2023 (arXiv:2309.06180), section 4.4.
"""

from collections.abc import Sequence as List
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from phase04_advanced_inference.project12_dynamic_batching.sequence import Scheduled, Sequence
from phase04_advanced_inference.project13_paged_attention.paged_runner import PagedRunner
from shared.phase01 import SamplingParams


@dataclass(frozen=True)
class Beam:
    """A text that may be among the likeliest."""

    tokens: list[int]
    """after the prompt; the one that ended it is the last of them"""
    logprob: float
    """the sum of their log-probabilities"""

    def score(self, length_penalty: float) -> float:
        """What ended beams are compared by: logprob / len(tokens) ** length_penalty. The prompt does not count."""
        return self.logprob / len(self.tokens) ** length_penalty


def candidates(beams: List[Beam], logits: Float[Tensor, "beam vocab"], count: int) -> list[tuple[int, Beam]]:
    """The `count` likeliest continuations of all beams by one token, the likeliest first, each with its beam's place.

    logits[i] are those after beams[i]; a continuation's logprob is the beam's plus the token's `log_softmax`, in
    float64. There may be fewer than `count`. Of equal ones that of the earlier beam comes first, and of one beam the
    lower token.
    """
    before = torch.tensor([beam.logprob for beam in beams], dtype=torch.float64)
    total = (before[:, None] + logits.double().log_softmax(dim=-1)).flatten()
    best = total.argsort(descending=True, stable=True)[:count].tolist()
    vocab_size = logits.shape[1]
    found = []
    for place in best:
        at, token = divmod(place, vocab_size)
        found.append((at, Beam([*beams[at].tokens, token], float(total[place]))))
    return found


def select(
    found: List[tuple[int, Beam]], width: int, stop_ids: List[int], last: bool
) -> tuple[list[tuple[int, Beam]], list[Beam]]:
    """Of candidates, the likeliest first: the `width` likeliest that go on, with their places, and those that end.

    One whose last token is of `stop_ids` ends, and where it is the `last` step all do. But only those among the first
    `width` candidates end as texts that count; others that end are dropped.
    """
    going, ended = [], []
    for rank, (place, beam) in enumerate(found):
        if last or beam.tokens[-1] in stop_ids:
            if rank < width:
                ended.append(beam)
        elif len(going) < width:
            going.append((place, beam))
    return going, ended


class Beams:
    """The sequences of a search and their blocks: beam i is computed by sequence i."""

    def __init__(self, runner: PagedRunner, prompt: List[int], max_tokens: int):
        """Nothing computed. Keys are negative, so that no request of an engine has them."""
        self.runner, self.manager = runner, runner.manager
        self.params = SamplingParams(max_tokens=max_tokens)
        self.next_key = -1
        self.sequences: list[Sequence] = []
        self.sequences = [self.new(prompt)]

    def new(self, tokens: List[int]) -> Sequence:
        """A sequence of a search."""
        sequence = Sequence(self.next_key, list(tokens), self.params, self.runner.config.context_length)
        self.next_key -= 1
        return sequence

    def compute(self) -> Float[Tensor, "beam vocab"]:
        """One step of all beams, with all of their tokens that are pending; the logits after each.

        The first time, the prompt comes in (`manager.admit`), and at the end its full blocks are published. Raises
        RuntimeError where there is no room.
        """
        first = self.sequences[0].key not in self.manager.tables
        if first and not self.manager.admit(self.sequences[0]):
            raise RuntimeError(f"there is no room for a prompt of {len(self.sequences[0].tokens)} tokens")
        scheduled = [Scheduled(one, one.pending) for one in self.sequences]
        for one, count in scheduled:
            if not self.manager.grow(one, count):
                raise RuntimeError(f"{self.manager.pool.num_free} blocks are free, and a beam needs more")
        logits = self.runner(scheduled)
        for one, count in scheduled:
            one.num_computed += count
        if first:
            self.manager.computed(self.sequences[0])
        return torch.cat(logits)

    def go_on(self, chosen: List[tuple[int, Beam]]) -> None:
        """Let beams go on as chosen: each forks the sequence at its place, and has the beam's last token besides.

        After all forks, all former sequences are freed: of the forks of one, the last to write writes in its blocks.
        """
        new = []
        for place, beam in chosen:
            parent = self.sequences[place]
            child = self.new([*parent.tokens, beam.tokens[-1]])
            child.num_computed = parent.num_computed
            self.manager.fork(parent, child)
            new.append(child)
        self.free()
        self.sequences = new

    def free(self) -> None:
        """Give all blocks back."""
        for one in self.sequences:
            self.manager.free(one)
            self.manager.forget(one.key)


def beam_search(
    runner: PagedRunner,
    prompt: List[int],
    width: int,
    max_tokens: int,
    length_penalty: float = 1.0,
    stop_ids: List[int] = (),
) -> list[Beam]:
    """The `width` best texts after a prompt, the best first.

    In each step: the logits after each beam; of all `candidates` as many as width × (1 + the number of stop_ids), but
    width × 2 at least, so that `width` of them go on; `select`; the best `width` of all that have ended so far are
    kept, by `score`, of equal ones the earlier. It is over when `max_tokens` tokens are written or the context is full
    (a text can have one token more than can be read); or when `width` have ended, and the likeliest of those that go
    on has no better score, at its length, than the worst of them. Then the ended ones are returned; there may be fewer
    only where there are fewer texts. The blocks all come back, also where a step raises.

    Raises ValueError, before any work: for a width or max_tokens below 1, naming it; where the pool has fewer free
    blocks than the search may take at the end, when beams share the full blocks of the prompt and nothing else: it
    names both numbers. RuntimeError where the blocks run out all the same.
    """
    manager, config = runner.manager, runner.config
    if width < 1 or max_tokens < 1:
        raise ValueError(f"width and max_tokens must be 1 or more, not {width} and {max_tokens}")
    steps = min(max_tokens, config.context_length + 1 - len(prompt))
    shared = len(prompt) // manager.block_size
    needed = shared + width * (manager.count(len(prompt) + steps - 1) - shared)
    if needed > manager.pool.num_free:
        raise ValueError(
            f"the search may take {needed} blocks, and {manager.pool.num_free} are free: ask for fewer beams or tokens"
        )
    running = Beams(runner, prompt, steps)
    beams, ended = [Beam([], 0.0)], list[Beam]()
    try:
        for step in range(1, steps + 1):
            found = candidates(beams, running.compute(), width * max(2, 1 + len(stop_ids)))
            going, new = select(found, width, stop_ids, last=step == steps)
            ended = sorted([*ended, *new], key=lambda one: -one.score(length_penalty))[:width]
            beams = [beam for _, beam in going]
            if not beams or (
                len(ended) == width and beams[0].score(length_penalty) <= ended[-1].score(length_penalty)
            ):
                break
            running.go_on(going)
    finally:
        running.free()
    return ended
