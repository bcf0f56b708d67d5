import os
import platform
from types import SimpleNamespace

import pytest

from shared import machine


def test_cores_are_those_this_process_may_use(monkeypatch):
    assert 1 <= machine.cores() <= (os.cpu_count() or 1)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert machine.cores() == 8


@pytest.mark.parametrize(
    ("listing", "name"),
    [("processor\t: 0\nmodel name\t: AMD EPYC \n", "AMD EPYC"), ("processor\t: 0\n", platform.machine())],
)
def test_the_processor_of_linux(monkeypatch, tmp_path, listing, name):
    (tmp_path / "cpuinfo").write_text(listing)
    monkeypatch.setattr(machine, "Path", lambda _: tmp_path / "cpuinfo")
    assert machine.cpu_name() == name


def test_the_processor_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "Path", lambda _: tmp_path / "missing")
    monkeypatch.setattr(machine.sys, "platform", "darwin")
    monkeypatch.setattr(machine.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout="Apple M3\n"))
    assert machine.cpu_name() == "Apple M3"
    monkeypatch.setattr(machine.sys, "platform", "win32")
    monkeypatch.setattr(machine.platform, "processor", lambda: "Intel64 Family 6")
    assert machine.cpu_name() == "Intel64 Family 6"
