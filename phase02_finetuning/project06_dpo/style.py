"""Teach a chat model the answers that wishes are about, before preferences: ladder run 6 style --preset cpu

A model that answers in one word has nothing that DPO could choose from: the chosen answer becomes far likelier, and is
still not what it writes. So it first learns to answer such requests at all, in both ways. Project 4's fine-tuning does
the work, with project 4's own mix beside the wishes, so that it does not forget the rest.
"""

from collections.abc import Mapping
from itertools import islice

from rich.console import Console
from torch import nn

from phase02_finetuning.project04_sft.answers import held_out_loss
from phase02_finetuning.project04_sft.given.batches import ExampleBatches
from phase02_finetuning.project04_sft.given.data import tinyworld_chunk
from phase02_finetuning.project04_sft.given.settings import SFTConfig
from phase02_finetuning.project04_sft.loss import sft_loss
from phase02_finetuning.project04_sft.templates import Messages
from phase02_finetuning.project04_sft.turns import Example, tokenize_all
from phase02_finetuning.project06_dpo.given.data import style_chunk
from phase02_finetuning.project06_dpo.given.settings import StyleConfig
from phase02_finetuning.project06_dpo.given.training import begin, publish
from phase02_finetuning.project06_dpo.reference_cache import hash_of_weights
from shared import artifacts, config
from shared.command import exits_with_message, how_to_run
from shared.device import pick_device, pick_dtype, set_threads
from shared.files import ROOT, shown, work_folder
from shared.measuring.memory import keep_freed_memory
from shared.phase01 import LLM, Run, fit, prepare
from shared.tuning.tinyworld import version, wishes

CONFIGS = ROOT / "phase02_finetuning" / "project06_dpo" / "configs" / "style"
TRAIN = "phase02_finetuning.project06_dpo.train"
CHUNK = 512  # conversations that are made and packed together
HELD_OUT = 128


def mixed_chunk(settings: StyleConfig, worked: bool, number: int) -> list[Messages]:
    """Wishes with their answers, and `keep` of all from project 4's mix, in its own form: with steps or without."""
    kept = round(CHUNK * settings.keep)
    own = SFTConfig(worked=worked, seed=settings.seed)
    sides = 2 if settings.answers == "both" else 1
    made: list[Messages] = [*style_chunk(settings.answers, number, settings.seed, (CHUNK - kept) // sides)]
    return made + (tinyworld_chunk(own, number, size=kept) if kept else [])


def train(settings: StyleConfig, console: Console) -> tuple[Run, artifacts.Artifact]:
    """Fine-tune as the settings say, and publish the model. Raises as project 4's training does."""
    device = pick_device(settings.device)
    dtype = pick_dtype(settings.dtype, device)
    set_threads(settings.threads)
    keep_freed_memory()
    chat = begin(settings, None, device)
    length = settings.context_length
    if length > chat.model.config.context_length:
        longest = chat.model.config.context_length
        raise ValueError(f"context_length is {length}; {settings.base} reads {longest}")
    worked = bool(artifacts.find(settings.base).card.get("settings", {}).get("worked", False))
    console.print(
        f"model: {settings.base}; {settings.steps:,} steps of {settings.batch_size} rows of {length}; "
        f"{settings.answers} answers of wishes, {settings.keep:.0%} project 4's mix, "
        f"{'with' if worked else 'without'} steps written out",
        highlight=False,
    )

    def tokenized(number: int) -> list[Example]:
        return tokenize_all(mixed_chunk(settings, worked, number), chat.tokenizer, chat.template, length)[0]

    validation = tokenize_all(
        ((*one.prompt, {"role": "assistant", "content": one.chosen}) for one in islice(wishes("validation"), HELD_OUT)),
        chat.tokenizer, chat.template, length,
    )[0]  # fmt: skip

    def validate(model: nn.Module, last: bool) -> Mapping[str, float]:
        assert isinstance(model, LLM)
        return {"validation_loss": held_out_loss(model, validation, dtype=dtype)}

    weights = hash_of_weights(chat.model)
    batches = ExampleBatches(tokenized, settings.batch_size, length, True, settings.seed)
    run = prepare(chat.model, batches, settings)
    checkpoint = work_folder() / "models" / settings.name / "checkpoint.safetensors"
    if said := artifacts.replaced_by_training(settings.name):
        console.print(said, highlight=False)
    identity = {**settings.identity(), "data": version(), "weights": weights}
    run = fit(run, settings, checkpoint, identity, validate, loss_fn=sft_loss, console=console)
    card = {"data": "tinyworld's wishes and project 4's mix", "data_version": version()}
    artifact = publish(chat, run, settings, card)
    checkpoint.unlink(missing_ok=True)  # done: the same command now trains anew
    return run, artifact


def main(argv: list[str] | None = None) -> None:
    """The command: exits with 2 for settings that cannot be followed, with 130 after ctrl-C."""
    settings = config.parse(StyleConfig, CONFIGS, argv, description="Teach the style of answers to wishes.")
    console = Console(soft_wrap=True)
    kinds = ValueError, artifacts.ArtifactError, artifacts.CheckpointError, ArithmeticError
    with exits_with_message(console, *kinds):
        run, artifact = train(settings, console)
    console.print(
        f"\nloss on chosen answers held out {run.history[-1]['validation_loss']:.4f} after {run.seconds:.0f} s\n"
        f"model: {shown(artifact.folder)}\nthen: {how_to_run(TRAIN)} --base {artifact.name}",
        highlight=False,
        markup=False,
    )


if __name__ == "__main__":
    main()
