"""Rules of pods: each with what somebody's cluster once had, and what is right beside it."""

import copy
from typing import Any

import pytest

from phase10_deployment.project29_docker import pod_rules
from phase10_deployment.project29_docker.given.fault import rules
from phase10_deployment.project29_docker.given.own import own_manifests
from shared.testing import raises


def names(found: list[tuple[str, str]]) -> list[str]:
    return [name for name, _ in found]


def probe(path: str | None, **more: object) -> dict[str, object]:
    return ({"httpGet": {"path": path, "port": 8000}} if path else {"exec": {"command": ["true"]}}) | more


READY, ALIVE = probe("/ready"), probe("/health")
START = probe("/ready", periodSeconds=2, failureThreshold=60)


@pytest.mark.task(10)
@pytest.mark.parametrize(
    ("container", "broken"),
    [
        ({"readinessProbe": READY, "livenessProbe": ALIVE, "startupProbe": START}, []),
        ({}, ["no-readiness", "no-liveness", "no-startup"]),
        ({"readinessProbe": READY, "livenessProbe": READY, "startupProbe": START}, ["same-question"]),
        ({"readinessProbe": probe(None), "startupProbe": START}, ["no-readiness", "no-liveness"]),
        ({"livenessProbe": ALIVE, "startupProbe": START}, ["no-readiness"]),
        ({"readinessProbe": READY, "startupProbe": START}, ["no-liveness"]),
        ({"readinessProbe": READY, "livenessProbe": ALIVE, "startupProbe": probe("/ready")}, ["no-startup"]),
        (
            {
                "readinessProbe": READY,
                "livenessProbe": ALIVE,
                "startupProbe": probe("/ready", failureThreshold=6),
            },
            [],
        ),
        (
            {
                "readinessProbe": READY,
                "livenessProbe": ALIVE,
                "startupProbe": probe("/ready", periodSeconds=20),
            },
            [],
        ),
        (
            {
                "readinessProbe": READY,
                "livenessProbe": ALIVE,
                "startupProbe": probe("/ready", periodSeconds=19),
            },
            ["no-startup"],
        ),
        (
            {
                "readinessProbe": READY,
                "livenessProbe": ALIVE,
                "startupProbe": probe(None, periodSeconds=1, failureThreshold=60),
            },
            [],
        ),
    ],
)
def test_probes(container: dict[str, Any], broken: list[str]):
    assert names(pod_rules.probes(container)) == broken


@pytest.mark.task(10)
@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("500m", 0.5), ("1", 1.0), ("1.5", 1.5), (".5", 0.5), ("2.", 2.0),
        ("2Gi", 2 * 2**30), ("1Ki", 1024.0),
        ("128Mi", 128 * 2**20), ("1Ti", 2.0**40), ("1Pi", 2.0**50), ("1Ei", 2.0**60), ("3k", 3000.0), ("3M", 3e6),
        ("1G", 1e9), ("1T", 1e12), ("1P", 1e15), ("1E", 1e18), ("1e3", 1000.0), ("1E3", 1e3), ("2e-1", 0.2), (2, 2.0),
        (0.25, 0.25), ("0", 0.0),
    ],
)  # fmt: skip
def test_quantities(text: str | float, number: float):
    assert pod_rules.quantity(text) == pytest.approx(number, rel=1e-12)


@pytest.mark.task(10)
@pytest.mark.parametrize(
    "text", ["2gb", "2GB", "-1", "", "Gi", "1 Gi", "1mi", "1K", "1m5", "1.2.3", "e3", "١"]
)
def test_what_is_no_quantity(text: str):
    with raises(ValueError, (text, repr(text))):
        pod_rules.quantity(text)


