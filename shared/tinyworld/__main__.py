"""The command line: samples, statistics, and writing a text to a file."""

import argparse
import gzip
import os
import sys
import tempfile
from collections import Counter
from itertools import islice
from pathlib import Path

from . import dialogues, documents, instructions, preferences
from .documents import KINDS, Document
from .splits import SPLITS, check_split
from .stories import SCHEMAS

SAMPLE_KINDS = (*KINDS, "instruction", "preference")


def main(arguments: list[str] | None = None) -> None:
    """Runs one command."""
    parser = argparse.ArgumentParser(
        prog="python -m shared.tinyworld", description="A small world in simple English."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    sample = commands.add_parser("sample", help="print some samples")
    sample.add_argument("--kind", choices=SAMPLE_KINDS, default="story")
    sample.add_argument("--count", type=_positive, default=3)
    sample.add_argument(
        "--state", action="store_true", help="after a story: its events, and questions with answers"
    )
    stats = commands.add_parser("stats", help="measure a text: variety, vocabulary, lengths")
    stats.add_argument("--megabytes", type=_positive_number, default=20.0)
    write = commands.add_parser("write", help="write a text to a file")
    write.add_argument("--megabytes", type=_positive_number, default=20.0)
    write.add_argument("--out", type=Path, required=True)
    for command in (sample, stats, write):
        command.add_argument("--split", choices=SPLITS, default="train")
        command.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    match chosen.command:
        case "sample":
            print_samples(chosen.kind, chosen.split, chosen.seed, chosen.count, chosen.state)
        case "stats":
            print_stats(chosen.split, chosen.seed, int(chosen.megabytes * 1e6))
        case _:
            write_text(chosen.out, chosen.split, chosen.seed, int(chosen.megabytes * 1e6))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def _positive_number(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not a size in megabytes above 0")
    return number


def print_samples(kind: str, split: str, seed: int, count: int, state: bool) -> None:
    """Prints samples of one kind."""
    if kind == "instruction":
        for one in islice(instructions(split, seed), count):
            print(f"[{one.skill}, distance {one.distance}]\n{one.text}\n")
    elif kind == "preference":
        for pair in islice(preferences(split, seed), count):
            print(f"[{pair.rule}]\n{pair.prompt}\n  chosen:   {pair.chosen}\n  rejected: {pair.rejected}\n")
    elif kind == "dialogue":
        for talk in islice(dialogues(split, seed), count):
            print(f"{talk.text}\n")
    else:
        for made in islice(documents(split, seed, kinds=(kind,)), count):
            print(f"{made.text}\n")
            if state and made.kind == "story":
                _print_state(made)


def _print_state(made: Document) -> None:
    print(f"  schemas: {', '.join(made.schemas)}")
    for event in made.events:
        print(f"  event: {' | '.join(event)}")
    for question in made.questions:
        print(f"  {question.text} {question.answer}")
    print()


def _documents_of(split: str, seed: int, characters: int) -> list[Document]:
    """The documents that `text` would join."""
    made: list[Document] = []
    size = -2
    for one in documents(split, seed):
        size += len(one.text) + 2
        if size > characters:
            break
        made.append(one)
    return made


def print_stats(split: str, seed: int, characters: int) -> None:
    """Prints how varied a text is."""
    made = _documents_of(split, seed, characters)
    if not made:
        raise SystemExit("the size is too small for one document")
    whole = "\n\n".join(one.text for one in made)
    tokens = whole.split()
    words = Counter("".join(c if c.isalpha() else " " for c in whole.lower()).split())
    lengths = sorted(len(one.text.split()) for one in made)
    print(f"{len(whole):,} characters, {len(tokens):,} words, {len(made):,} documents")
    print(f"distinct documents: {len({one.text for one in made}) / len(made):.4%}")
    print(f"words in a document: mean {sum(lengths) / len(lengths):.0f}, median {lengths[len(lengths) // 2]}, "
          f"5% {lengths[len(lengths) // 20]}, 95% {lengths[-1 - len(lengths) // 20]}, most {lengths[-1]}")  # fmt: skip
    print(
        f"vocabulary: {len(words):,} words, {sum(n >= 10 for n in words.values()):,} of them ten times or more"
    )
    for n in (4, 8):
        grams = {hash(tuple(tokens[i : i + n])) for i in range(len(tokens) - n + 1)}
        print(f"distinct {n}-grams: {len(grams) / max(1, len(tokens) - n + 1):.1%}")
    data = whole.encode()
    print(f"gzip: {len(data) / len(gzip.compress(data)):.2f} times smaller")
    kinds = Counter(one.kind for one in made)
    sizes = Counter[str]()
    for one in made:
        sizes[one.kind] += len(one.text)
    for kind in KINDS:
        print(f"  {kind}: {kinds[kind]:,} documents, {sizes[kind] / sum(sizes.values()):.1%} of the text")
    uses = Counter(name for one in made for name in one.schemas)
    print(f"schemas: {len(SCHEMAS)}")
    for schema in SCHEMAS:
        print(f"  {schema.name}: {uses[schema.name]:,}")


def write_text(out: Path, split: str, seed: int, characters: int) -> None:
    """Writes a text of at most so many characters; the file appears only when it is whole."""
    check_split(split)
    if out.is_dir():
        raise SystemExit(f"{out} is a folder; name a file")
    if not out.parent.is_dir():
        raise SystemExit(f"there is no folder {out.parent}; make it first")
    size = 0
    handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    try:
        with os.fdopen(handle, "w", encoding="ascii", newline="\n") as file:
            for number, one in enumerate(documents(split, seed)):
                part = ("\n\n" if number else "") + one.text
                if size + len(part) > characters:
                    break
                file.write(part)
                size += len(part)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, out)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    print(f"wrote {size:,} characters of {split} (seed {seed}) to {out}")


if __name__ == "__main__":
    sys.exit(main())
