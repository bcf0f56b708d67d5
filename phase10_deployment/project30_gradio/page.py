"""The chat page: ladder run 30 page --server http://127.0.0.1:8000

Several --server stand side by side. Without one, tiny-chat is served for as long as the page runs.
"""

import importlib.util
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from phase10_deployment.project30_gradio.given.launch import SERVE, started
from phase10_deployment.project30_gradio.given.server import ServerLink
from shared.command import exits_with_message
from shared.options import run_command


def main(
    server: Annotated[
        list[str] | None, typer.Option(help="A server's address; give it again for another one beside it.")
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="A file with the key that the servers ask for.", show_default=False)
    ] = None,
    model: Annotated[str, typer.Option(help="What to serve, where no server is given.")] = "tiny-chat",
    host: Annotated[str, typer.Option(help="Who may open the page; 0.0.0.0 is everybody.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 lets the system choose.")] = 7860,
) -> None:
    """Talk with a served model in the browser, and watch its engine."""
    console = Console(stderr=True)
    with exits_with_message(console, ValueError, ImportError):
        if importlib.util.find_spec("gradio") is None:
            raise ValueError("gradio is not installed; the README says how, under what the project needs")
        key = read_key(api_key_file)
        links = [ServerLink(url, key) for url in server or []]
        with own_server(model, bool(links)) as url:
            serve([*links, *([ServerLink(url)] if url else [])], host, port)


def read_key(file: Path | None) -> str:
    """The first line of a file, or "" for none. Raises ValueError for an empty one: a mistake, and no wish."""
    if file is None:
        return ""
    key = file.read_text(encoding="utf-8").strip().partition("\n")[0].strip()
    if not key:
        raise ValueError(f"there is no key in {file}")
    return key


@contextmanager
def own_server(model: str, given: bool) -> Iterator[str]:
    """The address of a server of our own, which ends with the block; "" where one is given.

    Raises ValueError where it does not come up: its own words stand above.
    """
    if given:
        yield ""
        return
    blocks = ("--blocks", "256")  # as many as one can see at once
    with started(SERVE, "--model", model, "--port", "0", "--debug", *blocks) as server:
        yield server.url


def serve(links: list[ServerLink], host: str, port: int) -> None:
    """Show the page for these servers until it is told to stop."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    import uvicorn

    config = uvicorn.Config(
        make_app(links), host=host, port=port, log_level="critical", timeout_graceful_shutdown=3
    )
    socket = config.bind_socket()
    shown = "127.0.0.1" if host == "0.0.0.0" else host
    print(f"the page is on http://{shown}:{socket.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[socket])


def make_app(links: list[ServerLink]):
    """The page as an ASGI app, with the route that the page's heart beats against."""
    import gradio as gr  # pyright: ignore[reportMissingImports]
    from fastapi import FastAPI

    from phase10_deployment.project30_gradio.given.layout import build, theme
    from phase10_deployment.project30_gradio.given.style import CSS, HEAD

    run = secrets.token_hex(8)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/alive")
    async def alive() -> dict[str, str]:
        return {"run": run}

    return gr.mount_gradio_app(
        app, build(links).queue(default_concurrency_limit=None), path="/", ssr_mode=False, theme=theme(),
        css=CSS, head=HEAD, footer_links=[], show_error=True, run_history=False,
    )  # fmt: skip


if __name__ == "__main__":
    run_command(main)
