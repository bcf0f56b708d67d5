"""What speculation gains, worked out: tokens a pass from the rate of acceptance, and the speed from the costs."""

from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor


def overlap(p: Float[Tensor, "vocab"], q: Float[Tensor, "vocab"]) -> float:
    """How likely it is that a guess drawn from q stays where the target has p: Σ min(p, q).

    1 where they are the same, 0 where no token is possible in both.
    """
    return float(p.minimum(q).sum())


def acceptance_rate(passes: Iterable[tuple[int, int]]) -> float:
    """The share of guesses that stay, among those that were judged; `passes` holds (guessed, accepted) of each pass.

    Judged are those that stayed, and the first that did not: what was guessed after it counts neither way. It is the
    likeliest α, if each guess stays with the same probability α, independent of the others. 0 where nothing was judged.
    """
    stayed = judged = 0
    for guessed, accepted in passes:
        stayed += accepted
        judged += accepted + (accepted < guessed)
    return stayed / judged if judged else 0.0


def expected_tokens(rate: float, count: int) -> float:
    """Tokens that a pass writes on average: 1 + α + α² + … + α^k = (1 - α^(k+1)) / (1 - α), with α = rate, k = count.

    The first k terms are the chances that 1, 2, … k guesses stay, and each pass writes one token more. With α = 1 it is
    k + 1. Raises ValueError, naming it, for a rate that is not from 0 to 1, and for a count below 0.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"a rate of acceptance is from 0 to 1, not {rate}")
    if count < 0:
        raise ValueError(f"0 guesses or more, not {count}")
    return float(count + 1) if rate == 1 else (1 - rate ** (count + 1)) / (1 - rate)


def expected_speedup(rate: float, count: int, guess_cost: float, place_cost: float = 0.0) -> float:
    """How many times as fast as without guesses: expected_tokens / (1 + count × (guess_cost + place_cost)).

    Both costs are in units of a pass that reads one token: what it costs to guess one token, and what one more place
    costs in the target's pass. Below 1, speculation loses. Raises ValueError as `expected_tokens` does.
    """
    return expected_tokens(rate, count) / (1 + count * (guess_cost + place_cost))


def best_count(rate: float, guess_cost: float, place_cost: float = 0.0, most: int = 8) -> int:
    """The number of guesses, from 0 to `most`, with the highest `expected_speedup`; of equal ones the smallest."""
    return max(range(most + 1), key=lambda count: expected_speedup(rate, count, guess_cost, place_cost))
