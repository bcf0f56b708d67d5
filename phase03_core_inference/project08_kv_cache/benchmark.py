"""Measures what project 8 promises.

    python -m phase03_core_inference.project08_kv_cache.benchmark --preset cpu

`cpu` first shows that the cache writes what is written without it; then it measures the gain over length, the products
alone, decoding at 1, 8 and 32 rows beside transformers and a streaming read of the same bytes, and the time to the
first token, in under two minutes; `full` does so at more lengths and with two threads, in about four. `peers` writes
whole texts against ctranslate2 and llama.cpp as well, as far as they are installed, in about 20 minutes. `smoke` does
all of it in seconds, on a model so small that the figures mean nothing.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch

from phase03_core_inference.project08_kv_cache.decode_step import DecodeStep
from phase03_core_inference.project08_kv_cache.generation import generate_tokens
from phase03_core_inference.project08_kv_cache.given import decoding, gain
from phase03_core_inference.project08_kv_cache.given.gain import NAMES, Settings
from phase03_core_inference.project08_kv_cache.given.peers import (
    MODULES,
    CTranslate2,
    LlamaCpp,
    Transformers,
    missing,
)
from shared.config import parse
from shared.ladder.project import load
from shared.measuring import plot
from shared.measuring.arms import Arm, Measurement, Report, measure
from shared.phase01 import LLM, SamplingParams

FOLDER = Path(__file__).parent
PROMPT = 16


def measure_texts(report: Report, settings: Settings, folder: Path) -> None:
    """Whole texts, prompt and all, by everything that is installed: every arm in the same run, one thread and two."""
    for peer in MODULES:
        if names := missing(peer):
            print(f"{peer} is left out: {' and '.join(names)} is not installed", file=sys.stderr)
    tokens = 8 * settings.steps
    for threads in settings.thread_counts():
        torch.set_num_threads(threads)
        for dtype, name in NAMES.items():
            model = settings.model(dtype)
            said = f"{name}, {threads} thread{'s' if threads > 1 else ''}"
            for rows in (1, 8, 32):
                place = folder / f"{name}-{threads}-{rows}"
                writers = _writers(model, dtype, threads, rows, PROMPT + tokens, place)
                measured = _texts(settings, writers, rows, PROMPT, tokens)
                ours = measured.pop("ours").throughput
                peers = {arm: peer.throughput for arm, peer in measured.items()}
                report.figure(
                    f"texts, batch {rows}, {said}", ours, "tokens/s", (">", max(peers.values())), peers,
                    note=f"{tokens} tokens after prompts of {PROMPT}, reading these included",
                )  # fmt: skip
            length = settings.first_prompt
            writers = _writers(model, dtype, threads, 1, length + 1, folder / f"{name}-{threads}-first")
            measured = _texts(settings, writers, 1, length, 1)
            report.figure(
                f"time to the first token, prompt of {length}, {said}", 1000 * measured.pop("ours").seconds, "ms",
                peers={arm: 1000 * peer.seconds for arm, peer in measured.items()},
                note="ours: project 3's modules, so torch's products and attention",
            )  # fmt: skip


Writer = Callable[[list[list[int]], int], list[list[int]]]


def _texts(
    settings: Settings, writers: Mapping[str, Writer], rows: int, prompt: int, tokens: int
) -> dict[str, Measurement]:
    """So many rows of tokens after random prompts of one length, by each of the writers."""
    prompts = torch.randint(
        settings.vocab_size, (rows, prompt), generator=torch.Generator().manual_seed(rows)
    ).tolist()
    arms = [Arm(arm, partial(write, prompts, tokens), work=rows * tokens) for arm, write in writers.items()]
    repeats = max(1, settings.repeats // {1: 1, 8: 2, 32: 3}[rows])  # 32 rows take minutes
    return measure(arms, check=_same_beginnings, warmup=0, repeats=repeats)


def _writers(
    model: LLM, dtype: torch.dtype, threads: int, rows: int, length: int, folder: Path
) -> dict[str, Writer]:
    """What writes texts of up to `length` tokens, prompt and all, by name: ours first."""
    decode = DecodeStep(model, threads)

    def ours(prompts: list[list[int]], count: int) -> list[list[int]]:
        return generate_tokens(model, prompts, SamplingParams(max_tokens=count, temperature=0), decode=decode)

    writers = {"ours": ours, "transformers": Transformers(model, folder / "transformers", dtype).write}
    if not missing("ctranslate2") and dtype == torch.float32:
        writers["ctranslate2"] = CTranslate2(model, folder / "ctranslate2", dtype, threads).write
    if not missing("llama.cpp"):
        writers["llama.cpp"] = LlamaCpp(model, folder / "llama", dtype, threads, rows, length + 1).write
    return writers


def _same_beginnings(out: Mapping[str, list[list[int]]]) -> None:
    """Raises AssertionError where a peer has another model: later tokens may differ, where a choice was close."""
    for arm, texts in out.items():
        alike = sum(ours[0] == theirs[0] for ours, theirs in zip(out["ours"], texts, strict=True))
        if alike < 0.8 * len(texts):
            raise AssertionError(f"of {len(texts)} texts of {arm} only {alike} begin as ours do")


def draw(record: Path) -> None:
    """The gain over length, from the record."""
    content = json.loads(record.read_text(encoding="utf-8"))
    curves = {
        name: (one["x"], one["y"])
        for name, one in content["series"].items()
        if one["x_label"] == "tokens written"
    }
    if curves:
        title = "With the cache, times as fast as without it"
        plot.lines(record.parent / "gain.png", curves, title, "tokens written", "times", log_x=True)
    figures = content["measured"]
    shares = {
        name.removeprefix("share of the memory limit, "): figures[name]["value"]
        for name in figures
        if name.startswith("share of the memory limit")
    }
    if shares:
        title = "Share of what memory delivers"
        plot.bars(
            record.parent / "shares.png", shares, title, "share of a streaming read", hline={"the limit": 1.0}
        )


def main() -> None:
    """Measure project 8 with the settings of a preset."""
    settings = parse(Settings, FOLDER / "configs", description=main.__doc__ or "")
    torch.set_num_threads(1)
    command = f"python -m phase03_core_inference.project08_kv_cache.benchmark --preset {settings.preset}"
    report = Report(FOLDER, load(FOLDER).promise, settings.preset, command)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        parts: list[tuple[str, Callable[[], None]]] = [
            ("the same texts with the cache as without it", lambda: gain.equality(report, settings)),
            ("the gain over length", lambda: gain.gain_over_length(report, settings)),
            ("products alone", lambda: decoding.products_alone(report, settings)),
            ("the first token of a long prompt", lambda: decoding.first_token(report, settings, place)),
            *(
                (f"decoding, threads: {count}", partial(decoding.decoding, report, settings, count, place))
                for count in settings.thread_counts()
            ),
        ]
        texts = ("whole texts beside the peers", lambda: measure_texts(report, settings, place))
        if settings.peers:
            parts = [*parts, texts] if settings.preset == "smoke" else [texts]
        for title, part in parts:
            print(f"measuring {title} …", file=sys.stderr)
            part()
    torch.set_num_threads(1)
    draw(report.finish())


if __name__ == "__main__":
    main()
