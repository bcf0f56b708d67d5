"""Builds the image for real, looks inside, runs it sealed, and says what each stage saved.

    python -m phase10_deployment.project29_docker.build [--secret pip.conf] [--index URL] [--device cuda]

With Docker or buildah it builds; on Linux as root it also runs what buildah built: as process 1, with another user,
a root that cannot be written and one tmpfs. Without an engine it checks what can be checked, and says so.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from phase10_deployment.project29_docker.given import engines, inside, lint, sealed
from phase10_deployment.project29_docker.given.engines import DOCKERFILE
from phase10_deployment.project29_docker.given.inside import Config, Running
from phase10_deployment.project29_docker.layers import Layer, read_layers, visible, wasted
from phase10_deployment.project29_docker.sbom import bill_faults, environment_bill, pinned, stable
from shared.command import exits_with_message
from shared.files import ROOT, write_text
from shared.options import run_command

TAG = "llm-ladder:0.1.0"
STAGES = ("python", "packages", "app", "slim", "serve")


def build_stages(
    engine: str, device: str, march: str, index: str, secret: str, volumes: list[str]
) -> dict[str, str]:
    """Build every stage that has a size of its own; returns their tags. Later ones find the earlier in the cache."""
    base = engines.base_image() if engine == "buildah" else engines.BASE
    arguments = {"DEVICE": device, "MARCH": march, "PIP_EXTRA_INDEX_URL": index}
    if engine == "docker":
        arguments["DEBIAN"] = base
    tags = {}
    for stage in STAGES:
        tags[stage] = TAG if stage == "serve" else f"llm-ladder-{stage}:0.1.0"
        engines.build(engine, tags[stage], stage, arguments, secret, volumes, base)
    return tags


def folder_bytes(root: Path) -> int:
    """The bytes of all files below a folder, each once, however many names it has."""
    seen, total = set[int](), 0
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            state = path.stat()
            if state.st_ino not in seen:
                seen.add(state.st_ino)
                total += state.st_size
    return total


def sizes(tags: dict[str, str]) -> dict[str, int]:
    """The bytes of the files of each stage that buildah has built."""
    found = {}
    for stage, tag in tags.items():
        container, root = engines.mount(tag)
        try:
            found[stage] = folder_bytes(root)
        finally:
            engines.unmount(container)
    return found


def measure_inside(tag: str, starts: int = 3) -> dict[str, Any]:
    """Run an image that buildah has, sealed, and check all of it. Raises OSError where it does not start."""
    config = Config.of(json.loads(engines.buildah("inspect", "--type", "image", tag))["Docker"]["config"])
    container, root = engines.mount(tag)
    try:
        facts: dict[str, Any] = {"tools": inside.tools(root), "user": config.user}
        facts["writable"] = inside.try_to_write(root, config)
        facts["bill"] = bill(root)
        facts["cold"], facts["warm"] = [], []
        for kind in ("cold", *["warm"] * (starts - 1)):
            if kind == "cold":
                sealed.make_cold(root)
            running = Running(root, config)
            facts[kind].append(running.seconds)
            running.terminate()
            running.wait()
        running = Running(root, config, ["--drain-seconds", "30"])
        try:
            facts["health"], facts["ready"] = running.get("/health"), running.get("/ready")
            facts["memory"] = inside.memory(running.one)
            facts |= inside.end_with_a_stream_open(running)
        finally:
            running.kill()
        said = "".join(running.log)
        facts["kernels"] = "no C++ compiler" not in said and "slower code" not in said
        return facts
    finally:
        engines.unmount(container)


def bill(root: Path) -> dict[str, Any]:
    """How many packages the image's environment has, and what is wrong with them by constraints.txt."""
    known = pinned((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    names = [
        line for line in (DOCKERFILE.with_name("requirements.txt")).read_text("utf-8").splitlines() if line
    ]
    try:
        found = stable(environment_bill(root / "opt" / "venv"))
    except OSError as problem:  # its Python is the image's, and may not run here
        return {"components": -1, "faults": [str(problem)]}
    faults = bill_faults(found, known, [name for name in names if not name.startswith("#")])
    return {"components": len(found["components"]), "faults": list(map(str, faults))}


def layer_table(found: list[Layer]) -> Table:
    """The layers of an image: what made each, its bytes as sent and as files, and those nobody sees."""
    table = Table("layer", "packed MB", "files MB", "unseen MB", title="Layers")
    for layer, lost in zip(found, wasted(found), strict=True):
        said = layer.created_by.removeprefix("/bin/sh -c ").replace("#(nop)", "").strip()
        table.add_row(said[:80], *(f"{number / 1e6:,.1f}" for number in (layer.packed, layer.unpacked, lost)))
    return table


def largest(found: list[Layer], most: int = 8) -> Table:
    """The folders of what a container sees that hold the most: packages by name, the rest by its first two parts."""
    total: dict[str, int] = {}
    for path, (_, size) in visible(found).items():
        parts = path.split("/")
        at = parts.index("site-packages") + 2 if "site-packages" in parts[:-1] else 2
        name = "/".join(parts[:at])
        total[name] = total.get(name, 0) + size
    table = Table("folder", "MB", title="What takes the room")
    for name, size in sorted(total.items(), key=lambda one: -one[1])[:most]:
        table.add_row(name, f"{size / 1e6:,.1f}")
    return table


def main(
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    march: Annotated[str, typer.Option(help="The processor that kernels are for, as x86-64-v3.")] = "native",
    index: Annotated[str, typer.Option(help="PIP_EXTRA_INDEX_URL, as PyTorch's of CPU wheels.")] = "",
    secret: Annotated[str, typer.Option(help="A pip.conf that stays out of the image.")] = "",
    volume: Annotated[
        list[str] | None, typer.Option(help="OUTSIDE:INSIDE:ro, while building; buildah's.")
    ] = None,
    layout: Annotated[Path | None, typer.Option(help="Where to write the image, as an OCI layout.")] = None,
    facts: Annotated[Path | None, typer.Option(help="Where to write what was found, as JSON.")] = None,
    run: Annotated[bool, typer.Option(help="Run it, too, where that can be done.")] = True,
) -> None:
    """Build the image, check it, and say what was done and what was not."""
    console = Console(highlight=False)
    with exits_with_message(console, engines.EngineError, ValueError):
        if device not in ("cpu", "cuda"):
            raise ValueError(f"the device is {device!r}; it is cpu or cuda")
        wrong = lint.lint(console)
        engine = engines.find_engine()
        if not engine:
            console.print(
                "done: linted and validated. Not built: neither Docker nor buildah (as root) is here."
            )
            sys.exit(1 if wrong else 0)
        console.print(f"building with {engine} …")
        tags = build_stages(engine, device, march, index, secret, volume or [])
        known: dict[str, Any] = {"engine": engine, "device": device}
        if layout:
            engines.export(engine, tags["serve"], layout)
            found = read_layers(layout)
            console.print(layer_table(found), largest(found))
            known |= {"packed": sum(one.packed for one in found), "unseen": sum(wasted(found))}
        if engine == "buildah":
            known["sizes"] = sizes(tags)
            table = Table("stage", "MB of files", title="What each stage has")
            for stage, size in known["sizes"].items():
                table.add_row(stage, f"{size / 1e6:,.1f}")
            console.print(table)
        done = ["linted", "validated", f"built with {engine}"]
        if run and engine == "buildah" and sealed.can_seal() and device == "cpu":
            known |= measure_inside(tags["serve"])
            console.print_json(json.dumps({key: value for key, value in known.items() if key != "sizes"}))
            done.append("run sealed: as process 1, not root, nothing writable but /tmp")
        if facts:
            write_text(facts, json.dumps(known, indent=2) + "\n")
        console.print(f"done: {', '.join(done)}.")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    run_command(main)
