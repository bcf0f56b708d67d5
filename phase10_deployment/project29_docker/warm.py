"""Starts the server once, in the stage that has a compiler, so that every kernel it uses is compiled and kept.

    python -m phase10_deployment.project29_docker.warm --model tiny-chat

What it does not ask for here is not compiled: the image's server would then do it with torch, which is slower.
"""

import argparse
import json
import sys
import urllib.error
import urllib.request

from phase10_deployment.project29_docker.given import server
from shared.files import data_folder

ASKS = (
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hello there"}], "max_tokens": 8}),
    ("/v1/completions", {"prompt": "Once upon a time", "max_tokens": 8, "logprobs": 2, "temperature": 0.7}),
    ("/v1/completions", {"prompt": ["Tom has", "Mia has"], "max_tokens": 8, "echo": True, "temperature": 0}),
    ("/v1/embeddings", {"input": "Once upon a time"}),
)


def ask(url: str, path: str, body: dict[str, object]) -> None:
    """Post a body, and read the answer. Raises OSError for one that is no success."""
    request = urllib.request.Request(
        f"{url}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            answer.read()
    except urllib.error.HTTPError as refused:
        raise OSError(f"{path} with {body}: {refused.code}, {refused.read().decode()[:500]}") from None


def main() -> None:
    """Start it, ask of all kinds, and stop it; exit code 1 where it does not end well."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--model", default="tiny-chat")
    model = parser.parse_args().model
    for options in ((), ("--draft", "ngram")):
        with server.running(server.command(model, 0, *options), seconds=900) as one:
            for path, body in ASKS:
                ask(one.url, path, {"model": model, **body})
            code = one.stop()
    kernels = sorted(path.name for path in (data_folder() / "native").glob("*.so"))
    print(f"{len(kernels)} kernels: {', '.join(kernels)}")
    sys.exit(code)


if __name__ == "__main__":
    main()
