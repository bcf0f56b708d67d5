"""BLiMP: does the model find the grammatical sentence of a pair likelier? Warstadt et al. 2020 (arXiv:1912.00582).

67 paradigms of 1,000 pairs, such as "Many girls insulted themselves." and "Many girls insulted herself." Sentences of
a pair have equal length or nearly so, so their whole log-likelihoods are compared. Chance is 50%, people agree with
the label in 88.6% of pairs, and the paper's GPT-2 large is right in 81.5%.
"""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from statistics import mean
from typing import Any

import torch

from phase01_foundation.project01_minimal_gpt.attention import Attend
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain.given.encoding import encode_pair
from phase01_foundation.project03_pretrain.model import LLM, torch_attention
from phase01_foundation.project03_pretrain.scoring import log_likelihoods
from shared.corpora import GITHUB, File, read_file

CHANCE = 0.5
ZIP = File(
    "eval/blimp/BLiMP.zip",
    2_354_164,
    "172a1a714d72e72a89e8384dd531483f3d0f8a9aee3d33dccaf7992d8cecbb73",
    f"{GITHUB}/alexwarstadt/blimp/master/BLiMP.zip",
)
# The files tell two paradigms apart that the paper counts among those of argument structure.
TERMS = {"s-selection": "argument_structure"}


@dataclass(frozen=True)
class Paradigm:
    """Pairs (good, bad) that differ in one point of grammar; `term` is the phenomenon, one of the paper's twelve."""

    name: str
    term: str
    pairs: list[tuple[str, str]]


@dataclass(frozen=True)
class BlimpScore:
    """Right and asked by paradigm, and each phenomenon's mean over its paradigms."""

    by_paradigm: dict[str, tuple[int, int]]
    by_term: dict[str, float]

    @property
    def accuracy(self) -> float:
        """The mean over the paradigms, as in the paper."""
        return mean(right / asked for right, asked in self.by_paradigm.values())


def load_blimp() -> list[Paradigm]:
    """All paradigms, in the order of their names. Raises shared.corpora's CorpusError when the file cannot be had."""
    return parse(read_file(ZIP))


def parse(content: bytes) -> list[Paradigm]:
    """The paradigms in a zip of .jsonl files, one each, in the order of their names. Raises ValueError for none."""
    paradigms = []
    with zipfile.ZipFile(BytesIO(content)) as archive:
        for name in archive.namelist():
            if not name.endswith(".jsonl") or name.startswith("__MACOSX"):
                continue
            # Not splitlines: a text in JSON may hold U+2028 and others at which that cuts.
            lines = archive.read(name).decode().removesuffix("\n").split("\n")
            rows = [json.loads(line) for line in lines]
            term: str = rows[0]["linguistics_term"]
            pairs = [(row["sentence_good"], row["sentence_bad"]) for row in rows]
            paradigms.append(Paradigm(rows[0]["UID"], TERMS.get(term, term), pairs))
    if not paradigms:
        raise ValueError("there is no .jsonl file in the zip")
    return sorted(paradigms, key=lambda paradigm: paradigm.name)


def blimp(
    model: LLM,
    tokenizer: Tokenizer[Any],
    paradigms: Sequence[Paradigm] | None = None,
    per_paradigm: int | None = None,
    batch_size: int = 64,
    dtype: torch.dtype = torch.float32,
    attend: Attend = torch_attention,
) -> BlimpScore:
    """Score a model on the paradigms (None: all 67), on the first `per_paradigm` pairs of each (None: all).

    A pair is right when the good sentence has the higher log-likelihood, <|endoftext|> before it. Raises ValueError
    for per_paradigm < 1, and CorpusError as `load_blimp` does.
    """
    if per_paradigm is not None and per_paradigm < 1:
        raise ValueError(f"per_paradigm must be at least 1, or None for all pairs, not {per_paradigm}")
    asked = load_blimp() if paradigms is None else paradigms
    pairs = {one.name: one.pairs[:per_paradigm] for one in asked}
    texts = [encode_pair(tokenizer, "", text) for some in pairs.values() for pair in some for text in pair]
    totals = [one.total for one in log_likelihoods(model, texts, batch_size, dtype, attend)]
    wins = iter([good > bad for good, bad in zip(totals[::2], totals[1::2], strict=True)])
    by_paradigm = {name: (sum(next(wins) for _ in some), len(some)) for name, some in pairs.items()}
    share = {name: right / count for name, (right, count) in by_paradigm.items()}
    terms = sorted({one.term for one in asked})
    by_term = {term: mean(share[one.name] for one in asked if one.term == term) for term in terms}
    return BlimpScore(by_paradigm, by_term)
