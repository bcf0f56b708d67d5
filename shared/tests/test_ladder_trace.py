"""`ladder trace` shows the calls of the example; `ladder bench` sets two runs side by side."""

import json
from collections import deque

import pytest

from shared.ladder.calls import Call
from shared.ladder.trace import is_ours, tree

SUMS = "work/phase01_demo/project01_sum/sums.py"
EXAMPLE = [
    "└─ sums.trace_example() → 14",
    "├─ sums.Counter.__init__(start: 0) → None",
    "├─ sums.running(values: [1, 2, 3]) → yields 6 3 times",
    "├─ sums.Counter.add(number: 1) → 1",
    "├─ sums.Counter.add(number: 3) → 4",
    "├─ sums.Counter.add(number: 6) → 10",
    "└─ sums.total(values: [10, 4]) → 14",
]


@pytest.fixture(autouse=True)
def no_overlay(monkeypatch):
    """`ladder trace` sets it for its own process; a test's must not keep it."""
    monkeypatch.setenv("LADDER_OVERLAY", "")


def test_the_references_call_tree(ladder):
    said = ladder("trace", 1)
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0] == "Tracing sums.py:trace_example, the reference's: phase01_demo/project01_sum"
    assert lines[2:] == EXAMPLE


def test_an_example_that_is_given_calls_the_learners_code(house, ladder):
    given = house / "phase01_demo/project01_sum/given"
    given.mkdir()
    (given / "__init__.py").write_text('"""Given."""\n')
    (given / "example.py").write_text(
        "from phase01_demo.project01_sum.sums import total\n\n\ndef trace_example():\n    return total([1, 2])\n"
    )
    toml = given.parent / "project.toml"
    toml.write_text(toml.read_text().replace('trace = "sums.py', 'trace = "given/example.py'))
    said = ladder("trace", 1)
    assert "Tracing given/example.py:trace_example, the reference's" in said.out
    assert said.out.splitlines()[2:] == [
        "└─ example.trace_example() → 3",
        "└─ sums.total(values: [1, 2]) → 3",
    ]
    ladder("start", 1)
    assert "· It stops at a stub: task 1, total" in ladder("trace", 1).out


def test_depth(ladder):
    assert ladder("trace", 1, "--depth", 1).out.splitlines()[2:] == EXAMPLE[:1]


def test_the_learners_code_and_where_it_stops(house, ladder):
    ladder("start", 1)
    said = ladder("trace", 1)
    assert said.code == 1
    assert "yours: work/phase01_demo/project01_sum" in said.out
    assert "└─ sums.trace_example() → raised" in said.out
    assert "├─ sums.Counter.__init__(start: 0) → None" in said.out
    assert "└─ sums.running(values: [1, 2, 3]) → raised" in said.out
    assert "· It stops at a stub: task 2, running" in said.out
    write = (
        (house / "phase01_demo/project01_sum/sums.py")
        .read_text()
        .replace("result += value", "result += missing", 1)
    )
    (house / SUMS).write_text(write)
    said = ladder("trace", 1)
    assert "✗ It stopped with an error." in said.out
    assert "NameError name 'missing' is not defined" in said.out
    assert "your line result += missing" in said.out


def test_no_example(ladder):
    assert "project 2 has no example to trace" in ladder("trace", 2).error


def call(name, *inner, result="f32[2]"):
    return Call(name, "model", "model.py", 1, {"x": "f32[2,3]"}, deque(inner), result)


def test_equal_neighbours_are_one_line():
    block = [call("Block.forward", call("norm"), call("norm")) for _ in range(3)]
    lines = list(tree([call("GPT.forward", *block, call("head"))]))
    assert len(lines) == 4
    assert "× 3" in lines[1]
    assert "× 2" in lines[2]
    assert "×" not in lines[3]


def test_neighbours_that_differ_inside_stay_apart():
    lines = list(tree([call("block", call("norm")), call("block", call("norm", result="f32[3]"))]))
    assert len(lines) == 4


def test_one_yield_is_not_counted():
    one = call("stream")
    one.yields = 1
    assert next(tree([one])).endswith("yields f32[2][/]")


