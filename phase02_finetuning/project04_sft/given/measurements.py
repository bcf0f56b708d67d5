"""What the benchmark measures: sameness with others' libraries, the speed of packed rows, and fine-tuning itself."""

import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from phase02_finetuning.project04_sft import train as training
from phase02_finetuning.project04_sft.collate import collate
from phase02_finetuning.project04_sft.given.benchmark_settings import Settings
from phase02_finetuning.project04_sft.given.chat_model import ChatModel, load_chat
from phase02_finetuning.project04_sft.given.control_tokens import add_control_tokens
from phase02_finetuning.project04_sft.given.data import tinyworld_chunk
from phase02_finetuning.project04_sft.given.evaluation import Measured, measure
from phase02_finetuning.project04_sft.given.example import hugging_face_tokenizer, small_tokenizer
from phase02_finetuning.project04_sft.given.jinja import JINJA
from phase02_finetuning.project04_sft.given.settings import SFTConfig
from phase02_finetuning.project04_sft.loss import sft_loss
from phase02_finetuning.project04_sft.packing import pack, packed_batch
from phase02_finetuning.project04_sft.templates import TEMPLATES, Messages, render
from phase02_finetuning.project04_sft.turns import Example, tokenize_all, tokenize_turns
from shared import artifacts, config
from shared.device import pick_device
from shared.machine import cores
from shared.measuring.arms import Arm, Report
from shared.measuring.arms import measure as measure_arms
from shared.phase01 import IGNORED, Batch, load_base, make_optimizers, save_model, training_step
from shared.tuning.tinyworld import SKILLS


def random_talks(count: int) -> list[Messages]:
    """Talks of one to three exchanges, of words, numbers, line ends, and what looks like a control token."""
    draw = random.Random(0)
    words = [
        "Mia",
        "has 12 apples.",
        "Who?",
        "a\nb",
        "<|im_end|>",
        "é",
        "{{ x }}",
        "No,",
        "it's",
        "### Response:",
    ]
    found = []
    for _ in range(count):
        talk = [{"role": "system", "content": "Be brief."}] if draw.random() < 0.5 else []
        for number in range(2 * draw.randint(1, 3)):
            content = " ".join(draw.choices(words, k=draw.randint(1, 8)))
            talk.append({"role": "assistant" if number % 2 else "user", "content": content})
        found.append(talk)
    return found


