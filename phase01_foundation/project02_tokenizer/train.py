"""Train a tokenizer on a corpus: ladder run 2 train --preset cpu

It publishes the tokenizer as a model in work/models/, with a tokenizer.json that other people's tools open.
"""

import time
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from rich.console import Console

from phase01_foundation.project02_tokenizer import tokenizer_json
from phase01_foundation.project02_tokenizer.given.training import check_settings, train_tokenizer
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from shared import artifacts, config, corpora
from shared.command import exits_with_message, how_to_run
from shared.files import ROOT, shown

CONFIGS = ROOT / "phase01_foundation" / "project02_tokenizer" / "configs"
FILE = "tokenizer.json"
SHOW = "phase01_foundation.project02_tokenizer.show"


@dataclass(frozen=True)
class TrainConfig:
    """What to train, and on what."""

    name: str = "bpe-10k"
    """the tokenizer is published under this name"""
    corpus: str = "wikitext2"
    """a corpus by name: shakespeare, wikitext2, wikitext103, tinystories, names, tinyworld"""
    fallback: str | None = "tinyworld"
    """the corpus to use when that one cannot be had; null makes it an error"""
    characters: int | None = None
    """the size of tinyworld's train split, where that is the corpus"""
    kind: str = "bpe"
    """char, word or bpe"""
    vocab_size: int | None = 10_000
    """with the special tokens; null for characters, all of which are taken"""
    pattern: str = "gpt2"
    """how text is cut before merging: gpt2, cl100k, o200k or llama3"""
    least: int = 2
    """a pair must come this often to be merged"""
    special_tokens: list[str] = field(default_factory=lambda: ["<|endoftext|>"])

    def __post_init__(self):
        artifacts.check_name(self.name)
        check_settings(self.kind, self.vocab_size, self.special_tokens, self.pattern, self.least)


def train(settings: TrainConfig, console: Console) -> tuple[Tokenizer[Any], artifacts.Artifact]:
    """Train as the settings say, and publish. Raises CorpusError for a corpus that cannot be had."""
    if said := artifacts.replaced_by_training(settings.name):
        console.print(said, highlight=False)
    corpus = corpora.load(
        settings.corpus,
        fallback=settings.fallback,
        splits=["train", "validation"],
        characters=settings.characters,
    )
    start = time.perf_counter()
    tokenizer = train_tokenizer(
        StringIO(corpus.split("train"), newline="\n"),  # line by line, as a file on a disk would be read
        settings.kind,
        settings.vocab_size,
        settings.special_tokens,
        settings.pattern,
        settings.least,
    )
    seconds = time.perf_counter() - start
    if settings.vocab_size and tokenizer.vocab_size < settings.vocab_size:
        console.print(
            f"the vocabulary has {tokenizer.vocab_size:,} entries and not {settings.vocab_size:,}: there is nothing "
            f"more to learn from {corpus.name}",
            highlight=False,
        )
    card = {
        "data": corpus.name,
        "kind": settings.kind,
        "vocab_size": tokenizer.vocab_size,
        "training_seconds": round(seconds, 3),
        "bytes_per_token": bytes_per_token(tokenizer, corpus.split("validation")),
    }
    artifact = artifacts.publish(settings.name, {}, {"tokenizer": tokenizer_json.to_json(tokenizer)}, card)
    tokenizer_json.save(tokenizer, artifact.folder / FILE)
    return tokenizer, artifact


def bytes_per_token(tokenizer: Tokenizer, text: str) -> float:
    """How many bytes of UTF-8 one token stands for, on average."""
    return len(text.encode()) / len(tokenizer.encode_to_array(text, disallowed_special=()))


def main(argv: list[str] | None = None) -> None:
    """The command: exits with 2 for settings that cannot be followed."""
    settings = config.parse(TrainConfig, CONFIGS, argv, description="Train a tokenizer.")
    console = Console(soft_wrap=True)
    with exits_with_message(console, ValueError, corpora.CorpusError):
        tokenizer, artifact = train(settings, console)
    console.print(
        f"{tokenizer.vocab_size:,} entries, learnt in {artifact.card['training_seconds']:.2f} s; "
        f"{artifact.card['bytes_per_token']:.2f} bytes a token on text it has not seen\n"
        f"tokenizer: {shown(artifact.folder / FILE)}\n"
        f'Look at it: {how_to_run(SHOW)} --tokenizer {settings.name} "Your text here"',
        highlight=False,
        markup=False,
    )


if __name__ == "__main__":
    main()
