"""Judge a model by what it writes: ladder run 6 evaluate --model tiny-dpo --base tiny-style

What training sees (loss, accuracy, margin) beside what anybody reads: each rule before and after, wins and losses, how
far the model has gone from its base, and what it has forgotten.
"""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from phase02_finetuning.project04_sft.given.chat_model import load_chat
from phase02_finetuning.project06_dpo.given.judging import Verdict, judge
from shared.artifacts import ArtifactError, CheckpointError
from shared.command import exits_with_message
from shared.device import pick_device, set_threads
from shared.options import run_command


def by_rule(verdict: Verdict) -> Table:
    """A row a rule: how well what is written follows it, before and after, in percent."""
    table = Table("rule", "before", "after", title="What is written, by its rules, in percent")
    for rule, score in verdict.before.items():
        table.add_row(rule, f"{100 * score:.0f}", f"{100 * verdict.after[rule]:.0f}")
    table.add_section()
    table.add_row("mean", *(f"{100 * one:.1f}" for one in verdict.score))
    return table


def the_rest(verdict: Verdict, own_before: float | None) -> Table:
    """What training sees, and what it has cost."""
    wins, metrics = verdict.wins, verdict.metrics
    share = wins.of_those_that_differ
    table = Table("", "", title="What training sees, and what is written")
    table.add_row("loss on pairs", f"{verdict.loss:.4f}")
    table.add_row("accuracy, implicit reward", f"{metrics['accuracy']:.0%}")
    table.add_row("accuracy without the reference", f"{metrics['raw_accuracy']:.0%}")
    table.add_row("margin", f"{metrics['margin']:.2f}")
    table.add_section()
    table.add_row("written: won, lost, tied", f"{wins.wins}, {wins.losses}, {wins.ties}")
    table.add_row("the same, word for word", str(wins.same))
    table.add_row("won, of those that differ in score", "none differs" if share is None else f"{share:.0%}")
    table.add_row("KL from the base, nats an answer", f"{verdict.kl:.2f}")
    table.add_row("answers that end", f"{verdict.ended:.0%}")
    if own_before is not None:
        table.add_row("exact match, tinyworld's questions", f"{own_before:.1f} → {verdict.own_items:.1f}")
    return table


def main(
    model: Annotated[str, typer.Option(help="The chat model's name.")] = "tiny-dpo",
    base: Annotated[str, typer.Option(help="The model it came from.")] = "tiny-style",
    per_rule: Annotated[int, typer.Option(help="Wishes of each rule.")] = 40,
    per_skill: Annotated[int, typer.Option(help="tinyworld's own questions of each skill; 0: none.")] = 30,
    beta: Annotated[float, typer.Option(help="Of the loss and the rewards.")] = 0.1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Compare a model with the one it was trained from, on wishes of the test split."""
    console = Console(soft_wrap=False)
    with exits_with_message(Console(stderr=True), ValueError, ArtifactError, CheckpointError):
        for name, value, least in (("per_rule", per_rule, 1), ("per_skill", per_skill, 0)):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, not {value}")
        place = pick_device(device)
        set_threads()
        mine, theirs = load_chat(model), load_chat(base)
        for chat in (mine, theirs):
            chat.model.to(place)
        verdict = judge(mine, theirs, per_rule, per_skill, beta)
        own = judge(theirs, theirs, 1, per_skill, beta).own_items if per_skill else None
        console.print(by_rule(verdict), the_rest(verdict, own))


if __name__ == "__main__":
    run_command(main)
