"""Make an API key: ladder run 28 keys --owner ada --file keys.txt

The key is shown once, here, and never again; the file gets its name and hash.
"""

import re
import secrets
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from phase10_deployment.project28_serving.given.key_file import read_keys
from phase10_deployment.project28_serving.limits import hash_key
from shared.command import exits_with_message
from shared.files import write_text
from shared.options import run_command


def main(
    owner: Annotated[str, typer.Option(help="Whose key it is: letters, digits, dots, - and _.")],
    file: Annotated[Path, typer.Option(help="The file that the server is given with --api-keys.")],
) -> None:
    """Make a key for somebody, and add its hash to a file."""
    with exits_with_message(Console(stderr=True), ValueError):
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", owner):
            raise ValueError(f"an owner has letters, digits, dots, - and _ only, not {owner!r}")
        known = read_keys(file) if file.is_file() and file.read_text(encoding="utf-8").strip() else {}
        if owner in known:
            raise ValueError(f"{owner} has a key in {file} already")
        key = "ladder-" + secrets.token_urlsafe(32)
        lines = [
            f"{name}:sha256:{known_hash}" for name, known_hash in {**known, owner: hash_key(key)}.items()
        ]
        write_text(file, "\n".join(lines) + "\n")
        file.chmod(0o600)
    print(key)


if __name__ == "__main__":
    run_command(main)
