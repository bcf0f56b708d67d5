"""The text that a run is trained on: corpus, tokenizer, and two splits as files of token ids."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from itertools import chain, islice
from typing import Any

import numpy as np
import torch.distributed as dist
from jaxtyping import UInt
from rich.console import Console

from phase01_foundation.project02_tokenizer import train as tokenizer_command
from phase01_foundation.project02_tokenizer.given.trained import TRAIN
from phase01_foundation.project02_tokenizer.given.training import train_tokenizer
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project02_tokenizer.tokenizer_json import from_json
from phase01_foundation.project03_pretrain.given.settings import PretrainConfig
from phase01_foundation.project03_pretrain.parallel import Processes
from phase01_foundation.project03_pretrain.token_file import END_OF_TEXT, cached_tokens
from shared import artifacts, config, corpora, tinyworld
from shared.command import how_to_run

TINYWORLD_CHARACTERS = 20_000_000  # of the train split, unless the settings say otherwise
VALIDATION_CHARACTERS = 1_000_000
DOCUMENTS_FOR_TOKENIZER = 20_000  # of tinyworld: its few words come often, so more would change nothing


@dataclass(frozen=True)
class TextData:
    """What is read, and how it is cut into tokens. `identity` says exactly which text it is."""

    corpus: str
    tokenizer: Tokenizer[Any]
    train: UInt[np.ndarray, " train"]
    validation: UInt[np.ndarray, " validation"]
    identity: str


def load_data(settings: PretrainConfig, processes: Processes | None = None) -> TextData:
    """The tokenizer and the ids of the train and validation texts; the first process makes what is not there yet.

    It alone says, in one line on stderr, which corpus is read. Raises CorpusError for a corpus that cannot be had,
    ArtifactError for a tokenizer of an unknown name, ValueError for a text too short for the context.
    """
    first = processes is None or processes.first
    if dist.is_initialized() and not first:
        dist.barrier()  # until the files are there
    with nullcontext() if first else redirect_stderr(StringIO()):
        corpus = corpora.reader(settings.corpus, ("train", "validation"), settings.fallback)
    tokenizer = pick_tokenizer(settings, corpus)
    found = {
        split: cached_tokens(
            text_name(settings, corpus.name, split),
            lambda split=split: texts(settings, corpus, split),
            tokenizer,
        )
        for split in ("train", "validation")
    }
    if dist.is_initialized() and first:
        dist.barrier()
    for split, ids in found.items():
        if len(ids) <= settings.context_length:
            raise ValueError(
                f"context_length {settings.context_length} is too long: "
                f"the {split} text of {corpus.name} has only {len(ids):,} tokens"
            )
    identity = f"{text_name(settings, corpus.name, 'train')}, {len(found['train'])} tokens"
    return TextData(corpus.name, tokenizer, found["train"], found["validation"], identity)


def texts(settings: PretrainConfig, corpus: corpora.Reader, split: str) -> Iterable[str]:
    """The documents of a split; a corpus that does not come in documents is one."""
    if corpus.name == corpora.EMBEDDED:
        size = tinyworld_characters(settings, split)
        asked = round(settings.questions * size) if split == "train" else 0
        return chain(corpus.stream(split, characters=size - asked), questions(asked))
    pieces = corpus.stream(split)
    return pieces if corpus.name == "wikitext103" else ["".join(pieces)]


def questions(characters: int) -> Iterator[str]:
    """Instructions with their answers, all skills equally often, until there are that many characters or a few more."""
    items = tinyworld.instructions("train")
    while characters > 0:
        text = next(items).text
        characters -= len(text)
        yield text


def tinyworld_characters(settings: PretrainConfig, split: str) -> int:
    """The size of a split of tinyworld."""
    train = settings.characters or TINYWORLD_CHARACTERS
    return train if split == "train" else min(train, VALIDATION_CHARACTERS)


def text_name(settings: PretrainConfig, corpus: str, split: str) -> str:
    """A name that says exactly which text it is, for the file of its ids."""
    if corpus != corpora.EMBEDDED:
        return f"{corpus}-{split}"
    name = f"{corpus}-{tinyworld.version()}-{split}-{tinyworld_characters(settings, split)}"
    return f"{name}-questions-{settings.questions}" if settings.questions and split == "train" else name


def pick_tokenizer(settings: PretrainConfig, corpus: corpora.Reader) -> Tokenizer[Any]:
    """The tokenizer that the settings name; one made from the corpus is made from its train split.

    `bpe-10k`, where nobody has trained it yet, is trained now, as project 2's command does.
    """
    if settings.tokenizer not in ("bpe", "char"):
        artifact = artifacts.find(
            settings.tokenizer,
            build=_train_10k if settings.tokenizer == tokenizer_command.TrainConfig.name else None,
            command=f"{how_to_run(TRAIN)} --name {settings.tokenizer}",
        )
        if "tokenizer" not in artifact.config:
            raise ValueError(f"the model {settings.tokenizer} has no tokenizer that could be taken")
        return from_json(artifact.config["tokenizer"])
    if settings.tokenizer == "char":
        both = "".join("".join(texts(settings, corpus, split)) for split in ("train", "validation"))
        return train_tokenizer([both], "char", None, [])
    documents: Iterator[str] = iter(texts(settings, corpus, "train"))
    if corpus.name == corpora.EMBEDDED:
        documents = islice(documents, DOCUMENTS_FOR_TOKENIZER)
    lines = (line for text in documents for line in StringIO(text, newline="\n"))
    return train_tokenizer(lines, "bpe", settings.vocab_size, [END_OF_TEXT])


def _train_10k() -> None:
    settings = config.parse(tokenizer_command.TrainConfig, tokenizer_command.CONFIGS, ["--preset", "cpu"])
    tokenizer_command.train(settings, Console(file=sys.stderr))
