"""Put a trained model among the released ones, data/models/, which come with the repository.

    python -m phase01_foundation.project03_pretrain.release tiny-base

It is for maintainers. Weights are stored in bfloat16, half the size, and it is what is stored that is measured: the
loss on the validation text, the skills, and samples go into the card.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from phase01_foundation.project01_minimal_gpt.generation import generate
from phase01_foundation.project01_minimal_gpt.sampling import SamplingParams
from phase01_foundation.project02_tokenizer import tokenizer_json
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain.given.encoding import PromptTokenizer
from phase01_foundation.project03_pretrain.given.pretrained import load_artifact, publish_base
from phase01_foundation.project03_pretrain.given.pretraining_data import text_name, texts
from phase01_foundation.project03_pretrain.given.settings import PretrainConfig
from phase01_foundation.project03_pretrain.given.skills import skill_scores
from phase01_foundation.project03_pretrain.model import LLM, torch_attention
from phase01_foundation.project03_pretrain.scoring import perplexity
from phase01_foundation.project03_pretrain.token_file import cached_tokens
from shared import artifacts
from shared.command import exits_with_message
from shared.corpora import EMBEDDED, reader
from shared.device import pick_dtype
from shared.files import shown
from shared.options import run_command

MOST_BYTES = 12_000_000  # every clone carries the file
PER_SKILL = 100
STORIES = ("Once upon a time", (0, 1, 2))  # how they begin, and a seed for each


def release(name: str, most_parameters: int = 6_000_000, per_skill: int = PER_SKILL) -> artifacts.Artifact:
    """Publish the model work/models/<name> as a released one; its card keeps how it was trained.

    To the card come `stored_as`, `validation_loss` of what is stored, `exact_match` over all items and by skill,
    `per_skill` items each, and `samples`. Raises ArtifactError or CheckpointError for a model that cannot be
    loaded, ValueError, before anything is written, for one that is too large or knows another text than tinyworld.
    """
    source = artifacts.find(name)
    if source.whose != "yours":
        raise artifacts.ArtifactError(f"there is no {name} in work/models to release: it is released already")
    model, tokenizer = load_artifact(source, torch.bfloat16)
    model = model.float()  # rounded, and measured as training measured it
    parameters = model.parameter_count()
    if parameters > most_parameters:
        raise ValueError(
            f"{name} has {parameters:,} parameters; --most-parameters allows {most_parameters:,}"
        )
    if source.card["data"] != EMBEDDED:
        raise ValueError(f"{name} was trained on {source.card['data']}; released models know {EMBEDDED}")
    card = source.card | measure(model, tokenizer, PretrainConfig(**source.card["settings"]), per_skill)
    size = stored_bytes(model, tokenizer, card)
    if size > MOST_BYTES:
        raise ValueError(
            f"{name} would take {size / 1e6:.1f} MB; released it may take {MOST_BYTES / 1e6:.0f}"
        )
    return publish_base(name, model, tokenizer, card, released=True, dtype=torch.bfloat16)


def measure(
    model: LLM, tokenizer: Tokenizer[Any], settings: PretrainConfig, per_skill: int
) -> dict[str, object]:
    """What the card says about the weights as they are stored: loss, skills and samples."""
    dtype = pick_dtype()
    ids = cached_tokens(
        text_name(settings, EMBEDDED, "validation"),
        lambda: texts(settings, reader(EMBEDDED, ["validation"]), "validation"),
        tokenizer,
    )
    loss = perplexity(model, ids, dtype=dtype, attend=torch_attention).loss
    score = skill_scores(model, tokenizer, "test", per_skill, dtype=dtype).score
    prompt, seeds = STORIES
    prompts = PromptTokenizer(tokenizer)
    ends = tuple(prompts.start)
    samples = [
        prompt
        + generate(
            model,
            prompts,
            [prompt],
            SamplingParams(400, temperature=0.7, stop_ids=ends, seed=seed),
            torch_attention,
        )[0]
        for seed in seeds
    ]
    return {
        "stored_as": "bfloat16",
        "validation_loss": loss,
        "exact_match": {"all": score.accuracy, **score.skill_accuracy()},
        "samples": samples,
    }


def stored_bytes(model: LLM, tokenizer: Tokenizer[Any], card: Mapping[str, object]) -> int:
    """The size of model.safetensors, but for a few thousand: two bytes a weight, and its texts, as JSON in JSON."""
    config = {"model": asdict(model.config), "tokenizer": tokenizer_json.to_json(tokenizer)}
    parts = {"config": json.dumps(config, indent=2), "card": json.dumps(card, indent=2)}
    return 2 * model.parameter_count() + len(json.dumps(parts))


def main(
    name: Annotated[str, typer.Argument(help="The trained model's name, such as tiny-base.")],
    most_parameters: Annotated[
        int, typer.Option(help="Refuse a model with more; 1000000 for tiny-draft.", min=1)
    ] = 6_000_000,
) -> None:
    """Release a trained model under its name, measured as it is stored: takes minutes."""
    with exits_with_message(
        Console(stderr=True), ValueError, artifacts.ArtifactError, artifacts.CheckpointError
    ):
        artifact = release(name, most_parameters)
    card = artifact.card
    size = (artifact.folder / artifacts.WEIGHTS).stat().st_size
    print(
        f"released: {shown(artifact.folder)}, {card['parameters']:,} parameters, {size / 1e6:.1f} MB\n"
        f"validation loss {card['validation_loss']:.4f}; exact match "
        + ", ".join(f"{skill} {share:.0%}" for skill, share in card["exact_match"].items())
        + f"\n\nA sample:\n{card['samples'][0]}"
    )


if __name__ == "__main__":
    run_command(main)
