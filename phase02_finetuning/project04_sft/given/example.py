"""A small tokenizer with the control tokens of all templates, random models, and an example for `ladder trace 4`."""

from functools import cache
from pathlib import Path
from typing import Any

import torch

from phase02_finetuning.project04_sft.collate import collate
from phase02_finetuning.project04_sft.loss import sft_loss
from phase02_finetuning.project04_sft.packing import pack, packed_batch
from phase02_finetuning.project04_sft.templates import CONTROL
from phase02_finetuning.project04_sft.turns import Example, tokenize_turns
from shared import tinyworld
from shared.phase01 import IGNORED, LLM, ByteBPE, Config, Tokenizer, save_tokenizer

ALL_CONTROL = tuple(dict.fromkeys(name for names in CONTROL.values() for name in names))
TINY = Config(
    vocab_size=301, context_length=160, layers=2, heads=4, kv_heads=2, dim=24, hidden_dim=36, head_dim=6
)
TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Who is Mia?"},
    {"role": "assistant", "content": "Mia is a girl."},
    {"role": "user", "content": "And where is she?"},
    {"role": "assistant", "content": "In the park."},
]


@cache
def small_tokenizer(pattern: str = "gpt2", control: tuple[str, ...] = ALL_CONTROL) -> Tokenizer[Any]:
    """A byte-level BPE of 290 tokens, trained on tinyworld, with these control tokens after them."""
    model = ByteBPE.train([tinyworld.text("train", 0, 20_000)], 290, pattern, native=False)
    return Tokenizer(model, {name: 290 + number for number, name in enumerate(control)})


def random_model(config: Config = TINY, dtype: torch.dtype = torch.float64, seed: int = 0) -> LLM:
    """A model with all weights random; the same at every call. Its likeliest tokens stand well apart."""
    generator = torch.Generator().manual_seed(seed)
    model = LLM(config).to(dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            mean = 1.0 if parameter.ndim == 1 else 0.0
            parameter.copy_(mean + 0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def random_examples(
    count: int, seed: int = 0, longest: int = 30, vocab_size: int = TINY.vocab_size
) -> list[Example]:
    """Examples of 2 to `longest` random ids, of which about half are trained, the last one always."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for length in torch.randint(2, longest + 1, (count,), generator=generator).tolist():
        ids = torch.randint(vocab_size, (length,), generator=generator).tolist()
        trained = torch.rand(length, generator=generator) < 0.5
        trained[-1] = True
        labels = [id if yes else IGNORED for id, yes in zip(ids, trained.tolist(), strict=True)]
        found.append(Example(ids, labels))
    return found


def hugging_face_tokenizer(tokenizer: Tokenizer[Any], folder: Path) -> Any:
    """The same tokenizer as transformers has it."""
    from transformers import PreTrainedTokenizerFast

    save_tokenizer(tokenizer, folder / "tokenizer.json")
    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))


def trace_example() -> float:
    """The loss of a talk and a question, each in a row of its own and both in one."""
    tokenizer, model = small_tokenizer(), random_model()
    talks = [TALK, TALK[1:3]]
    examples = [tokenize_turns(talk, tokenizer, "tinyworld", 160) for talk in talks]
    padded, _ = sft_loss(model, collate(examples))
    rows = pack([len(example.ids) - 1 for example in examples], 160)
    packed, _ = sft_loss(model, packed_batch([[examples[i] for i in row] for row in rows], 160))
    return abs(padded.item() - packed.item())
