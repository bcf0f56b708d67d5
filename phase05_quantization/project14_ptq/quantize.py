"""Quantize a trained model, say what it takes, ask it, and keep it: ladder run 14 quantize --bits 4 --method gptq"""

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from phase05_quantization.project14_ptq.given.gguf_file import KINDS, check_kind, write_gguf
from phase05_quantization.project14_ptq.given.methods import (
    METHODS,
    calibration_tokens,
    check_method,
    quantize_model,
)
from phase05_quantization.project14_ptq.given.products import use_products
from phase05_quantization.project14_ptq.grids import Grid
from phase05_quantization.project14_ptq.quant_linear import model_bytes
from phase05_quantization.project14_ptq.saving import save_quantized
from shared.artifacts import ArtifactError, CheckpointError
from shared.command import exits_with_message, printable
from shared.files import shown
from shared.options import run_command
from shared.phase01 import LLM, PromptTokenizer, load_base
from shared.phase04 import LLMEngine, SamplingParams

QUESTION = "What frightens Tara?"


def answer(model: LLM, tokenizer: PromptTokenizer, question: str, max_tokens: int = 60) -> str:
    """The model's greedy answer, through the engine of project 13."""
    engine = LLMEngine(model, tokenizer, 64)
    prompt = f"Question: {question}\nAnswer:"
    params = SamplingParams(
        max_tokens=max_tokens, temperature=0, stop=("\n",), stop_ids=tuple(tokenizer.start)
    )
    [result] = engine.generate([prompt], params)
    return result.completions[0].text.strip()


def parse_group(text: str) -> int | str:
    """A whole number as one; other words as they are, for Grid to judge."""
    return int(text) if text.lstrip("-").isdigit() else text


def main(
    model: Annotated[str, typer.Option(help="The model's name.")] = "tiny-base",
    bits: Annotated[int, typer.Option(help="Of a weight's code: 2 to 8.")] = 4,
    group: Annotated[
        str, typer.Option(help="Weights that share a scale: a number, channel or tensor.")
    ] = "64",
    method: Annotated[str, typer.Option(help=f"One of {', '.join(METHODS)}.")] = "gptq",
    asymmetric: Annotated[bool, typer.Option(help="A zero for each scale too.")] = False,
    rows: Annotated[int, typer.Option(help="Rows of 512 tokens to calibrate on.")] = 16,
    question: Annotated[str, typer.Option(help="Ask it this, before and after.")] = QUESTION,
    out: Annotated[
        str | None,
        typer.Option(help="Write it into this folder, in compressed-tensors' layout.", show_default=False),
    ] = None,
    gguf: Annotated[
        str | None,
        typer.Option(
            help="Write the float model as this file for llama.cpp, in blocks of --kind.", show_default=False
        ),
    ] = None,
    kind: Annotated[str, typer.Option(help=f"Of the GGUF file: {' or '.join(KINDS)}.")] = "Q4_0",
) -> None:
    """Quantize a model's weights; the same answer from fewer bytes."""
    console = Console()
    with exits_with_message(Console(stderr=True), ValueError, ArtifactError, CheckpointError, ImportError):
        grid = Grid(bits, parse_group(group), not asymmetric, torch.float16)
        check_method(method)
        check_kind(kind)
        loaded, base = load_base(model)
        tokenizer = PromptTokenizer(base)
        before = sum(one.numel() * 2 for one in loaded.parameters())
        said = answer(loaded, tokenizer, question)
        console.print(
            f"bfloat16   {before / 1e6:6.2f} MB   {printable(said)}", highlight=False, soft_wrap=True
        )
        if gguf is not None:
            write_gguf(loaded, Path(gguf), kind)
            console.print(f"wrote {shown(Path(gguf))}", highlight=False, soft_wrap=True)
        tokens = calibration_tokens(base, rows, loaded.config.context_length)
        quantize_model(loaded, method, grid, tokens)
        use_products(loaded, torch.get_num_threads())
        size, said = model_bytes(loaded), answer(loaded, tokenizer, question)
        name = f"{bits} bits"
        console.print(
            f"{name:9}  {size / 1e6:6.2f} MB   {printable(said)}   ({before / size:.2f} times smaller)",
            highlight=False,
            soft_wrap=True,
        )
        if out is not None:
            save_quantized(loaded, Path(out))
            console.print(f"wrote {shown(Path(out))}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    run_command(main)
