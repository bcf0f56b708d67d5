"""Pre-train a model: ladder run 3 train --preset cpu

It writes checkpoints as it goes. After ctrl-C, a crash or a power cut, the same command goes on from the last one, with
as many processes as it is given then. How to start several processes, parallel.py says.
In the end it publishes the model with its tokenizer and its card, and draws the loss curve.
"""

from collections.abc import Mapping
from dataclasses import asdict

import torch
import torch.distributed as dist
from rich.console import Console
from torch import nn

from phase01_foundation.project01_minimal_gpt.generation import encode_prompts, generate
from phase01_foundation.project01_minimal_gpt.sampling import SamplingParams
from phase01_foundation.project03_pretrain.batches import IGNORED, Batches, to_device, validation_batches
from phase01_foundation.project03_pretrain.given.document_batches import DocumentBatches
from phase01_foundation.project03_pretrain.given.encoding import PromptTokenizer
from phase01_foundation.project03_pretrain.given.known_ids import without_unknown
from phase01_foundation.project03_pretrain.given.pretrained import publish_base
from phase01_foundation.project03_pretrain.given.pretraining_data import TextData, load_data
from phase01_foundation.project03_pretrain.given.settings import PretrainConfig
from phase01_foundation.project03_pretrain.given.trainer import Speed, fit, prepare
from phase01_foundation.project03_pretrain.model import LLM, from_tensors
from phase01_foundation.project03_pretrain.monitor import DivergedError, flops_per_token
from phase01_foundation.project03_pretrain.parallel import Processes, process_group, threads_per_process
from phase01_foundation.project03_pretrain.run import Run
from phase01_foundation.project03_pretrain.step import next_token_loss
from phase01_foundation.project03_pretrain.token_file import END_OF_TEXT
from shared import artifacts, config, corpora
from shared.command import exits_with_message, how_to_run
from shared.device import autocast, explains_out_of_memory, pick_device, pick_dtype, set_threads
from shared.files import ROOT, shown, work_folder
from shared.measuring import plot
from shared.measuring.arms import peak_flops
from shared.measuring.memory import keep_freed_memory

CONFIGS = ROOT / "phase01_foundation" / "project03_pretrain" / "configs"
GENERATE = "phase01_foundation.project03_pretrain.generate"
VALIDATION_BATCH = 16  # windows at once


def train(settings: PretrainConfig, console: Console) -> tuple[Run, artifacts.Artifact | None]:
    """Train as the settings say, and publish the model; only the first process publishes, the others get None.

    Raises Interrupted after ctrl-C, with the checkpoint written; ValueError, CorpusError, ArtifactError or
    CheckpointError, before any work, for settings that cannot be followed; DivergedError where training comes apart;
    OutOfMemoryError, which says what to lower, where a step does not fit.
    """
    device = pick_device(settings.device)
    dtype = pick_dtype(settings.dtype, device)
    threads = set_threads(settings.threads or threads_per_process())
    keep_freed_memory()
    with process_group(device) as (processes, device):
        if not processes.first:
            console = Console(quiet=True)
        text = load_data(settings, processes)
        sample = make_sample(text, settings)  # a prompt that cannot be is found now, not minutes later
        torch.manual_seed(settings.seed)
        with explains_out_of_memory(device, "the model alone is too large: lower layers, dim or hidden_dim"):
            model = LLM(settings.model_config(text.tokenizer.vocab_size)).to(device)
        batches = make_batches(text, settings, processes)
        console.print(
            f"model: {model.parameter_count():,} parameters, {settings.layers} layers of {settings.dim}, context "
            f"{settings.context_length}, {text.tokenizer.vocab_size:,} tokens; {len(text.train):,} to train on, "
            f"{settings.steps * settings.batch_size * settings.context_length:,} to be read\n"
            f"machine: {device}, {str(dtype).removeprefix('torch.')}, threads: {threads}, "
            f"processes: {processes.world_size}",
            highlight=False,
        )
        speed = Speed(flops_per_token(model.config), peak_flops(dtype, device))
        run = prepare(model, batches, settings, processes)
        checkpoint = work_folder() / "models" / settings.name / "checkpoint.safetensors"
        if said := artifacts.replaced_by_training(settings.name):
            console.print(said, highlight=False)
        run = fit(
            run,
            settings,
            checkpoint,
            {**settings.identity(), "tokens": text.identity},
            make_validate(text, settings, processes, dtype),
            sample=sample,
            speed=speed,
            console=console,
        )
        state = run.full_state_dict()
        if not processes.first:
            return run, None
        trained = model if processes.world_size == 1 else from_tensors(model.config, state)
        artifact = publish(run, trained, text, settings)
        checkpoint.unlink(missing_ok=True)  # done: the same command now trains anew
        return run, artifact


