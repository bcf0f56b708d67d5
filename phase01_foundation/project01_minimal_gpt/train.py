"""Train a character-level GPT: ladder run 1 train --preset cpu

It writes checkpoints as it goes. After ctrl-C, a crash or a power cut, the same command goes on from the last one.
In the end it publishes the model, draws the loss curve and streams a sample. With the reference's code, it is
`python -m phase01_foundation.project01_minimal_gpt.train`.
"""

import time
from typing import Any

import torch
from rich.console import Console

from phase01_foundation.project01_minimal_gpt.attention import Attend, causal_attention
from phase01_foundation.project01_minimal_gpt.generation import encode_prompts, generate, stream
from phase01_foundation.project01_minimal_gpt.given.run import Run
from phase01_foundation.project01_minimal_gpt.given.settings import TrainConfig
from phase01_foundation.project01_minimal_gpt.sampling import SamplingParams
from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from phase01_foundation.project01_minimal_gpt.training import (
    evaluate,
    learning_rate,
    sample_batch,
    training_step,
)
from shared import artifacts, config, corpora
from shared.command import (
    Interrupted,
    catch_interrupts,
    exits_with_message,
    how_to_run,
    printable,
    steps_bar,
)
from shared.device import explains_out_of_memory, pick_device, pick_dtype, set_threads
from shared.files import ROOT, shown, work_folder
from shared.measuring import plot

CONFIGS = (
    ROOT / "phase01_foundation" / "project01_minimal_gpt" / "configs"
)  # also when this file is a learner's copy
SAMPLE = SamplingParams(max_tokens=100, temperature=0.8)
GENERATE = "phase01_foundation.project01_minimal_gpt.generate"


def load_data(settings: TrainConfig) -> tuple[CharTokenizer, torch.Tensor, torch.Tensor, str]:
    """The tokenizer, the ids of the train and validation texts, and the name of the corpus they are from.

    Raises CorpusError for a corpus that cannot be had, ValueError for one too short for the context.
    """
    corpus = corpora.load(
        settings.corpus,
        fallback=settings.fallback,
        splits=["train", "validation"],
        characters=settings.characters,
    )
    texts = corpus.split("train"), corpus.split("validation")
    tokenizer = CharTokenizer.from_text("".join(texts))
    train_ids, validation_ids = (torch.tensor(tokenizer.encode(text)) for text in texts)
    for split, ids in (("train", train_ids), ("validation", validation_ids)):
        if len(ids) <= settings.context_length:
            raise ValueError(
                f"context_length {settings.context_length} is too long: "
                f"the {split} text of {corpus.name} has only {len(ids):,} characters"
            )
    return tokenizer, train_ids, validation_ids, corpus.name


def train(settings: TrainConfig, console: Console) -> tuple[Run, artifacts.Artifact]:
    """Train as the settings say, and publish the model.

    Returns the finished run, with the weights that were published: with settings.keep_best, those of the lowest
    validation loss. Raises Interrupted after ctrl-C, with the checkpoint written; ValueError, CorpusError or
    CheckpointError, before any work, for settings that cannot be followed; OutOfMemoryError where a step does not fit,
    with the checkpoint as it was.
    """
    if said := artifacts.replaced_by_training(settings.name):
        console.print(said, highlight=False)
    device = pick_device(settings.device)
    dtype = pick_dtype(settings.dtype, device)
    threads = set_threads(settings.threads)
    tokenizer, train_ids, validation_ids, corpus = load_data(settings)
    encode_prompts([settings.prompt], tokenizer, settings.context_length)  # fails now, not minutes later
    run = Run.start(
        tokenizer, settings.model_config(tokenizer.vocab_size), settings.weight_decay, settings.seed, device
    )
    console.print(
        f"model: {run.model.parameter_count():,} parameters, {settings.layers} layers of {settings.dim}, "
        f"context {settings.context_length}; {device}, {str(dtype).removeprefix('torch.')}, threads: {threads}",
        highlight=False,
    )
    checkpoint = work_folder() / "models" / settings.name / "checkpoint.safetensors"
    if checkpoint.exists() and not settings.restart:
        run.resume(checkpoint, settings.identity())
        console.print(f"resumed at step {run.step:,} from {shown(checkpoint)}; --restart=true begins anew")

    run.save(checkpoint, settings.identity())  # a folder that cannot be written is found now, not in minutes

    advice = (
        f"lower batch_size (it is {settings.batch_size}), or context_length (it is {settings.context_length})"
    )
    advice += f"; either begins anew. The checkpoint {shown(checkpoint)} is as it was"
    fits = explains_out_of_memory(device, advice)
    with fits, steps_bar(console) as progress, catch_interrupts() as interrupted:
        bar = progress.add_task("training", total=settings.steps, completed=run.step, loss="")
        while run.step < settings.steps:
            run_step(run, settings, train_ids, dtype)
            progress.update(bar, completed=run.step, loss=f"loss {run.losses[-1]:.3f}")
            done = run.step == settings.steps
            if run.step % settings.evaluate_every == 0 or done:
                log_validation(run, validation_ids, dtype, settings.attend)
                [run.history[-1]["sample"]] = generate(
                    run.model, tokenizer, [settings.prompt], SAMPLE, settings.attend
                )
                if settings.keep_best:
                    run.note_best()
                progress.console.print(_line(run, settings), highlight=False)
                run.save(checkpoint, settings.identity())
            if interrupted and not done:
                run.save(checkpoint, settings.identity())
                raise Interrupted(f"stopped at step {run.step:,}; the checkpoint is {shown(checkpoint)}")
    run.take_best()
    artifact = _publish(run, settings, corpus)
    checkpoint.unlink(missing_ok=True)  # done: the same command now trains anew
    return run, artifact