@pytest.mark.task(10)
@pytest.mark.parametrize(
    ("requests", "limits", "broken"),
    [
        ({"cpu": "1", "memory": "1Gi"}, {"memory": "1Gi"}, []),
        ({"cpu": "1", "memory": "1Gi"}, {"memory": "1024Mi"}, []),
        ({"cpu": "1", "memory": "1Gi"}, {"memory": 2**30}, []),
        ({"cpu": "1", "memory": "1Gi"}, {"memory": "1G"}, ["memory-differs"]),
        ({"cpu": "1", "memory": "1Gi"}, {"cpu": "2"}, ["no-memory-limit"]),
        ({"cpu": "1"}, {"memory": "1Gi"}, ["no-requests"]),
        ({"memory": "1Gi"}, {"memory": "1Gi"}, ["no-requests"]),
        ({}, {}, ["no-requests", "no-memory-limit"]),
    ],
)
def test_resources(requests: dict[str, Any], limits: dict[str, Any], broken: list[str]):
    assert names(pod_rules.resources({"resources": {"requests": requests, "limits": limits}})) == broken


@pytest.mark.task(10)
def test_no_resources_at_all():
    assert names(pod_rules.resources({})) == ["no-requests", "no-memory-limit"]
    assert "cpu" in pod_rules.resources({"resources": {"requests": {"memory": "1Gi"}}})[0][1]


SAFE: dict[str, Any] = {
    "image": "app:1",
    "securityContext": {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    },
    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
}  # fmt: skip
POD: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "runAsUser": 1},
    "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "disk", "hostPath": {"path": "/x"}}],
}


