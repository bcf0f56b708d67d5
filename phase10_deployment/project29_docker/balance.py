"""nginx before several replicas: who gets a request, what is tried again, and a stream that is not held back."""

import re
import sys
from collections.abc import Sequence

HIDDEN = ("/metrics", "/debug")
"""what is for those who run it, not for clients: each, and all below it"""


def nginx_conf(
    servers: Sequence[str],
    listen: int = 8080,
    folder: str = "/tmp/nginx",
    largest: str = "10m",
    patience: int = 600,
) -> str:
    """nginx's configuration for replicas at `servers` ("host:port"), as one text, for a user who is not root.

    At the top: `pid FOLDER/nginx.pid;` and `error_log stderr;`, for it may write in `folder` alone. In `http`:

    - `access_log off;`, and the temporary folders `client_body_temp_path`, `proxy_temp_path`, `fastcgi_temp_path`,
      `uwsgi_temp_path` and `scgi_temp_path` below `folder`.
    - `upstream`: `zone NAME 64k;`, or each of nginx's workers counts connections and failures by itself;
      `least_conn;`, for requests take 0.1 s or a minute, and turns would pile them up; each server with
      `max_fails=2 fail_timeout=5s`, so that one that refuses two connections is left alone for five seconds; and
      `keepalive 32;`.

    In its one `server`: `listen` with the port, and `client_max_body_size` with `largest`. Each of HIDDEN has a
    `location` that returns 404. The `location /` has

    - `proxy_pass` to the upstream, `proxy_http_version 1.1;` and `proxy_set_header Connection "";`, without which
      nothing is kept alive;
    - `proxy_set_header Host $host;`, and `proxy_set_header X-Request-Id` with `$request_id` where the client has
      sent none (an nginx `map` in `http`), else the client's;
    - `proxy_buffering off;`, so that nginx has no reason to hold a token back; `proxy_read_timeout` with `patience`
      seconds, which is between two tokens, or before the first; `proxy_connect_timeout 2s;`
    - `proxy_next_upstream error http_503 non_idempotent;` with `proxy_next_upstream_tries 2;`: another replica gets
      the request where the connection fails or the replica drains (503). nginx does that before it has passed on
      the first byte, never after. POST needs `non_idempotent`; what a POST does here can be done twice. Not
      `timeout`, for who is slow is loaded, and would then make two replicas do the work; and not `http_429`, which
      is for the client to heed.

    Raises ValueError that names it for no server, one that is not host:port with a port from 1 to 65535 (a host has
    letters, digits, `.` and `-`, or is an IPv6 address in brackets), one that is named twice, and for a `folder`
    with anything but letters, digits and `/._-`.
    """
    if not servers:
        raise ValueError("servers is empty; name at least one host:port")
    for server in servers:
        match = re.fullmatch(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):([0-9]+)", server)
        if not match or not 1 <= int(match[1]) <= 65535:
            raise ValueError(f"the server {server!r} must be host:port")
        if list(servers).count(server) > 1:
            raise ValueError(f"the server {server!r} is named twice")
    if not re.fullmatch(r"[\w./-]+", folder, re.ASCII):
        raise ValueError(f"the folder {folder!r} may have letters, digits and /._- alone")
    replicas = "\n".join(f"        server {server} max_fails=2 fail_timeout=5s;" for server in servers)
    temporary = "\n".join(
        f"    {name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    hidden = "\n".join(
        f"        location {place} {{\n            return 404;\n        }}" for place in HIDDEN
    )
    return f"""\
pid {folder}/nginx.pid;
error_log stderr;
worker_processes auto;

events {{
    worker_connections 1024;
}}

http {{
    access_log off;
{temporary}

    map $http_x_request_id $passed_id {{
        default $http_x_request_id;
        "" $request_id;
    }}

    upstream replicas {{
        zone replicas 64k;
        least_conn;
{replicas}
        keepalive 32;
    }}

    server {{
        listen {listen};
        client_max_body_size {largest};

{hidden}

        location / {{
            proxy_pass http://replicas;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Request-Id $passed_id;
            proxy_buffering off;
            proxy_connect_timeout 2s;
            proxy_read_timeout {patience}s;
            proxy_next_upstream error http_503 non_idempotent;
            proxy_next_upstream_tries 2;
        }}
    }}
}}
"""


def main() -> None:
    """Print the configuration for the servers that are named: host:port host:port …"""
    try:
        print(nginx_conf(sys.argv[1:]), end="")
    except ValueError as mistake:
        print(f"error: {mistake}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
