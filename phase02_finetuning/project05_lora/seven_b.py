"""The real road: QLoRA of a 7B model on one consumer GPU, with transformers, peft and bitsandbytes.

    ladder run 5 seven_b --model meta-llama/Llama-2-7b-hf --data my.jsonl

Everything here has been written by hand in this project; these libraries do the same for any model. Without `--model` a
small random Llama goes the same way, in seconds, on any CPU. `--data` is a file of JSON lines, each with a "prompt" and
an "answer"; without it, tinyworld asks.
"""

import json
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from rich.console import Console

from phase02_finetuning.project05_lora.given.data import questions
from phase02_finetuning.project05_lora.given.peers import HAS_BITSANDBYTES, HAS_PEFT, library
from shared.artifacts import ArtifactError, CheckpointError, check_name
from shared.command import exits_with_message
from shared.device import pick_device, pick_dtype
from shared.files import shown, work_folder
from shared.options import run_command
from shared.phase01 import IGNORED, load_base

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
DECAY_FROM = 0.5  # of all steps: from here on the learning rate falls


def read_data(path: Path) -> list[tuple[str, str]]:
    """Prompts and answers from a file of JSON lines. Raises ValueError, with file and line, for what is none."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
            pair = record["prompt"], record["answer"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ValueError(f"{path}, line {number}: no JSON object with prompt and answer") from None
        if not all(isinstance(text, str) and text for text in pair):
            raise ValueError(f"{path}, line {number}: prompt and answer must be texts, and not empty")
        found.append(pair)
    if not found:
        raise ValueError(f"{path} has no lines")
    return found


class Shape(NamedTuple):
    """The shape of a Llama."""

    dim: int
    hidden_dim: int
    layers: int
    heads: int
    kv_heads: int


SMALL = Shape(128, 256, 2, 4, 2)


def make_random(
    folder: Path, vocab_size: int, shape: Shape = SMALL, device: torch.device | None = None
) -> Path:
    """A Llama with random weights, in a folder as transformers wants it; made on a GPU in bfloat16, for its size."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    dtype = torch.bfloat16 if device else torch.float32
    config = LlamaConfig(
        vocab_size=vocab_size, hidden_size=shape.dim, intermediate_size=shape.hidden_dim,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads,
        max_position_embeddings=512, dtype=dtype,
    )  # fmt: skip
    with device or nullcontext():
        model: Any = LlamaForCausalLM(config)
    model.to(dtype=dtype).save_pretrained(folder)
    return folder


def load_in_four_bits(source: str, dtype: torch.dtype, device: torch.device) -> Any:
    """A model of transformers, its layers brought to NF4 as they are read: they are never all there in floats."""
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    four_bits = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )  # fmt: skip
    return AutoModelForCausalLM.from_pretrained(
        source, quantization_config=four_bits, dtype=dtype, device_map={"": device}
    )


def adapted(source: str, rank: int, dtype: torch.dtype, device: torch.device) -> Any:
    """The model in four bits, with adapters of this rank on all linear layers, ready to be trained.

    It is in training mode: in evaluation mode, as it is loaded, transformers keeps all activations all the same.
    """
    peft = library("peft")
    base = peft.prepare_model_for_kbit_training(
        load_in_four_bits(source, dtype, device),
        use_gradient_checkpointing=True,
        gradient_checkpointing_kwargs={"use_reentrant": False},
    )
    config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=TARGETS, task_type="CAUSAL_LM")
    return peft.get_peft_model(base, config).train()


def rows(pairs: Iterator[tuple[str, str]], tokenizer: Any, time: int, device: torch.device) -> Iterator[dict]:
    """One text at a time, at most `time` tokens, its answer and end alone to be learnt. Longer ones are passed over."""
    for prompt, answer in pairs:
        before, after = tokenizer(prompt), [*tokenizer(answer, first=False), tokenizer.end]
        if len(before) + len(after) <= time:
            ids = torch.tensor([[*before, *after]], device=device)
            labels = torch.tensor([[*[IGNORED] * len(before), *after]], device=device)
            yield {"input_ids": ids, "labels": labels}


