"""The top of the ladder: start the server, talk to it with OpenAI's client, look at its metrics, stop it cleanly."""

import sys
from typing import Annotated

import openai
import typer
from rich.console import Console

from phase10_deployment.project28_serving.given.background import running
from phase10_deployment.project28_serving.given.loading import read_metrics
from shared.command import exits_with_message, printable
from shared.options import run_command

SHOWN = (
    "prompt_tokens_total",
    "generation_tokens_total",
    "time_to_first_token_seconds_sum",
    "e2e_request_latency_seconds_sum",
)


def main(
    model: Annotated[str, typer.Option(help="What is served.")] = "tiny-chat",
    say: Annotated[
        str, typer.Option(help="What you say to it.")
    ] = "Mia has 4 marbles and finds 6 more. How many marbles does Mia have now?",
) -> None:
    """Start, one streamed chat, metrics, stop."""
    with (
        exits_with_message(Console(stderr=True), RuntimeError, openai.OpenAIError),
        running("--model", model, "--port", "0", "--mine") as server,
    ):
        for line in server.lines:
            print(line)
        print(f"\nyou: {printable(say)}\n{model}: ", end="", flush=True)
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
            stream = client.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": say}],
                stream=True,
                temperature=0,
                max_tokens=60,
            )
            for chunk in stream:
                print(printable(chunk.choices[0].delta.content or ""), end="", flush=True)
        print("\n")
        metrics = read_metrics(server.url)
        for name in SHOWN:
            print(f"vllm:{name} {metrics[f'vllm:{name}']:.4g}")
        code = server.end()
        print(f"\nstopped, exit code {code}")
    sys.exit(code)


if __name__ == "__main__":
    run_command(main)
