"""Serve a model: ladder run 28 serve --model tiny-chat --port 8000

Once it is ready it says so on standard output; its log, a line of JSON each, goes to standard error. SIGTERM or ctrl-C
drains it: what is new is refused, what has begun ends, and the exit code is 0.
"""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from phase10_deployment.project28_serving.given.engine_process import EngineSettings
from phase10_deployment.project28_serving.given.key_file import read_keys
from phase10_deployment.project28_serving.given.server import Server, ServerSettings
from phase10_deployment.project28_serving.given.state import Options
from phase10_deployment.project28_serving.given.whose import whose_code
from shared.artifacts import ArtifactError, CheckpointError
from shared.command import exits_with_message
from shared.options import run_command


def main(
    model: Annotated[
        str, typer.Option(help="A model's name, or a folder with a Llama-format checkpoint.")
    ] = "tiny-chat",
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 is all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 lets the system choose one.")] = 8000,
    name: Annotated[str, typer.Option(help="What clients call the model.", show_default=False)] = "",
    template: Annotated[
        str, typer.Option(help="Another chat template than its own.", show_default=False)
    ] = "",
    adapter: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FOLDER: a LoRA adapter served by this name; may come again."),
    ] = None,
    api_keys: Annotated[
        Path | None,
        typer.Option(help="A file of keys' hashes; `ladder run 28 keys` writes one.", show_default=False),
    ] = None,
    requests_per_minute: Annotated[float, typer.Option(help="For each key; 0 is no limit.")] = 0,
    tokens_per_minute: Annotated[float, typer.Option(help="For each key; 0 is no limit.")] = 0,
    blocks: Annotated[int, typer.Option(help="Blocks of 16 tokens for keys and values.")] = 1024,
    adapter_blocks: Annotated[int, typer.Option(help="The same for each adapter.")] = 256,
    max_sequences: Annotated[int, typer.Option(help="How many texts are written at once.")] = 16,
    max_queue: Annotated[int, typer.Option(help="How many more may wait; then it is 429.")] = 256,
    draft: Annotated[str, typer.Option(help='A model that guesses, or "ngram".', show_default=False)] = "",
    threads: Annotated[int, typer.Option(help="Of the engine.")] = 1,
    time_limit: Annotated[float, typer.Option(help="Seconds for a request.")] = 600,
    largest_body: Annotated[int, typer.Option(help="Bytes of a request's body.")] = 1_000_000,
    drain_seconds: Annotated[
        float, typer.Option(help="How long what has begun may take after SIGTERM.")
    ] = 30,
    cors: Annotated[
        list[str] | None, typer.Option(help="An origin whose pages may ask; may come again.")
    ] = None,
    log_prompts: Annotated[bool, typer.Option("--log-prompts", help="Prompts go into the log.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Adds /debug/steps and /debug/attention.")] = False,
    engine_in_thread: Annotated[
        bool, typer.Option("--engine-in-thread", help="No process for the engine: slower, to compare.")
    ] = False,
    mine: Annotated[bool, typer.Option("--mine", help="Say whose code answers, project by project.")] = False,
) -> None:
    """Serve a model over HTTP, as OpenAI's clients want it."""
    console = Console(stderr=True)
    with exits_with_message(console, ValueError, ArtifactError, CheckpointError, RuntimeError):
        adapters = dict(_pair(one) for one in adapter or ())
        engine = EngineSettings(
            model, template, adapters, blocks, adapter_blocks, max_sequences=max_sequences,
            max_tokens=max(512, max_sequences), draft=draft, threads=threads,
        )  # fmt: skip
        options = Options(debug, largest_body, time_limit, cors=cors or [], log_prompts=log_prompts)
        settings = ServerSettings(
            engine, name, host, port, read_keys(api_keys) if api_keys else {}, requests_per_minute,
            tokens_per_minute, max_queue, drain_seconds, thread=engine_in_thread, options=options,
        )  # fmt: skip
        if mine:
            for line in whose_code():
                print(line, flush=True)
        server = Server(settings)
        code = asyncio.run(server.run(_say))
    sys.exit(code)


def _say(server: Server) -> None:
    assert server.state is not None
    print(f"serving {server.state.served.name} on http://{server.settings.host}:{server.port}", flush=True)


def _pair(text: str) -> tuple[str, str]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise ValueError(f"an adapter is NAME=FOLDER, not {text!r}")
    return name, folder


if __name__ == "__main__":
    run_command(main)
