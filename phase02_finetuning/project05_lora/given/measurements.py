"""What the benchmark measures: steps and their memory, decoding with adapters, and runs of equal seconds."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter as clock

import torch
from rich.console import Console

from phase02_finetuning.project05_lora.adapters import add_adapter, train_only
from phase02_finetuning.project05_lora.given.data import AnswerBatches
from phase02_finetuning.project05_lora.given.settings import FinetuneConfig
from phase02_finetuning.project05_lora.given.shapes import SHAPES
from phase02_finetuning.project05_lora.lora import LoraConfig
from phase02_finetuning.project05_lora.merging import merge
from phase02_finetuning.project05_lora.plan import Setup, linear_shapes, memory_plan, other_sizes
from phase02_finetuning.project05_lora.qlora import quantize_base
from phase02_finetuning.project05_lora.saving import save_adapter
from phase02_finetuning.project05_lora.seven_b import Shape, adapted, make_random
from phase02_finetuning.project05_lora.seven_b import train as finetune
from phase02_finetuning.project05_lora.switching import select_adapter, use_adapter
from phase02_finetuning.project05_lora.train import prepare_model, train
from shared.device import explains_out_of_memory
from shared.measuring.arms import Arm, Report, measure
from shared.measuring.memory import peak_memory
from shared.phase01 import (
    LLM,
    Config,
    Run,
    greedy_batch,
    load_base,
    make_optimizers,
    save_model,
    torch_attention,
    training_step,
)
from shared.tinyworld import Score

VOCAB_7B = 32_000
WAYS = ("full", "lora", "dora", "qlora")


@dataclass(frozen=True)
class Sizes:
    """How much of everything a preset does."""

    shape: Config
    """of the model whose step is measured; its weights are random"""
    rows: int
    time: int
    repeats: int
    decode_tokens: int
    seconds: float
    """of each training that is compared; 0: as many steps each, `steps`"""
    ranks: tuple[int, ...]
    per_skill: int
    """questions a skill that are answered after each training; 0: none"""
    steps: int = 0
    device: str = "cpu"
    """of the trainings"""
    seven_b: Shape | None = None
    """a Llama of this shape with random weights goes the way of `seven_b`"""


MEDIUM = Config(4096, 512, 8, 8, 4, 512, 1408, tied_embeddings=True)
SIZES = {
    "smoke": Sizes(replace(SHAPES["tiny-base"], layers=1, dim=32, hidden_dim=48), 2, 16, 1, 2, 0.2, (2,), 0),
    "cpu": Sizes(MEDIUM, 8, 128, 3, 24, 25.0, (2,), 20),
    "full": Sizes(MEDIUM, 8, 128, 5, 48, 240.0, (1, 2, 4, 8, 16), 60),
    "gpu": Sizes(MEDIUM, 8, 128, 3, 24, 0, (1, 2, 4, 8, 16), 60, 800, "cuda"),
    "7b": Sizes(MEDIUM, 1, 512, 12, 0, 0, (), 0, 0, "cuda", Shape(4096, 11_008, 32, 32, 32)),
}
RATES = {1: 6e-3, 2: 6e-3, 4: 5e-3, 8: 4e-3, 16: 3e-3}
"""learning rates by rank; larger adapters bear smaller ones"""
FULL_RATE = 7e-4


def ready(shape: Config, way: str, rank: int = 8) -> LLM:
    """A random model made ready for training in one of WAYS."""
    torch.manual_seed(0)
    model = LLM(shape)
    model.attend = torch_attention
    if way == "qlora":
        quantize_base(model)
    if way != "full":
        add_adapter(model, LoraConfig(rank, 2.0 * rank, dora=way == "dora"))
        train_only(model)
    return model


def steps(report: Report, sizes: Sizes) -> None:
    """A training step in each way: its time, and what model, optimizer and step hold at the peak."""
    tokens = torch.randint(sizes.shape.vocab_size, (sizes.rows, sizes.time + 1))
    batch = {"tokens": tokens[:, :-1], "targets": tokens[:, 1:]}

    def step(model: LLM, optimizers: list[torch.optim.Optimizer]) -> None:
        training_step(model, optimizers, batch, 1e-4)

    def whole(way: str) -> None:
        model = ready(sizes.shape, way)
        optimizers = make_optimizers(model, "adamw")
        for _ in range(2):
            step(model, optimizers)

    arms = []
    for way in WAYS:
        model = ready(sizes.shape, way)
        arms.append(
            Arm(way, partial(step, model, make_optimizers(model, "adamw")), work=tokens[:, 1:].numel())
        )
    found = measure(arms, repeats=sizes.repeats)
    del arms
    seconds = {way: found[way].seconds for way in WAYS}
    report.figure(
        "a step of LoRA r 8 takes", seconds["lora"] / seconds["full"], "of a full one",
        peers={way: seconds[way] / seconds["full"] for way in ("dora", "qlora")},
        note=f"{sizes.rows} rows of {sizes.time} tokens, float32, all linear layers adapted",
    )  # fmt: skip
    peaks, planned = {}, {}
    for way in WAYS:
        peaks[way] = peak_memory(partial(whole, way)) / 2**20
        method = "lora" if way == "dora" else way
        setup = Setup(method, rows=sizes.rows, time=sizes.time, dtype="float32")
        planned[way] = memory_plan(sizes.shape, setup).total / 2**20
    for way in WAYS:
        report.figure(
            f"peak memory, {way}", peaks[way], "MiB", peers={"planned": planned[way]},
            note="model, optimizer and two steps from nothing, the growth of the process",
        )  # fmt: skip


def decoding(report: Report, sizes: Sizes) -> None:
    """Greedy tokens a second: the base, an adapter beside it, merged, and a batch of four adapters."""
    model, tokenizer = load_base()
    names = [f"user{i}" for i in range(4)]
    for name in names:
        add_adapter(model, LoraConfig(8), name)
    prompts = [tokenizer.encode("Question: What is", disallowed_special=())] * 8

    def write() -> None:
        greedy_batch(model, prompts, sizes.decode_tokens, attend=torch_attention)

    def with_adapter(name: str | None) -> None:
        use_adapter(model, name)
        write()

    def mixed() -> None:
        with select_adapter(model, names * 2):
            write()

    merge(model, names[0])
    runs: dict[str, Callable[[], None]] = {
        "base": partial(with_adapter, None),
        "merged": partial(with_adapter, names[0]),
        "unmerged": partial(with_adapter, names[1]),
        "four adapters in a batch": mixed,
    }
    work = len(prompts) * sizes.decode_tokens
    found = measure([Arm(name, run, work=work) for name, run in runs.items()], repeats=sizes.repeats)
    report.figure(
        "decoding, merged", found["merged"].throughput / found["base"].throughput, "of the base's speed",
        (">=", 0.95), {name: found[name].throughput / found["base"].throughput for name in runs if name != "base"},
        note="8 rows of tiny-base without a cache, rank 8 on all linear layers",
    )  # fmt: skip


def file_sizes(report: Report, folder: Path) -> None:
    """Adapters and model on disk, in bfloat16."""
    sizes = {}
    for rank in (2, 8):
        model, _ = load_base()
        add_adapter(model, LoraConfig(rank))
        save_adapter(model, folder / f"rank-{rank}", dtype=torch.bfloat16)
        sizes[rank] = (folder / f"rank-{rank}" / "adapter_model.safetensors").stat().st_size / 1000
    save_model(load_base(dtype=torch.bfloat16)[0], folder / "model")
    whole = (folder / "model" / "model.safetensors").stat().st_size / 1000
    report.figure(
        "adapter on disk, r 2",
        sizes[2],
        "kB",
        peers={"r 8": sizes[8], "the whole model": whole},
        note="bfloat16",
    )


def equal_work(sizes: Sizes, way: str, rank: int, console: Console) -> tuple[Run, Score | None]:
    """Train for so many seconds, by as many steps as fit, or for so many steps: full, LoRA or QLoRA of this rank."""
    settings = FinetuneConfig(
        name=f"benchmark-{way}-{rank}", method=way, rank=rank, alpha=2.0 * rank,
        learning_rate=FULL_RATE if way == "full" else RATES[rank], batch_size=48, warmup=2, decay_share=0.8,
        per_skill=sizes.per_skill, validation_items=280 if sizes.per_skill > 1 else 8, tensorboard=False,
        device=sizes.device, threads=torch.get_num_threads(), restart=True,
    )  # fmt: skip
    with explains_out_of_memory(sizes.device, "close other programs"):
        steps = sizes.steps or max(2, round(sizes.seconds / seconds_a_step(settings)))
        run, _, (_, after) = train(replace(settings, steps=steps, evaluate_every=max(1, steps // 8)), console)
    return run, after


def seconds_a_step(settings: FinetuneConfig, count: int = 6) -> float:
    """How long a step takes, the first left out."""
    model, tokenizer = load_base(settings.base)
    prepare_model(model, settings)
    model.attend = torch_attention
    optimizers = make_optimizers(model, "adamw", 0.0)
    batches = AnswerBatches(tokenizer, settings.batch_size, model.config.context_length)
    training_step(model, optimizers, batches.next(), 1e-4)
    begin = clock()
    for _ in range(count):
        training_step(model, optimizers, batches.next(), 1e-4)
    return (clock() - begin) / count


def seven_b(report: Report, shape: Shape, steps: int = 12, accumulate: int = 4, time: int = 512) -> None:
    """QLoRA of a Llama with random weights on a GPU: what it holds at its peak beside the plan, and its speed.

    Texts are random tokens, each as long as can be.
    """
    device = torch.device("cuda")
    with tempfile.TemporaryDirectory() as folder:
        model = adapted(str(make_random(Path(folder), VOCAB_7B, shape, device)), 16, torch.bfloat16, device)
    torch.manual_seed(0)

    def texts() -> Iterator[dict[str, torch.Tensor]]:
        while True:
            ids = torch.randint(VOCAB_7B, (1, time), device=device)
            yield {"input_ids": ids, "labels": ids}

    quiet = Console(quiet=True)
    batches = texts()
    finetune(model, batches, 2, accumulate, 2e-4, quiet)
    torch.cuda.reset_peak_memory_stats(device)
    torch.cuda.synchronize(device)
    begin = clock()
    finetune(model, batches, steps, accumulate, 2e-4, quiet)
    torch.cuda.synchronize(device)
    seconds = clock() - begin
    config = Config(VOCAB_7B, 4096, shape.layers, shape.heads, shape.kv_heads, shape.dim, shape.hidden_dim)
    setup = Setup("qlora", 16, time=time, optimizer="adamw_8bit", checkpointing=True)
    parameters = sum(outputs * inputs for outputs, inputs in linear_shapes(config).values())
    parameters += sum(other_sizes(config))
    what = f"Llama of {parameters / 1e9:.1f} billion random weights, r 16 on all linear layers, texts of {time} tokens"
    report.figure(
        "peak memory, QLoRA of 7B", torch.cuda.max_memory_allocated(device) / 2**30, "GiB", ("<=", 16),
        {"planned": memory_plan(config, setup).total / 2**30},
        f"{what}; peft holds embedding, head and norms in float32, "
        f"{2 * sum(other_sizes(config)) / 2**30:.2f} GiB more than the plan",
    )  # fmt: skip
    report.figure(
        "training, QLoRA of 7B", steps * accumulate * time / seconds, "tokens/s", None, None,
        f"{what}, one at a time, each block computed twice",
    )  # fmt: skip


def curve(report: Report, name: str, run: Run, by: str) -> None:
    """Validation losses over "seconds" or "step"s."""
    losses = [entry["validation_loss"] for entry in run.history]
    what = "seconds of training" if by == "seconds" else by
    report.series(name, [entry[by] for entry in run.history], losses, what, "loss of the answers")


def points(score: Score | None) -> float:
    """A score in percent; 0 for none."""
    return 100 * score.accuracy if score else 0.0


def above(scores: Mapping[str, float], name: str) -> float:
    """How many points a run is above full fine-tuning."""
    return scores[name] - scores["full"]
