"""`ladder mutate` tells what is noticed from what is not, and a reason has to hold."""

FOLDER = "phase01_demo/project01_sum"


def reason(house, change, function="sums.py:running"):
    file = house / FOLDER / "mutants.toml"
    entry = f'\n[[equivalent]]\nfunction = "{function}"\nwhy = "Nothing tells them apart."\nchanges = ["{change}"]\n'
    file.write_text(file.read_text() + entry)


def weaken(change, other="def test_together():\n"):
    change(
        "test_sums.py",
        (
            "    assert counter.add(3) == 5\n    assert counter.add(1) == 6\n",
            "    assert counter.add(0) == 2\n",
        ),
        ("def test_together():\n", other),
    )


def test_what_no_test_notices_is_shown_as_it_is_to_be_explained(house, ladder, change):
    weaken(change)
    said = ladder("mutate", 1)
    assert said.code == 1
    assert "Project 1: 15 changes: 12 killed, 3 survives." in said.out
    for line in (
        "task 2, sums.py:Counter.add",
        '"self.count += number => self.count -= number" operator; no test notices it',
        '"self.count += number => pass" statement deleted; no test notices it',
    ):
        assert line in " ".join(said.out.split())


def test_another_test_that_notices_it_is_named(house, ladder, change):
    """A learner whose task passes would fail it all the same."""
    weaken(change, "def test_together():\n    assert Counter(1).add(2) == 3\n")
    said = ladder("mutate", 1, "--others")
    assert said.code == 1
    assert said.out.count("only test_together notices it") == 3


def test_a_reason_is_believed(house, ladder, change):
    weaken(change)
    reason(house, "self.count += number => self.count -= number", "sums.py:Counter.add")
    reason(house, "self.count += number => pass", "sums.py:Counter.add")
    swapped = "self.count += number; return self.count => return self.count; self.count += number"
    reason(house, swapped, "sums.py:Counter.add")
    said = ladder("mutate", 1)
    assert (said.code, "12 killed, 3 equivalent." in said.out) == (0, True)


def test_an_endless_change_hangs_and_is_noticed(house, ladder, change, monkeypatch):
    monkeypatch.setattr("shared.ladder.mutating.AT_LEAST", 0.5)
    change(
        "sums.py",
        (
            "    for value in values:\n        result += value\n    return",
            "    i = 0\n    while i < len(values):\n        result += values[i]\n        i += 1\n    return",
        ),
    )
    change(
        "mutants.toml",
        ('find = "result += value\\n    return"', 'find = "i += 1"'),
        ('replace = "result = value\\n    return"', 'replace = "i += 2"'),
        ("    for value in values:\n        result += value\n    return result\n", "    return result\n"),
        ("    return sum(values)\n", "    return result + 0\n"),
    )
    said = ladder("mutate", 1, "--task", 1)
    assert said.code == 0
    assert "14 killed, 1 hangs." in said.out


def test_what_another_process_imports_anew_is_tried_as_a_file(house, ladder, change):
    """In the first round its function is only changed in memory."""
    script = "from phase01_demo.project01_sum.sums import Counter; raise SystemExit(Counter(2).add(3) - 5)"
    asked = (
        "    import os, subprocess, sys\n"
        f"    values = os.environ | {{'PYTHONPATH': {str(house)!r}}}\n"
        f"    assert not subprocess.run([sys.executable, '-c', {script!r}], env=values).returncode\n"
    )
    change("test_sums.py", ("    assert counter.add(3) == 5\n    assert counter.add(1) == 6\n", asked))
    said = ladder("mutate", 1, "--function", "Counter")
    assert (said.code, "killed." in said.out) == (0, True)


def test_tests_that_fail_on_the_reference_judge_nothing(house, ladder, change):
    change("test_sums.py", ("counter = Counter(2)", "counter = Counter(3)"))
    said = ladder("mutate", 1)
    assert said.code == 2
    assert "the reference fails phase01_demo/project01_sum/test_sums.py::test_counter_counts_on" in said.error
    change("test_sums.py", ("import pytest\n", "import pytes\n"))
    assert "the tests cannot be collected" in ladder("mutate", 1).error


def test_a_sound_project_has_no_survivor(house, ladder):
    said = ladder("mutate", 1)
    assert (said.code, "survives" in said.out) == (0, False)
    assert "killed" in said.out


def test_a_reason_must_be_of_a_change_that_survives(house, ladder):
    reason(house, "result = 0 => result = 1")
    said = ladder("mutate", 1)
    assert said.code == 1
    assert "sums.py:running: result = 0 => result = 1 is said to be equivalent, but" in said.out


def test_a_reason_must_be_of_a_change_that_is_made(house, ladder):
    reason(house, "result = 5 => result = 6")
    said = ladder("mutate", 1)
    assert said.code == 1
    assert "mutants.toml has a reason for a change that is not made: result = 5 => result = 6" in said.out


def test_a_part_can_be_asked_for(house, ladder):
    said = ladder("mutate", 1, "--task", 2, "--function", "Counter")
    assert "Project 1: 4 changes" in said.out
    assert ladder("mutate", 1, "--task", 3).code == 2
    assert "0 changes: none tried" in ladder("mutate", 1, "--function", "nothing").out


def tried(out):
    """How many changes it says that it tried."""
    return int(out.rpartition(" changes")[0].rpartition(" ")[2])


def test_of_triton_s_kernels_a_sample_is_tried_unless_they_are_asked_for(house, ladder, change, monkeypatch):
    """Each of their changes takes a process: what is not theirs is tried whole."""
    change(
        "sums.py",
        (
            "def running",
            "class triton:\n    jit = staticmethod(lambda kernel: kernel)\n\n\n@triton.jit\ndef running",
        ),
    )
    every = tried(ladder("mutate", 1, "--one-in", 1, "--task", 1, "--task", 2).out)
    monkeypatch.setattr("shared.ladder.mutate.KERNELS_ONE_IN", 10**9)
    fewer = tried(ladder("mutate", 1).out)
    kernel = tried(ladder("mutate", 1, "--function", "running").out)
    assert (fewer, kernel > 0) == (every - kernel, True)
