"""Parts of a benchmark that may fail, or come too late, each without costing the others their figures.

For machines that are lent by the minute: what is known is on the disk after every part.
"""

import gc
import sys
import time
import traceback
from collections.abc import Callable

import torch

from shared.measuring.report import Report


class Attempts:
    """Runs parts one after the other; after `seconds` none is begun. `missing` says what is not there, and why."""

    def __init__(self, report: Report, seconds: float) -> None:
        self.report, self.end = report, time.monotonic() + seconds
        self.missing: dict[str, str] = {}

    def run(self, name: str, part: Callable[[], object]) -> None:
        """Run a part and save the record, whatever became of it; a failure goes to stderr and into `missing`."""
        if time.monotonic() > self.end:
            self.missing[name] = "no time was left"
            return
        try:
            part()
        except Exception as problem:
            traceback.print_exc()
            self.missing[name] = f"{type(problem).__name__}: {str(problem).partition(chr(10))[0]}"
        self.report.save()
        # What a part that failed had on the GPU is not the next one's to miss.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def exit_if_missing(self) -> None:
        """Where any part is missing, print the table of the others and end with code 1 and one line a missing part."""
        if self.missing:
            self.report.finish()
            lines = [f"not measured: {name}: {why}" for name, why in self.missing.items()]
            sys.exit("\n".join(lines))
