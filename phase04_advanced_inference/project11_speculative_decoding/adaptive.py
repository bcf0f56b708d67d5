"""How far to guess ahead: as far as it pays, for each text by itself.

In a story nearly every guess stays, and eight are better than four; in a sum nearly none does, and each costs. The rate
of acceptance is estimated as the text is written, and the number of guesses follows from what they cost.
"""

from phase04_advanced_inference.project11_speculative_decoding.expected import best_count


class AdaptiveLength:
    """The number of guesses of each text, by its key."""

    def __init__(
        self,
        guess_cost: float,
        place_cost: float = 0.0,
        most: int = 8,
        prior: float = 0.7,
        weight: float = 4.0,
        memory: float = 0.9,
    ):
        """`guess_cost` and `place_cost` as in `expected_speedup`; `most` guesses at most.

        Before anything is known, the rate is `prior`, as if `weight` guesses had been judged. Raises ValueError, naming
        what came in, for a cost below 0, fewer than 1 guess, a prior or a memory that is not from 0 to 1, and a weight
        that is not above 0.
        """
        for name, value, fine in (
            ("guess_cost", guess_cost, guess_cost >= 0),
            ("place_cost", place_cost, place_cost >= 0),
            ("most", most, most >= 1),
            ("prior", prior, 0 <= prior <= 1),
            ("weight", weight, weight > 0),
            ("memory", memory, 0 <= memory <= 1),
        ):
            if not fine:
                raise ValueError(f"{name} cannot be {value}")
        self.guess_cost, self.place_cost, self.most = guess_cost, place_cost, most
        self.prior, self.weight, self.memory = prior, weight, memory
        self.seen: dict[int, tuple[float, float]] = {}
        """of each text: guesses that stayed, and guesses that were judged, old ones counting less"""

    def rate(self, key: int) -> float:
        """The estimate of the rate of acceptance: (stayed + prior × weight) / (judged + weight).

        A text that is not known has the prior.
        """
        stayed, judged = self.seen.get(key, (0.0, 0.0))
        return (stayed + self.prior * self.weight) / (judged + self.weight)

    def length(self, key: int) -> int:
        """How many tokens to guess for this text now: `best_count` at its rate and the costs, from 0 to `most`."""
        return best_count(self.rate(key), self.guess_cost, self.place_cost, self.most)

    def update(self, key: int, guessed: int, accepted: int) -> None:
        """A pass has judged this text's guesses: what was seen counts `memory` times as much, and this pass is added.

        Judged are the accepted ones, and one more where not all were accepted, as in `acceptance_rate`. A pass without
        guesses adds nothing and forgets all the same: so the rate drifts back to the prior, and a text that was hard to
        guess is tried again. Raises ValueError, and changes nothing, unless 0 <= accepted <= guessed, naming both.
        """
        if not 0 <= accepted <= guessed:
            raise ValueError(f"of {guessed} guesses, {accepted} cannot have been accepted")
        stayed, judged = self.seen.get(key, (0.0, 0.0))
        self.seen[key] = (
            stayed * self.memory + accepted,
            judged * self.memory + accepted + (accepted < guessed),
        )

    def forget(self, key: int) -> None:
        """This text has ended. A key that is not known is no mistake."""
        self.seen.pop(key, None)