def equality(report: Report, settings: Settings) -> None:
    """Texts, ids, labels and losses beside transformers, layouts beside trl; a library that is missing is left out."""
    talks = random_talks(settings.talks)
    try:
        from transformers import AutoModelForCausalLM
        from transformers.utils.chat_template_utils import render_jinja_template
    except ImportError:
        print("transformers is not installed: nothing to compare with", file=sys.stderr)
        return
    alike = 0
    for template in TEMPLATES:
        [theirs, _] = render_jinja_template(
            [list(map(dict, talk)) for talk in talks], chat_template=JINJA[template]
        )
        alike += sum(render(talk, template) == text for talk, text in zip(talks, theirs, strict=True))
    report.figure(
        "talks rendered byte for byte as transformers renders them", alike, "talks",
        ("==", len(talks) * len(TEMPLATES)), note=f"{len(TEMPLATES)} templates, {len(talks)} random talks each",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        plain = [talk for talk in talks if not any("<|" in one["content"] for one in talk)]
        tokenizer = small_tokenizer()
        peer = hugging_face_tokenizer(tokenizer, Path(folder))
        same = 0
        for talk in plain:
            theirs = peer.apply_chat_template(
                talk, chat_template=JINJA["chatml"], tokenize=True, return_dict=True,
                return_assistant_tokens_mask=True,
            )  # fmt: skip
            ids, labels = tokenize_turns(talk, tokenizer, "chatml")
            masked = [id if one else IGNORED for id, one in zip(ids, theirs["assistant_masks"], strict=True)]
            same += ids == theirs["input_ids"] and labels == masked
        report.figure(
            "talks with the ids and labels of transformers", same, "talks", ("==", len(plain)),
            note="ChatML; talks in which nobody types a control token, which transformers takes for a real one",
        )  # fmt: skip
        model, examples = examples_of(settings, 32)
        save_model(model, folder)
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        padded = collate(examples)
        ids = torch.cat([padded["tokens"], torch.zeros(len(examples), 1, dtype=torch.int64)], dim=1)
        labels = torch.cat([torch.full((len(examples), 1), IGNORED), padded["targets"]], dim=1)
        with torch.no_grad():
            expected = theirs(input_ids=ids, labels=labels).loss.item()
            alone = sft_loss(model, padded)[0].item()
            together = sft_loss(model, packed(examples, settings.context_length))[0].item()
    report.figure("loss, difference from transformers", abs(alone - expected), "nats", ("<=", 1e-5))
    note = f"32 examples in rows of {settings.context_length}, float32; the loss is {alone:.4f}"
    report.figure(
        "packed loss, difference from unpacked", abs(alone - together), "nats", ("<=", 1e-5), note=note
    )
    try:
        from datasets import Dataset
        from trl.data_utils import pack_dataset
    except ImportError:
        print("trl is not installed: its layout is not compared", file=sys.stderr)
        return
    lengths = [random.Random(1).randint(1, 200) for _ in range(10 * settings.talks)]
    rows = Dataset.from_dict({"input_ids": [[i] * n for i, n in enumerate(lengths)]})
    theirs = pack_dataset(rows, 512, "bfd", {"batch_size": len(lengths)})  # else a thousand at a time
    layout = [list(dict.fromkeys(row)) for row in theirs["input_ids"]]
    report.figure(
        "rows packed as trl packs them", sum(a == b for a, b in zip(pack(lengths, 512), layout, strict=True)),
        "rows", ("==", len(layout)), note=f"{len(lengths):,} random lengths",
    )  # fmt: skip


def examples_of(settings: Settings, count: int) -> tuple[Any, list[Example]]:
    """The base model with our control tokens, and examples of the mix that it is fine-tuned on."""
    model, tokenizer = add_control_tokens(*load_base(settings.base), "tinyworld")
    chunk = tinyworld_chunk(SFTConfig(), 0, size=count)
    examples, _ = tokenize_all(chunk, tokenizer, "tinyworld", settings.context_length)
    return model, examples


def packed(examples: Sequence[Example], context: int) -> Batch:
    """All examples in packed rows."""
    rows = pack([len(example.ids) - 1 for example in examples], context)
    return packed_batch([[examples[i] for i in row] for row in rows], context)


def packing_gain(report: Report, settings: Settings) -> None:
    """Training steps on the same examples: padded as they come, padded by length, and packed."""
    model, examples = examples_of(settings, settings.examples)
    rows = settings.rows
    by_length = sorted(examples, key=lambda example: len(example.ids))
    # As many tokens a step as a packed one has, so that all three take about as many steps.
    a_step = max(
        1,
        round(len(examples) * rows / len(pack([len(e.ids) - 1 for e in examples], settings.context_length))),
    )
    ways: dict[str, list[Batch]] = {
        "padded": [collate(examples[i : i + a_step]) for i in range(0, len(examples), a_step)],
        "padded by length": [collate(by_length[i : i + a_step]) for i in range(0, len(examples), a_step)],
        "packed": [
            {name: part[i : i + rows] for name, part in whole.items()}
            for whole in [packed(examples, settings.context_length)]
            for i in range(0, len(whole["tokens"]), rows)
        ],
    }
    real = sum(len(example.ids) - 1 for example in examples)
    optimizers = make_optimizers(model, "adamw", 0.0)

    def run(batches: list[Batch]) -> float:
        # A rate of 0: the weights stay as they are, and every way does the same work.
        # A quarter of a batch at once fits into the cache.
        losses = [
            training_step(
                model, optimizers, batch, 0.0, loss_fn=sft_loss, micro_batch=max(1, len(batch["tokens"]) // 4)
            ).loss
            for batch in batches
        ]
        return sum(losses) / len(losses)

    arms = [Arm(name, lambda batches=batches: run(batches), work=real) for name, batches in ways.items()]
    found = measure_arms(arms, repeats=settings.repeats, seconds=60)
    share = {name: real / sum(batch["tokens"].numel() for batch in batches) for name, batches in ways.items()}
    shares = ", ".join(f"{name} {100 * one:.0f}%" for name, one in share.items())
    report.figure(
        "packed over padded, tokens of examples a second",
        found["packed"].throughput / found["padded"].throughput, "times",
        peers={"padded by length": found["padded by length"].throughput / found["padded"].throughput},
        note=f"of the tokens in a batch, no padding: {shares}",
    )  # fmt: skip
    report.figure(
        "training, packed", found["packed"].throughput, "tokens/s",
        peers={name: found[name].throughput for name in ("padded", "padded by length")},
        note=f"{len(examples)} examples, {real:,} tokens, padding not counted; "
        f"peak memory {found['packed'].memory / 2**20:.0f} MiB, padded {found['padded'].memory / 2**20:.0f} MiB",
    )  # fmt: skip


def fine_tuning(report: Report, settings: Settings, name: str, tune: SFTConfig) -> Measured:
    """Fine-tune, and measure before and after."""
    before = measured_once(tune.base, settings)
    run, artifact = training.train(replace(tune, restart=True), Console(stderr=True))
    assert artifact is not None
    after = measured(artifact.name, settings)
    minutes = run.seconds / 60
    note = f"{run.step:,} steps, {run.tokens:,} tokens, {minutes:.1f} minutes; before: in the base's own form"
    before_and_after(report, name, before, after, note)
    if name in PROMISED:
        within = ("<=", 10) if name == "cpu preset" and settings.device == "cpu" else None
        report.figure(f"minutes of training, {name}", minutes, "minutes", within)
    history = run.history
    report.series(
        f"validation loss, {name}", [entry["tokens"] for entry in history],
        [entry["validation_loss"] for entry in history], "tokens read", "validation loss (nats a token)",
    )  # fmt: skip
    return after


def before_and_after(report: Report, name: str, before: Measured, after: Measured, note: str) -> None:
    """The figures of two models, of which one was made of the other."""
    whole, least = name in PROMISED, PROMISED.get(name, 0)
    report.figure(
        f"exact match, tinyworld's questions, {name}", after.own_items, "%",
        (">=", least) if whole else None, {"before": before.own_items}, note,
    )  # fmt: skip
    for wording in after.wordings:
        two = [one.wordings[wording].score for one in (before, after)]
        report.figure(
            f"exact match, {wording.replace('_', ' ')} wordings, {name}", two[1].average, "%", None,
            {"before": two[0].average}, f"above chance: {two[0].average_above_chance:.0f} → "
            f"{two[1].average_above_chance:.0f}",
        )  # fmt: skip
    compliance = [one.wordings["train"].compliance for one in (before, after)]
    report.figure(
        f"format compliance, {name}", 100 * compliance[1], "%", (">=", 98) if whole else None,
        {"before": 100 * compliance[0]},
    )  # fmt: skip
    # On direct answers: who writes steps out gives them next to no probability, and is none the worse for it.
    report.figure(f"held-out loss, {name}", after.loss, "nats", None, {"before": before.loss})
    shares = [
        100 * sum(r for r, _ in one.talks.values()) / sum(n for _, n in one.talks.values())
        for one in (before, after)
    ]
    by_sort = ", ".join(f"{sort} {right} of {asked}" for sort, (right, asked) in after.talks.items())
    report.figure(f"talks answered well, {name}", shares[1], "%", None, {"before": shares[0]}, by_sort)
    for skill in SKILLS:
        one, two = before.own_by_skill[skill], after.own_by_skill[skill]
        report.figure(f"{skill}, tinyworld's questions, {name}", two, "%", None, {"before": one})


PROMISED = {"cpu preset": 86, "long preset": 92, "released model": 92}
"""exact match on tinyworld's questions, in percent"""


def measured(name: str, settings: Settings) -> Measured:
    """All that is measured of a model by name, where the settings say."""
    chat = load_chat(name)
    chat.model.to(pick_device(settings.device))
    return measure(chat, settings.per_skill, settings.per_skill)


@cache
def measured_once(name: str, settings: Settings) -> Measured:
    """`measured`, kept for the next training that begins with the same model."""
    return measured(name, settings)


def short_tuning(report: Report, settings: Settings) -> None:
    """A fine-tuning of a minute or two, which shows form and loss, and little of the rest."""
    tune = preset_of("cpu", settings)
    tune = replace(
        tune, name="benchmark-tiny-chat-short", base=settings.base, steps=settings.steps, warmup=2,
        context_length=settings.context_length, evaluate_every=max(1, settings.steps // 4), tensorboard=False,
        validation_examples=64,
    )  # fmt: skip
    fine_tuning(report, settings, f"{settings.steps} steps", tune)


def whole_tuning(report: Report, settings: Settings) -> None:
    """The `cpu` preset to its end, and once more with a straight line in the cosine's place."""
    tune = replace(preset_of("cpu", settings), name="benchmark-tiny-chat")
    after = fine_tuning(report, settings, "cpu preset", tune)
    other = replace(tune, name="benchmark-tiny-chat-linear", schedule="linear", restart=True)
    run, artifact = training.train(other, Console(stderr=True))
    assert artifact is not None
    chat: ChatModel = load_chat(artifact.name)
    chat.model.to(pick_device(settings.device))
    straight = measure(chat, settings.per_skill, settings.per_skill, wordings=["train"])
    report.figure(
        "cosine over linear, exact match", after.own_items - straight.own_items, "points",
        note=f"tinyworld's questions; validation loss {run.history[-1]['validation_loss']:.4f} in a straight line",
    )  # fmt: skip


def long_tuning(report: Report, settings: Settings) -> None:
    """The `long` preset to its end."""
    tune = replace(preset_of("long", settings), name="benchmark-tiny-chat-long")
    by_wording(report, "long preset", fine_tuning(report, settings, "long preset", tune))


def released(report: Report, settings: Settings) -> None:
    """The released model beside the one that it was made of."""
    card = artifacts.find(settings.released).card
    before, after = measured_once(settings.base, settings), measured(settings.released, settings)
    note = (
        f"{card['settings']['steps']:,} steps, {card['training_tokens']:,} tokens, "
        f"{card['training_seconds'] / 60:.1f} minutes on {card['device']}"
    )
    before_and_after(report, "released model", before, after, note)
    by_wording(report, "released model", after)


def by_wording(report: Report, name: str, after: Measured) -> None:
    """What is promised of a model that writes steps out: its weakest skills, and what wordings do to it."""
    by_skill = after.wordings["train"].score.by_skill
    weakest = min(by_skill, key=lambda skill: by_skill[skill])
    report.figure(
        f"the weakest skill, train wordings, {name}", by_skill[weakest], "%", (">=", 75), note=weakest
    )
    for skill in ("yes_no", "comparison"):
        report.figure(f"{skill}, train wordings, {name}", by_skill[skill], "%", (">=", 80))
    seen, unseen = (after.wordings[wording].score.average for wording in ("train", "held_out"))
    report.figure(
        f"train wordings over held out ones, {name}", seen - unseen, "points", ("<=", 10),
        note=f"{seen:.1f} and {unseen:.1f}",
    )  # fmt: skip


def preset_of(preset: str, settings: Settings) -> SFTConfig:
    """A preset of `train`, from the base and on the device that the settings name."""
    tune = config.parse(SFTConfig, training.CONFIGS, ["--preset", preset, "--device", settings.device])
    if settings.device != "cpu":  # there, a whole batch fits, and is made more slowly than it is taken
        tune = replace(tune, micro_batch=0, workers=max(1, cores() // 2))
    return replace(tune, base=settings.base, tensorboard=False)
