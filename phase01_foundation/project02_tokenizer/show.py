"""Show how a text is cut: ladder run 2 show --tokenizer gpt2 "Hello, world!" """

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from phase01_foundation.project02_tokenizer.given.openai_tokenizers import NAMES, load_openai_tokenizer
from phase01_foundation.project02_tokenizer.given.trained import load
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from shared.artifacts import ArtifactError, CheckpointError
from shared.command import exits_with_message
from shared.corpora import CorpusError
from shared.options import run_command

COLORS = (
    "black on bright_cyan",
    "black on bright_yellow",
    "black on bright_green",
    "black on bright_magenta",
)


def tokens_of(tokenizer: Tokenizer, text: str) -> list[tuple[int, str]]:
    """Each token of the text: its id, and its text with spaces, line ends and parts of characters made visible."""
    ids = tokenizer.encode(text, allowed_special="all")
    return [(id, visible(tokenizer.decode_bytes([id]))) for id in ids]


def visible(token: bytes) -> str:
    """A token as a person can read it: ␣ is a space, ↵ a line end, ⇥ a tab, and \\xf0 a byte of a longer character.

    Other characters that do not print are \\u001b and the like: a terminal would obey them.
    """
    text = token.decode(errors="backslashreplace").replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥")
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def main(
    text: Annotated[str, typer.Argument(help="The text; \\n is a new line.")],
    tokenizer: Annotated[
        str,
        typer.Option(
            help=f"One of OpenAI's ({', '.join(NAMES)}), or one that you have trained, by its name."
        ),
    ] = "bpe-10k",
) -> None:
    """Show the tokens of a text, each in a colour, and their ids."""
    text = text.replace("\\n", "\n")
    with exits_with_message(Console(stderr=True), ValueError, CorpusError, ArtifactError, CheckpointError):
        chosen = load_openai_tokenizer(tokenizer) if tokenizer in NAMES else load(tokenizer)
        tokens = tokens_of(chosen, text)
    console = Console(soft_wrap=True)
    console.print(Text.assemble(*((token, COLORS[i % len(COLORS)]) for i, (_, token) in enumerate(tokens))))
    console.print(" ".join(str(id) for id, _ in tokens), highlight=False)
    size = len(text.encode(errors="replace"))
    console.print(
        f"{len(tokens)} tokens, {size} bytes: {size / max(len(tokens), 1):.2f} bytes a token", highlight=False
    )


if __name__ == "__main__":
    run_command(main)
