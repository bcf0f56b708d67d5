"""Settings of a run: a dataclass, a YAML preset and the command line, in that order."""

import re
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import NoReturn, TypeVar

from jsonargparse import ArgumentParser, set_parsing_settings

from shared.options import no_such_option, spelled

set_parsing_settings(docstring_parse_attribute_docstrings=True)  # the text under a field is its help

Config = TypeVar("Config")


def parse(
    config: type[Config],
    presets: Path,
    argv: Sequence[str] | None = None,
    default: str = "cpu",
    description: str = "",
) -> Config:
    """Read the settings of a run, as in `--preset smoke --steps 20 --model.layers 2`.

    A field has the dataclass's default, unless the preset `presets/<name>.yaml` says otherwise, unless the
    command line does, in whatever order it is written, with `--batch-size` as good as `--batch_size`. `--preset`
    also takes the path of a YAML file of one's own. A field called `preset`, where the dataclass has one, receives
    the preset's name. Field docstrings become the help text. A mistake, in the file, on the command line or found
    by the dataclass itself (ValueError), prints one line and exits with code 2.
    """
    known = sorted(path.stem for path in Path(presets).glob("*.yaml"))
    parser = _OneLineParser(description=description or None)
    choices = ", ".join([*known, "or a YAML file"])
    parser.add_argument("--preset", action="config", help=f"{choices} (default: {default})")
    wants_name = "preset" in {field.name for field in fields(config)}  # pyright: ignore[reportArgumentType]
    skip: set[str | int] = {"preset"} if wants_name else set()
    parser.add_class_arguments(config, skip=skip)

    arguments = spelled(sys.argv[1:] if argv is None else argv, parser.options())
    name, rest = _take_preset(arguments, default)
    path = Path(name) if name.endswith((".yaml", ".yml")) else Path(presets) / f"{name}.yaml"
    if not path.is_file():
        parser.error(f"there is no preset {name!r}; there is {', '.join(known) or 'none in ' + str(presets)}")
    parser.where = f"in {path.name}: "
    parser.parse_args([f"--preset={path}"])  # alone, so that a message says where the mistake is
    parser.where = ""
    # The preset goes first, so that the command line has the last word.
    settings = parser.parse_args([f"--preset={path}", *rest])
    del settings["preset"]
    try:
        values = parser.instantiate(settings).as_dict()
        return config(**values, **({"preset": path.stem} if wants_name else {}))
    except ValueError as mistake:
        parser.error(str(mistake))


class _OneLineParser(ArgumentParser):
    where = ""

    def options(self) -> list[str]:
        """Every option, as it is declared; those of a nested dataclass have a dot in them."""
        return [name for action in self._actions for name in action.option_strings]

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        line = re.sub(r"a <class '([\w.]+)'>", r"\1", " ".join(message.split()))
        if unknown := re.match(r"unrecognized arguments: (--\S+)", line, re.IGNORECASE):
            line = no_such_option(unknown[1], self.options())
        self.exit(2, f"{self.prog}: error: {self.where}{line} (--help lists every setting)\n")


def _take_preset(argv: list[str], default: str) -> tuple[str, list[str]]:
    """Split the preset's name from the other arguments; the last one given counts."""
    name, rest = default, []
    while argv:
        argument = argv.pop(0)
        if argument == "--preset" and argv:
            name = argv.pop(0)
        elif argument.startswith("--preset="):
            name = argument.removeprefix("--preset=")
        else:
            rest.append(argument)
    return name, rest
