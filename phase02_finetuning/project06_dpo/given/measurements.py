"""What the benchmark measures: sameness with trl, DPO by what is written, the pull of beta, and GRPO's rewards."""

import contextlib
import io
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from phase02_finetuning.project04_sft.given.chat_model import ChatModel, load_chat
from phase02_finetuning.project06_dpo import reinforce, style, train
from phase02_finetuning.project06_dpo.given.benchmark_settings import Settings
from phase02_finetuning.project06_dpo.given.example import random_pairs, small_chat
from phase02_finetuning.project06_dpo.given.judging import Verdict, judge
from phase02_finetuning.project06_dpo.given.peers import dpo_losses, our_dpo_losses, trl
from phase02_finetuning.project06_dpo.given.settings import PreferenceConfig, ReinforceConfig, StyleConfig
from shared import config
from shared.device import pick_device
from shared.measuring.arms import Report

QUIET = Console(stderr=True)
LN_2 = 0.6931471805599453
PREFIX = "benchmark-"
"""of the names of the models that are trained here: nothing of the learner's is replaced"""


def equality(report: Report, settings: Settings) -> None:
    """The first loss, and ten losses beside those of trl's DPOTrainer, on a small model with random weights."""
    examples = random_pairs(20)

    def chat() -> ChatModel:
        return ChatModel(*small_chat(dtype=torch.float32))

    ours = our_dpo_losses(chat().model, examples, rows=2, beta=0.3, rate=1e-3, steps=10)
    report.figure("first loss, difference from ln 2", abs(ours[0] - LN_2), "nats", ("<=", 1e-6))
    if trl is None or not settings.peers:
        print("trl is not installed: its losses are not compared", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder, said_nothing():
        theirs = dpo_losses(
            chat(), Path(folder), examples, per_device_train_batch_size=2, beta=0.3, learning_rate=1e-3,
            max_steps=10, lr_scheduler_type="constant",
        )  # fmt: skip
    off = max(abs(one - other) for one, other in zip(ours, theirs, strict=True))
    report.figure(
        "largest difference from trl's first ten losses", off, "nats", ("<=", 1e-4),
        note=f"DPOTrainer, all weights, the same pairs in the same order; the tenth loss is {ours[-1]:.4f}",
    )  # fmt: skip


@contextlib.contextmanager
def said_nothing() -> Iterator[None]:
    """Without what trl and transformers print and warn of, a screen of it for ten steps."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        with contextlib.redirect_stderr(io.StringIO()):
            yield


def loaded(name: str, settings: Settings) -> ChatModel:
    """A chat model by name, where the settings say; which one it is was said when it was trained."""
    with contextlib.redirect_stderr(io.StringIO()):
        chat = load_chat(name)
    chat.model.to(pick_device(settings.device))
    return chat


def settings_of(kind: type, folder: Path, preset: str, device: str, **changes: Any) -> Any:
    """A preset of one of the commands, changed, and said nothing about to TensorBoard."""
    found = config.parse(kind, folder, ["--preset", preset, "--device", device])
    changes = {"tensorboard": False, "restart": True, **changes}
    steps = changes["steps"]
    return replace(found, **changes, warmup=min(found.warmup, steps), evaluate_every=max(1, steps // 4))


def styled(report: Report, settings: Settings) -> str:
    """Teach the base the style of wishes; the name of the model that comes out."""
    name = f"{PREFIX}style"
    length = min(512, loaded(settings.base, settings).model.config.context_length)
    chosen = settings_of(
        StyleConfig, style.CONFIGS, "cpu", settings.device, base=settings.base, name=name,
        steps=settings.style_steps, context_length=length,
    )  # fmt: skip
    style.train(chosen, QUIET)
    return name


def preferred(settings: Settings, base: str, name: str, preset: str = "cpu", **changes: Any) -> str:
    """One run of DPO from a base; the name of the model that comes out."""
    chosen = settings_of(
        PreferenceConfig, train.CONFIGS, preset, settings.device, base=base, name=f"{PREFIX}{name}",
        steps=settings.steps, pairs=settings.pairs, batch_size=settings.batch_size, validation_pairs=32, **changes,
    )  # fmt: skip
    train.train(chosen, QUIET)
    return chosen.name


def seen_and_written(
    report: Report, verdict: Verdict, what: str, own_before: float | None, whole: bool
) -> None:
    """The figures of one run: what training sees of it, and what it writes."""
    wins, metrics = verdict.wins, verdict.metrics
    note = f"won {wins.wins}, lost {wins.losses}, tied {wins.ties}, of which {wins.same} are the same word for word"
    report.figure(f"loss on test pairs, {what}", verdict.loss, "nats")
    report.figure(
        f"accuracy of the implicit reward, {what}", 100 * metrics["accuracy"], "%", None,
        {"without the reference": 100 * metrics["raw_accuracy"]}, f"margin {metrics['margin']:.2f}",
    )  # fmt: skip
    share = wins.of_those_that_differ
    main = what == "full preset"
    if share is not None:
        name = f"won, of answers that differ in score, {what}"
        report.figure(name, 100 * share, "%", (">=", 80) if main and whole else None, note=note)
    report.figure(f"answers whose score changed, {what}", wins.wins + wins.losses, "answers", note=note)
    before, after = verdict.score
    report.figure(
        f"rules followed in what is written, {what}", 100 * after, "%", None, {"before": 100 * before}
    )
    report.figure(f"KL of what it samples from its base, {what}", verdict.kl, "nats an answer")
    report.figure(f"answers that end, {what}", 100 * verdict.ended, "%")
    if own_before is not None:
        report.figure(
            f"exact match after DPO minus before, {what}", verdict.own_items - own_before, "points",
            (">=", -2) if main and whole else None, note=f"{own_before:.1f} → {verdict.own_items:.1f}",
        )  # fmt: skip
    if main or what.endswith(" steps"):
        for rule, score in verdict.after.items():
            report.figure(f"{rule}, {what}", 100 * score, "%", None, {"before": 100 * verdict.before[rule]})


def preferences(report: Report, settings: Settings) -> list[str]:
    """Style, then DPO, and what each writes; with the settings' extras beside. The models to be shown side by side."""
    whole = settings.per_skill > 0
    what = "full preset" if whole or settings.preset == "smoke" else f"{settings.steps} steps"
    base = styled(report, settings)
    report.save()
    chat = loaded(base, settings)
    own = judge(chat, chat, 1, settings.per_skill).own_items if whole else None
    before: dict[str, Sequence[str]] = {}  # what each base has written to the wishes

    def verdict_of(name: str, against: str = base, items: bool = whole) -> Verdict:
        found = judge(
            loaded(name, settings), loaded(against, settings), settings.per_rule,
            settings.per_skill if items else 0, before=before.get(against),
        )  # fmt: skip
        before[against] = found.texts_before
        return found

    first = preferred(settings, base, "dpo")
    main = verdict_of(first)
    seen_and_written(report, main, what, own, whole)
    shown = [settings.base, base, first]
    report.save()
    if settings.without_nll:
        alone = preferred(settings, base, "dpo-alone", nll=0.0)
        shown.append(alone)
        seen_and_written(report, verdict_of(alone), "the loss of pairs alone", own, whole)
        report.save()
    if settings.without_style:
        bare = preferred(settings, settings.base, "dpo-bare")
        judged = verdict_of(bare, settings.base, items=False)
        seen_and_written(report, judged, "without style first", None, whole)
        report.save()
    if settings.far:
        far = preferred(settings, base, "dpo-far", "far")
        shown.append(far)
        seen_and_written(report, verdict_of(far), "pushed too far", own, whole)
        report.save()
    if settings.betas:
        runs = {PreferenceConfig().beta: main}
        for beta in settings.betas:
            name = preferred(settings, base, f"dpo-beta-{beta:g}", beta=beta)
            runs[beta] = verdict_of(name, items=False)
        found = [runs[beta] for beta in sorted(runs)]
        report.series(
            "sweep of beta, rules", [one.kl for one in found], [100 * one.score[1] for one in found],
            "KL from the base (nats an answer)", "rules followed (%)",
        )  # fmt: skip
        report.series(
            "sweep of beta, margin", [one.kl for one in found], [one.metrics["margin"] for one in found],
            "KL from the base (nats an answer)", "margin of the pairs",
        )  # fmt: skip
        for beta, one in zip(sorted(runs), found, strict=True):
            report.figure(
                f"rules followed, beta {beta:g}",
                100 * one.score[1],
                "%",
                note=f"KL {one.kl:.2f} nats an answer",
            )
    return shown


def rewards(report: Report, settings: Settings) -> None:
    """GRPO, by the rewards of what is sampled and by greedy answers."""
    changes: dict[str, Any] = {"steps": settings.grpo_steps, "base": settings.base, "name": f"{PREFIX}grpo"}
    if settings.preset == "smoke":
        changes |= {"batch_size": 2, "group_size": 2, "max_tokens": 4, "validation_exercises": 2}
    chosen = settings_of(ReinforceConfig, reinforce.CONFIGS, "cpu", settings.device, **changes)
    run, artifact = reinforce.train(chosen, QUIET)
    got, signal = artifact.card["rewards"], artifact.card["signal"]
    few = max(1, len(got) // 10)
    first, last = (100 * sum(part) / len(part) for part in (got[:few], got[-few:]))
    note = f"{first:.0f} → {last:.0f}% of sampled answers right, {', '.join(chosen.skills or ('all',))}"
    report.figure("sampled reward, GRPO, gain, full preset", last - first, "points", (">=", 10), note=note)
    greedy = [entry["greedy"] for entry in run.history]
    report.figure(
        "greedy answers right, GRPO, full preset",
        100 * greedy[-1],
        "%",
        None,
        {"first validation": 100 * greedy[0]},
    )
    shares = [100 * sum(part) / len(part) for part in (signal[:few], signal[-few:])]
    report.figure(
        "groups whose answers differ in reward, at the end",
        shares[1],
        "%",
        None,
        {"at the beginning": shares[0]},
    )
    steps = range(1, len(got) + 1)
    report.series("GRPO, reward", steps, reinforce.smooth(got), "batch of answers", "share of answers")
    report.series(
        "GRPO, groups with signal", steps, reinforce.smooth(signal), "batch of answers", "share of groups"
    )
