"""What goes wrong between the objects of a cluster: a service that selects nothing, two that decide on one number."""

from collections.abc import Mapping, Sequence

from phase10_deployment.project29_docker.given.fault import Fault
from phase10_deployment.project29_docker.pod_rules import Manifest, place


def cluster_faults(manifests: Sequence[Manifest]) -> list[Fault]:
    """The faults between the manifests, rule by rule."""
    return [*service_faults(manifests), *scaling_faults(manifests), *budget_faults(manifests)]


def of_kind(manifests: Sequence[Manifest], kind: str) -> list[Manifest]:
    """The manifests of a kind, in order."""
    return [one for one in manifests if one.get("kind") == kind]


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a selector of labels holds: it has a label at least, and each is there with its value."""
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def _labels(deployment: Manifest) -> Mapping[str, str]:
    return deployment["spec"]["template"]["metadata"].get("labels", {})


def service_faults(manifests: Sequence[Manifest]) -> list[Fault]:
    """The faults of each Service, in order; place: `Service/name`. Deployments are those of the same manifests.

    - `selects-nothing`: its spec.selector holds (`selects`) for the pod labels (spec.template.metadata.labels) of
      no Deployment.
    - `no-such-port`: a port's targetPort (without one, its port) is none of a selected Deployment's: a text is a
      container port's name, a number a containerPort's number. Once a port; not where nothing is selected.
    """
    faults = []
    for service in of_kind(manifests, "Service"):
        spec = service["spec"]
        chosen = [
            one for one in of_kind(manifests, "Deployment") if selects(spec.get("selector", {}), _labels(one))
        ]
        if not chosen:
            faults.append(
                Fault("selects-nothing", place(service), f"no pod has the labels {spec.get('selector')}")
            )
            continue
        known = {
            key
            for one in chosen
            for container in one["spec"]["template"]["spec"]["containers"]
            for port in container.get("ports", [])
            for key in (port.get("name"), port["containerPort"])
        }
        for port in spec["ports"]:
            wanted = port.get("targetPort", port["port"])
            if wanted not in known:
                faults.append(Fault("no-such-port", place(service), f"no container has the port {wanted}"))
    return faults


def scaling_faults(manifests: Sequence[Manifest]) -> list[Fault]:
    """The faults of each HorizontalPodAutoscaler, in order; place: `HorizontalPodAutoscaler/name`.

    - `scales-nothing`: scaleTargetRef names (kind and name) no object of the manifests. Then nothing else is asked
      of it.
    - `two-minds`: the object it scales has spec.replicas too: each apply sets the number back, in the middle of a
      rush.
    - `one-replica`: minReplicas (1 where it is not named) is below 2: none is left while one starts anew.
    - `cpu-only`: no metric of type Pods, Object or External: a CPU is as busy with one request as with a hundred;
      the queue tells.
    """
    faults = []
    for scaler in of_kind(manifests, "HorizontalPodAutoscaler"):
        spec, where = scaler["spec"], place(scaler)
        target = spec["scaleTargetRef"]
        named = f"{target['kind']}/{target['name']}"
        scaled = next((one for one in manifests if place(one) == named), None)
        if scaled is None:
            faults.append(Fault("scales-nothing", where, f"there is no {named}"))
            continue
        if "replicas" in scaled["spec"]:
            faults.append(Fault("two-minds", where, f"{named} has replicas as well: leave them out"))
        if spec.get("minReplicas", 1) < 2:
            faults.append(Fault("one-replica", where, "minReplicas should be 2 at least"))
        if not any(one["type"] in ("Pods", "Object", "External") for one in spec.get("metrics", [])):
            faults.append(Fault("cpu-only", where, "scale on the queue's length: a metric of type Pods"))
    return faults


def budget_faults(manifests: Sequence[Manifest]) -> list[Fault]:
    """The faults of disruption budgets; place: `Deployment/name` for the first rule, in order, then each budget's.

    The replicas of a Deployment are at least the minReplicas (1 where it is not named) of the
    HorizontalPodAutoscaler that names it; without one its spec.replicas (1 where it is not named).

    - `no-budget`: a Deployment of at least 2 replicas is selected by no PodDisruptionBudget
      (spec.selector.matchLabels, as `selects` says): emptying two machines may end them all at once.
    - `blocks-for-ever`: a budget's minAvailable is not below a selected Deployment's replicas, or its
      maxUnavailable is 0: no machine can ever be emptied. Numbers only; a percentage is not looked at. Place:
      `PodDisruptionBudget/name`.
    """
    budgets = of_kind(manifests, "PodDisruptionBudget")
    selected = [
        (one, budget)
        for one in of_kind(manifests, "Deployment")
        for budget in budgets
        if selects(budget["spec"].get("selector", {}).get("matchLabels", {}), _labels(one))
    ]
    faults = [
        Fault("no-budget", place(one), "give it a PodDisruptionBudget")
        for one in of_kind(manifests, "Deployment")
        if least_replicas(manifests, one) >= 2 and not any(other is one for other, _ in selected)
    ]
    for budget in budgets:
        available, gone = budget["spec"].get("minAvailable"), budget["spec"].get("maxUnavailable")
        fewest = [least_replicas(manifests, one) for one, other in selected if other is budget]
        keeps_all = isinstance(available, int) and any(available >= count for count in fewest)
        if keeps_all or gone == 0:
            faults.append(
                Fault("blocks-for-ever", place(budget), "no pod may ever go: no machine can be emptied")
            )
    return faults


def least_replicas(manifests: Sequence[Manifest], deployment: Manifest) -> int:
    """The replicas that a Deployment has at least."""
    for scaler in of_kind(manifests, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        if f"{target['kind']}/{target['name']}" == place(deployment):
            return scaler["spec"].get("minReplicas", 1)
    return deployment["spec"].get("replicas", 1)
