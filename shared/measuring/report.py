"""What a project's benchmark found: a table on the screen, and a record in the project's results folder."""

import json
import math
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from operator import eq, ge, gt, le, lt
from pathlib import Path
from typing import Any, SupportsFloat

import torch
from rich.console import Console
from rich.table import Table

from shared.device import slug
from shared.files import shown, write_text
from shared.measuring.provenance import provenance

COMPARE = {"<=": le, "<": lt, ">=": ge, ">": gt, "==": eq}


class Report:
    """Collects the figures of one benchmark run: `figure` and `series` as they are known, then `finish`.

    The record is `<folder>/results/<device>.json`, or lies in the folder named by LADDER_RESULTS. The preset
    "smoke" proves nothing about speed or quality: its record goes to a temporary folder, and has no targets.
    Raises ValueError for a project folder that does not exist and for a record that cannot be read, before
    anything is measured.
    """

    def __init__(
        self,
        folder: Path,
        promise: str,
        preset: str,
        command: str | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        folder = Path(folder)
        if not folder.is_dir():
            raise ValueError(f"there is no project folder {folder}")
        self._smoke = preset == "smoke"
        self.path = self._results_folder(folder) / f"{slug(device)}.json"
        self._read_earlier()  # now, for a broken file is to be found before the work and not after it
        facts = provenance(device)
        self._stamp = {"command": command or facts["command"], "preset": preset, "commit": facts["commit"]}
        self._stamp |= {"date": facts["date"]}
        self._record: dict[str, Any] = {"promise": promise, "measured": {}, "peers": {}, **facts}
        self._record |= {"command": self._stamp["command"], "series": {}}

    def _results_folder(self, folder: Path) -> Path:
        if chosen := os.environ.get("LADDER_RESULTS"):
            return Path(chosen)
        return Path(tempfile.mkdtemp(prefix="ladder-results-")) if self._smoke else folder / "results"

    def _read_earlier(self) -> dict[str, Any]:
        if not self.path.is_file():
            return {"measured": {}, "peers": {}, "series": {}}
        try:
            record = json.loads(self.path.read_text(encoding="utf-8"))
            return {part: dict(record[part]) for part in ("measured", "peers", "series")}
        except (ValueError, TypeError, KeyError):
            raise ValueError(f"{self.path} is no results file; mend it or delete it") from None

    def figure(
        self,
        name: str,
        value: SupportsFloat,
        unit: str = "",
        target: tuple[str, SupportsFloat] | None = None,
        peers: Mapping[str, SupportsFloat] | None = None,
        note: str = "",
    ) -> None:
        """Note a measured figure, by a name that lasts: a later run with the same name replaces it.

        `target` is what was promised, as in `("<=", 1.60)`; `peers` are the same figure by other means;
        `note` says how it was measured or why it loses. Raises ValueError for a value that is no finite
        number, an unknown comparison and a name used twice in this run.
        """
        if name in self._record["measured"]:
            raise ValueError(f"the figure {name!r} is there already")
        plain = _plain(value)
        rivals = {peer: _plain(other) for peer, other in (peers or {}).items()}
        goal = _plain(target[1]) if target else 0
        numbers = [plain, goal, *rivals.values()]
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"the figure {name!r} is not made of finite numbers: {numbers}")
        if target and target[0] not in COMPARE:
            raise ValueError(f"the target of {name!r} compares by {target[0]!r}; use {', '.join(COMPARE)}")
        better = _better(target, unit)
        if self._smoke:
            target = None
        self._record["measured"][name] = {
            "value": plain,
            "unit": unit,
            "better": better,
            "target": [target[0], goal] if target else None,
            "met": COMPARE[target[0]](plain, goal) if target else None,
            "note": note,
            **self._stamp,
            "threads": torch.get_num_threads(),
        }
        self._record["peers"][name] = rivals

    def series(
        self, name: str, x: Iterable[SupportsFloat], y: Iterable[SupportsFloat], x_label: str, y_label: str
    ) -> None:
        """Note a curve, for the plots; a value that is not finite becomes a gap.

        Raises ValueError when x and y differ in length.
        """
        xs, ys = list(map(_plain, x)), list(map(_plain, y))
        if len(xs) != len(ys):
            raise ValueError(f"the series {name!r} has {len(xs)} x and {len(ys)} y values")
        gaps = [value if math.isfinite(value) else None for value in ys]
        self._record["series"][name] = {"x": xs, "y": gaps, "x_label": x_label, "y_label": y_label}

    def save(self) -> Path:
        """Write the record as it is now, and go on; returns its path.

        Figures and series of earlier runs stay in the file unless this run has measured them again.
        """
        merged = dict(self._record)
        for part, earlier in self._read_earlier().items():
            merged[part] = {**earlier, **self._record[part]}
        write_text(self.path, json.dumps(merged, indent=2) + "\n")
        return self.path

    def finish(self) -> Path:
        """Print the table, write the record (`save`), and print it (without series) as one last line of JSON."""
        self.save()
        console = Console(soft_wrap=False)
        console.print(self._table())
        console.print(f"results: {shown(self.path)}", highlight=False, soft_wrap=True)
        print(json.dumps({key: value for key, value in self._record.items() if key != "series"}), flush=True)
        return self.path

    def _table(self) -> Table:
        table = Table("figure", title=self._record["promise"], title_justify="left")
        for column in ("measured", "target", "met", "peers"):
            table.add_column(column, justify="left" if column == "peers" else "right")
        for name, figure in self._record["measured"].items():
            peers = self._record["peers"][name].items()
            table.add_row(
                name,
                f"{number(figure['value'])} {figure['unit']}".strip(),
                target(figure["target"]),
                met(figure["met"]),
                "\n".join(f"{peer}: {number(value)}" for peer, value in peers),
            )
        return table


def _plain(value: SupportsFloat) -> float:
    """A number as JSON knows it: numpy's and torch's are taken for what they hold."""
    return value if type(value) is int else float(value)


def number(value: float) -> str:
    """A number as people read it: four significant digits, thousands set apart."""
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def target(promised: Sequence[Any] | None) -> str:
    """A target as people read it: "≤ 1.6"."""
    if promised is None:
        return ""
    sign = {"<=": "≤", ">=": "≥", "==": "="}.get(promised[0], promised[0])
    return f"{sign} {number(promised[1])}"


def met(answer: bool | None) -> str:
    """Whether a target is met: yes, no, or nothing where there is none."""
    return {True: "yes", False: "no", None: ""}[answer]


def _better(target: tuple[str, SupportsFloat] | None, unit: str) -> str:
    """Which direction of a figure is good: by its target, else by its unit; empty where neither tells."""
    if target:
        return "lower" if "<" in target[0] else "higher" if ">" in target[0] else ""
    if unit.endswith("/s"):
        return "higher"
    return (
        "lower" if unit in ("s", "ms", "us", "µs", "min", "minutes", "KiB", "MiB", "GiB", "MB", "GB") else ""
    )