def make_batches(text: TextData, settings: PretrainConfig, processes: Processes) -> Batches:
    """The batches of the train text. Raises ValueError where rows cannot begin with documents."""
    shares = settings.batch_size, settings.context_length, settings.seed, processes.rank, processes.world_size
    if not settings.whole_documents:
        return Batches(text.train, *shares)
    if END_OF_TEXT not in text.tokenizer.special_tokens:
        raise ValueError(f"whole_documents needs a tokenizer with {END_OF_TEXT}, which leads each document")
    return DocumentBatches(text.train, text.tokenizer.special_tokens[END_OF_TEXT], *shares)


def make_validate(text: TextData, settings: PretrainConfig, processes: Processes, dtype: torch.dtype):
    """Validate on windows side by side: settings.validation_windows of them, and the last time on all."""

    def validate(model: nn.Module, last: bool) -> Mapping[str, float]:
        device = next(model.parameters()).device
        totals = torch.zeros(2, dtype=torch.float64)  # loss, targets
        windows = None if last else settings.validation_windows
        for batch in validation_batches(
            text.validation,
            VALIDATION_BATCH,
            settings.context_length,
            windows,
            processes.rank,
            processes.world_size,
        ):
            count = int((batch["targets"] != IGNORED).sum())
            with autocast(device, dtype):
                loss, _ = next_token_loss(model, to_device(batch, device))
            totals += torch.tensor([loss.item() * count, count], dtype=torch.float64)
        if dist.is_initialized():
            totals = totals.to(device)
            dist.all_reduce(totals)
        return {"validation_loss": (totals[0] / totals[1]).item()}

    return validate


def make_sample(text: TextData, settings: PretrainConfig):
    """Write the beginning of a text, or go on from the prompt: a hundred tokens, to be read with the curve.

    Raises ValueError for a prompt that the tokenizer cannot encode, or that is longer than the context.
    """
    tokenizer = PromptTokenizer(text.tokenizer)
    ends = tuple(tokenizer.start)
    params = SamplingParams(max_tokens=min(100, settings.context_length), temperature=0.7, stop_ids=ends)
    prompt = settings.prompt or ("" if tokenizer.start else "\n")
    encode_prompts([prompt], tokenizer, settings.context_length)

    def sample(model: nn.Module) -> list[str]:
        assert isinstance(model, LLM)
        speaker = without_unknown(model, text.tokenizer, ends)
        return [settings.prompt + generate(speaker, tokenizer, [prompt], params)[0]]

    return sample


def publish(run: Run, model: LLM, text: TextData, settings: PretrainConfig) -> artifacts.Artifact:
    """Publish weights, shape and tokenizer, with the card, and draw the loss curve beside them."""
    card = {
        "data": text.corpus,
        "training_tokens": run.tokens,
        "seed": settings.seed,
        "settings": asdict(settings),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "processes": run.processes.world_size,
        "training_seconds": round(run.seconds, 1),
        "validation_loss": run.history[-1]["validation_loss"],
        "history": run.history,
    }
    artifact = publish_base(settings.name, model, text.tokenizer, card)
    curves = {}
    for name in ("train", "validation"):
        known = [entry for entry in run.history if entry[f"{name}_loss"] is not None]
        if known:
            curves[name] = [entry["step"] for entry in known], [entry[f"{name}_loss"] for entry in known]
    unit = "loss (nats a token)"
    plot.lines(artifact.folder / "loss.png", curves, f"{settings.name} on {text.corpus}", "step", unit)
    return artifact


def main(argv: list[str] | None = None) -> None:
    """The command: exits with 2 for settings that cannot be followed, with 130 after ctrl-C."""
    settings = config.parse(PretrainConfig, CONFIGS, argv, description="Pre-train a language model.")
    console = Console(soft_wrap=True)
    kinds = ValueError, corpora.CorpusError, artifacts.ArtifactError, artifacts.CheckpointError, DivergedError
    with exits_with_message(console, *kinds):
        run, artifact = train(settings, console)
    if artifact is None:
        return
    console.print(
        f"\nvalidation loss {run.history[-1]['validation_loss']:.4f} after {run.seconds:.0f} s of training\n"
        f"model: {shown(artifact.folder)}   loss curve: {shown(artifact.folder / 'loss.png')}\n"
        f"write with it: {how_to_run(GENERATE)} --model {artifact.name}\n\nA sample:\n"
        + run.history[-1]["samples"][0],
        highlight=False,
        markup=False,
    )


if __name__ == "__main__":
    main()
