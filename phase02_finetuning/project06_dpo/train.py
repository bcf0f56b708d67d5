"""Train a model on preferences: ladder run 6 train --preset cpu --base tiny-style

DPO and its relatives, on pairs of answers. The reference's numbers are made once and kept on disk. It writes
checkpoints as it goes: after ctrl-C or a crash, the same command goes on from the last one. In the end it publishes a
chat model.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial

import torch
from rich.console import Console
from torch import Tensor, nn

from phase02_finetuning.project04_sft.given.chat_model import ChatModel
from phase02_finetuning.project06_dpo.given.data import PairBatches, Pairs, in_batches, load_pairs
from phase02_finetuning.project06_dpo.given.objective import PairObjective
from phase02_finetuning.project06_dpo.given.settings import PreferenceConfig
from phase02_finetuning.project06_dpo.given.training import begin, numbers, publish
from phase02_finetuning.project06_dpo.logprobs import LogProbs
from phase02_finetuning.project06_dpo.metrics import preference_metrics
from phase02_finetuning.project06_dpo.pairs import PairExample
from phase02_finetuning.project06_dpo.policy import reference_logprobs, reference_of
from phase02_finetuning.project06_dpo.reference_cache import ReferenceCache, hash_of_weights
from shared import artifacts, config
from shared.command import exits_with_message, how_to_run
from shared.device import pick_device, pick_dtype, set_threads
from shared.files import ROOT, shown, work_folder
from shared.measuring.memory import keep_freed_memory
from shared.phase01 import IGNORED, Batch, Run, fit, prepare

CONFIGS = ROOT / "phase02_finetuning" / "project06_dpo" / "configs"
EVALUATE = "phase02_finetuning.project06_dpo.evaluate"
SAMPLES = "phase02_finetuning.project06_dpo.samples"


def train(settings: PreferenceConfig, console: Console) -> tuple[Run, artifacts.Artifact]:
    """Train as the settings say, and publish the model.

    Raises Interrupted after ctrl-C, with the checkpoint written; ValueError, ArtifactError or CheckpointError, before
    any work, for settings that cannot be followed; DivergedError where training comes apart.
    """
    device = pick_device(settings.device)
    dtype = pick_dtype(settings.dtype, device)
    set_threads(settings.threads)
    keep_freed_memory()
    lora = (settings.rank, settings.alpha) if settings.method == "lora" else None
    chat = begin(settings, lora, device)
    pairs = load_pairs(settings, chat.tokenizer, chat.template, chat.model.config.context_length)
    trained = sum(one.numel() for one in chat.model.parameters() if one.requires_grad)
    console.print(
        f"model: {settings.base}, {trained:,} parameters are trained; {len(pairs.train):,} pairs, "
        f"{len(pairs.validation)} held out, {pairs.too_long} too long; {settings.loss}, beta {settings.beta:g}\n"
        f"machine: {device}, {str(dtype).removeprefix('torch.')}",
        highlight=False,
    )
    weights = hash_of_weights(chat.model)
    of = partial(known_reference, chat, dtype=dtype)
    batches = PairBatches(
        pairs.train, of(pairs.train) if settings.cached else None, settings.batch_size, settings.seed
    )
    objective = PairObjective(settings)
    validate = make_validate(in_batches(pairs.validation), of(pairs.validation), objective, dtype)
    run = prepare(chat.model, batches, settings)
    checkpoint = work_folder() / "models" / settings.name / "checkpoint.safetensors"
    if said := artifacts.replaced_by_training(settings.name):
        console.print(said, highlight=False)
    identity = {**settings.identity(), "examples": pairs.identity, "weights": weights}
    run = fit(run, settings, checkpoint, identity, validate, loss_fn=objective, console=console)
    artifact = publish(chat, run, settings, card_of(settings, pairs, weights))
    checkpoint.unlink(missing_ok=True)  # done: the same command now trains anew
    return run, artifact


def known_reference(chat: ChatModel, examples: list[PairExample], dtype: torch.dtype) -> Tensor:
    """The base's numbers for these pairs, from the cache, or made now and kept."""
    cache = ReferenceCache(work_folder() / "cache" / "references")
    model = chat.model

    def make() -> Tensor:
        # A model that is trained whole has not been touched yet: as it stands, it is its own reference.
        adapted = any(".adapters." in name for name, _ in model.named_parameters())
        with reference_of(model) if adapted else nullcontext():
            return reference_logprobs(model, in_batches(examples), dtype)

    return cache.get(model, examples, make, dtype)


def make_validate(batches: list[Batch], reference: Tensor, objective: PairObjective, dtype: torch.dtype):
    """The loss and the metrics on the pairs held out."""
    counts = torch.cat([(batch["targets"] != IGNORED).sum(dim=-1) for batch in batches])

    def validate(model: nn.Module, last: bool) -> Mapping[str, float]:
        policy = reference_logprobs(model, batches, dtype)
        loss = objective.loss(LogProbs(policy, counts), reference)
        metrics = preference_metrics(policy, reference, objective.settings.beta)
        return {"validation_loss": loss.item(), **numbers(metrics)}

    return validate


def card_of(settings: PreferenceConfig, pairs: Pairs, weights: str) -> dict[str, object]:
    """What the card says of the data and of the reference."""
    return {
        "data": settings.data,
        "data_version": pairs.identity,
        "pairs": len(pairs.train),
        "too_long": pairs.too_long,
        "reference_weights": weights,
    }


def main(argv: list[str] | None = None) -> None:
    """The command: exits with 2 for settings that cannot be followed, with 130 after ctrl-C."""
    settings = config.parse(PreferenceConfig, CONFIGS, argv, description="Train a model on preferences.")
    console = Console(soft_wrap=True)
    kinds = ValueError, artifacts.ArtifactError, artifacts.CheckpointError, ArithmeticError
    with exits_with_message(console, *kinds):
        run, artifact = train(settings, console)
    last = run.history[-1]
    console.print(
        f"\nafter {run.seconds:.0f} s of training, on pairs held out: loss {last['validation_loss']:.4f}, accuracy "
        f"{last['accuracy']:.0%}, margin {last['margin']:.2f}; without the reference {last['raw_accuracy']:.0%}\n"
        f"model: {shown(artifact.folder)}\n"
        f"what it writes, which is what counts: {how_to_run(EVALUATE)} --model {artifact.name} --base {settings.base}\n"
        f"side by side: {how_to_run(SAMPLES)} --model {settings.base} --model {artifact.name}",
        highlight=False,
        markup=False,
    )


if __name__ == "__main__":
    main()
