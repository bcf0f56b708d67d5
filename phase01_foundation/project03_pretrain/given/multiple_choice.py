"""Multiple choice as the field scores it: which of the given answers does the model find likeliest?

HellaSwag (Zellers et al. 2019, arXiv:1905.07830) asks what happens next; ARC-easy (Clark et al. 2018, arXiv:1803.05457)
asks school science. Texts and scores are those of lm-evaluation-harness, with no examples in the prompt. Both need
knowledge of the world: a model of a few million parameters stays near chance, a quarter.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from phase01_foundation.project01_minimal_gpt.attention import Attend
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain.given.encoding import encode_pair
from phase01_foundation.project03_pretrain.model import LLM, torch_attention
from phase01_foundation.project03_pretrain.scoring import log_likelihoods
from shared.corpora import GITHUB, File, read_file

HELLASWAG = File(
    "eval/hellaswag_val_full.txt",
    7_770_677,
    "d572539320eb2050e858ca34b495bbe2103e3b3f1391a9c3bcdf215b0bb93bd1",
    f"{GITHUB}/klosax/hellaswag_text_data/main/hellaswag_val_full.txt",
)
ARC_EASY = File(
    "eval/arc_easy.jsonl",
    636_665,
    "d2d12e59543acf9a5ef6079634a72b30215e36c2fd4236fff3bc855d287b87f5",
    f"{GITHUB}/mosaicml/llm-foundry/main/scripts/eval/local_data/world_knowledge/arc_easy.jsonl",
)
# The unfinished sentence at the end of a context that was taken from a video's captions.
_UNFINISHED = re.compile(r"(?<=[.!?]) +([^.!?A-Z][^.!?]*)$")


@dataclass(frozen=True)
class Question:
    """A text, the ways it may go on, each after a space, and the index of the right one.

    Raises ValueError for a choice that is empty or no text, for fewer than two, and for an index of none of them.
    """

    context: str
    choices: tuple[str, ...]
    gold: int

    def __post_init__(self):
        if len(self.choices) < 2 or not all(isinstance(one, str) and one for one in self.choices):
            raise ValueError(f"a question has two choices or more, none of them empty, not {self.choices!r}")
        if type(self.gold) is not int or not 0 <= self.gold < len(self.choices):
            raise ValueError(f"the right choice is one of 0 to {len(self.choices) - 1}, not {self.gold!r}")


@dataclass(frozen=True)
class Accuracy:
    """The share that is right by the sum of log p (acc), and by that a character of the choice (acc_norm).

    acc prefers short choices, acc_norm does not; HellaSwag is reported by acc_norm, ARC-easy by acc.
    """

    acc: float
    acc_norm: float
    count: int
    stderr: float | None
    """the standard error of acc; None for a single question"""
    stderr_norm: float | None
    chance: float
    """the share that guessing gets right"""


def load_hellaswag() -> list[Question]:
    """The 10,042 questions of HellaSwag's validation set. Raises CorpusError when the file cannot be had."""
    return parse_hellaswag(read_file(HELLASWAG).decode())


def load_arc_easy() -> list[Question]:
    """The 2,376 questions of ARC-easy's test set. Raises CorpusError when the file cannot be had."""
    return parse_arc(read_file(ARC_EASY).decode())


def parse_hellaswag(text: str) -> list[Question]:
    """Questions of six lines each: "activity: context", the right ending's index, and four endings.

    Raises ValueError for a text that is not made so, and for an ending of which cleaning leaves nothing.
    """
    lines = text.removesuffix("\n").split("\n")
    questions = []
    for start in range(0, len(lines), 6):
        context, *rest = lines[start : start + 6]
        if len(rest) != 5 or rest[0] not in ("0", "1", "2", "3"):
            raise ValueError(
                f"line {start + 1} does not begin a question of six lines with an index from 0 to 3"
            )
        context = _UNFINISHED.sub(lambda found: " " + found[1].capitalize(), context)
        endings = tuple(clean(ending) for ending in rest[1:])
        try:
            questions.append(Question(clean(context), endings, int(rest[0])))
        except ValueError as problem:
            raise ValueError(f"the question of line {start + 1}: {problem}") from None
    return questions


def clean(text: str) -> str:
    """Take out what WikiHow's pages left in HellaSwag, "[title]", "[header]" and the like, as lm-eval does."""
    return re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". ")).replace("  ", " ")


def parse_arc(text: str) -> list[Question]:
    """Questions of one JSON line each, with query, choices and gold. Raises ValueError for a line that is none."""
    questions = []
    # Not splitlines: a text in JSON may hold U+2028 and others at which that cuts.
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        try:
            row = json.loads(line)
            questions.append(Question(f"{row['query']}\nAnswer:", tuple(row["choices"]), row["gold"]))
        except (ValueError, KeyError, TypeError, RecursionError) as problem:
            raise ValueError(f"line {number} is no question: {problem!r}") from None
    return questions


def accuracy(
    model: LLM,
    tokenizer: Tokenizer[Any],
    questions: Sequence[Question],
    batch_size: int = 32,
    dtype: torch.dtype = torch.float32,
    attend: Attend = torch_attention,
) -> Accuracy:
    """Score a model on questions; of equally likely choices the first counts. Raises ValueError for no questions."""
    if not questions:
        raise ValueError("there are no questions to score")
    texts = [encode_pair(tokenizer, one.context, " " + choice) for one in questions for choice in one.choices]
    scores = iter(log_likelihoods(model, texts, batch_size, dtype, attend))
    right = right_norm = 0
    for one in questions:
        totals = [next(scores).total for _ in one.choices]
        per_character = [total / len(choice) for total, choice in zip(totals, one.choices, strict=True)]
        right += totals.index(max(totals)) == one.gold
        right_norm += per_character.index(max(per_character)) == one.gold
    count = len(questions)
    acc, acc_norm = right / count, right_norm / count
    chance = sum(1 / len(one.choices) for one in questions) / count
    return Accuracy(acc, acc_norm, count, _stderr(acc, count), _stderr(acc_norm, count), chance)


def _stderr(share: float, count: int) -> float | None:
    """The standard error of a share, from the sample's variance."""
    return math.sqrt(share * (1 - share) / (count - 1)) if count > 1 else None
