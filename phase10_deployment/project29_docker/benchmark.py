"""Measures what project 29 promises.

    python -m phase10_deployment.project29_docker.benchmark --preset cpu

`cpu` builds the image where there is an engine that can (else it says so, and measures the rest), starts it sealed
and cold, ends it with a stream open, kills one of two servers behind nginx in mid-load beside nginx as it is by
default, and times process 1 and the health check beside others. Under three minutes once the image's layers are in
the cache; the first build takes what pip takes. `full` loads longer, and lets one server drain as well. `smoke`
does it in seconds, without a model.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from phase10_deployment.project29_docker import build, failover
from phase10_deployment.project29_docker.build_rules import building_faults
from phase10_deployment.project29_docker.dockerfile import instructions, stages
from phase10_deployment.project29_docker.given import engines, programs, sealed, server, streams
from phase10_deployment.project29_docker.given.bad import RIGHT, bad_dockerfiles
from phase10_deployment.project29_docker.given.fault import rules
from phase10_deployment.project29_docker.layers import read_layers, wasted
from phase10_deployment.project29_docker.run_rules import running_faults
from shared.config import parse
from shared.device import set_threads
from shared.ladder.project import load
from shared.measuring import plot
from shared.measuring.arms import Arm, Report, measure

FOLDER = Path(__file__).parent
INIT, CHECK = FOLDER / "init.py", FOLDER / "healthcheck.py"
URLLIB = "import sys, urllib.request as u; sys.exit(u.urlopen(sys.argv[1], timeout=3).status != 200)"


@dataclass
class Settings:
    """What a preset in configs/ sets."""

    build: bool = True
    """Build the image, where there is an engine."""
    stand_in: bool = False
    """Servers without a model."""
    streams: int = 8
    """Streams that are open at all times."""
    seconds: float = 12.0
    """How long each load lasts."""
    repeats: int = 7
    """Rounds of what takes milliseconds."""
    starts: int = 3
    """Starts of the image; the first one is cold."""
    drain: bool = False
    """Let a server drain as well."""
    index: str = field(default_factory=lambda: os.environ.get("PIP_EXTRA_INDEX_URL", ""))
    """Where pip finds torch for CPUs, for the build."""
    secret: str = ""
    """A pip.conf for the build."""
    volumes: list[str] = field(default_factory=list)
    """OUTSIDE:INSIDE:ro, while buildah builds."""
    preset: str = "cpu"


def rules_beside_hadolint(report: Report) -> None:
    """Of Dockerfiles with one fault each, how many are told from the one without."""
    examples = bad_dockerfiles()

    def ours(text: str) -> set[str]:
        found = stages(instructions(text))
        return set(rules([*running_faults(found), *building_faults(found)]))

    told = sum(rule in ours(text) for rule, text in examples.values())
    wrong = len(ours(RIGHT))
    peers = {}
    if hadolint := shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which(
        "hadolint"
    ):

        def theirs(text: str) -> set[str]:
            done = subprocess.run(
                [hadolint, "-f", "json", "-"], input=text, capture_output=True, text=True, check=False
            )
            return {one["code"] for one in json.loads(done.stdout)}

        usual = theirs(RIGHT)
        peers["hadolint"] = sum(bool(theirs(text) - usual) for _, text in examples.values())
    report.figure(
        "bad Dockerfiles told", told, f"of {len(examples)}", ("==", len(examples)), peers,
        note="the examples were chosen with the rules in mind; hadolint: any warning that the right one does not have",
    )  # fmt: skip
    report.figure("faults found in a right one", wrong, "", ("==", 0))


def process_one(report: Report, settings: Settings) -> None:
    """What an init and a health check cost: a start of Python, mostly."""
    run = partial(subprocess.run, check=True, capture_output=True)
    python = [sys.executable, "-I"]
    arms = [
        Arm("ours", partial(run, [*python, str(INIT), "--", "/bin/true"])),
        Arm("none", partial(run, ["/bin/true"])),
    ]
    if tini := shutil.which("tini"):
        arms.append(Arm("tini", partial(run, [tini, "-s", "--", "/bin/true"])))
    took = measure(arms, repeats=settings.repeats)
    report.figure(
        "process 1: start and end of an empty program", 1000 * took["ours"].seconds, "ms",
        peers={name: 1000 * one.seconds for name, one in took.items() if name != "ours"},
        note="once a container's life; tini is written in C",
    )  # fmt: skip
    with server.running(server.stand_in()) as one:
        url = f"{one.url}/health"
        arms = [
            Arm("ours", partial(run, [*python, str(CHECK), url])),
            Arm("urllib.request", partial(run, [*python, "-c", URLLIB, url])),
        ]
        if curl := shutil.which("curl"):
            arms.append(Arm("curl", partial(run, [curl, "-fsS", "-o", "/dev/null", url])))
        took = measure(arms, repeats=settings.repeats)
    report.figure(
        "health check", 1000 * took["ours"].seconds, "ms", ("<", 1000 * took["urllib.request"].seconds),
        {name: 1000 * one.seconds for name, one in took.items() if name != "ours"},
        note="every ten seconds; curl would have to be in the image, and then is there for others, too",
    )  # fmt: skip


def behind_nginx(report: Report, settings: Settings) -> None:
    """One of two servers killed in mid-load, and the first event of a stream, beside nginx as it is by default."""
    if programs.program("nginx") is None:
        print("nginx is not installed: nothing is measured behind it", file=sys.stderr)
        return
    first = {plain: streams.first_event(plain, settings.repeats) for plain in (False, True)}
    report.figure(
        "first event of a stream through nginx", 1000 * first[False], "ms",
        peers={"nginx as it is": 1000 * first[True]},
        note="median, of a stand-in; its answer is chunked, so buffers hold nothing back",
    )  # fmt: skip
    made = failover.fail_over(settings.streams, settings.seconds, stand_in=settings.stand_in)[0]
    usual = failover.fail_over(settings.streams, settings.seconds, stand_in=settings.stand_in, plain=True)[0]

    def lost(counts: failover.Counts) -> int:
        return counts.refused + counts.unanswered

    report.figure(
        "requests lost when one of two replicas is killed", lost(made), "", ("==", 0), {"nginx as it is": lost(usual)},
        note=f"that had not begun; of {made.whole + made.cut + lost(made)} in {settings.seconds:g} s, "
        f"{settings.streams} at a time; nginx as it is: of {usual.whole + usual.cut + lost(usual)}",
    )  # fmt: skip
    report.figure(
        "streams cut in their midst by it", made.cut, "", ("<=", settings.streams), {"nginx as it is": usual.cut},
        note="what a replica has begun ends with it; a client has to ask again",
    )  # fmt: skip
    worst = max(made.first_after, default=0.0)
    report.figure("slowest first token after it", 1000 * worst, "ms", note="one server does the work of two")
    if settings.drain:
        drained, code = failover.fail_over(
            settings.streams, settings.seconds, end="drain", stand_in=settings.stand_in
        )
        report.figure("requests lost or cut when one drains", lost(drained) + drained.cut, "", ("==", 0))
        report.figure("exit code of the one that drained", code if code is not None else -1, "", ("==", 0))


def image(report: Report, settings: Settings) -> None:
    """Build the image, look inside, run it. Without an engine, say that it was not."""
    engine = engines.find_engine() if settings.build else ""
    if engine != "buildah":
        print(
            "image: not built in this preset" if not settings.build else "image: no buildah, so not built",
            file=sys.stderr,
        )
        return
    tags = build.build_stages(engine, "cpu", "native", settings.index, settings.secret, settings.volumes)
    size = build.sizes(tags)
    with tempfile.TemporaryDirectory() as folder:
        engines.export(engine, tags["serve"], Path(folder) / "layout")
        found = read_layers(Path(folder) / "layout")
    one_stage = size["app"]
    report.figure(
        "size of the image", size["serve"] / 1e6, "MB", ("<", one_stage / 1e6), {"all in one stage": one_stage / 1e6},
        note="files, not packed; torch is most of it",
    )  # fmt: skip
    report.figure(
        "size of the image, packed", sum(one.packed for one in found) / 1e6, "MB", note="what is sent"
    )
    report.figure("bytes in its layers that nobody sees", sum(wasted(found)) / 1e6, "MB")
    report.figure(
        "saved by slimming the packages", (size["packages"] - size["slim"]) / 1e6, "MB",
        note="pip, headers, tests, type stubs",
    )  # fmt: skip
    report.figure(
        "saved by leaving the compiler behind", (one_stage - size["serve"] - (size["packages"] - size["slim"])) / 1e6,
        "MB", note="g++ and python3-venv, of the stages before the last",
    )  # fmt: skip
    if sealed.can_seal():
        inside(report, build.measure_inside(tags["serve"], settings.starts))
    plot.bars(
        report.path.parent / "stages.png", {stage: size[stage] / 1e6 for stage in build.STAGES},
        "What each stage holds", "MB of files",
    )  # fmt: skip


def inside(report: Report, facts: dict[str, Any]) -> None:
    """What was found of the image as it ran."""
    report.figure(
        "cold start to ready, in the image", facts["cold"][0], "s", ("<=", 60),
        note="sealed: process 1, uid 10001, a root nobody can write to; its files dropped from the page cache",
    )  # fmt: skip
    report.figure(
        "start to ready, its files in memory", statistics.median(facts["warm"] or facts["cold"]), "s"
    )
    report.figure(
        "memory of the server in the image", facts["memory"] / 2**20, "MiB", note="PSS of all its processes"
    )
    report.figure("SIGTERM with a stream open, exit code", facts["exit code"], "", ("==", 0))
    report.figure("the stream that was open, whole", int(facts["whole stream"]), "", ("==", 1))
    report.figure("status of requests while it drains", facts["status of new requests"], "", ("==", 503))
    places = [place for place, can in facts["writable"].items() if can]
    report.figure("places its user can write to", len(places), "", ("==", 1), note=", ".join(places))
    report.figure(
        "compilers, pips and downloaders in it",
        len(facts["tools"]),
        "",
        ("==", 0),
        note=", ".join(facts["tools"]),
    )
    bill = facts["bill"]
    report.figure(
        "packages in it",
        bill["components"],
        "",
        note=f"by the bill of materials; faults: {'; '.join(bill['faults']) or 'none'}",
    )
    report.figure("its kernels are used, without a compiler", int(facts["kernels"]), "", ("==", 1))


def main() -> None:
    """Measure project 29 with the settings of a preset."""
    settings = parse(Settings, FOLDER / "configs", description=main.__doc__ or "")
    set_threads()
    command = f"python -m phase10_deployment.project29_docker.benchmark --preset {settings.preset}"
    report = Report(FOLDER, load(FOLDER).promise, settings.preset, command)
    print("measuring the rules …", file=sys.stderr)
    rules_beside_hadolint(report)
    print("measuring process 1 and the health check …", file=sys.stderr)
    process_one(report, settings)
    print("measuring what nginx does …", file=sys.stderr)
    behind_nginx(report, settings)
    print("measuring the image …", file=sys.stderr)
    image(report, settings)
    report.finish()


if __name__ == "__main__":
    main()
