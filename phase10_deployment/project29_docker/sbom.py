"""What is in the image, by name and version: a software bill of materials (SBOM), checked, and the same every time.

    python -m phase10_deployment.project29_docker.sbom --environment .venv/bin/python --out bill.json

cyclonedx-py reads what is installed; this makes the bill reproducible and holds it against constraints.txt.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from phase10_deployment.project29_docker.given.fault import Fault
from shared.command import exits_with_message
from shared.files import ROOT, shown, write_text
from shared.options import run_command


def normal(name: str) -> str:
    """A package's name as indexes compare it (PEP 503): small letters, and each run of `-`, `_`, `.` is one `-`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(text: str) -> dict[str, str]:
    """The versions of a constraints.txt, by normal name: lines `name==version`.

    A comment begins with `#`, at the line's beginning or after a space. What follows `;` is a marker, and does not
    count; nor do extras, `name[extra]==1`. Empty lines go. Raises ValueError that names the line's number and text
    for any other line, such as `name>=1`, and for a name that has two versions.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        bare = re.sub(r"(^|\s)#.*", "", line).partition(";")[0].strip()
        if not bare:
            continue
        match = re.fullmatch(r"([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*==\s*([^\s=*]+)", bare)
        if not match:
            raise ValueError(f"line {number}: {line.strip()!r} should be name==version")
        name = normal(match[1])
        if found.setdefault(name, match[2]) != match[2]:
            raise ValueError(f"line {number}: {line.strip()!r}, but above {name} is {found[name]}")
    return found


def bill_faults(
    bill: Mapping[str, Any], versions: Mapping[str, str], required: Collection[str] = ()
) -> list[Fault]:
    """What is wrong with a CycloneDX bill, by the versions that were tested (`pinned`). The place is a normal name.

    The components are `bill["components"]` (none where it is missing), each with name, version and purl. The rules,
    in the order of the components, and for one of them in this order:

    - `unpinned`: no version of it is known; it came in by itself, and next time it may be another.
    - `other-version`: it is known with another version. A local version is no other: 2.13.0+cpu is 2.13.0, on
      either side.
    - `no-purl`: its purl does not begin with `pkg:` and hold the version after an `@`: no scanner finds it in its
      lists.
    - `twice`: a component of that name was there before.

    Then, sorted by name, `missing`: a name of `required` that is no component's.
    """
    faults, seen = [], Counter[str]()
    for one in bill.get("components", []):
        name, version = normal(one["name"]), str(one.get("version", ""))
        wanted = versions.get(name)
        if wanted is None:
            faults.append(Fault("unpinned", name, f"{version} is installed, and no version was tested"))
        elif version.partition("+")[0] != wanted.partition("+")[0]:
            faults.append(Fault("other-version", name, f"{version} is installed, {wanted} was tested"))
        purl = str(one.get("purl", ""))
        if not purl.startswith("pkg:") or f"@{version}" not in purl.replace("%2B", "+"):
            faults.append(Fault("no-purl", name, f"its purl is {purl!r}"))
        if seen[name]:
            faults.append(Fault("twice", name, "two components have this name"))
        seen[name] += 1
    lacking = sorted({normal(name) for name in required} - set(seen))
    return [*faults, *(Fault("missing", name, "it is required, and not installed") for name in lacking)]


def stable(bill: Mapping[str, Any]) -> dict[str, Any]:
    """The bill without what changes from run to run, so that the same packages give the same bytes.

    `serialNumber` goes, and of the metadata `timestamp`. Components are sorted by normal name, then version; each
    one's `properties` and `externalReferences` go, for they have paths of the machine it was made on.
    `dependencies` are sorted by `ref`, and the `dependsOn` of each as text. All else stays. `bill` itself is not
    changed.
    """
    made = {key: value for key, value in bill.items() if key != "serialNumber"}
    if "metadata" in made:
        made["metadata"] = {key: value for key, value in made["metadata"].items() if key != "timestamp"}
    if "components" in made:
        components = [
            {key: value for key, value in one.items() if key not in ("properties", "externalReferences")}
            for one in made["components"]
        ]
        made["components"] = sorted(
            components, key=lambda one: (normal(one["name"]), str(one.get("version", "")))
        )
    if "dependencies" in made:
        dependencies = [
            {**one, "dependsOn": sorted(one["dependsOn"])} if "dependsOn" in one else dict(one)
            for one in made["dependencies"]
        ]
        made["dependencies"] = sorted(dependencies, key=lambda one: one["ref"])
    return made


def environment_bill(python: Path) -> dict[str, Any]:
    """What cyclonedx-py finds in the environment of a Python. Raises OSError where it does not run."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", str(python), "--of", "JSON"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"cyclonedx-py cannot read {python}: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout)


def main(
    environment: Path = Path(sys.executable),
    out: Path = Path("bill.json"),
    versions: Path = ROOT / "constraints.txt",
) -> None:
    """Write the bill of an environment (the path of its Python), and say what is wrong with it: exit code 1."""
    console = Console(highlight=False, soft_wrap=True)
    with exits_with_message(console, ValueError):
        known = pinned(versions.read_text(encoding="utf-8"))
        bill = stable(environment_bill(environment))
        faults = [fault for fault in bill_faults(bill, known) if fault.place != "llm-ladder"]
        write_text(out, json.dumps(bill, indent=2) + "\n")
    for fault in faults:
        console.print(str(fault), markup=False)
    console.print(f"{len(bill.get('components', []))} components, {len(faults)} faults: {shown(out)}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    run_command(main)
