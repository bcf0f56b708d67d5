"""Measures what project 28 promises.

    python -m phase10_deployment.project28_serving.benchmark --preset cpu

Throughput through HTTP beside the engine's own, with the engine in a process and in a thread; what HTTP adds to the
first token; refusals at ten times capacity; counters beside the clients' own sums, with a fifth of the clients going
away. `full` has more of each, and throughput and latency by the number of streams, beside transformers behind the same
API without batching and, where LADDER_VLLM_PYTHON names a python that has it, vLLM's server. `smoke` does all but these
in seconds, so little that the figures mean nothing.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from phase10_deployment.project28_serving.given import measurements
from phase10_deployment.project28_serving.given.background import Command, running
from phase10_deployment.project28_serving.given.measure_streams import by_streams
from phase10_deployment.project28_serving.given.measurements import Settings
from shared.config import parse
from shared.ladder.project import load
from shared.measuring.arms import Report

FOLDER = Path(__file__).parent
PARTS: list[tuple[str, Callable[[Report, Settings, measurements.Offline, Command], None]]] = [
    ("served and offline", measurements.throughput),
    ("the first token", measurements.first_token),
    ("ten times capacity", measurements.overload),
    ("counters", measurements.counters),
    ("numbers of streams", by_streams),
]


def main() -> None:
    """Measure project 28 with the settings of a preset."""
    settings = parse(Settings, FOLDER / "configs", description=main.__doc__ or "")
    command = f"python -m phase10_deployment.project28_serving.benchmark --preset {settings.preset}"
    report = Report(FOLDER, load(FOLDER).promise, settings.preset, command)
    with measurements.offline(settings.engine()) as alone, running(*settings.words()) as server:
        for title, part in PARTS:
            print(f"measuring {title} …", file=sys.stderr)
            part(report, settings, alone, server)
    report.finish()


if __name__ == "__main__":
    main()
