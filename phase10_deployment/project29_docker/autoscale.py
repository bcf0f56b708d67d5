"""How many replicas: what Kubernetes' autoscaler makes of a queue's length.

https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/ says the rules; these are those of
version 2.
"""

import math
from collections.abc import Sequence

TOLERANCE = 0.1


def desired_replicas(values: Sequence[float | None], target: float, least: int, most: int) -> int:
    """The replicas that the values of those there are now call for, between `least` and `most`.

    `values` has one for each replica: requests that wait there, or None where a replica has told nothing, as one
    that just starts. `target` is what each should have. With c replicas, of which r have told their values:

        ratio = (their mean) / target

    - Within TOLERANCE of 1 (a distance of TOLERANCE still is), there are as many as now. Else, where all have told,
      it is ceil(c · ratio).
    - Where some have not, they are taken so as to dampen: as 0 where the ratio is above 1, as `target` where it is
      below. With these there is a new ratio, over all c. Where it is within TOLERANCE, or on the other side of 1
      than the first one was, there are as many as now; else ceil(c · new ratio).
    - Where none has told, there are as many as now.

    The limits come last. Sums of floats are not exact: a product within 1e-9 above a whole number is that number.

    Raises ValueError that names the number for a target that is not above 0, a negative value, no replicas, and
    limits that are not 1 <= least <= most.
    """
    if not target > 0:
        raise ValueError(f"the target is {target}; it must be above 0")
    if not 1 <= least <= most:
        raise ValueError(f"least and most are {least} and {most}; it must be 1 <= least <= most")
    if not values:
        raise ValueError("there are 0 replicas; there must be at least one to have a value")
    told = [value for value in values if value is not None]
    if any(value < 0 for value in told):
        raise ValueError(f"a value is {min(told)}; none is below 0")
    now = len(values)
    wanted = now
    if told:
        ratio = sum(told) / len(told) / target
        if len(told) < now and abs(ratio - 1) > TOLERANCE + 1e-12:
            assumed = 0.0 if ratio > 1 else target
            again = (sum(told) + assumed * (now - len(told))) / now / target
            ratio = again if (again > 1) == (ratio > 1) else 1.0
        if abs(ratio - 1) > TOLERANCE + 1e-12:
            wanted = math.ceil(now * ratio - 1e-9)
    return min(max(wanted, least), most)


def stabilized(
    history: Sequence[tuple[float, int]], now: float, current: int, up: float = 0.0, down: float = 300.0
) -> int:
    """The replicas to have now, when what was desired changes fast: not each dip of the queue may end a server.

    `history` has a time in seconds and what was desired then, the newest last; what lies after `now` does not
    count. A window of `down` seconds holds the entries whose time is at least now - down, the newest in any case;
    that of `up` in the same way. Fewer than `current` replicas are had only where all of the down window call for
    fewer: the most of them. More are had only where all of the up window call for more: the fewest of them. Else
    there are as many as now.

    Raises ValueError that names the number for a window below 0; and for a history without an entry up to `now`.
    """
    if min(up, down) < 0:
        raise ValueError(f"a window is {min(up, down)} s; it must be 0 or more")
    past = [(time, wanted) for time, wanted in history if time <= now]
    if not past:
        raise ValueError(f"the history has nothing up to {now}")
    newest = past[-1][1]
    highest = max([newest, *(wanted for time, wanted in past if time >= now - down)])
    lowest = min([newest, *(wanted for time, wanted in past if time >= now - up)])
    if highest < current:
        return highest
    if lowest > current:
        return lowest
    return current
