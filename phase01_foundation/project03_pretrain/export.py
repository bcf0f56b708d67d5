"""Hand a trained model to others' tools: ladder run 3 export tiny-base --out FOLDER

transformers, vLLM and whatever else reads Hugging Face checkpoints opens the folder.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from phase01_foundation.project02_tokenizer import tokenizer_json
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain import hugging_face
from phase01_foundation.project03_pretrain.given.encoding import bos_ids
from phase01_foundation.project03_pretrain.given.pretrained import load_artifact
from phase01_foundation.project03_pretrain.model import LLM
from phase01_foundation.project03_pretrain.token_file import END_OF_TEXT
from shared import artifacts
from shared.command import exits_with_message
from shared.files import shown, write_text
from shared.options import run_command


def export(model: LLM, tokenizer: Tokenizer[Any], folder: Path) -> None:
    """Write config.json, safetensors, tokenizer.json and tokenizer_config.json into a folder.

    The token <|endoftext|> begins and ends a text, as in training; a prompt must bring it along. Raises
    ValueError, before anything is written, for a model that the format has no words for.
    """
    end = next(iter(bos_ids(tokenizer)), None)
    hugging_face.save(model, folder, bos_token_id=end, eos_token_id=end)
    tokenizer_json.save(tokenizer, folder / "tokenizer.json")
    named = {} if end is None else {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT}
    content = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model.config.context_length,
        "clean_up_tokenization_spaces": False,
        **named,
    }
    write_text(folder / "tokenizer_config.json", json.dumps(content, indent=2) + "\n")


def main(
    name: Annotated[str, typer.Argument(help="The model's name, such as tiny-base.")],
    out: Annotated[Path, typer.Option(help="The folder to write to; an earlier export there is replaced.")],
) -> None:
    """Write a trained model, weights as they are stored, as a folder that Hugging Face's libraries open."""
    with exits_with_message(
        Console(stderr=True), ValueError, artifacts.ArtifactError, artifacts.CheckpointError
    ):
        artifact = artifacts.find(name)
        [dtype] = {tensor.dtype for tensor in artifact.tensors().values()}
        model, tokenizer = load_artifact(artifact, dtype)
        export(model, tokenizer, out)
    where = str(out) if out.is_absolute() else f"./{out}"
    begins = END_OF_TEXT if bos_ids(tokenizer) else ""
    print(
        f"written: {shown(out)}. To go on from a text with transformers:\n\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        f'tokenizer = AutoTokenizer.from_pretrained("{where}")\n'
        f'model = AutoModelForCausalLM.from_pretrained("{where}")\n'
        f'tokens = tokenizer("{begins}Once upon a time", return_tensors="pt")\n'
        "print(tokenizer.decode(model.generate(**tokens, max_new_tokens=100)[0]))"
    )


if __name__ == "__main__":
    run_command(main)
