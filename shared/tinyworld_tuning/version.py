"""Which fine-tuning data this is: it changes with this package's code and with tinyworld's."""

import hashlib
from functools import cache
from pathlib import Path

from shared import tinyworld


@cache
def version() -> str:
    """Twelve hex digits of this package's source, a dash, and tinyworld's version."""
    code = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        if path.name != "__main__.py":  # a command, which makes no text
            code.update(path.read_bytes())
    return f"{code.hexdigest()[:12]}-{tinyworld.version()}"