def run_step(run: Run, settings: TrainConfig, train_ids: torch.Tensor, dtype: torch.dtype) -> None:
    """Take one step, and note its loss, its gradient norm and its time."""
    start = time.perf_counter()
    device = run.model.head.weight.device
    tokens, targets = sample_batch(train_ids, settings.batch_size, settings.context_length, run.batches)
    rate = learning_rate(
        run.step,
        peak=settings.learning_rate,
        warmup=settings.warmup,
        steps=settings.steps,
        decay_share=settings.decay_share,
    )
    loss, norm = training_step(
        run.model,
        run.optimizer,
        tokens.to(device),
        targets.to(device),
        rate,
        settings.max_norm,
        dtype,
        settings.attend,
    )
    run.step += 1
    run.seconds += time.perf_counter() - start
    run.losses.append(loss)
    run.norms.append(norm)


def log_validation(
    run: Run, validation_ids: torch.Tensor, dtype: torch.dtype, attend: Attend = causal_attention
) -> None:
    """Validate, and add an entry to the history. Its time does not count as training."""
    run.history.append(
        {
            "step": run.step,
            "seconds": round(run.seconds, 2),
            "train_loss": sum(run.losses) / len(run.losses),
            "validation_loss": evaluate(run.model, validation_ids, dtype=dtype, attend=attend),
            "gradient_norm": max(run.norms),
        }
    )
    run.losses, run.norms = [], []


def _line(run: Run, settings: TrainConfig) -> str:
    entry = run.history[-1]
    rate = run.step * settings.batch_size * settings.context_length / run.seconds
    return (
        f"step {entry['step']:>5,}   train loss {entry['train_loss']:.3f}   "
        f"validation loss {entry['validation_loss']:.4f}   largest gradient norm {entry['gradient_norm']:.2f}   "
        f"{rate:,.0f} characters/s"
    )


def published(run: Run) -> dict[str, Any]:
    """The history's entry of the weights that are published: the best, where they were kept, else the last."""
    return run.best_entry or run.history[-1]


def _publish(run: Run, settings: TrainConfig, corpus: str) -> artifacts.Artifact:
    """Publish the weights, with all that `generate` needs, and draw the loss curve beside them."""
    shape = settings.model_config(run.tokenizer.vocab_size)
    card = {
        "data": corpus,
        "seed": settings.seed,
        "settings": settings.identity(),
        "parameters": run.model.parameter_count(),
        "training_seconds": round(run.seconds, 1),
        "validation_loss": published(run)["validation_loss"],
        "published_step": published(run)["step"],
        "history": run.history,
    }
    model_config = {**vars(shape), "alphabet": run.tokenizer.alphabet}
    artifact = artifacts.publish(settings.name, run.model.state_dict(), model_config, card)
    steps = [entry["step"] for entry in run.history]
    curves = {
        name: (steps, [entry[key] for entry in run.history])
        for name, key in (("train", "train_loss"), ("validation", "validation_loss"))
    }
    plot.lines(
        artifact.folder / "loss.png",
        curves,
        f"{settings.name} on {corpus}",
        "step",
        "loss (nats a character)",
    )
    return artifact


def main(argv: list[str] | None = None) -> None:
    """The command: exits with 2 for settings that cannot be followed, with 130 after ctrl-C."""
    settings = config.parse(TrainConfig, CONFIGS, argv, description="Train a character-level GPT.")
    console = Console(soft_wrap=True)
    kinds = ValueError, corpora.CorpusError, artifacts.CheckpointError, FloatingPointError
    with exits_with_message(console, *kinds):
        run, artifact = train(settings, console)
    entry = published(run)
    console.print(
        f"\nvalidation loss {entry['validation_loss']:.4f} (step {entry['step']:,}) "
        f"after {run.seconds:.0f} s of training\n"
        f"model: {shown(artifact.folder)}   loss curve: {shown(artifact.folder / 'loss.png')}\n"
        f"write with it: {how_to_run(GENERATE)} --model {artifact.name}\n\n"
        "A sample, as it is written:",
        highlight=False,
    )
    params = SamplingParams(max_tokens=400, temperature=0.8)
    for _, piece in stream(run.model, run.tokenizer, [settings.prompt], params, settings.attend):
        print(printable(piece), end="", flush=True)
    print()


if __name__ == "__main__":
    main()
