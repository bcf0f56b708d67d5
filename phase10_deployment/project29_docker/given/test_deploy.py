"""The files that are shipped hold together, and other people's tools have nothing against them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from phase10_deployment.project29_docker import check_dashboards
from phase10_deployment.project29_docker.build_rules import building_faults
from phase10_deployment.project29_docker.dockerfile import instructions, stages
from phase10_deployment.project29_docker.given import lint, nginx_tree
from phase10_deployment.project29_docker.given.bad import RIGHT, bad_dockerfiles
from phase10_deployment.project29_docker.given.engines import DOCKERFILE, PROJECT
from phase10_deployment.project29_docker.replica import COUNTERS, GAUGES, HISTOGRAMS
from phase10_deployment.project29_docker.run_rules import running_faults
from shared.files import ROOT
from shared.ladder.imports import closure, imports

COMPOSE = yaml.safe_load((PROJECT / "compose.yaml").read_text(encoding="utf-8"))


def test_our_own_rules_find_nothing_in_our_own_files():
    assert lint.own_faults() == []


@pytest.mark.parametrize(
    "name", ["hadolint", "kubernetes-validate", "promtool check rules", "promtool test rules"]
)
def test_other_peoples_tools_find_nothing(name: str):
    command = lint.tools().get(name)
    if command is None:
        pytest.skip(f"{name.split()[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=lint.DEPLOY)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_compose_file_that_is_not_hardened_is_told():
    service = {"read_only": True, "cap_drop": ["ALL"], "ports": ["127.0.0.1:1:1"]}
    bad = {
        "services": {"a": service, "b": {**service, "read_only": False}, "c": {**service, "ports": ["80:80"]}}
    }
    assert [fault.split()[1] for fault in lint.compose_faults(bad)] == ["b", "c"]


def test_nginx_and_prometheus_name_the_servers_of_the_compose_file():
    servers = {name for name in COMPOSE["services"] if name.startswith("server-")}
    tree = nginx_tree.parse((lint.DEPLOY / "nginx.conf").read_text(encoding="utf-8"))
    upstream = nginx_tree.block(nginx_tree.block(tree, "http"), "upstream")
    named = {words[0] for words in nginx_tree.values(upstream, "server")}
    config = yaml.safe_load((lint.DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))
    (targets,) = config["scrape_configs"][0]["static_configs"]
    assert named == set(targets["targets"]) == {f"{name}:8000" for name in servers}


def test_what_the_compose_file_mounts_and_builds_is_there():
    text = (PROJECT / "compose.yaml").read_text(encoding="utf-8")
    mounted = re.findall(r"[\s\"](\./[\w./-]+):", text)
    assert mounted
    assert [path for path in mounted if not (PROJECT / path).exists()] == []
    built = [service["build"] for service in COMPOSE["services"].values() if "build" in service]
    for one in built:
        text = (ROOT / one["dockerfile"]).read_text(encoding="utf-8")
        assert (ROOT / f"{one['dockerfile']}.dockerignore").is_file()
        assert one.get("target", "page") in re.findall(r" AS (\w+)$", text, re.MULTILINE)


def test_the_pages_dockerfile_breaks_no_rule():
    found = stages(instructions((PROJECT / "Dockerfile.page").read_text(encoding="utf-8")))
    assert [*running_faults(found), *building_faults(found)] == []


@pytest.mark.parametrize("name", ["compose.gpu.yaml", "compose.keys.yaml"])
def test_a_compose_file_is_laid_over_services_that_there_are(name: str):
    over = yaml.safe_load((PROJECT / name).read_text(encoding="utf-8"))
    assert set(over["services"]) <= set(COMPOSE["services"])


def test_docker_waits_longer_than_init_and_init_longer_than_the_server():
    """30 s for the requests, 40 until init kills, 45 until Docker does, and as long a cluster gives."""
    init = re.search(r'"--grace", "(\d+)"', DOCKERFILE.read_text(encoding="utf-8"))
    compose = re.search(r"stop_grace_period: (\d+)s", (PROJECT / "compose.yaml").read_text(encoding="utf-8"))
    assert init is not None
    assert compose is not None
    assert 30 < int(init[1]) < int(compose[1])


def test_panels_and_alerts_read_metrics_that_the_server_has():
    known = {
        *GAUGES,
        *COUNTERS,
        "vllm:request_success_total",
        "up",
        *(f"{name}_bucket" for name in HISTOGRAMS),
    }
    read = {
        name
        for _, query in [*check_dashboards.panels(), *check_dashboards.alerts()]
        for name in check_dashboards.names(query)
    }
    assert read == known


def test_no_variable_of_grafanas_is_left_in_a_query():
    assert [query for _, query in check_dashboards.panels() if "$" in query] == []


STANDARD = {*sys.stdlib_module_names, "shared", "__future__"}
OPTIONAL = {"datasets", "wandb", "triton", "opentelemetry", "starlette"}
"""imported where it is there, or with another package"""


def test_the_image_installs_what_the_server_imports():
    """The list is short, and an import that is added to the server without it would show when the image starts."""
    serve = ROOT / "phase10_deployment" / "project28_serving" / "serve.py"
    root = Path(ROOT)
    used = {name.split(".")[0] for file in closure([serve], root) for _, name in imports(file, root)}
    used = {name for name in used if name not in STANDARD and not name.startswith("phase")} - OPTIONAL
    text = (PROJECT / "requirements.txt").read_text(encoding="utf-8")
    listed = {line.replace("-", "_") for line in text.splitlines() if line and not line.startswith("#")}
    assert used == listed


def test_each_bad_dockerfile_differs_from_the_right_one():
    found = bad_dockerfiles()
    assert len({text for _, text in found.values()} | {RIGHT}) == len(found) + 1
