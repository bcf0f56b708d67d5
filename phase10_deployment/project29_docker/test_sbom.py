"""The bill of materials: held against the versions that were tested, and the same bytes each time."""

import copy
import json
import random
import venv
from pathlib import Path
from typing import Any

import pytest

from phase10_deployment.project29_docker.sbom import bill_faults, environment_bill, normal, pinned, stable
from shared.files import ROOT
from shared.testing import raises


def component(name: str, version: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version.replace('+', '%2B')}",
        **more,
    }


@pytest.mark.task(8)
def test_lines_become_versions():
    text = "# pinned\n\nTorch==2.13.0\nruamel.yaml == 0.18 # why\nA_b--C==1.0.post1; python_version < '3'\nx[y,z]==3\n"
    assert pinned(text) == {"torch": "2.13.0", "ruamel-yaml": "0.18", "a-b-c": "1.0.post1", "x": "3"}


@pytest.mark.task(8)
def test_a_hash_in_a_version_is_no_comment():
    assert pinned("a==1\r\nb==2+cpu#x\n") == {"a": "1", "b": "2+cpu#x"}


@pytest.mark.task(8)
@pytest.mark.parametrize("line", ["a>=1", "a", "a==1.*", "a===1", "-r other.txt", "a==1,<2 b", "==1", "a=="])
def test_what_is_no_pin_is_an_error(line: str):
    with raises(ValueError, 2, line):
        pinned(f"x==1\n{line}\n")


@pytest.mark.task(8)
def test_two_versions_of_one_name_are_an_error_and_the_same_twice_is_none():
    with raises(ValueError, 3, "A.b==2"):
        pinned("a-b==1\nc==1\nA.b==2\n")
    assert pinned("a-b==1\nA_B==1") == {"a-b": "1"}


@pytest.mark.task(8)
def test_the_repositorys_own_pins():
    known = pinned((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    assert {"torch", "fastapi", "uvicorn", "prometheus-client"} <= set(known)


KNOWN = {"torch": "2.13.0", "ruamel-yaml": "0.18", "numpy": "2.4.6"}


def found(*components: dict[str, Any], required: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{one.rule} {one.place}" for one in bill_faults({"components": list(components)}, KNOWN, required)
    ]


@pytest.mark.task(8)
def test_what_was_tested_is_right():
    assert (
        found(component("torch", "2.13.0+cpu"), component("Ruamel.YAML", "0.18"), component("numpy", "2.4.6"))
        == []
    )


@pytest.mark.task(8)
@pytest.mark.parametrize(
    ("components", "faults"),
    [
        ([component("sneaky", "1.0")], ["unpinned sneaky"]),
        ([component("numpy", "2.4.7")], ["other-version numpy"]),
        ([component("torch", "2.13.0.1")], ["other-version torch"]),
        ([component("torch", "2.13+cpu")], ["other-version torch"]),
        ([{"name": "numpy", "version": "2.4.6"}], ["no-purl numpy"]),
        ([component("numpy", "2.4.6", purl="pkg:pypi/numpy")], ["no-purl numpy"]),
        ([component("numpy", "2.4.6", purl="numpy@2.4.6")], ["no-purl numpy"]),
        ([component("numpy", "2.4.6"), component("NumPy", "2.4.6")], ["twice numpy"]),
        (
            [component("b", "1", purl=""), component("numpy", "1"), component("b", "1")],
            ["unpinned b", "no-purl b", "other-version numpy", "unpinned b", "twice b"],
        ),
    ],
)
def test_what_is_wrong(components: list[dict[str, Any]], faults: list[str]):
    assert found(*components) == faults


@pytest.mark.task(8)
def test_a_local_version_is_no_other_on_either_side():
    bill = {"components": [component("torch", "2.13.0"), component("numpy", "2.4.6+x")]}
    assert bill_faults(bill, {"torch": "2.13.0+cpu", "numpy": "2.4.6"}) == []


@pytest.mark.task(8)
def test_what_is_required_and_not_there():
    assert found(component("Ruamel.YAML", "0.18"), required=("zlib", "ruamel_yaml", "Torch")) == [
        "missing torch",
        "missing zlib",
    ]
    assert [one.place for one in bill_faults({}, {}, ["a"])] == ["a"]


BILL: dict[str, Any] = {
    "serialNumber": "urn:uuid:1",
    "specVersion": "1.6",
    "metadata": {"timestamp": "2026", "tools": ["x"]},
    "components": [
        component("Zlib", "1", **{"bom-ref": "z"}),
        component(
            "a_c",
            "2",
            properties=[{"name": "path", "value": "/home/x"}],
            licenses=[{"license": {"id": "MIT"}}],
        ),
        component("A-b", "10", externalReferences=[{"url": "file:///tmp"}]),
        component("a-b", "1"),
    ],
    "dependencies": [{"ref": "z", "dependsOn": ["b", "a"]}, {"ref": "a"}],
}


@pytest.mark.task(8)
def test_the_same_packages_give_the_same_bytes():
    again = copy.deepcopy(BILL)
    again["serialNumber"], again["metadata"]["timestamp"] = "urn:uuid:2", "later"
    random.Random(1).shuffle(again["components"])
    again["components"][0]["properties"] = ["elsewhere"]
    again["dependencies"].reverse()
    again["dependencies"][1]["dependsOn"].reverse()
    assert json.dumps(stable(copy.deepcopy(BILL))) == json.dumps(stable(again))


@pytest.mark.task(8)
def test_what_stays_and_what_goes():
    bill = copy.deepcopy(BILL)
    made = stable(bill)
    assert bill == BILL
    assert made["metadata"] == {"tools": ["x"]}
    assert made["specVersion"] == "1.6"
    assert "serialNumber" not in made
    assert [(one["name"], one["version"]) for one in made["components"]] == [
        ("a-b", "1"),
        ("A-b", "10"),
        ("a_c", "2"),
        ("Zlib", "1"),
    ]
    assert [set(one) & {"properties", "externalReferences"} for one in made["components"]] == [set()] * 4
    assert made["components"][2]["licenses"] == [{"license": {"id": "MIT"}}]
    assert made["dependencies"] == [{"ref": "a"}, {"ref": "z", "dependsOn": ["a", "b"]}]


@pytest.mark.task(8)
def test_a_bill_may_lack_any_part():
    assert (stable({}), stable({"components": []})) == ({}, {"components": []})


def test_names_as_indexes_compare_them():
    assert [normal(name) for name in ("A.B", "a__b", "a-._b", "ab")] == ["a-b", "a-b", "a-b", "ab"]


@pytest.mark.task(8)
def test_a_real_environment_has_a_bill(tmp_path: Path):
    """cyclonedx-py's own output, of an environment with one package in it."""
    pytest.importorskip("cyclonedx_py")
    venv.create(tmp_path / "one")
    (packages,) = tmp_path.glob("one/lib/python*/site-packages")
    (packages / "Some_Thing-1.5+cpu.dist-info").mkdir()
    metadata = packages / "Some_Thing-1.5+cpu.dist-info" / "METADATA"
    metadata.write_text("Metadata-Version: 2.1\nName: Some_Thing\nVersion: 1.5+cpu\n", encoding="utf-8")
    bill = environment_bill(tmp_path / "one" / "bin" / "python")
    assert bill_faults(bill, {"some-thing": "1.5"}, ["some.thing"]) == []
    assert str(tmp_path) not in json.dumps(stable(bill))
