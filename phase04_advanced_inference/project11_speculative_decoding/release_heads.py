"""Put trained heads among the released models, data/models/, which come with the repository.

    python -m phase04_advanced_inference.project11_speculative_decoding.release_heads tiny-heads

It is for maintainers. Weights are stored in bfloat16, half the size, and it is what is stored that is measured: the
losses on the validation text, and how many guesses stay in stories, beside how many did before rounding.
"""

from typing import Annotated

import torch
import typer
from rich.console import Console

from phase04_advanced_inference.project11_speculative_decoding.expected import acceptance_rate
from phase04_advanced_inference.project11_speculative_decoding.given import texts
from phase04_advanced_inference.project11_speculative_decoding.given.heads import (
    load_artifact,
    publish_heads,
    rounded,
)
from phase04_advanced_inference.project11_speculative_decoding.mtp import MTPHeads, MTPProposer
from phase04_advanced_inference.project11_speculative_decoding.speculation import speculate
from phase04_advanced_inference.project11_speculative_decoding.train_heads import (
    HeadsConfig,
    make_loss,
    token_ids,
    validation,
)
from shared import artifacts
from shared.command import exits_with_message
from shared.device import set_threads
from shared.files import shown
from shared.options import run_command
from shared.phase01 import LLM, SamplingParams, load_base

MOST_BYTES = 1_500_000  # every clone carries the file
MOST_LOST = 0.02
"""by so much the rate of acceptance may fall when the weights are rounded"""
STORIES = 24


def release(name: str, stories: int = STORIES) -> artifacts.Artifact:
    """Publish the heads work/models/<name> as released ones; their card keeps how they were trained.

    To the card come `stored_as`, the losses and the `acceptance` in stories of what is stored, and
    `acceptance_before`. Raises ArtifactError or CheckpointError for heads that cannot be loaded, ValueError, before
    anything is written, for heads that are too large, or that rounding harms.
    """
    source = artifacts.find(name)
    if source.whose != "yours":
        raise artifacts.ArtifactError(f"there is no {name} in work/models to release: it is released already")
    settings = HeadsConfig(**source.card["settings"])
    model, tokenizer = load_base(settings.base)
    heads = load_artifact(source, model)
    size = 2 * sum(parameter.numel() for parameter in heads.parameters())
    if size > MOST_BYTES:
        raise ValueError(
            f"{name} would take {size / 1e6:.1f} MB; released it may take {MOST_BYTES / 1e6:.1f}"
        )
    stored = rounded(heads)
    prompts = texts.stories(tokenizer, stories)
    before, after = (acceptance(model, one, prompts) for one in (heads, stored))
    if after < before - MOST_LOST:
        raise ValueError(f"in bfloat16 only {after:.3f} of {name}'s guesses stay, and {before:.3f} before")
    ids = token_ids("validation", settings, tokenizer)
    with torch.no_grad():
        losses = validation(stored, make_loss(model), ids, settings)
    card = source.card | {
        "stored_as": "bfloat16", **losses, "acceptance": round(after, 4), "acceptance_before": round(before, 4),
    }  # fmt: skip
    return publish_heads(name, stored, settings.base, card, released=True, dtype=torch.bfloat16)


def acceptance(model: LLM, heads: MTPHeads, prompts: list[list[int]], tokens: int = 64) -> float:
    """The rate of acceptance of the heads' guesses in stories, as many as there are heads, greedy."""
    params = SamplingParams(tokens, 0.0)
    written = speculate(model, prompts, params, MTPProposer(model, heads), heads.count)
    return acceptance_rate((one.guessed, one.accepted) for one in written)


def main(
    name: Annotated[str, typer.Argument(help="The trained heads' name, such as tiny-heads.")],
    stories: Annotated[int, typer.Option(help="So many stories to count guesses in.", min=1)] = STORIES,
) -> None:
    """Release trained heads under their name, measured as they are stored."""
    console = Console(stderr=True)
    with exits_with_message(console, ValueError, artifacts.ArtifactError, artifacts.CheckpointError):
        set_threads()
        artifact = release(name, stories)
    card = artifact.card
    size = (artifact.folder / artifacts.WEIGHTS).stat().st_size
    print(
        f"released: {shown(artifact.folder)}, {card['parameters']:,} parameters, {size / 1e6:.2f} MB\n"
        f"validation loss {card['validation_loss']:.4f}; in stories {card['acceptance']:.3f} of the judged guesses "
        f"stay, {card['acceptance_before']:.3f} before rounding"
    )


if __name__ == "__main__":
    run_command(main)
