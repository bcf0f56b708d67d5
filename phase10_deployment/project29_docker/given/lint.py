"""What can be said of the project's files without running them, by its own rules and by other people's tools."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from phase10_deployment.project29_docker.build_rules import building_faults
from phase10_deployment.project29_docker.cluster_rules import cluster_faults
from phase10_deployment.project29_docker.given.engines import DOCKERFILE, PROJECT
from phase10_deployment.project29_docker.given.own import own_dockerfile, own_manifests
from phase10_deployment.project29_docker.given.programs import program
from phase10_deployment.project29_docker.pod_rules import pod_faults
from phase10_deployment.project29_docker.run_rules import running_faults

DEPLOY = PROJECT / "deploy"


def own_faults() -> list[str]:
    """What this project's rules find in its own files, for a CPU."""
    found = own_dockerfile()
    manifests = own_manifests()
    faults = [
        *running_faults(found),
        *building_faults(found),
        *pod_faults(manifests),
        *cluster_faults(manifests),
    ]
    return [*map(str, faults), *compose_faults(yaml.safe_load((PROJECT / "compose.yaml").read_text("utf-8")))]


def compose_faults(compose: Mapping[str, Any]) -> list[str]:
    """Services that are not hardened, and ports that the whole network could reach."""
    faults = []
    for name, service in compose["services"].items():
        if service.get("read_only") is not True or service.get("cap_drop") != ["ALL"]:
            faults.append(f"compose.yaml: {name} is not hardened")
        ports = service.get("ports", [])
        faults += [
            f"compose.yaml: {name} listens for everyone at {port}"
            for port in ports
            if not str(port).startswith("127.0.0.1:")
        ]
    return faults


def tools() -> dict[str, list[str]]:
    """The checks by other people's tools that can be run here: name and command."""
    found: dict[str, list[str]] = {}
    scripts = Path(sys.executable).parent
    if (hadolint := shutil.which("hadolint", path=str(scripts)) or shutil.which("hadolint")) is not None:
        found["hadolint"] = [hadolint, str(DOCKERFILE), f"{DOCKERFILE}.page"]
    if (validate := shutil.which("kubernetes-validate", path=str(scripts))) is not None:
        files = map(str, sorted((DEPLOY / "kubernetes").glob("*.yaml")))
        found["kubernetes-validate"] = [validate, "--strict", *files]
    if (promtool := program("promtool")) is not None:
        found["promtool check config"] = [promtool, "check", "config", str(DEPLOY / "prometheus.yml")]
        found["promtool check rules"] = [promtool, "check", "rules", str(DEPLOY / "alerts.yml")]
        found["promtool test rules"] = [promtool, "test", "rules", str(DEPLOY / "alerts_test.yml")]
    return found


def lint(console: Console) -> int:
    """Run all checks, say how each ended, and return how many failed."""
    faults = own_faults()
    for fault in faults:
        console.print(f"  {fault}", markup=False)
    console.print(f"own rules: {'right' if not faults else f'{len(faults)} faults'}")
    wrong = int(bool(faults))
    for name, command in tools().items():
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=DEPLOY)
        console.print(
            f"{name}: {'right' if done.returncode == 0 else (done.stdout + done.stderr).strip()}",
            markup=False,
        )
        wrong += done.returncode != 0
    json.loads((DEPLOY / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    for name in {"hadolint", "kubernetes-validate", "promtool check rules"} - set(tools()):
        console.print(f"{name}: not here, so not run")
    return wrong
