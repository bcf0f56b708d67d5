"""Clients that others have written, unchanged, from an environment of their own: `make clients` makes it."""

import csv
import json
import subprocess
from pathlib import Path

import pytest

from phase10_deployment.project28_serving.given.background import running
from phase10_deployment.project28_serving.given.example import publish_small
from shared.files import ROOT
from shared.phase02 import export_chat, load_chat

BIN = ROOT / ".venv-clients" / "bin"
pytestmark = [
    pytest.mark.skipif(
        not (BIN / "lm_eval").exists(), reason="there is no .venv-clients; `make clients` makes it"
    ),
    pytest.mark.timeout(400),
]
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "NO_COLOR": "1",
}
TASK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: {kind}
doc_to_text: "{{{{question}}}}"
{more}
"""
CHOICE = """
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
metric_list: [{metric: acc}]
"""
FREE = """
doc_to_target: "{{choices[answer]}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 5}
metric_list: [{metric: exact_match}]
"""
OPENAI_LIKE = """
import sys, litellm
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
url = sys.argv[1] + "/v1"
chat = ChatOpenAI(base_url=url, api_key="none", model="small", max_tokens=5)
assert isinstance(chat.invoke("Who?").content, str)
assert len(list(chat.stream("Who?"))) >= 1
assert isinstance(OpenAI(base_url=url, api_key="none", model="small", max_tokens=5).invoke("The cat"), str)
vectors = OpenAIEmbeddings(base_url=url, api_key="none", model="small", check_embedding_ctx_length=False)
assert len(vectors.embed_query("The cat")) == 32
answer = litellm.completion(model="openai/small", api_base=url, api_key="none", max_tokens=5,
                            messages=[{"role": "user", "content": "Who?"}])
assert answer.usage.completion_tokens <= 5
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clients")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LADDER_WORK", str(folder / "work"))
        patch.setenv("LADDER_OFFLINE", "1")
        patch.setenv("HF_HOME", str(folder / "hub"))
        for name, value in QUIET.items():
            patch.setenv(name, value)
        publish_small()
        export_chat(load_chat("small"), folder / "model")
        with running("--model", "small", "--port", "0", "--max-sequences", "8") as server:
            yield server, folder


def run(*words: object, folder: Path = ROOT) -> str:
    """What a command says; some write files where they are started."""
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=380, check=False, cwd=folder
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def evaluate(served: tuple, kind: str, name: str, more: str, *words: str) -> dict:
    _, folder = served
    data = folder / "questions.jsonl"
    questions = [
        {"question": f"Is {n} more than 3?", "choices": [" yes", " no"], "answer": int(n <= 3)}
        for n in range(6)
    ]
    data.write_text("\n".join(map(json.dumps, questions)), encoding="utf-8")
    (folder / f"{name}.yaml").write_text(
        TASK.format(name=name, data=data, kind=kind, more=more), encoding="utf-8"
    )
    out = folder / f"out-{name}"
    run(BIN / "lm_eval", "--tasks", name, "--include_path", folder, "--output_path", out, *words)
    (result,) = Path(out).rglob("results_*.json")
    return json.loads(result.read_text(encoding="utf-8"))["results"][name]


def test_lm_eval_scores_choices(served):
    server, folder = served
    arguments = (
        f"model=small,base_url={server.url}/v1/completions,tokenizer={folder / 'model'},num_concurrent=2"
    )
    found = evaluate(
        served,
        "multiple_choice",
        "choices",
        CHOICE,
        "--model",
        "local-completions",
        "--model_args",
        arguments,
    )
    assert 0 <= found["acc,none"] <= 1


def test_lm_eval_chats(served):
    server, _ = served
    arguments = f"model=small,base_url={server.url}/v1/chat/completions"
    words = ("--model", "local-chat-completions", "--apply_chat_template", "--model_args", arguments)
    found = evaluate(served, "generate_until", "answers", FREE, *words)
    assert 0 <= found["exact_match,none"] <= 1


def test_langchain_and_litellm(served):
    server, _ = served
    run(BIN / "python", "-c", OPENAI_LIKE, server.url)


def test_guidellm(served):
    server, folder = served
    run(
        BIN / "guidellm", "run", "--backend", f"kind=openai_http,target={server.url}", "--profile", "kind=synchronous",
        "--constraint", "kind=max_requests,count=3", "--data", "kind=synthetic_text,prompt_tokens=16,output_tokens=8",
        "--tokenizer", f"kind=huggingface_auto,model={folder / 'model'}", folder=folder,
    )  # fmt: skip


def test_whatever_schemathesis_sends_there_is_no_fault(served):
    server, folder = served
    run(
        BIN / "schemathesis", "run", f"{server.url}/openapi.json", "--max-examples", "20", "--mode", "all",
        "--phases", "fuzzing", "--checks", "not_a_server_error,content_type_conformance,response_schema_conformance",
        "--generation-deterministic", "--suppress-health-check", "all", folder=folder,
    )  # fmt: skip


def test_locust_talks_and_nothing_fails(served):
    server, folder = served
    run(
        BIN / "locust", "-f", Path(__file__).with_name("locustfile.py"), "--host", server.url, "--headless",
        "--users", 3, "--spawn-rate", 3, "--run-time", 4, "--stop-timeout", 60,
        "--csv", folder / "load", "--html", folder / "load.html",
    )  # fmt: skip
    rows = list(csv.DictReader((folder / "load_stats.csv").read_text(encoding="utf-8").splitlines()))
    counts = {row["Name"]: (int(row["Request Count"]), int(row["Failure Count"])) for row in rows}
    assert counts["whole answer"][0] > 0
    assert counts["first words"][0] > 0
    assert all(failed == 0 for _, failed in counts.values())
    assert "whole answer" in (folder / "load.html").read_text(encoding="utf-8")
