"""What goes wrong with the pods of a Deployment: probes that kill the busy, a writable root, no time to end."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from phase10_deployment.project29_docker.given.fault import Fault

Manifest = Mapping[str, Any]
SECRET = re.compile(
    r"(^|_)(auth|apikey|credentials?|key|passwd|password|pwd|secret|token)(_|$)", re.IGNORECASE
)
WARM = 60.0  # seconds that a server may take to be ready


def place(manifest: Manifest) -> str:
    """`Deployment/server`: how faults name an object."""
    return f"{manifest.get('kind', '?')}/{manifest.get('metadata', {}).get('name', '?')}"


def pod_faults(manifests: Sequence[Manifest], drain: float = 30.0) -> list[Fault]:
    """The faults of the pods of each Deployment, in order. `drain` is how long the server takes to end, in seconds."""
    faults = []
    for one in manifests:
        if one.get("kind") == "Deployment":
            pod = one["spec"]["template"]["spec"]
            for container in pod["containers"]:
                said = [
                    *probes(container),
                    *resources(container),
                    *hardening(pod, container),
                    *literal_secrets(container),
                    *time_to_end(pod, container, drain),
                ]
                faults += [Fault(rule, f"{place(one)}/{container['name']}", text) for rule, text in said]
    return faults


def probes(container: Manifest) -> list[tuple[str, str]]:
    """The rules that a container's probes break, each with what to say, in this order. A probe asks httpGet's path.

    - `no-readiness`: there is no readinessProbe with httpGet: requests come before it is warm.
    - `no-liveness`: there is no livenessProbe with httpGet: a server that hangs stays.
    - `same-question`: the two ask the same path. A server that is busy or draining is not ready, and alive: asked
      one question, it is killed when it should be left alone.
    - `no-startup`: the start is not waited for: startupProbe's failureThreshold · periodSeconds is under WARM
      seconds. What is not named is 3, and 10 s; no startupProbe is 0 s. Until it passes, liveness is not asked.
    """
    found = []
    paths = {
        kind: container.get(f"{kind}Probe", {}).get("httpGet", {}).get("path")
        for kind in ("readiness", "liveness")
    }
    if paths["readiness"] is None:
        found.append(("no-readiness", "give a readinessProbe that asks /ready"))
    if paths["liveness"] is None:
        found.append(("no-liveness", "give a livenessProbe that asks /health"))
    if paths["readiness"] is not None and paths["readiness"] == paths["liveness"]:
        found.append(("same-question", f"both probes ask {paths['liveness']}; a busy server would be killed"))
    startup = container.get("startupProbe")
    waited = startup.get("failureThreshold", 3) * startup.get("periodSeconds", 10) if startup else 0
    if waited < WARM:
        found.append(("no-startup", f"the start may take {waited} s; give it {WARM:g} at least"))
    return found


def quantity(text: str | int | float) -> float:
    """A quantity of Kubernetes as a number: "500m" is 0.5, "1.5" is 1.5, "2Gi" is 2 · 2^30, "3M" is 3,000,000.

    Suffixes: m; k M G T P E, powers of 1000; Ki Mi Gi Ti Pi Ei, powers of 1024. Or an exponent, "1e3". A number
    stays what it is.
    Raises ValueError that names the text for anything else, such as "2gb", "2GB" or "-1".
    """
    if isinstance(text, int | float):
        return float(text)
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(m|[kMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?", text)
    if not match:
        raise ValueError(f"the quantity is {text!r}; it must be like 500m, 1.5, 2Gi or 3M")
    number, suffix = float(match[1]), match[2] or ""
    if suffix == "m":
        return number / 1000
    if suffix[:1] in ("e", "E") and len(suffix) > 1 and suffix != "Ei":
        return float(text)
    power = " kMGTPE".index(suffix[0].replace("K", "k")) if suffix else 0
    return number * (1024 if suffix.endswith("i") else 1000) ** power


def resources(container: Manifest) -> list[tuple[str, str]]:
    """The rules that a container's resources break, each with what to say, in this order.

    - `no-requests`: resources.requests lacks cpu or memory: the scheduler puts it where there is no room.
    - `no-memory-limit`: resources.limits lacks memory: one server that leaks ends its neighbours.
    - `memory-differs`: limit and request of memory (as `quantity` reads them) are not the same: a pod above its
      request is the first to go when the machine is full. Not where either is missing.
    """
    named = container.get("resources", {})
    requests, limits = named.get("requests", {}), named.get("limits", {})
    found = []
    if lacking := [kind for kind in ("cpu", "memory") if kind not in requests]:
        found.append(("no-requests", f"requests lacks {' and '.join(lacking)}"))
    if "memory" not in limits:
        found.append(("no-memory-limit", "limits lacks memory"))
    elif "memory" in requests and not math.isclose(quantity(requests["memory"]), quantity(limits["memory"])):
        found.append(
            ("memory-differs", f"memory is {requests['memory']} requested, {limits['memory']} at most")
        )
    return found


def hardening(pod: Manifest, container: Manifest) -> list[tuple[str, str]]:
    """The rules that pod and container break in what they may do, each with what to say, in this order.

    A securityContext may be the pod's or the container's. Of runAsNonRoot and runAsUser the container's wins where
    it has the key; the others are the container's alone.

    - `may-be-root`: runAsNonRoot is not true, or runAsUser is 0.
    - `may-rise`: allowPrivilegeEscalation is not false.
    - `capabilities`: capabilities.drop does not hold ALL.
    - `writable-root`: readOnlyRootFilesystem is not true.
    - `no-tmp`: readOnlyRootFilesystem is true, and no volumeMount at /tmp of a volume with the key emptyDir: Python
      finds no place for its temporary files, and starts failing when it first needs one.
    - `loose-image`: the image has no tag, or `latest`, and no digest. (registry:5000/app has no tag.)
    """
    own = container.get("securityContext", {})
    merged = {**pod.get("securityContext", {}), **own}
    found = []
    if merged.get("runAsNonRoot") is not True or merged.get("runAsUser") == 0:
        found.append(("may-be-root", "set runAsNonRoot: true, and no runAsUser: 0"))
    if own.get("allowPrivilegeEscalation") is not False:
        found.append(("may-rise", "set allowPrivilegeEscalation: false"))
    if "ALL" not in own.get("capabilities", {}).get("drop", []):
        found.append(("capabilities", "drop ALL"))
    if own.get("readOnlyRootFilesystem") is not True:
        found.append(("writable-root", "set readOnlyRootFilesystem: true"))
    elif not _has_tmp(pod, container):
        found.append(("no-tmp", "mount an emptyDir at /tmp"))
    name, digest = container["image"].rpartition("/")[2], "@sha256:" in container["image"]
    tag = name.partition(":")[2]
    if not digest and tag in ("", "latest"):
        found.append(("loose-image", f"{container['image']}: name a tag, or a digest"))
    return found


def _has_tmp(pod: Manifest, container: Manifest) -> bool:
    empty = {volume["name"] for volume in pod.get("volumes", []) if "emptyDir" in volume}
    mounts = container.get("volumeMounts", [])
    return any(mount["mountPath"].rstrip("/") == "/tmp" and mount["name"] in empty for mount in mounts)


def literal_secrets(container: Manifest) -> list[tuple[str, str]]:
    """Rule `literal-secret`: each variable of `env` that is named like a secret (SECRET) and has a `value`, in order.

    A manifest is committed, and anyone who may read pods reads it: valueFrom.secretKeyRef, or a file, keeps it
    apart. An empty value is none. What to say names the variable, and never its value.
    """
    return [
        ("literal-secret", f"{one['name']} stands in the manifest: use secretKeyRef")
        for one in container.get("env", [])
        if SECRET.search(one["name"]) and one.get("value")
    ]


def time_to_end(pod: Manifest, container: Manifest, drain: float) -> list[tuple[str, str]]:
    """The rules of a pod's end, each with what to say, in this order. `drain` is what the server takes, in seconds.

    When a pod is to end, it gets SIGTERM at the same time as others are told to send it nothing more; some hear it
    late, and their requests are refused. So it waits first: lifecycle.preStop.sleep.seconds. All of it, the wait
    and the drain, has to fit into terminationGracePeriodSeconds (30 where it is not named): after that comes
    SIGKILL.

    - `no-wait`: preStop's sleep is under 5 seconds, or not there.
    - `cut-off`: terminationGracePeriodSeconds is not above the wait and `drain` together.
    """
    wait = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    grace = pod.get("terminationGracePeriodSeconds", 30)
    found = []
    if wait < 5:
        found.append(("no-wait", f"preStop sleeps {wait} s; give it 5 at least"))
    if grace <= wait + drain:
        found.append(("cut-off", f"it gets {grace} s to end, and needs {wait} + {drain:g}"))
    return found
