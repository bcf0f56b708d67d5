"""The C++ around the learner's `attend_pages`."""

from pathlib import Path

AROUND = (Path(__file__).parent / "paged.cpp").read_text(encoding="utf-8")
