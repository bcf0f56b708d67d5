"""Write with a trained model: ladder run 3 generate --prompt "Once" """

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console

from phase01_foundation.project01_minimal_gpt.generation import encode_prompts, generate, stream
from phase01_foundation.project01_minimal_gpt.sampling import SamplingParams
from phase01_foundation.project02_tokenizer import tokenizer_json
from phase01_foundation.project03_pretrain import hugging_face
from phase01_foundation.project03_pretrain.given import safetensors_folder
from phase01_foundation.project03_pretrain.given.encoding import PromptTokenizer
from phase01_foundation.project03_pretrain.given.known_ids import without_unknown
from phase01_foundation.project03_pretrain.given.pretrained import load_base
from phase01_foundation.project03_pretrain.given.skills import NEXT_QUESTION
from phase01_foundation.project03_pretrain.model import LLM, torch_attention
from shared.artifacts import ArtifactError, CheckpointError
from shared.command import exits_with_message, printable
from shared.device import pick_device
from shared.options import run_command

STORY = 0.7  # the temperature for texts; answers to questions are greedy


class Writer(NamedTuple):
    """A model, the tokenizer for its prompts, and the tokens that end its texts."""

    model: LLM
    tokenizer: PromptTokenizer
    ends: tuple[int, ...]


def load(name: str = "tiny-base") -> Writer:
    """A trained model by name, or, where the name has a slash, one in a folder that Hugging Face's libraries read.

    Raises ArtifactError when there is no model of that name, CheckpointError, FormatError or OSError for a folder
    with other or broken files. The model is on the CPU.
    """
    if "/" in name or Path(name).is_absolute():
        return open_folder(Path(name))
    model, tokenizer = load_base(name)
    prompts = PromptTokenizer(tokenizer)
    return Writer(model, prompts, tuple(prompts.start))


def open_folder(folder: Path) -> Writer:
    """The model of a folder with config.json, safetensors and tokenizer.json, its weights as they are stored.

    config.json says which tokens begin and end a text. The weights are read last. Raises as `load` does.
    """
    content = safetensors_folder.read_config(folder)
    vocab_size = hugging_face.read_config(content, str(folder)).vocab_size
    tokenizer = tokenizer_json.load(folder / "tokenizer.json")
    if tokenizer.vocab_size > vocab_size:
        raise CheckpointError(
            f"{folder}: tokenizer.json has ids up to {tokenizer.vocab_size - 1}; "
            f"the model knows those below {vocab_size}"
        )
    begins, ends = (_ids(content, name, vocab_size, folder) for name in ("bos_token_id", "eos_token_id"))
    return Writer(hugging_face.load(folder).eval(), PromptTokenizer(tokenizer, begins), tuple(ends))


def _ids(content: Mapping[str, Any], name: str, vocab_size: int, folder: Path) -> list[int]:
    """The ids of an entry of config.json: one number, several, or null. Raises CheckpointError for others."""
    value = content.get(name)
    ids = [] if value is None else value if isinstance(value, list) else [value]
    for id in ids:
        if type(id) is not int or not 0 <= id < vocab_size:
            raise CheckpointError(
                f"{folder} has {name} {value!r}; the model knows the ids from 0 to {vocab_size - 1}"
            )
    return ids


def question_prompt(question: str) -> str:
    """A question in the form in which tinyworld's texts ask theirs."""
    return f"Question: {question}\nAnswer:"


def write(writer: Writer, prompts: Sequence[str], params: SamplingParams) -> None:
    """Print the prompts with what follows them: one is streamed; several are written side by side, at once.

    Ids of the model that the tokenizer lacks are left out. Raises ValueError, before anything is printed, for a prompt
    that the model cannot start from.
    """
    encode_prompts(prompts, writer.tokenizer, writer.model.config.context_length)
    model = without_unknown(writer.model, writer.tokenizer.tokenizer, writer.ends)
    if len(prompts) == 1:
        print(printable(prompts[0]), end="", flush=True)
        for _, piece in stream(model, writer.tokenizer, prompts, params, torch_attention):
            print(printable(piece), end="", flush=True)
        print()
        return
    texts = generate(model, writer.tokenizer, prompts, params, torch_attention)
    for prompt, text in zip(prompts, texts, strict=True):
        print(f"{'─' * 40}\n{printable(prompt + text)}")


def main(
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            help="Text to go on from; give it again for more. Without any, the model begins a text.",
            show_default=False,
        ),
    ] = None,
    question: Annotated[
        list[str] | None,
        typer.Option(
            help="Ask, in the form of tinyworld's questions, in place of a prompt.", show_default=False
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="The model's name, or, with a slash, a folder with a Hugging Face checkpoint.")
    ] = "tiny-base",
    max_tokens: Annotated[int, typer.Option(help="The most tokens to write.")] = 400,
    temperature: Annotated[
        float | None,
        typer.Option(
            help="0 is greedy; below 1 bolder, above 1 wilder.", show_default=f"{STORY}; 0 for questions"
        ),
    ] = None,
    top_k: Annotated[int, typer.Option(help="Choose among the k likeliest only; 0 is all.")] = 0,
    top_p: Annotated[float, typer.Option(help="Choose among the likeliest that make up this share.")] = 1.0,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1: used tokens become rarer.")] = 1.0,
    stop: Annotated[
        list[str] | None,
        typer.Option(help="End before this text; give it again for more.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed writes the same text.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Write with a trained model. One prompt is streamed; several are written side by side, at once.

    A text ends where the model ends it, an answer also before the next question.

    In --prompt, --question and --stop, \\n is a new line.
    """
    with exits_with_message(Console(stderr=True), ValueError, ArtifactError, CheckpointError):
        if prompt and question:
            raise ValueError("give --prompt or --question, not both")
        prompts = [_lines(text) for text in prompt or [""]]
        stops = [_lines(text) for text in stop or []]
        if question:
            prompts = [question_prompt(_lines(text)) for text in question]
            stops.append(NEXT_QUESTION)
        if temperature is None:
            temperature = 0.0 if question else STORY
        params = SamplingParams(
            max_tokens, temperature, top_k, top_p, repetition_penalty, stop=tuple(stops), seed=seed
        )
        place = pick_device(device)
        writer = load(model)
        writer.model.to(place)
        write(writer, prompts, replace(params, stop_ids=writer.ends))


def _lines(text: str) -> str:
    return text.replace("\\n", "\n")


if __name__ == "__main__":
    run_command(main)
