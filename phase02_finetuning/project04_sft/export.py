"""Hand a chat model to others' tools: ladder run 4 export tiny-chat --out FOLDER

transformers, vLLM and whatever else reads Hugging Face's folders opens it, chat template included.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from phase02_finetuning.project04_sft.given.chat_model import export_chat, load_chat
from shared.artifacts import ArtifactError, CheckpointError
from shared.command import exits_with_message
from shared.files import shown
from shared.options import run_command


def main(
    name: Annotated[str, typer.Argument(help="The model's name, such as tiny-chat.")],
    out: Annotated[Path, typer.Option(help="The folder to write to; an earlier export there is replaced.")],
) -> None:
    """Write a chat model as a folder that Hugging Face's libraries open."""
    with exits_with_message(Console(stderr=True), ValueError, ArtifactError, CheckpointError):
        export_chat(load_chat(name), out)
        print(f"written: {shown(out)}")


if __name__ == "__main__":
    run_command(main)
