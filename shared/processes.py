"""Processes that run one function together, for tests: each is a rank of a gloo group, on the CPU."""

import builtins
import json
import multiprocessing
import tempfile
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from shared import checkpoint

# A server imports torch once, and each process is forked from it: a tenth of a second instead of four.
METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
PATIENCE = timedelta(seconds=60)  # then a rank that waits for another one gives up


def spawn(function: Callable[..., Any], *arguments: Any, ranks: int = 2) -> list[Any]:
    """Run function(*arguments) in so many processes; returns the result of each, as a checkpoint would keep it.

    The function must be one that can be imported. Where a process fails, all are ended, and its error is raised
    here, under its own type where that is one of Python's, with the process's traceback as a note.
    """
    context: Any = multiprocessing.get_context(METHOD)
    if METHOD == "forkserver":
        # torch imports the second one when it first needs it, which would be in each process.
        context.set_forkserver_preload([function.__module__, "torch._dynamo"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = {}
        try:
            for rank in range(ranks):
                process = context.Process(target=_run, args=(function, arguments, rank, ranks, folder))
                process.start()
                started[process.sentinel] = process
            running = set(started)
            while running:
                ended = set(wait(list(running)))
                running -= {sentinel for sentinel in ended if isinstance(sentinel, int)}
                if any(process.exitcode for process in started.values()):
                    raise _first_error(folder)
        finally:
            for process in started.values():
                process.kill()
                process.join()
        return [checkpoint.read(folder / f"{rank}.safetensors") for rank in range(ranks)]


def _run(
    function: Callable[..., Any], arguments: tuple[Any, ...], rank: int, ranks: int, folder: Path
) -> None:
    try:
        torch.set_num_threads(1)
        meeting = (folder / "meeting").as_uri()
        dist.init_process_group("gloo", meeting, PATIENCE, world_size=ranks, rank=rank)
        checkpoint.write(folder / f"{rank}.safetensors", function(*arguments))
        dist.destroy_process_group()
    except BaseException as error:
        told = [type(error).__name__, str(error), f"in process {rank}:\n{traceback.format_exc()}"]
        (folder / f"{rank}.error").write_text(json.dumps(told))
        raise SystemExit(1) from None


def _first_error(folder: Path) -> BaseException:
    # The others may have failed too, because this one left them alone.
    files = sorted(folder.glob("*.error"), key=lambda file: file.stat().st_mtime_ns)
    if not files:
        return RuntimeError("a process was killed")
    name, message, note = json.loads(files[0].read_text())
    kind = getattr(builtins, name, None)
    error = kind(message) if kind else RuntimeError(f"{name}: {message}")
    error.add_note(note)
    return error
