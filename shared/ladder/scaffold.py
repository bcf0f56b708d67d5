"""The texts that `ladder new` begins a project with. Each TODO is a place that its author fills in.

`$name` and the like are filled in by `string.Template`. The example in them, running sums, only shows where things go:
it is replaced by the project's own.
"""

PHASE_INIT = '''"""Phase $phase, $phase_title."""
'''

PHASE_README = """# Phase $phase: $Phase_title

TODO: what one can do after this phase, in two sentences.

<!-- projects:start -->
<!-- projects:end -->

```bash
make phase$phase_two                 # all tests, then all benchmarks, of this phase
make phase$phase_two PRESET=smoke    # the same quickly, with benchmarks that only show that they work
```

## What it hands up

TODO: what phases above import from `shared/phase$phase_two.py`, and the models that it produces.
"""

INIT = '''"""Project $number, $title: TODO: what it is, in half a sentence."""

from shared.overlay import overlay

__path__ = overlay(__path__)
'''

PROJECT_TOML = """number = $number
title = "$title"
build = "TODO: what is built, in half a sentence"
promise = "TODO: the outcome, as a number"
headline = []    # three or four of the benchmark's figures, by name: the scoreboard shows them
minutes_cpu = 0
minutes_gpu = 0
ram_gb = 0
hours = 0
difficulty = "medium"
needs = []
produces = []
papers = []

[[task]]
number = 1
title = "TODO: the task in a few words"
write = ["$name.py:$name"]
points = 1
hints = []    # two or more, from a nudge to nearly the answer
"""

MUTANTS_TOML = """\
# Mistakes that the tests of a task must catch. Each shows a line of the solution, so learners do not get this file.
#
# [[mutant]]
# task = 1
# name = "forgets_the_first"
# file = "$name.py"
# find = "a text that stands there once"
# replace = "the mistake"
#
# Another right way to write it, in the same form: no test here or above may notice.
#
# [[variant]]
# task = 1
# name = "in_a_loop"
# file = "$name.py"
# find = "a text that stands there once"
# replace = "the same by other means"
"""

CODE = '''"""$Title: TODO: the one idea of this file."""

from jaxtyping import Float
from torch import Tensor


def $name(values: Float[Tensor, " time"]) -> Float[Tensor, " time"]:
    """TODO: what it gives, with shapes, units and errors. As an example: each value plus all before it."""
    raise NotImplementedError("project $number, task 1: $name — still to write")
'''

TEST = '''"""TODO: what these tests hold $name to."""

import pytest
import torch

from $module.$name import $name


@pytest.mark.task(1)
def test_it_equals_the_slow_way():
    """TODO: equality with a slow reference or a trusted peer. As an example: torch's own sums."""
    values = torch.randn(7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close($name(values), values.cumsum(0))
'''

BENCHMARK = '''"""Measures what project $number promises.

    python -m $module.benchmark --preset cpu

TODO: what `cpu` measures, beside what a user would pick instead, and how long it takes. `smoke` does it in seconds.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from shared.config import parse
from shared.device import set_threads
from shared.ladder.project import load
from shared.measuring.arms import Arm, Report, measure

FOLDER = Path(__file__).parent


@dataclass
class Settings:
    """What a preset in configs/ sets."""

    length: int = 1_000_000
    """How many values."""
    preset: str = "cpu"


def main() -> None:
    """Measure project $number with the settings of a preset."""
    settings = parse(Settings, FOLDER / "configs", description=main.__doc__ or "")
    set_threads()
    command = f"python -m $module.benchmark --preset {settings.preset}"
    report = Report(FOLDER, load(FOLDER).promise, settings.preset, command)
    values = torch.randn(settings.length)
    # TODO: Arm("ours", lambda: $name(values)) goes first, and `check` sees that all give the same.
    arms = [Arm("torch", lambda: values.cumsum(0))]
    measured = measure(arms, repeats=3 if settings.preset == "smoke" else 9)
    report.figure("running sums", measured["torch"].seconds, "s", note=f"{settings.length:,} values")
    report.finish()


if __name__ == "__main__":
    main()
'''

SMOKE_YAML = """# Seconds on any machine: shows that everything runs. For tests and CI.
length: 1000
"""

CPU_YAML = """# TODO: why these sizes. Minutes on two cores.
length: 1000000
"""

README = """# Project $number: $title

## What you build, and why

TODO: what it does, and what one could not do without it.

## Budget

| | |
|---|---|
| Benchmark, two CPU cores | TODO |
| Memory | TODO |
| Your time | TODO |
| Difficulty | TODO |

## Needs and produces

TODO: what it takes from projects below, and what it leaves in `work/models/` and on the phase's shelf.

## Shapes

| name | what it is |
|---|---|
| time | TODO: each letter and name that shapes use below |

## The idea

TODO: the idea with its formula, on an example small enough to follow by hand.

## Tasks

Set up once, in the repository's root: `make setup` and `source .venv/bin/activate`. Then:

```bash
ladder start $number            # puts stubs into work/$path/
ladder check $number --watch    # tests your files at every save, and says what to write next
```

| task | file | write | in → out | points |
|---|---|---|---|---|
| 1 | $name.py | `$name` | TODO | 1 |

## Expected output

TODO: what the commands print when all is right, from a real run.

## Measured results

<!-- results:start -->
<!-- results:end -->

## Where it wins, where it loses

TODO: where it wins, where it loses, and how the benchmark could mislead.

## Common errors

| what you see | what it is |
|---|---|
| TODO | TODO |

## Left out

TODO: what a reader might look for here, and why it is not.

## How production systems do it

TODO

## Papers

- TODO

## Check yourself

1. *TODO: a question.* TODO: its answer.
"""

PHASE = {"__init__.py": PHASE_INIT, "README.md": PHASE_README}
PROJECT = {
    "README.md": README,
    "project.toml": PROJECT_TOML,
    "mutants.toml": MUTANTS_TOML,
    "__init__.py": INIT,
    "$name.py": CODE,
    "test_$name.py": TEST,
    "benchmark.py": BENCHMARK,
    "configs/smoke.yaml": SMOKE_YAML,
    "configs/cpu.yaml": CPU_YAML,
}

# ---- the README.md of an exported zip

START = """# Project {number}: {title}

{build}

You need Python {python} or newer. Once, in this folder:

    python3 -m venv .venv
    source .venv/bin/activate        # on Windows: .venv\\Scripts\\activate
    pip install -e '.{extras}' -c constraints.txt

Then, each time after `source .venv/bin/activate`:

    ladder start {number}                   # puts stubs where your code lives; never overwrites it
    ladder check {number} --watch           # tests your files at every save, and says what to write next

Your files are in `{work}`: {files}. Write one function at a time.
`{folder}/README.md` has the idea, the tasks and what the output should look like.

What READMEs say of `make setup`, `make run`, other projects' folders and `shared/phaseNN.py` holds in the whole
repository, not in this folder.

Hand in your `work` folder, as a zip. You need not hand in `work/models`.
"""

COURSE = """
This project stands on your own {projects}: unpack it where you unpacked those, into the same folder, or copy your
`work` folder into this one. What you have not written there fails here.
"""

GIVEN_AWAY = """
It comes with {projects} solved, on which it stands.
"""