def changed(tree: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    made = copy.deepcopy(tree)
    *above, last = path.split(".")
    place = made
    for key in above:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return made


@pytest.mark.task(10)
@pytest.mark.parametrize(
    ("path", "value", "broken"),
    [
        ("image", "app:1", []),
        ("securityContext.runAsNonRoot", False, ["may-be-root"]),
        ("securityContext.runAsUser", 0, ["may-be-root"]),
        ("securityContext.runAsUser", 5, []),
        ("securityContext.allowPrivilegeEscalation", None, ["may-rise"]),
        ("securityContext.allowPrivilegeEscalation", True, ["may-rise"]),
        ("securityContext.capabilities", None, ["capabilities"]),
        ("securityContext.capabilities", {"drop": ["NET_RAW"]}, ["capabilities"]),
        ("securityContext.capabilities", {"add": ["ALL"]}, ["capabilities"]),
        ("securityContext.readOnlyRootFilesystem", False, ["writable-root"]),
        ("securityContext.readOnlyRootFilesystem", None, ["writable-root"]),
        ("securityContext", {}, ["may-rise", "capabilities", "writable-root"]),
        ("volumeMounts", None, ["no-tmp"]),
        ("volumeMounts", [{"name": "tmp", "mountPath": "/tmp/"}], []),
        ("volumeMounts", [{"name": "tmp", "mountPath": "/tmp/x"}], ["no-tmp"]),
        ("volumeMounts", [{"name": "disk", "mountPath": "/tmp"}], ["no-tmp"]),
        ("volumeMounts", [{"name": "gone", "mountPath": "/tmp"}], ["no-tmp"]),
        ("image", "app", ["loose-image"]),
        ("image", "app:latest", ["loose-image"]),
        ("image", "registry:5000/app", ["loose-image"]),
        ("image", "registry:5000/app:1", []),
        ("image", "app@sha256:" + "a" * 64, []),
        ("image", "app:latest@sha256:" + "a" * 64, []),
    ],
)
def test_hardening(path: str, value: object, broken: list[str]):
    assert names(pod_rules.hardening(POD, changed(SAFE, path, value))) == broken


@pytest.mark.task(10)
def test_what_the_pod_says_and_the_container_overrules():
    rooted = changed(POD, "securityContext", {})
    assert names(pod_rules.hardening(rooted, SAFE)) == ["may-be-root"]
    assert names(pod_rules.hardening(rooted, changed(SAFE, "securityContext.runAsNonRoot", True))) == []
    # The pod's word on what only a container may say does not count.
    pod = changed(POD, "securityContext.readOnlyRootFilesystem", True)
    assert names(pod_rules.hardening(pod, changed(SAFE, "securityContext.readOnlyRootFilesystem", None))) == [
        "writable-root"
    ]
    root = changed(POD, "securityContext.runAsUser", 0)
    assert names(pod_rules.hardening(root, SAFE)) == ["may-be-root"]


@pytest.mark.task(10)
@pytest.mark.parametrize(
    ("variable", "bad"),
    [
        ({"name": "API_KEY", "value": "s3cret"}, True),
        ({"name": "hf_token", "value": "s3cret"}, True),
        ({"name": "DB_PASSWORD", "value": "s3cret"}, True),
        ({"name": "KEY", "value": "s3cret"}, True),
        ({"name": "API_KEY", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}, False),
        ({"name": "API_KEY", "value": ""}, False),
        ({"name": "MAX_TOKENS", "value": "s3cret"}, False),
        ({"name": "KEYBOARD", "value": "s3cret"}, False),
        ({"name": "MONKEY", "value": "s3cret"}, False),
        ({"name": "PLAIN", "value": "s3cret"}, False),
    ],
)
def test_literal_secrets(variable: dict[str, Any], bad: bool):
    found = pod_rules.literal_secrets({"env": [{"name": "A", "value": "1"}, variable]})
    assert names(found) == ["literal-secret"] * bad
    assert all(variable["name"] in said and "s3cret" not in said for _, said in found)


@pytest.mark.task(10)
def test_each_secret_is_told_and_none_without_variables():
    env = [{"name": f"{name}_TOKEN", "value": "x"} for name in "BA"]
    assert [said.split()[0] for _, said in pod_rules.literal_secrets({"env": env})] == ["B_TOKEN", "A_TOKEN"]
    assert pod_rules.literal_secrets({}) == []


@pytest.mark.task(10)
@pytest.mark.parametrize(
    ("wait", "grace", "broken"),
    [
        (5, 36, []), (5, 35, ["cut-off"]), (4, 60, ["no-wait"]), (None, 31, ["no-wait"]), (10, 41, []),
        (None, 30, ["no-wait", "cut-off"]), (None, None, ["no-wait", "cut-off"]), (10, 40, ["cut-off"]),
    ],
)  # fmt: skip
def test_time_to_end(wait: int | None, grace: int | None, broken: list[str]):
    container = {} if wait is None else {"lifecycle": {"preStop": {"sleep": {"seconds": wait}}}}
    pod = {} if grace is None else {"terminationGracePeriodSeconds": grace}
    assert names(pod_rules.time_to_end(pod, container, 30.0)) == broken


@pytest.mark.task(10)
def test_a_shorter_drain_needs_less():
    container = {"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}
    assert names(pod_rules.time_to_end({}, container, 24.9)) == []
    assert names(pod_rules.time_to_end({}, container, 25.0)) == ["cut-off"]


@pytest.mark.task(10)
@pytest.mark.parametrize(
    ("path", "value", "broken"),
    [
        ("terminationGracePeriodSeconds", 45, []),
        ("terminationGracePeriodSeconds", 30, ["cut-off"]),
        ("containers.0.image", "llm-ladder:latest", ["loose-image"]),
        ("containers.0.livenessProbe.httpGet.path", "/ready", ["same-question"]),
        ("volumes", [], ["no-tmp"]),
        ("containers.0.env", [{"name": "HF_TOKEN", "value": "hf"}], ["literal-secret"]),
    ],
)
def test_the_projects_own_pods_spoiled_in_one_place(path: str, value: object, broken: list[str]):
    manifests = own_manifests()
    place: Any = next(one for one in manifests if one["kind"] == "Deployment")["spec"]["template"]["spec"]
    *above, last = path.split(".")
    for key in above:
        place = place[int(key) if key.isdigit() else key]
    place[last] = value
    assert rules(pod_rules.pod_faults(manifests)) == broken
