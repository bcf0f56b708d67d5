"""Put a chat model among the released ones, data/models/, which come with the repository.

    python -m phase02_finetuning.project04_sft.release tiny-chat

It is for maintainers. Weights are stored in bfloat16, half the size, and it is what is stored that is measured: right
answers by skill and wording, talks, and samples go into the card.
"""

from typing import Annotated

import torch
import typer
from rich.console import Console

from phase02_finetuning.project04_sft.answers import write_answers
from phase02_finetuning.project04_sft.given.chat_model import ChatModel, load_chat, publish_chat
from phase02_finetuning.project04_sft.given.evaluation import Measured, measure
from shared import artifacts
from shared.command import exits_with_message
from shared.device import pick_device, set_threads
from shared.files import shown
from shared.options import run_command

MOST_BYTES = 12_000_000  # every clone carries the file
TALK = (
    "Hi! I am called Mia.",
    "What is 27 plus 35?",
    "Who is the king of France?",
    "What is my name?",
)
"""what the user says in the sample, turn by turn"""


def release(name: str, target: str = "", per_skill: int = 60, device: str = "auto") -> artifacts.Artifact:
    """Publish the model work/models/<name> as a released one, `target`; its card keeps how it was trained.

    To the card come `stored_as`, `exact_match` of tinyworld's questions in percent, over all and by skill, that of
    each set of `wordings`, `talks` (answered well, asked) and a talk as `sample`. Raises ArtifactError or
    CheckpointError for a model that cannot be loaded, ValueError for one that would be too large.
    """
    source = artifacts.find(name)
    if source.whose != "yours":
        raise artifacts.ArtifactError(f"there is no {name} in work/models to release: it is released already")
    chat = load_chat(name)
    size = 2 * chat.model.parameter_count()
    if size > MOST_BYTES:
        raise ValueError(
            f"{name} would take {size / 1e6:.1f} MB; released it may take {MOST_BYTES / 1e6:.0f}"
        )
    chat.model.to(torch.bfloat16).float()  # rounded as it is stored, and measured as training measured it
    chat.model.to(pick_device(device))
    card = {**source.card, "stored_as": "bfloat16", **facts(measure(chat, per_skill, per_skill))}
    card["sample"] = talk(chat)
    chat.model.to("cpu")
    return publish_chat(target or name, chat, card, released=True, dtype=torch.bfloat16)


def facts(found: Measured) -> dict[str, object]:
    """What the card says of the measurements."""
    return {
        "exact_match": {
            "all": round(found.own_items, 1),
            **{skill: round(share, 1) for skill, share in found.own_by_skill.items()},
        },
        "wordings": {name: round(one.score.average, 1) for name, one in found.wordings.items()},
        "talks": {sort: list(counts) for sort, counts in found.talks.items()},
    }


def talk(chat: ChatModel) -> list[str]:
    """What the model answers in TALK, each turn after all before it: lines of both, in turn."""
    said: list[dict[str, str]] = []
    for content in TALK:
        said.append({"role": "user", "content": content})
        [answer] = write_answers(*chat, [said], max_tokens=40)
        said.append({"role": "assistant", "content": answer.text or "…"})
    return [f"{one['role']}: {one['content']}" for one in said]


def main(
    name: Annotated[str, typer.Argument(help="The trained model's name, such as tiny-chat.")],
    target: Annotated[str, typer.Option(help="Release it under this name.", show_default="its own")] = "",
    per_skill: Annotated[int, typer.Option(help="Exercises of each skill and set of wordings.", min=1)] = 60,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Release a trained chat model, measured as it is stored: takes minutes."""
    set_threads()
    kinds = ValueError, artifacts.ArtifactError, artifacts.CheckpointError
    with exits_with_message(Console(stderr=True), *kinds):
        artifact = release(name, target, per_skill, device)
    card = artifact.card
    size = (artifact.folder / artifacts.WEIGHTS).stat().st_size
    print(f"released: {shown(artifact.folder)}, {size / 1e6:.1f} MB")
    for what in ("exact_match", "wordings"):
        print(f"{what}: " + ", ".join(f"{skill} {share:.1f}" for skill, share in card[what].items()))
    print(
        "talks: " + ", ".join(f"{sort} {right} of {asked}" for sort, (right, asked) in card["talks"].items())
    )
    print("\nA talk:\n" + "\n".join(card["sample"]))


if __name__ == "__main__":
    run_command(main)
