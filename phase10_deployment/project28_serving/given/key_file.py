"""The file of API keys: a line each, a name and the hash of its key. The keys themselves are nowhere."""

import re
from pathlib import Path

LINE = re.compile(r"([A-Za-z0-9_.-]{1,64}):sha256:([0-9a-f]{64})")


def read_keys(path: Path) -> dict[str, str]:
    """Hashes by name. Raises OSError where there is no file, ValueError for a line that is none (which is not shown: it
    may have a key in it), a name that comes twice, and a file without any: nobody could ask then, or everybody."""
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = LINE.fullmatch(line.strip())
        if match is None:
            raise ValueError(
                f"{path}, line {number}: a line is NAME:sha256:HASH, as `ladder run 28 keys` writes it"
            )
        if match[1] in found:
            raise ValueError(f"{path}, line {number}: {match[1]} has a key already")
        found[match[1]] = match[2]
    if not found:
        raise ValueError(f"{path} has no key")
    return found
