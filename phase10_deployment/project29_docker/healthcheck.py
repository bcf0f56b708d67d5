"""Asks the server in this container whether it is alive. Exit code 0: yes. 1: no, and one line says why.

    python -I healthcheck.py [http://127.0.0.1:8000/health] [--seconds 3]

Docker runs it every few seconds, so it uses the standard library alone and starts quickly.
"""

import socket
import sys
import time
from urllib.parse import urlsplit

MOST = 4096  # bytes in which the first line has to end


def probe(url: str, seconds: float = 3.0) -> str:
    """Why the server is not healthy; an empty text when it is: it answers a GET of `url` with status 200.

    - All of it, from connecting to the end of the answer's first line, has `seconds`: also where the server sends a
      byte now and then, so that no single read takes long.
    - Any other status is a reason that names it, a redirect too: where it leads to is not what was asked.
    - It connects to the host and port of `url` themselves, whatever http_proxy says: a proxy cannot see into a
      container. So no urllib.request.
    - What answers in no HTTP/1 (its first line does not begin with `HTTP/1.`, a space and a number after it, or
      does not end within MOST bytes or before the connection does) is a reason, and so are a refused connection and
      no answer in time. The reason for no answer in time says `seconds` as a number.

    Raises ValueError that names the URL for one that is not http://host…; without a port it is 80, without a path
    `/`.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"the URL is {url!r}; it must be like http://127.0.0.1:8000/health")
    host, port = parts.hostname, parts.port or 80
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    end = time.monotonic() + seconds
    try:
        with socket.create_connection((host, port), timeout=seconds) as connection:
            connection.settimeout(_left(end))
            request = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
            connection.sendall(request.encode())
            answer = b""
            while b"\n" not in answer and len(answer) < MOST:
                connection.settimeout(_left(end))
                received = connection.recv(MOST)
                if not received:
                    break
                answer += received
    except TimeoutError:
        return f"no answer from {url} within {seconds:g} s"
    except OSError as problem:
        return f"{url}: {problem.strerror or problem}"
    first, ended, _ = answer.partition(b"\n")
    words = first.decode("latin-1").split()
    if not ended or len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        return f"{url} does not speak HTTP"
    return "" if words[1] == "200" else f"{url} answers with status {words[1]}"


def _left(end: float) -> float:
    """The seconds left. Raises TimeoutError where there are none."""
    if (left := end - time.monotonic()) <= 0:
        raise TimeoutError
    return left


def main() -> None:
    """Read `[URL] [--seconds N]`, ask, and exit with 0 or 1. Docker keeps 2 for itself."""
    arguments, seconds = sys.argv[1:], 3.0
    try:
        if "--seconds" in arguments:
            at = arguments.index("--seconds")
            seconds = float(arguments[at + 1])
            arguments = arguments[:at] + arguments[at + 2 :]
        reason = probe(*arguments[:1] or ["http://127.0.0.1:8000/health"], seconds=seconds)
    except (IndexError, ValueError) as mistake:
        reason = str(mistake)
    if reason:
        print(f"unhealthy: {reason}")
    sys.exit(1 if reason else 0)


if __name__ == "__main__":
    main()