def test_only_the_curriculums_functions_are_shown(house):
    def code(file):
        return compile("def f(): pass", str(file), "exec").co_consts[0]

    import shared.files
    import shared.ladder.house
    import shared.ladder.project

    assert is_ours(code(house / "phase01_demo/project01_sum/sums.py"))
    assert is_ours(code(house / SUMS))
    assert is_ours(code(house / "phase01_demo/project01_sum/given/example.py"))
    assert not is_ours(code(house / "phase01_demo/project01_sum/other/example.py"))
    assert is_ours(code(shared.files.__file__))
    assert not is_ours(code(shared.ladder.project.__file__))
    assert not is_ours(code(shared.ladder.house.__file__))
    assert not is_ours(code(house / "phase01_demo/project01_sum/__init__.py"))
    assert not is_ours(code(house / "elsewhere.py"))
    assert not is_ours((lambda: 1).__code__)
    a_class = compile("class C: pass", str(house / SUMS), "exec").co_consts[0]
    assert not is_ours(a_class), "its body runs when its module is imported"


def test_bench_sets_both_runs_side_by_side(house, ladder):
    ladder("start", 1)
    text = (house / "phase01_demo/project01_sum/sums.py").read_text()
    (house / SUMS).write_text(text.replace("result = 0", "result = 6", 1))
    said = ladder("bench", 1, "--preset", "smoke", "--rounds", 1)
    assert said.code == 0
    assert "total 12 6 2.00 units" in said.out
    folder = "phase01_demo/project01_sum\npreset smoke"
    assert f"The reference's, preset smoke, 1 of 1 results: work/results/reference/{folder}" in said.out
    assert f"Your code, preset smoke, 1 of 1 results: work/results/yours/{folder}" in said.out


def test_bench_takes_turns_and_says_what_is_better(house, ladder, tmp_path):
    """The mean of all rounds counts, and neither always goes first."""
    ladder("start", 1)
    count = tmp_path / "count"
    text = (
        f"import json, os, pathlib\ncount = pathlib.Path({str(count)!r})\n"
        "runs = count.read_text() if count.is_file() else ''\n"
        "count.write_text(runs + ('y' if 'LADDER_OVERLAY' in os.environ else 'r'))\n"
        "figures = {'speed': {'value': len(runs), 'unit': 'tokens/s', 'better': 'higher'}}\n"
        "print(json.dumps({'measured': figures}))\n"
    )
    benchmark(house, text)
    said = ladder("bench", 1, "--rounds", 2)
    assert count.read_text() == "ryyr"
    assert "speed 1.5 1.5 1.00 tokens/s higher" in said.out


def benchmark(house, text):
    (house / "phase01_demo/project01_sum/benchmark.py").write_text(text)


def test_results_of_both_runs_go_below_the_work_folder(house, ladder):
    ladder("start", 1)
    figures = {"measured": {"a": {"value": 1}, "zero": {"value": 0}}}
    benchmark(house, f"import os\nprint(os.environ['LADDER_RESULTS'])\nprint({json.dumps(figures)!r})\n")
    said = ladder("bench", 1)
    for whose in ("reference", "yours"):
        assert str(house / "work/results" / whose / "phase01_demo/project01_sum") in said.out
    assert "zero 0 0 —" in said.out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("print('hello')", "printed no line of figures last"),
        ("print('[1]')", "printed no line of figures last"),
        ("raise SystemExit(3)", "ended with exit code 3"),
    ],
)
def test_a_benchmark_that_fails(house, ladder, text, message):
    ladder("start", 1)
    benchmark(house, text)
    said = ladder("bench", 1)
    assert said.code == 2
    assert f"-m phase01_demo.project01_sum.benchmark --preset cpu {message}" in said.error


def test_a_benchmark_that_fails_on_the_learners_code_only(house, ladder):
    ladder("start", 1)
    assert ladder("bench", 1).error.endswith("ended with exit code 1 on your code")


def test_bench_without_start_or_benchmark(house, ladder):
    assert "project 1 is not started" in ladder("bench", 1).error
    ladder("start", 2)
    assert "phase02_demo/project02_mean has no benchmark.py" in ladder("bench", 2).error
