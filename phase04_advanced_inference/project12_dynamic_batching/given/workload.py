"""Made-up traffic: when requests come, how long their prompts and answers are; the same for the same seed."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """What a request costs, without its words."""

    arrival: float
    """when it comes, in seconds or steps after the first may"""
    prompt: int
    """tokens"""
    answer: int
    """tokens"""


def alike(draw: random.Random, mean: float) -> float:
    """All have the mean."""
    return mean


def uniform(draw: random.Random, mean: float) -> float:
    """All lengths from 1 to twice the mean are equally likely."""
    return draw.uniform(1, 2 * mean - 1)


def exponential(draw: random.Random, mean: float) -> float:
    """Short ones are the most frequent, and however long one is already, the rest to come has the same mean."""
    return draw.expovariate(1 / mean)


def chat_answer(draw: random.Random, mean: float) -> float:
    """Made up, to resemble chat: two kinds of answers, log-normal each, three in ten brief, the others long.

    No real traffic is behind it. What it shares with published traces is the shape: many short ones, a broad middle
    and a long tail; the standard deviation is about as large as the mean.
    """
    median, sigma = (0.16, 0.9) if draw.random() < 0.3 else (0.96, 0.7)
    return mean * draw.lognormvariate(math.log(median), sigma)


def chat_prompt(draw: random.Random, mean: float) -> float:
    """Made up, to resemble chat: of ten prompts, seven are questions, two pasted pages, and one is a whole history."""
    kind = draw.random()
    median, sigma = (0.2, 0.8) if kind < 0.7 else (1.5, 0.6) if kind < 0.9 else (3.5, 0.4)
    return mean * draw.lognormvariate(math.log(median), sigma)


LENGTHS: dict[
    str, tuple[Callable[[random.Random, float], float], Callable[[random.Random, float], float]]
] = {
    "alike": (alike, alike),
    "uniform": (uniform, uniform),
    "exponential": (exponential, exponential),
    "chat": (chat_prompt, chat_answer),
}
"""how prompts and answers are drawn"""


def workload(
    name: str,
    count: int,
    prompt: float = 32,
    answer: float = 128,
    longest: int = 2048,
    rate: float = math.inf,
    seed: int = 0,
) -> list[Request]:
    """So many requests, with prompts and answers of about these mean lengths, whole numbers from 1 to `longest` each.

    They come at random, `rate` of them in a unit of time on average (a Poisson process), or, where that is infinite,
    all at once. Raises ValueError for an unknown name, listing those there are, and for numbers out of range.
    """
    if name not in LENGTHS:
        raise ValueError(f"there is no workload {name!r}; there is {', '.join(LENGTHS)}")
    if count < 1 or longest < 1 or not (prompt >= 1 and answer >= 1 and rate > 0):
        raise ValueError(
            f"count, prompt, answer and longest must be 1 or more and rate above 0, not {count}, {prompt}, {answer}, "
            f"{longest} and {rate}"
        )
    prompt_length, answer_length = LENGTHS[name]
    draw, now, requests = random.Random(seed), 0.0, []
    for _ in range(count):
        now += 0.0 if rate == math.inf else draw.expovariate(rate)
        lengths = prompt_length(draw, prompt), answer_length(draw, answer)
        requests.append(Request(now, *(min(longest, max(1, round(length))) for length in lengths)))
    return requests
