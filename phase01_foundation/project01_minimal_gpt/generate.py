"""Write with a trained model: ladder run 1 generate --prompt "ROMEO:"

With the reference's code, it is `python -m phase01_foundation.project01_minimal_gpt.generate`.
"""

from typing import Annotated

import torch
import typer
from rich.console import Console

from phase01_foundation.project01_minimal_gpt.generation import generate, stream
from phase01_foundation.project01_minimal_gpt.model import GPT, GPTConfig
from phase01_foundation.project01_minimal_gpt.sampling import SamplingParams
from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from shared import artifacts
from shared.command import exits_with_message, how_to_run, printable
from shared.device import pick_device
from shared.options import run_command

TRAIN = "phase01_foundation.project01_minimal_gpt.train"


def load(name: str = "char-gpt", device: str = "auto") -> tuple[GPT, CharTokenizer]:
    """A trained model by name and its tokenizer: the learner's own where there is one, else the released one.

    Raises ArtifactError when there is neither, CheckpointError for a broken file or one of another architecture.
    """
    return load_artifact(artifacts.find(name, command=f"{how_to_run(TRAIN)} --name {name}"), device)


def load_artifact(artifact: artifacts.Artifact, device: str = "auto") -> tuple[GPT, CharTokenizer]:
    """The model and tokenizer of an artifact that has been found. Raises CheckpointError as `load` does."""
    shape = dict(artifact.config)
    try:
        tokenizer = CharTokenizer(shape.pop("alphabet"))
        config = GPTConfig(**shape)
        tensors = {name: tensor.to(torch.float32) for name, tensor in artifact.tensors().items()}
        if config.vocab_size != len(tokenizer.alphabet):
            raise ValueError(f"{config.vocab_size:,} ids for {len(tokenizer.alphabet):,} characters")
        if config.layers > len(tensors):  # which would take long to be found out
            raise ValueError(f"{config.layers:,} layers in {len(tensors):,} tensors")
        with torch.device("meta"):  # takes no memory, whatever the config says
            model = GPT(config)
        model.load_state_dict(tensors, assign=True)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RuntimeError) as problem:
        raise artifacts.CheckpointError(f"{artifact.name} is no model of this project: {problem}") from None
    return model.to(pick_device(device)).eval(), tokenizer


def main(
    prompt: Annotated[
        list[str] | None, typer.Option(help="Text to go on from; give it again for more.")
    ] = None,
    model: Annotated[str, typer.Option(help="The model's name.")] = "char-gpt",
    max_tokens: Annotated[int, typer.Option(help="The most characters to write.")] = 500,
    temperature: Annotated[float, typer.Option(help="0 is greedy; below 1 bolder, above 1 wilder.")] = 0.8,
    top_k: Annotated[int, typer.Option(help="Choose among the k likeliest only; 0 is all.")] = 0,
    top_p: Annotated[float, typer.Option(help="Choose among the likeliest that make up this share.")] = 1.0,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1: used characters become rarer.")] = 1.0,
    stop: Annotated[
        list[str] | None, typer.Option(help="End before this text; give it again for more.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed writes the same text.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Write with a trained character model. One prompt is streamed; several are written side by side, at once.

    In --prompt and --stop, \\n is a new line.
    """
    prompts = [text.replace("\\n", "\n") for text in prompt or ["\n"]]
    stops = tuple(text.replace("\\n", "\n") for text in stop or [])
    kinds = ValueError, artifacts.ArtifactError, artifacts.CheckpointError
    with exits_with_message(Console(stderr=True), *kinds):
        params = SamplingParams(
            max_tokens, temperature, top_k, top_p, repetition_penalty, stop=stops, seed=seed
        )
        gpt, tokenizer = load(model, device)
        if len(prompts) == 1:
            print(printable(prompts[0]), end="", flush=True)
            for _, piece in stream(gpt, tokenizer, prompts, params):
                print(printable(piece), end="", flush=True)
            print()
        else:
            for text, written in zip(prompts, generate(gpt, tokenizer, prompts, params), strict=True):
                print(f"{'─' * 40}\n{printable(text + written)}")


if __name__ == "__main__":
    run_command(main)
