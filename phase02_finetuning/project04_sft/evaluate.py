"""Measure a chat model beside the model it came from: ladder run 4 evaluate --model tiny-chat

Exact match by skill with the level of guessing beside it, on wordings seen in training, held out and foreign; the
loss on held-out answers; how many answers end and are in form; answers side by side; and what goes wrong, by kind.
"""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from phase02_finetuning.project04_sft.given.chat_model import load_chat
from phase02_finetuning.project04_sft.given.evaluation import SORTS, Measured, measure, mistakes
from shared.artifacts import ArtifactError, CheckpointError
from shared.command import exits_with_message, printable
from shared.device import pick_device, pick_dtype, set_threads
from shared.options import run_command
from shared.tuning.tinyworld import PHRASINGS, SKILLS


def by_skill(before: Measured, after: Measured) -> Table:
    """A row a skill: chance, then both models on each set of wordings, in percent."""
    table = Table("skill", title="Exact match, in percent: before and after")
    table.add_column("chance", justify="right")
    for name in PHRASINGS:
        table.add_column(name.replace("_", " "), justify="right")
    table.add_column("tinyworld's own", justify="right")
    for skill in SKILLS:
        chance = after.wordings["train"].score.chance[skill]
        pairs = [
            (before.wordings[name].score.by_skill[skill], after.wordings[name].score.by_skill[skill])
            for name in PHRASINGS
        ]
        pairs.append((before.own_by_skill[skill], after.own_by_skill[skill]))
        table.add_row(skill, f"{chance:.0f}", *(f"{one:.0f} → {two:.0f}" for one, two in pairs))
    averages = [
        (before.wordings[name].score.average, after.wordings[name].score.average) for name in PHRASINGS
    ]
    averages.append((before.own_items, after.own_items))
    chance = sum(after.wordings["train"].score.chance.values()) / len(SKILLS)
    table.add_section()
    table.add_row("average", f"{chance:.0f}", *(f"{one:.1f} → {two:.1f}" for one, two in averages))
    above = [
        (before.wordings[name].score.average_above_chance, after.wordings[name].score.average_above_chance)
        for name in PHRASINGS
    ]
    table.add_row("above chance", "", *(f"{one:.1f} → {two:.1f}" for one, two in above), "")
    return table


def the_rest(before: Measured, after: Measured) -> Table:
    """Loss, form and talk."""
    table = Table("", "before", "after")
    table.add_row("loss on held-out answers, nats a token", f"{before.loss:.3f}", f"{after.loss:.3f}")
    rows = {
        "answers in form, wordings of training": [
            one.wordings["train"].compliance for one in (before, after)
        ],
        "answers in form, foreign wordings": [one.wordings["foreign"].compliance for one in (before, after)],
        "talks whose last answer ends": [one.ended for one in (before, after)],
    }
    for name, shares in rows.items():
        table.add_row(name, *(f"{100 * share:.0f}%" for share in shares))
    for sort in SORTS:
        counts = [one.talks[sort] for one in (before, after)]
        table.add_row(f"talks answered well: {sort}", *(f"{right} of {asked}" for right, asked in counts))
    return table


def side_by_side(before: Measured, after: Measured, count: int) -> list[str]:
    """What both models answer, one exercise of each of so many skills."""
    one, two = before.wordings["held_out"], after.wordings["held_out"]
    seen: dict[str, str] = {}
    for exercise, first, second in zip(one.exercises, one.written, two.written, strict=True):
        if exercise.skill not in seen and len(exercise.prompt) < 200:
            seen[exercise.skill] = (
                f"{exercise.prompt}\n    right   {exercise.answer}\n    before  {first.text}\n"
                f"    after   {second.text}"
            )
    return list(seen.values())[:count]


def main(
    model: Annotated[str, typer.Option(help="The chat model's name.")] = "tiny-chat",
    base: Annotated[str, typer.Option(help="The model to compare with.")] = "tiny-base",
    per_skill: Annotated[int, typer.Option(help="Exercises of each skill and set of wordings.")] = 60,
    talks: Annotated[int, typer.Option(help="Talks of several turns.")] = 60,
    samples: Annotated[int, typer.Option(help="Answers to show side by side.")] = 6,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Compare a chat model with its base, on the test split."""
    console = Console(soft_wrap=False)
    with exits_with_message(Console(stderr=True), ValueError, ArtifactError, CheckpointError):
        for name, value in (("per_skill", per_skill), ("talks", talks)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        place = pick_device(device)
        set_threads()
        chats = [load_chat(name) for name in (base, model)]
        found = []
        for chat in chats:
            chat.model.to(place)
            found.append(measure(chat, per_skill, talks, dtype=pick_dtype("auto", place)))
        before, after = found
        console.print(by_skill(before, after), the_rest(before, after))
        texts = ["", "Side by side, wordings held out:", *side_by_side(before, after, samples)]
        texts += ["", f"What {model} gets wrong, by kind (wordings of training):"]
        texts += mistakes(after.wordings["train"]) or ["nothing"]
        console.print(printable("\n".join(texts)), highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    run_command(main)
