"""Measures what project 2 promises: python -m phase01_foundation.project02_tokenizer.benchmark --preset cpu

`cpu` trains on WikiText-2 beside `gigabpe` and the `tokenizers` library, and encodes more than 10 MB of mixed text
beside tiktoken, on one thread and on all cores, in about two minutes. `smoke` does it all in seconds, on so little that
the figures mean nothing. Where WikiText-2 or the files of gpt2 and the others cannot be had, it says so and does with
what there is.
"""

import importlib
import json
import math
import os
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import tiktoken
import tokenizers
import typer
from tokenizers import models, pre_tokenizers, trainers

from phase01_foundation.project02_tokenizer.bpe import count_pieces, learn_merges
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.given import fast
from phase01_foundation.project02_tokenizer.given.byte_level import unprinted
from phase01_foundation.project02_tokenizer.given.openai_tokenizers import load_openai_tokenizer
from phase01_foundation.project02_tokenizer.given.training import train_tokenizer
from phase01_foundation.project02_tokenizer.pretokenize import PATTERNS
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project02_tokenizer.train import bytes_per_token
from shared import corpora
from shared.device import set_threads
from shared.ladder.project import load
from shared.machine import cores
from shared.measuring import plot
from shared.measuring.arms import Arm, Report, measure
from shared.options import run_command

FOLDER = Path(__file__).parent
GIGABPE: Any = importlib.import_module("gigabpe")  # it says nothing of its types
VOCAB_SIZE = 10_000
SIZES = (257, 300, 400, 600, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
RELEASED = ("gpt2", "cl100k_base", "o200k_base")
STRANGE = "🙂👍🏽👩‍👩‍👧‍👦🇩🇪 naïve 中文 don't I'LL 12345\t\r\n\n  \x00\u2028"


def tokenizers_trained(texts: list[str], vocab_size: int, parallel: bool) -> tokenizers.Tokenizer:
    """What the `tokenizers` library learns, with the same bytes, pattern and least count as ours."""
    os.environ["TOKENIZERS_PARALLELISM"] = (
        "true" if parallel else "false"
    )  # the library reads it at every call
    their = tokenizers.Tokenizer(models.BPE())
    their.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_ = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=2, initial_alphabet=bytes_, show_progress=False
    )
    their.train_from_iterator(texts, trainer)
    return their


def gigabpe_trained(file: Path, vocab_size: int) -> list[tuple[str, str]]:
    """The merges that `gigabpe` learns from a file, with the same pattern and least count as ours, on one thread."""
    _, merges = GIGABPE.train_bpe(
        [str(file)], vocab_size, min_frequency=2, pretokenizer="bytelevel", special_tokens=[], threads=1
    )
    return merges


