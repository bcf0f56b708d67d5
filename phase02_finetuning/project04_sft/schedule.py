"""The learning rate's path in fine-tuning: a short way up, then half a cosine down."""

import math


def cosine(step: int, steps: int, warmup: int = 0, floor: float = 0.0) -> float:
    """The share of the peak rate that step 0, 1, ..., steps - 1 takes. Loshchilov & Hutter 2017, arXiv:1608.03983.

    In the first `warmup` steps it climbs in a straight line, (step + 1) / warmup, whose last is the peak. Then it
    falls along half a cosine: with p = (step - warmup) / (steps - warmup), from 0 up to nearly 1, it is
    floor + (1 - floor) × (1 + cos(π p)) / 2. So the first step after the warm-up is at the peak too, and the last one
    is a little above `floor`. There is no fall where all steps are warm-up.

    Raises ValueError for a step that is not from 0 to steps - 1, naming it and steps - 1; for a warmup that is not
    from 0 to steps, naming both; and for a floor that is not from 0 to 1, naming it.
    """
    if not 0 <= step < steps:
        raise ValueError(f"the step must be from 0 to {steps - 1}, not {step}")
    if not 0 <= warmup <= steps:
        raise ValueError(f"warmup must be from 0 to the number of steps, {steps}, not {warmup}")
    if not 0 <= floor <= 1:
        raise ValueError(f"floor must be from 0 to 1, not {floor}")
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / (steps - warmup)
    return floor + (1 - floor) * (1 + math.cos(math.pi * done)) / 2
