"""What a run learns from: tinyworld's exercises and talks, a file of records, or a set of Hugging Face's."""

import hashlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from phase02_finetuning.project04_sft.given.ahead import Ahead
from phase02_finetuning.project04_sft.given.batches import Chunk
from phase02_finetuning.project04_sft.given.hub import hub_records
from phase02_finetuning.project04_sft.given.settings import SFTConfig
from phase02_finetuning.project04_sft.records import read_records
from phase02_finetuning.project04_sft.templates import Messages
from phase02_finetuning.project04_sft.turns import Example, tokenize_all
from shared.phase01 import Tokenizer
from shared.tinyworld import instructions
from shared.tuning.tinyworld import SKILLS, WORKED, Exercise, conversations, exercises, version

CHUNK = 1024  # conversations that are made and packed together: enough that hardly a row has room left
TINYWORLD, HUB, MIRROR = "tinyworld", "hub:", "mirror:"
READING = ("retrieval", "state")
HARD = ("yes_no", "sums", "sequence", "comparison", "counting", "sorting")
"""the skills that tiny-base is bad at"""


class Data(NamedTuple):
    """What to train on, what to validate on, and what tells this data from other data."""

    chunk: Chunk
    validation: list[Example]
    identity: str
    too_long: list[int]
    """how many conversations were left out because they are too long; one entry, which grows"""


def load_data(settings: SFTConfig, tokenizer: Tokenizer[Any]) -> Data:
    """The data that the settings name, in the template's tokens.

    Of a file's records the last ones are held out for validation: settings.validation_examples of them, at most a
    fifth. Raises RecordsError for a broken file, OSError for one that cannot be read, ValueError for too few records
    and for a tokenizer without the template's control tokens.
    """
    too_long = [0]

    def tokenized(talks: list[Messages]) -> list[Example]:
        examples, left_out = tokenize_all(talks, tokenizer, settings.template, settings.context_length)
        too_long[0] += left_out
        return examples

    if settings.data == TINYWORLD:
        validation = tokenize_all(
            tinyworld_chunk(settings, 0, "validation", settings.validation_examples),
            tokenizer,
            settings.template,
            settings.context_length,
        )[0]
        made: Callable[[int], list[Messages]] = partial(tinyworld_chunk, settings)
        if settings.workers:
            made = Ahead(tinyworld_chunk, settings, settings.workers)
        return Data(lambda number: tokenized(made(number)), validation, version(), too_long)
    if settings.data.startswith(HUB):
        talks = hub_records(settings.data.removeprefix(HUB))
    else:
        talks = read_records(file_of(settings.data))
    held_out = min(settings.validation_examples, len(talks) // 5)
    if held_out < 1:
        raise ValueError(f"{settings.data} has {len(talks)} conversations; at least 5 are needed")
    mine = tokenized([*talks[:-held_out]])
    validation = tokenize_all(talks[-held_out:], tokenizer, settings.template, settings.context_length)[0]
    if not mine or not validation:
        raise ValueError(f"no conversation of {settings.data} fits into {settings.context_length} tokens")
    identity = hashlib.sha256(repr(talks).encode()).hexdigest()[:16]
    return Data(lambda _: mine, validation, identity, too_long)


def file_of(data: str) -> Path:
    """The file that the setting names. Raises ValueError for one of a mirror, where LADDER_DATA_MIRROR names none."""
    if not data.startswith(MIRROR):
        return Path(data)
    folder = os.environ.get("LADDER_DATA_MIRROR")
    if not folder:
        raise ValueError(f"{data} is a file of a mirror, and LADDER_DATA_MIRROR names no folder")
    return Path(folder) / data.removeprefix(MIRROR)


def tinyworld_chunk(
    settings: SFTConfig, number: int, split: str = "train", size: int = CHUNK
) -> list[Messages]:
    """Chunk number 0, 1, 2, … of tinyworld's mix: always the same for one seed, and never the same for two numbers.

    Talks and questions in the wording of pre-training have their shares; the rest are exercises, of which `reading`
    are about stories, and the others come by skill, the hard ones `hard` times as often. Where steps are written
    out, the questions of pre-training leave these skills out: the same question must not have two sorts of answers.
    """
    seed = settings.seed * 1_000_003 + number + 1  # 0 is left to who only looks at the data
    random = np.random.default_rng([settings.seed, number])
    plain = [skill for skill in SKILLS if not (settings.worked and skill in WORKED)]
    talks = conversations(split, seed, settings.worked)
    items = instructions(split, seed, plain)
    streams: dict[str, Iterator[Exercise]] = {
        skill: exercises(split, seed, [skill], worked=settings.worked) for skill in SKILLS
    }
    others = [skill for skill in SKILLS if skill not in READING]
    weights = np.array([settings.hard if skill in HARD else 1.0 for skill in others])
    found: list[Messages] = []
    for share, inside, which in random.random((size, 3)):
        if share < settings.conversations:
            found.append(next(talks).messages)
        elif share < settings.conversations + settings.items:
            item = next(items)
            found.append(_asked(item.prompt, item.answer))
        elif inside < settings.reading:
            found.append(next(streams[READING[int(which * len(READING))]]).messages)
        else:
            place = int(np.searchsorted(weights.cumsum() / weights.sum(), which, side="right"))
            found.append(next(streams[others[place]]).messages)
    return found


def _asked(prompt: str, answer: str) -> Messages:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