def measure_training(report: Report, lines: list[str], corpus: str, smoke: bool, folder: Path) -> None:
    """Learn a vocabulary beside two libraries. The vocabularies must be equal, or nothing is timed."""
    size = 400 if smoke else VOCAB_SIZE
    theirs, giga = ("tokenizers, one thread", "tokenizers, all cores"), "gigabpe, one thread"
    file = folder / "corpus.txt"
    file.write_text("".join(lines), encoding="utf-8", newline="")
    absent = 256 - len(set(file.read_bytes()))  # bytes that gigabpe has no entry for

    def check(out: Any) -> None:
        ours = out["ours"]
        for name in theirs:
            if {id: unprinted(token) for token, id in out[name].get_vocab().items()} != ours.tokens:
                raise AssertionError(f"{name} has learnt another vocabulary")
        merges = [(ours.tokens[left], ours.tokens[right]) for left, right in ours.merges]
        if [(unprinted(left), unprinted(right)) for left, right in out[giga]] != merges:
            raise AssertionError(f"{giga} has learnt other merges")

    entries = ByteBPE.train(lines, size).vocab_size  # fewer, where there is nothing more to learn
    arms = [
        Arm("ours", lambda: ByteBPE.train(lines, size)),
        Arm(giga, lambda: gigabpe_trained(file, size - absent)),
        Arm(theirs[0], lambda: tokenizers_trained(lines, size, parallel=False)),
        Arm(theirs[1], lambda: tokenizers_trained(lines, size, parallel=True)),
    ]
    measured = measure(arms, check, repeats=3 if smoke else 9)
    peers = {name: measured[name].seconds for name in (giga, *theirs)}
    report.figure(
        "training 10,000 entries", measured["ours"].seconds, "s", ("<=", peers[giga] / 1.5), peers,
        note=f"{sum(map(len, lines)):,} characters of {corpus}, line by line from memory (gigabpe: from a file), and "
        f"{entries:,} entries; ours uses one thread; gigabpe {GIGABPE.__version__}, tokenizers "
        f"{tokenizers.__version__}; the vocabularies are equal; the target is 1.5 times the speed of gigabpe",
    )  # fmt: skip

    part = lines[: len(lines) // 20]
    readable = measure(
        [
            Arm("bpe.py", lambda: learn_merges(count_pieces(part), 1000 - 256)),
            Arm("C++", lambda: ByteBPE.train(part, 1000).merges),
        ],
        lambda out: _equal(out["bpe.py"], out["C++"], "merges"),
        repeats=3,
    )
    report.figure(
        "training 1,000 entries, readable Python", readable["bpe.py"].seconds, "s",
        peers={"the same in C++": readable["C++"].seconds}, note="on a twentieth of the text; the merges are equal",
    )  # fmt: skip


def _equal(ours: object, theirs: object, what: str) -> None:
    if ours != theirs:
        raise AssertionError(f"the {what} differ")


def mixed_text(lines: list[str], smoke: bool) -> str:
    """Articles or stories, plays, small stories, code, and characters of all kinds: more than 10 MB of UTF-8."""
    parts = ["".join(lines)]
    for name in () if smoke else ("shakespeare", "tinystories"):
        try:
            parts.append(corpora.load(name, splits=["train"]).split("train"))
        except corpora.CorpusError as problem:
            print(f"left out: {problem}", file=sys.stderr)
    code = sorted(Path(os.__file__).parent.glob("[a-l]*.py"))  # Python's own library
    parts += [path.read_text(encoding="utf-8") for path in code]
    parts.append(STRANGE * 1000)
    parts.append(
        "".join(f" {chr(code)}a{chr(code)}" for code in range(0x20000) if not 0xD800 <= code < 0xE000)
    )
    return "".join(parts)


def peer_of(tokenizer: Tokenizer, name: str) -> tiktoken.Encoding:
    """tiktoken with the same vocabulary; its engine writes the end of the text as \\z."""
    model = tokenizer.model
    assert isinstance(model, ByteBPE)
    ranks = {token: id for id, token in model.tokens.items()}
    pattern = PATTERNS[model.pattern].replace(r"\Z", r"\z")
    return tiktoken.Encoding(
        name, pat_str=pattern, mergeable_ranks=ranks, special_tokens=tokenizer.special_tokens
    )


def measure_encoding(report: Report, name: str, tokenizer: Tokenizer, text: str, smoke: bool) -> None:
    """Encode beside tiktoken, into lists and into arrays, on one thread and on all cores; the ids must be equal."""
    peer, size = peer_of(tokenizer, name), len(text.encode()) / 1e6
    step = len(text) // 64
    documents = [text[start : start + step] for start in range(0, len(text), step)]
    what = f"{size:.1f} MB of mixed text as UTF-8, tiktoken {tiktoken.__version__}, all ids equal"
    threads = cores()
    ways = {
        "one thread": (
            lambda: tokenizer.encode(text, disallowed_special=()),
            lambda: peer.encode_ordinary(text),
        ),
        "one thread, into an array": (
            lambda: tokenizer.encode_to_array(text, disallowed_special=()).tobytes(),
            lambda: peer.encode_to_numpy(text, disallowed_special=()).astype("int32").tobytes(),
        ),
        f"{threads} threads": (
            lambda: tokenizer.encode_batch(documents, disallowed_special=(), threads=threads),
            lambda: peer.encode_ordinary_batch(documents, num_threads=threads),
        ),
    }
    for way, (ours, theirs) in ways.items():
        measured = measure(
            [Arm("ours", ours, work=size, unit="MB"), Arm("tiktoken", theirs, work=size, unit="MB")],
            lambda out: _equal(out["ours"], out["tiktoken"], "ids"),
            repeats=3 if smoke else 7,
        )
        rival = measured["tiktoken"].throughput
        report.figure(
            f"encoding with {name}, {way}", measured["ours"].throughput, "MB/s", (">=", rival), {"tiktoken": rival},
            note=what if way == "one thread" else "",
        )  # fmt: skip


def measure_corners(report: Report, tokenizer: Tokenizer, text: str) -> None:
    """What the figures on ordinary text do not show: the readable way, a long piece, a cold start."""
    model, part = tokenizer.model, text[:200_000]
    assert isinstance(model, ByteBPE)
    readable = ByteBPE(model.tokens, model.merges, model.pattern, native=False)
    measured = measure(
        [Arm("readable Python", lambda: readable.encode(part), work=len(part.encode()) / 1e6, unit="MB")],
        lambda out: _equal(out["readable Python"], model.encode(part), "ids"),
        repeats=3,
    )
    report.figure(
        "encoding with our own, readable Python", measured["readable Python"].throughput, "MB/s",
        note="bpe.py, with the words that it has met remembered",
    )  # fmt: skip
    peer = peer_of(tokenizer, "ours")
    long = "ab" * 50_000
    measured = measure(
        [Arm("ours", lambda: model.encode(long)), Arm("tiktoken", lambda: peer.encode_ordinary(long))],
        lambda out: _equal(out["ours"], out["tiktoken"], "ids"),
    )
    report.figure(
        "a word of 100,000 letters", measured["ours"].seconds * 1000, "ms",
        peers={"tiktoken": measured["tiktoken"].seconds * 1000},
    )  # fmt: skip
    word = "Hello"
    measured = measure(
        [
            Arm("ours", lambda: [tokenizer.encode(word) for _ in range(1000)]),
            Arm("tiktoken", lambda: [peer.encode(word) for _ in range(1000)]),
        ],
        lambda out: _equal(out["ours"], out["tiktoken"], "ids"),
    )
    report.figure(
        "a text of one word", measured["ours"].seconds * 1000, "µs", ("<=", measured["tiktoken"].seconds * 1000),
        {"tiktoken": measured["tiktoken"].seconds * 1000},
        note="what a call costs, however short the text; ours enters C++ through ctypes",
    )  # fmt: skip


def measure_compression(
    report: Report, lines: list[str], held_out: str, gpt2: Tokenizer | None, smoke: bool
) -> None:
    """Bytes a token as the vocabulary grows. Its merges nest: a smaller vocabulary is the beginning of a larger one."""
    merges = ByteBPE.train(lines, 600 if smoke else max(SIZES)).merges
    sizes = [size for size in SIZES if size <= 256 + len(merges)]
    train_text = "".join(lines)
    seen, unseen = len(train_text.encode()), len(held_out.encode())
    tokens, ratios, held = [], [], []
    for size in sizes:
        model = ByteBPE.from_merges(merges[: size - 256])
        tokens.append(len(model.encode_bytes(train_text.encode())))
        ratios.append(seen / tokens[-1])
        held.append(unseen / len(model.encode_bytes(held_out.encode())))
    report.series("seen in training", sizes, ratios, "entries", "bytes a token")
    report.series("held-out", sizes, held, "entries", "bytes a token")
    saved = [
        math.log10((more - fewer) / (larger - smaller))
        for (more, fewer), (smaller, larger) in zip(pairwise(tokens), pairwise(sizes), strict=True)
    ]
    report.series("saved by a merge", sizes[1:], saved, "entries", "tokens, as a power of ten")

    ours = bytes_per_token(Tokenizer(ByteBPE.from_merges(merges[: VOCAB_SIZE - 256])), held_out)
    peers = {"gpt2, 50,257 entries": bytes_per_token(gpt2, held_out)} if gpt2 else {}
    words = train_tokenizer(lines, "word", VOCAB_SIZE)
    unknown = words.encode(held_out).count(0) / len(words.encode(held_out))
    note = f"{min(VOCAB_SIZE, 256 + len(merges)):,} entries; {unseen:,} bytes"
    if sizes[-1] > VOCAB_SIZE:
        note += f"; with {sizes[-1]:,} entries {held[-1]:.3f}"
    note += f"; with words, {VOCAB_SIZE:,} of them, {unknown:.1%} of the text's words are not known"
    report.figure("bytes a token on held-out text", ours, "", peers=peers, note=note)


def draw(record: Path) -> None:
    """Compression, and what a merge saves, as the vocabulary grows; from the record."""
    found = json.loads(record.read_text(encoding="utf-8"))
    curves = {name: (one["x"], one["y"]) for name, one in found["series"].items()}
    peers = found["peers"].get("bytes a token on held-out text", {})
    levels = {f"peer: {name}": level for name, level in peers.items()}
    compression = {name: curves[name] for name in ("seen in training", "held-out")}
    plot.lines(
        record.parent / "compression.png", compression, "Compression as the vocabulary grows",
        "entries of the vocabulary", "bytes a token", hline=levels, log_x=True,
    )  # fmt: skip
    sizes, powers = curves["saved by a merge"]
    plot.lines(
        record.parent / "merges.png", {"": (sizes, [10**power for power in powers])},
        "What one more merge saves in training", "entries of the vocabulary", "tokens saved by a merge",
        log_x=True, log_y=True,
    )  # fmt: skip


def main(preset: Annotated[Literal["smoke", "cpu"], typer.Option()] = "cpu") -> None:
    """Measure project 2: `cpu` in about two minutes, `smoke` in seconds."""
    set_threads()
    smoke = preset == "smoke"
    command = f"python -m phase01_foundation.project02_tokenizer.benchmark --preset {preset}"
    report = Report(FOLDER, load(FOLDER).promise, preset, command)
    if fast.kernels() is None:
        print("Without a compiler, all that follows is measured in Python.", file=sys.stderr)
    corpus = corpora.load(
        "tinyworld" if smoke else "wikitext2",
        fallback=None if smoke else "tinyworld",
        splits=["train", "test"],
        characters=100_000 if smoke else None,
    )
    lines = corpus.split("train").splitlines(keepends=True)
    text = mixed_text(lines, smoke)
    with tempfile.TemporaryDirectory() as folder:
        measure_training(report, lines, corpus.name, smoke, Path(folder))
    own = train_tokenizer(lines, "bpe", 600 if smoke else VOCAB_SIZE, ["<|endoftext|>"])
    measure_encoding(report, "our own", own, text, smoke)
    gpt2 = None
    for name in () if smoke else RELEASED:
        try:
            released = load_openai_tokenizer(name)
        except corpora.CorpusError as problem:
            print(f"left out: {problem}", file=sys.stderr)
            continue
        gpt2 = released if name == "gpt2" else gpt2
        measure_encoding(report, name, released, text, smoke)
    measure_corners(report, own, text)
    measure_compression(report, lines, corpus.split("test"), gpt2, smoke)
    draw(report.finish())


if __name__ == "__main__":
    run_command(main)
