"""The steps of a sum, each so small that it needs no carrying: tens and ones apart."""


def add_steps(n: int, m: int) -> list[str]:
    """How n and m are added: "30 and 20 make 50", "7 and 8 make 15", "50 and 15 make 65"."""
    tens, ones = n // 10 * 10 + m // 10 * 10, n % 10 + m % 10
    steps = []
    if n >= 10 and m >= 10:
        steps.append(f"{n // 10 * 10} and {m // 10 * 10} make {tens}")
    if n % 10 and m % 10:
        steps.append(f"{n % 10} and {m % 10} make {ones}")
    if tens and ones:
        steps.append(f"{tens} and {ones} make {n + m}")
    return steps


def subtract_steps(n: int, m: int) -> list[str]:
    """How m is taken from n, which is larger: "65 minus 20 is 45", "45 minus 5 is 40", "40 minus 3 is 37"."""
    steps = []
    left = n
    ones = m % 10
    # Below twenty, and where the ones suffice, one step is enough; else the way leads over the full ten.
    parts = (
        [m - ones, left % 10, ones - left % 10]
        if left - (m - ones) > 18 and left % 10 < ones
        else [m - ones, ones]
    )
    for part in parts:
        if part:
            steps.append(f"{left} minus {part} is {left - part}")
            left -= part
    return steps