class Ours:
    """tiny-base's tokenizer, for the random model."""

    def __init__(self) -> None:
        _, self.tokenizer = load_base()
        self.end = self.tokenizer.special_tokens["<|endoftext|>"]
        self.vocab_size = self.tokenizer.vocab_size

    def __call__(self, text: str, first: bool = True) -> list[int]:
        return [self.end] * first + self.tokenizer.encode(text, disallowed_special=())


class Theirs:
    """The tokenizer that comes with a model."""

    def __init__(self, source: str) -> None:
        from transformers import AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(source)
        self.end = self.tokenizer.eos_token_id
        self.vocab_size = len(self.tokenizer)

    def __call__(self, text: str, first: bool = True) -> list[int]:
        return self.tokenizer(text, add_special_tokens=first)["input_ids"]


def train(
    model: Any, batches: Iterator[dict], steps: int, accumulate: int, rate: float, console: Console
) -> list[float]:
    """Train the adapter with paged 8-bit AdamW, whose moments go to the CPU's memory when the GPU's is short.

    Gradients of `accumulate` texts add up to a step, each weighed by its answer's tokens. Returns the steps' losses.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = library("bitsandbytes").optim.PagedAdamW8bit(trained, lr=rate)
    losses = []
    for step in range(steps):
        left = min(1.0, (1 - step / steps) / (1 - DECAY_FROM))
        for group in optimizer.param_groups:
            group["lr"] = rate * left
        batch = [next(batches) for _ in range(accumulate)]
        count = sum(int((one["labels"] != IGNORED).sum()) for one in batch)
        total = 0.0
        for one in batch:
            # Their loss is the mean over one text's answer.
            loss = model(**one).loss * int((one["labels"] != IGNORED).sum()) / count
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(total)
        console.print(f"step {step + 1:>5}   loss {total:.4f}", highlight=False)
    return losses


def main(
    model: Annotated[
        str | None, typer.Option(help="A folder, or a name on the hub.", show_default="a small random Llama")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="JSON lines with prompt and answer.", show_default="tinyworld")
    ] = None,
    name: Annotated[
        str, typer.Option(help="The adapter is written to work/models/ under this name.")
    ] = "seven-b-lora",
    rank: Annotated[int, typer.Option(help="Of the adapters.")] = 16,
    steps: Annotated[int, typer.Option(help="Steps of training.")] = 10,
    accumulate: Annotated[int, typer.Option(help="Texts a step, one after the other.")] = 4,
    time: Annotated[int, typer.Option(help="The longest text, in tokens.")] = 512,
    rate: Annotated[float, typer.Option(help="The learning rate.")] = 2e-4,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """QLoRA with transformers, peft and bitsandbytes; the adapter is one that `load_adapter` opens too."""
    console = Console(soft_wrap=True)
    with exits_with_message(console, ValueError, ArtifactError, CheckpointError):
        check_name(name)
        if min(rank, steps, accumulate, time) < 1 or not rate > 0:
            raise ValueError("rank, steps, accumulate and time must be at least 1, and rate above 0")
        if not (HAS_PEFT and HAS_BITSANDBYTES):
            raise ValueError("peft and bitsandbytes are needed: pip install llm-ladder[phase02]")
        place = pick_device(device)
        pairs = read_data(data) if data else questions("train", 0)
        tokenizer = Theirs(model) if model else Ours()
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on a CPU, that the optimizer is not paged
            source = model or str(make_random(Path(folder), tokenizer.vocab_size))
            tuned = adapted(source, rank, pick_dtype("auto", place), place)
            count = sum(one.numel() for one in tuned.parameters() if one.requires_grad)
            console.print(f"{count:,} parameters are trained, on {place}", highlight=False)
            batches = rows(cycle(pairs), tokenizer, time, place)
            train(tuned, batches, steps, accumulate, rate, console)
            out = work_folder() / "models" / name
            tuned.save_pretrained(str(out))
        if place.type == "cuda":
            peak = torch.cuda.max_memory_allocated(place) / 2**30
            console.print(f"at its peak {peak:.1f} GiB of the GPU's memory", highlight=False)
        console.print(f"written to {shown(out)}", highlight=False)


if __name__ == "__main__":
    run_command(main)
