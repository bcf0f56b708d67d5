"""Runs every panel of the Grafana dashboard, and every alert, against a real Prometheus that scrapes a real server.

    python -m phase10_deployment.project29_docker.check_dashboards [--stand-in]

A panel whose query gives nothing is the usual fault of a dashboard, and it is silent: a metric that was renamed, a
label that is not there, `vllm:x` that came as `vllm_x`. Grafana itself is not started.
"""

import json
import re
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table

from phase10_deployment.project29_docker.given import programs, server
from phase10_deployment.project29_docker.warm import ASKS, ask
from shared.command import exits_with_message
from shared.options import run_command

DEPLOY = Path(__file__).parent / "deploy"
WARM = 60.0  # seconds that Prometheus has to begin


def panels(dashboard: Path = DEPLOY / "grafana" / "dashboard.json") -> list[tuple[str, str]]:
    """The title and the query of each target of each panel, with Grafana's variables filled in."""
    content = json.loads(dashboard.read_text(encoding="utf-8"))
    found = []
    for panel in content["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"].replace("$__rate_interval", "20s")
            for variable in content["templating"]["list"]:
                query = query.replace(f"${variable['name']}", variable["allValue"])
            found.append((panel["title"], query))
    return found


def alerts(rules: Path = DEPLOY / "alerts.yml") -> list[tuple[str, str]]:
    """The name and the expression of each alert."""
    groups = yaml.safe_load(rules.read_text(encoding="utf-8"))["groups"]
    return [(rule["alert"], rule["expr"]) for group in groups for rule in group["rules"]]


def names(query: str) -> set[str]:
    """The metrics that a query reads: `vllm:…`, and `up`."""
    return set(re.findall(r"\bvllm:\w+|\bup\b", query))


def scrape(targets: list[str], interval: str = "1s") -> str:
    """The project's prometheus.yml, for these targets and without its rules, asking every second."""
    content = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))
    content["global"] = {"scrape_interval": interval, "scrape_timeout": interval}
    content["rule_files"] = [str(DEPLOY / "alerts.yml")]
    for job in content["scrape_configs"]:
        job["static_configs"] = [{"targets": targets}]
    return yaml.safe_dump(content)


def query(url: str, expression: str) -> list[dict[str, Any]]:
    """The series that Prometheus gives for an expression. Raises ValueError, with its words, where it refuses it."""
    address = f"{url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            return json.loads(answer.read())["data"]["result"]
    except urllib.error.HTTPError as refused:
        raise ValueError(f"{expression}: {json.loads(refused.read())['error']}") from None


def load(url: str, model: str, seconds: float) -> None:
    """Ask the server of everything for so long, so that each of its counters has something to tell."""
    over = time.monotonic() + seconds
    with ThreadPoolExecutor(4) as pool:
        while time.monotonic() < over:
            for one in [pool.submit(ask, url, path, {"model": model, **body}) for path, body in ASKS]:
                one.result()


def stand_in_load(url: str, seconds: float) -> None:
    """The same of a stand-in, which knows chat alone."""
    over = time.monotonic() + seconds
    while time.monotonic() < over:
        ask(url, "/v1/chat/completions", {"max_tokens": 20})


def check(stand_in: bool, seconds: float = 8.0) -> list[tuple[str, str, int]]:
    """The kind and name, the query and the number of series of each panel, then of each alert.

    Raises OSError where the server or Prometheus does not start, ValueError for a query that Prometheus refuses.
    """
    line = server.stand_in() if stand_in else server.command("tiny-chat", 0, "--draft", "ngram")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        one = stack.enter_context(server.running(line))
        url = stack.enter_context(programs.prometheus(scrape([f"127.0.0.1:{one.port}"]), folder))
        over = time.monotonic() + WARM
        while (
            time.monotonic() < over
        ):  # Prometheus takes some seconds to begin, and a rate needs several answers
            if stand_in:
                stand_in_load(one.url, seconds)
            else:
                load(one.url, "tiny-chat", seconds)
            if query(url, f"count_over_time(up[1m]) > {seconds / 2}"):
                break
        found = [(f"panel {title}", text, len(query(url, text))) for title, text in panels()]
        found += [(f"alert {name}", text, len(query(url, text))) for name, text in alerts()]
        # An alert is silent when all is well, so its metrics are asked for by themselves.
        read = sorted({name for _, text in [*panels(), *alerts()] for name in names(text)})
        return found + [(f"metric {name}", name, len(query(url, name))) for name in read]


def main(
    stand_in: Annotated[bool, typer.Option("--stand-in", help="Ask a server without a model.")] = False,
) -> None:
    """Run every query, and say which give nothing: exit code 1 for a panel or a metric without a series."""
    console = Console(soft_wrap=True, highlight=False)
    with exits_with_message(console, ValueError):
        found = check(stand_in)
    table = Table("query of", "series")
    for name, _, count in found:
        table.add_row(name, str(count))
    console.print(table)
    empty = [name for name, _, count in found if not count and not name.startswith("alert")]
    firing = [name for name, _, count in found if count and name.startswith("alert")]
    console.print(
        f"without a series: {', '.join(empty) or 'none'}; alerts that hold now: {', '.join(firing) or 'none'}"
    )
    sys.exit(1 if empty or firing else 0)


if __name__ == "__main__":
    run_command(main)
