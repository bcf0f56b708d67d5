"""The other commands, each once, against a small model: load, soak, climb."""

import json

import pytest
from typer.testing import CliRunner

from phase10_deployment.project28_serving import climb, load, soak
from phase10_deployment.project28_serving.given.background import Background
from phase10_deployment.project28_serving.given.engine_process import EngineSettings
from phase10_deployment.project28_serving.given.example import publish_small
from phase10_deployment.project28_serving.given.server import ServerSettings


@pytest.fixture(scope="module", autouse=True)
def small(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LADDER_WORK", str(tmp_path_factory.mktemp("work")))
        patch.setenv("LADDER_OFFLINE", "1")
        publish_small()
        yield


def run(module, *words):
    app = load.typer.Typer()
    app.command()(module.main)
    return CliRunner().invoke(app, list(words))


@pytest.mark.parametrize("thread", [False, True])
def test_load_finds_the_counters_right_with_the_engine_here_or_there(thread):
    server = Background(ServerSettings(EngineSettings("small", blocks=128), port=0, thread=thread))
    try:
        words = ("--url", server.url, "--requests", "30", "--streams", "8", "--max-tokens", "6", "--mixed")
        done = run(load, *words)
        assert done.exit_code == 0, done.output
        done = run(load, *words, "--disconnects", "0.3", "--seed", "5")
        assert done.exit_code == 0, done.output
        assert run(load, "--url", server.url, "--disconnects", "2").exit_code == 2
    finally:
        server.stop()
    assert run(load, "--url", server.url).exit_code == 2


def test_climb_talks_and_stops():
    done = run(climb, "--model", "small", "--say", "Who is Mia?")
    assert done.exit_code == 0, done.output
    assert "serving small on http://127.0.0.1:" in done.output
    assert "vllm:generation_tokens_total" in done.output
    assert "stopped, exit code 0" in done.output


def test_a_short_soak(tmp_path):
    out = tmp_path / "soak.json"
    done = run(soak, "--minutes", "0.03", "--model", "small", "--out", str(out))
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["failed"] == 0
    assert found["faults"] == []
    assert found["requests"] == sum(minute["requests"] for minute in found["minutes"]) > 0
    assert done.exit_code == (1 if found["growth"] > 0.05 else 0)
    assert run(soak, "--minutes", "-1").exit_code == 2
