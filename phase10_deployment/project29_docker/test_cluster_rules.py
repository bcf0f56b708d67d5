"""Rules between a cluster's objects: who selects whom, who decides on the replicas, who may end them."""

from typing import Any

import pytest

from phase10_deployment.project29_docker import cluster_rules
from phase10_deployment.project29_docker.given.fault import Fault
from phase10_deployment.project29_docker.given.own import own_manifests

BLOCKS = "blocks-for-ever PodDisruptionBudget/b"


def found(faults: list[Fault]) -> list[str]:
    return [f"{one.rule} {one.place}" for one in faults]


def deployment(name: str = "server", labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": 8000}, {"containerPort": 9000}]
    template = {
        "metadata": {"labels": labels or {"app": name}},
        "spec": {"containers": [{"ports": ports}, {}]},
    }
    return {"kind": "Deployment", "metadata": {"name": name}, "spec": {"template": template, **spec}}


def service(selector: dict[str, str], *ports: dict[str, Any], name: str = "s") -> dict[str, Any]:
    return {
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": selector, "ports": list(ports)},
    }


def scaler(
    name: str = "server", kind: str = "Deployment", metric: str = "Pods", **spec: Any
) -> dict[str, Any]:
    target = {"kind": kind, "name": name}
    spec = {"scaleTargetRef": target, "minReplicas": 2, "metrics": [{"type": metric}], **spec}
    return {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h"},
        "spec": {k: v for k, v in spec.items() if v is not None},
    }


def budget(labels: dict[str, str], **spec: Any) -> dict[str, Any]:
    selector = {"selector": {"matchLabels": labels}}
    return {"kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": {**selector, **spec}}


@pytest.mark.task(11)
@pytest.mark.parametrize(
    ("selector", "ports", "faults"),
    [
        ({"app": "server"}, [{"port": 80, "targetPort": "http"}], []),
        ({"app": "server"}, [{"port": 80, "targetPort": 8000}], []),
        ({"app": "server"}, [{"port": 9000}], []),
        ({"app": "server"}, [{"port": 80}], ["no-such-port Service/s"]),
        ({"app": "server"}, [{"port": 1, "targetPort": "https"}, {"port": 2, "targetPort": "http"}, {"port": 3}],
         ["no-such-port Service/s"] * 2),
        ({"app": "server"}, [{"port": 80, "targetPort": "8000"}], ["no-such-port Service/s"]),
        ({"app": "sever"}, [{"port": 80}], ["selects-nothing Service/s"]),
        ({"app": "server", "tier": "x"}, [{"port": 80}], ["selects-nothing Service/s"]),
        ({}, [{"port": 80}], ["selects-nothing Service/s"]),
    ],
)  # fmt: skip
def test_services(selector: dict[str, str], ports: list[dict[str, Any]], faults: list[str]):
    assert found(cluster_rules.service_faults([deployment(), service(selector, *ports)])) == faults


@pytest.mark.task(11)
def test_a_service_may_select_by_some_labels_and_several_deployments():
    two = [deployment("a", {"app": "x", "v": "1"}), deployment("b", {"app": "x", "v": "2"})]
    assert found(cluster_rules.service_faults([*two, service({"app": "x"}, {"port": 9000})])) == []
    no_labels = deployment()
    del no_labels["spec"]["template"]["metadata"]["labels"]
    bare = service({"app": "server"}, {"port": 1})
    del bare["spec"]["selector"]
    assert found(cluster_rules.service_faults([no_labels, bare])) == ["selects-nothing Service/s"]


@pytest.mark.task(11)
@pytest.mark.parametrize(
    ("scaled", "by", "faults"),
    [
        (deployment(), scaler(), []),
        (deployment(), scaler("other"), ["scales-nothing"]),
        (deployment(), scaler(kind="StatefulSet"), ["scales-nothing"]),
        (deployment(replicas=3), scaler("other", minReplicas=1), ["scales-nothing"]),
        (deployment(replicas=3), scaler(), ["two-minds"]),
        (deployment(), scaler(minReplicas=1), ["one-replica"]),
        (deployment(), scaler(minReplicas=None), ["one-replica"]),
        (deployment(), scaler(metric="Resource"), ["cpu-only"]),
        (deployment(), scaler(metric="External"), []),
        (deployment(), scaler(metric="Object"), []),
        (deployment(), scaler(metrics=[{"type": "Resource"}, {"type": "Pods"}]), []),
        (deployment(), scaler(metrics=None), ["cpu-only"]),
        (deployment(replicas=0), scaler(minReplicas=1, metrics=[]), ["two-minds", "one-replica", "cpu-only"]),
    ],
)
def test_autoscalers(scaled: dict[str, Any], by: dict[str, Any], faults: list[str]):
    expected = [f"{rule} HorizontalPodAutoscaler/h" for rule in faults]
    assert found(cluster_rules.scaling_faults([by, scaled])) == expected


@pytest.mark.task(11)
@pytest.mark.parametrize(
    ("manifests", "faults"),
    [
        ([deployment(replicas=2), budget({"app": "server"}, minAvailable=1)], []),
        ([deployment(replicas=2)], ["no-budget Deployment/server"]),
        ([deployment(), scaler()], ["no-budget Deployment/server"]),
        ([deployment()], []),
        ([deployment(replicas=1), scaler(minReplicas=1)], []),
        ([deployment(replicas=2), budget({"app": "other"}, minAvailable=1)], ["no-budget Deployment/server"]),
        ([deployment(replicas=2), budget({}, minAvailable=1)], ["no-budget Deployment/server"]),
        ([deployment(replicas=2), budget({"app": "server"}, minAvailable=2)], [BLOCKS]),
        ([deployment(replicas=3), budget({"app": "server"}, minAvailable=2)], []),
        ([deployment(), scaler(minReplicas=3), budget({"app": "server"}, minAvailable=2)], []),
        ([deployment(replicas=9), scaler(minReplicas=2), budget({"app": "server"}, minAvailable=2)],
         [BLOCKS]),
        ([deployment(), budget({"app": "server"}, minAvailable=1)], [BLOCKS]),
        ([deployment(replicas=2), budget({"app": "server"}, minAvailable="100%")], []),
        ([deployment(replicas=2), budget({"app": "server"}, maxUnavailable=0)], [BLOCKS]),
        ([deployment(replicas=2), budget({"app": "server"}, maxUnavailable=1)], []),
        ([budget({"app": "server"}, minAvailable=5)], []),
        ([deployment("a", replicas=2), deployment("b", replicas=2), budget({"app": "b"}, maxUnavailable=0)],
         ["no-budget Deployment/a", BLOCKS]),
    ],
)  # fmt: skip
def test_budgets(manifests: list[dict[str, Any]], faults: list[str]):
    assert found(cluster_rules.budget_faults(manifests)) == faults


@pytest.mark.task(11)
@pytest.mark.parametrize(
    ("kind", "path", "value", "faults"),
    [
        ("Service", "ports", [{"port": 80, "targetPort": "http"}], []),
        ("Service", "ports", [{"port": 80, "targetPort": "web"}], ["no-such-port Service/server"]),
        ("Deployment", "replicas", 2, ["two-minds HorizontalPodAutoscaler/server"]),
        (
            "HorizontalPodAutoscaler",
            "metrics",
            [{"type": "Resource"}],
            ["cpu-only HorizontalPodAutoscaler/server"],
        ),
        ("PodDisruptionBudget", "minAvailable", 2, ["blocks-for-ever PodDisruptionBudget/server"]),
        (
            "PodDisruptionBudget",
            "selector",
            {"matchLabels": {"app": "server"}},
            ["no-budget Deployment/server"],
        ),
    ],
)
def test_the_projects_own_objects_spoiled_in_one_place(
    kind: str, path: str, value: object, faults: list[str]
):
    manifests = own_manifests()
    next(one for one in manifests if one["kind"] == kind)["spec"][path] = value
    assert found(cluster_rules.cluster_faults(manifests)) == faults
