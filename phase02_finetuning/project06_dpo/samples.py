"""Answers of several models side by side: ladder run 6 samples --model tiny-chat --model tiny-dpo

Give the models in the order in which they were made, such as before, after, and pushed too far.
"""

from typing import Annotated

import typer
from rich.console import Console

from phase02_finetuning.project04_sft.given.chat_model import load_chat
from phase02_finetuning.project06_dpo.given.data import drawn_wishes
from phase02_finetuning.project06_dpo.given.judging import written_to
from phase02_finetuning.project06_dpo.pairs import Pair
from shared.artifacts import ArtifactError, CheckpointError
from shared.command import exits_with_message, printable
from shared.device import pick_device, set_threads
from shared.options import run_command
from shared.tuning.tinyworld import RULES, rule_score


def side_by_side(wishes: list[Pair], written: dict[str, list[str]]) -> str:
    """Each wish, its rule, and what each model writes, with its score from 0 to 1."""
    width = max(map(len, written))
    blocks = []
    for number, wish in enumerate(wishes):
        turns = "\n".join(f"{one['role']}: {one['content']}" for one in wish.prompt)
        lines = [
            f"    {name:{width}}  {rule_score(wish.rule, wish.prompt, texts[number]):.2f}  {texts[number]}"
            for name, texts in written.items()
        ]
        blocks.append("\n".join([f"[{wish.rule}]", turns, *lines]))
    return "\n\n".join(blocks)


def main(
    model: Annotated[list[str] | None, typer.Option(help="A model's name; give it again for more.")] = None,
    count: Annotated[int, typer.Option(help="Wishes to answer, by each rule in turn.")] = 8,
    rule: Annotated[str, typer.Option(help="Wishes of this rule alone.", show_default=False)] = "",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Show what models write to the same wishes of the test split."""
    with exits_with_message(Console(stderr=True), ValueError, ArtifactError, CheckpointError):
        if count < 1:
            raise ValueError(f"count must be at least 1, not {count}")
        if rule and rule not in RULES:
            raise ValueError(f"there is no rule {rule!r}; there is {', '.join(RULES)}")
        place = pick_device(device)
        set_threads()
        wishes = drawn_wishes("test", count, rules=[rule] if rule else None)
        written = {}
        for name in model or ["tiny-chat", "tiny-dpo"]:
            chat = load_chat(name)
            chat.model.to(place)
            written[name] = written_to(chat, wishes)[0]
        print(printable(side_by_side(wishes, written)))


if __name__ == "__main__":
    run_command(main)
