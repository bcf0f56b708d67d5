"""The command line: samples of exercises, conversations and wishes."""

import argparse
import sys
from itertools import islice

from rich.console import Console

from shared.command import exits_with_message
from shared.tinyworld.splits import SPLITS

from .conversations import conversations
from .exercise import SKILLS, exercises
from .kind import PHRASINGS
from .rules import RULES
from .wishes import wishes

KINDS = ("exercises", "conversations", "wishes")


def main(arguments: list[str] | None = None) -> None:
    """Runs one command."""
    parser = argparse.ArgumentParser(
        prog="python -m shared.tinyworld_tuning", description="What a model of tinyworld is fine-tuned on."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    sample = commands.add_parser("sample", help="print some samples")
    sample.add_argument("--kind", choices=KINDS, default="exercises")
    sample.add_argument("--skill", choices=SKILLS, help="exercises of this skill only")
    sample.add_argument("--phrasings", choices=PHRASINGS, default="train")
    sample.add_argument("--worked", action="store_true", help="with the steps that lead to the answer")
    sample.add_argument("--rule", choices=tuple(RULES), help="wishes by this rule only")
    sample.add_argument("--count", type=int, default=3)
    sample.add_argument("--split", choices=SPLITS, default="train")
    sample.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    with exits_with_message(Console(stderr=True), ValueError):
        print_samples(chosen)


def print_samples(chosen: argparse.Namespace) -> None:
    """Prints samples of one kind. Raises ValueError where an option does not suit the kind, or the count is below 1."""
    if chosen.count < 1:
        raise ValueError(f"--count must be at least 1, but is {chosen.count}")
    for option, kinds in (("skill", ("exercises",)), ("worked", KINDS[:2]), ("rule", ("wishes",))):
        if getattr(chosen, option) and chosen.kind not in kinds:
            raise ValueError(f"--{option} is for {' and '.join(kinds)}, not for {chosen.kind}")
    match chosen.kind:
        case "exercises":
            skills = [chosen.skill] if chosen.skill else None
            drawn = exercises(chosen.split, chosen.seed, skills, chosen.phrasings, chosen.worked)
            for one in islice(drawn, chosen.count):
                print(f"[{one.phrasing}, chance {one.chance:.2f}]\n{one.text()}\n")
        case "conversations":
            for talk in islice(conversations(chosen.split, chosen.seed, chosen.worked), chosen.count):
                print(f"[{talk.sort}, needs {talk.knows!r}]\n{talk.text}\n")
        case _:
            for pair in islice(wishes(chosen.split, chosen.seed, chosen.rule), chosen.count):
                print(f"[{pair.rule}]\n{pair.text}\n")


if __name__ == "__main__":
    sys.exit(main())
