"""Put several replicas behind one address: ladder run 28 route --replica http://127.0.0.1:8001 --replica …"""

import asyncio
import contextlib
from typing import Annotated

import typer
import uvicorn
from rich.console import Console

from phase10_deployment.project28_serving.given.proxy import Proxy
from phase10_deployment.project28_serving.router import PrefixRouter
from shared.command import exits_with_message
from shared.options import run_command


def main(
    replica: Annotated[list[str], typer.Option(help="The address of a replica; give it again for each.")],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 lets the system choose one.")] = 8080,
    slack: Annotated[int, typer.Option(help="How many more requests a replica may have than another.")] = 8,
    every: Annotated[float, typer.Option(help="Seconds between two looks at each replica.")] = 1.0,
) -> None:
    """Send each request to the replica that has read its beginning already."""
    with exits_with_message(Console(stderr=True), ValueError):
        router = PrefixRouter([one.rstrip("/") for one in replica], slack=slack)
        asyncio.run(serve(Proxy(router, every), host, port))


async def serve(proxy: Proxy, host: str, port: int) -> None:
    """Serve until a signal comes."""
    config = uvicorn.Config(
        proxy,
        host,
        port,
        log_config=None,
        access_log=False,
        lifespan="off",
        interface="asgi3",
        timeout_graceful_shutdown=30,
    )
    server, socket = uvicorn.Server(config), config.bind_socket()
    await proxy.look()
    looking = asyncio.create_task(proxy.keep_looking())
    print(f"routing on http://{host}:{socket.getsockname()[1]}", flush=True)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            await server.serve(sockets=[socket])
    finally:
        looking.cancel()


if __name__ == "__main__":
    run_command(main)
