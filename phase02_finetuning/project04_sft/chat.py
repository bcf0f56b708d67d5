"""Talk with a model: ladder run 4 chat --model tiny-chat

A line is what you say; an empty line, ctrl-D or "bye" ends the talk. The model remembers what was said, as far back
as it can read.
"""

import sys
from typing import Annotated

import typer
from rich.console import Console

from phase02_finetuning.project04_sft.given.chat_model import load_chat
from phase02_finetuning.project04_sft.given.conversation import Conversation
from shared.artifacts import ArtifactError, CheckpointError
from shared.command import exits_with_message, printable
from shared.device import pick_device
from shared.options import run_command


def main(
    model: Annotated[str, typer.Option(help="The model's name; a base model answers too.")] = "tiny-chat",
    say: Annotated[
        list[str] | None,
        typer.Option(help="Say this, in place of typing; give it again for more turns.", show_default=False),
    ] = None,
    system: Annotated[str, typer.Option(help="What the system says, before you begin.")] = "",
    template: Annotated[
        str, typer.Option(help="Another chat template than the model's own.", show_default=False)
    ] = "",
    max_tokens: Annotated[int, typer.Option(help="The most tokens of an answer.")] = 100,
    temperature: Annotated[float, typer.Option(help="0 is greedy; above it answers vary.")] = 0.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same answers.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Talk with a fine-tuned model in the terminal."""
    console = Console(stderr=True)
    with exits_with_message(console, ValueError, ArtifactError, CheckpointError):
        place = pick_device(device)
        chat = load_chat(model, template)
        if not 1 <= max_tokens < chat.model.config.context_length:
            longest = chat.model.config.context_length - 1
            raise ValueError(f"max_tokens must be from 1 to {longest}, not {max_tokens}")
        chat.model.to(place)
        talk = Conversation(chat, system, max_tokens, temperature, seed)
        for text in say if say is not None else _typed():
            if say is not None:
                print(f"you: {printable(text)}")
            print("model: ", end="", flush=True)
            lead = True
            for piece in talk.say(text):
                print(printable(piece.lstrip() if lead else piece), end="", flush=True)
                lead = lead and not piece.strip()
            print()
            if talk.forgotten:
                console.print(
                    f"(its context is full: the first {talk.forgotten} messages are forgotten)", style="dim"
                )


def _typed():
    """The lines that somebody types, until one is empty or says goodbye."""
    while True:
        print("you: ", end="", flush=True)
        line = sys.stdin.readline().strip()
        if not line or line.lower() in ("bye", "quit", "exit"):
            return
        yield line


if __name__ == "__main__":
    run_command(main)
