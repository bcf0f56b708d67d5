"""How long a stream's first event takes through nginx: as project 29 sets it up, and as it is by default."""

import http.client
import json
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from phase10_deployment.project29_docker.balance import nginx_conf
from phase10_deployment.project29_docker.given import programs, server


def plain_conf(servers: list[str], listen: int, folder: str) -> str:
    """nginx before servers with nothing set that it does not need: turns, buffers, and its own idea of trying again."""
    replicas = "\n".join(f"server {one};" for one in servers)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    return f"""\
pid {folder}/nginx.pid;
error_log stderr;
events {{ }}
http {{
    access_log off;
    {temporary}
    upstream replicas {{ {replicas} }}
    server {{
        listen {listen};
        location / {{ proxy_pass http://replicas; proxy_read_timeout 600s; }}
    }}
}}
"""


def conf(plain: bool, servers: list[str], listen: int, folder: str) -> str:
    """One of the two."""
    return plain_conf(servers, listen, folder) if plain else nginx_conf(servers, listen, folder)


def first_event(plain: bool, repeats: int = 9, tokens: int = 50, pause: float = 0.01) -> float:
    """Seconds to the first event of a stand-in's stream through nginx: the median of so many, after one more."""
    took = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        one = stack.enter_context(server.running(server.stand_in("--pause", str(pause))))
        port = programs.free_port()
        text = conf(plain, [f"127.0.0.1:{one.port}"], port, str(folder / "nginx"))
        stack.enter_context(programs.nginx(text, folder / "nginx", port))
        for _ in range(1 + repeats):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            start = time.perf_counter()
            connection.request("POST", "/v1/chat/completions", json.dumps({"max_tokens": tokens}))
            connection.getresponse().readline()
            took.append(time.perf_counter() - start)
            connection.close()
    return statistics.median(took[1:])
