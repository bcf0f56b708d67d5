"""Every operator makes the change that it is named for, in what a learner writes and nowhere else."""

import pytest

from shared.ladder.mutations import kernels, mutations

START = "def f(x, y=1):\n    "


def changes(body, operator=None):
    """The changed lines of a function's body."""
    return [
        one.change.partition(" => ")[2]
        for one in mutations(START + body + "\n", ["f"])
        if operator in (None, one.operator)
    ]


@pytest.mark.parametrize(
    ("operator", "line", "changed"),
    [
        ("comparison", "return x < y", ["return x <= y"]),
        ("comparison", "return x >= y", ["return x > y"]),
        ("comparison", "return x == y", ["return x != y"]),
        ("comparison", "return x in y", ["return x not in y"]),
        ("comparison", "return x is not y", ["return x is y"]),
        ("operator", "return x + y", ["return x - y"]),
        ("operator", "return (x * y)", ["return (x / y)"]),
        ("operator", "return x // y", ["return x / y"]),
        ("operator", "return x and y", ["return x or y"]),
        ("operator", "return not x", ["return x"]),
        ("operator", "return -x[0]", ["return x[0]"]),
        ("operator", "x += 1", ["x -= 1"]),
        ("constant", "return 2", ["return 3"]),
        ("constant", "return 0.5", ["return 1.0"]),
        ("constant", "return 0.0", ["return 1.0"]),
        ("constant", "return True", ["return False"]),
        ("argument dropped", "return g(x, y, z=x)", ["return g(x, y)"]),
        ("argument dropped", "return g(x, y)", ["return g(x)"]),
        ("arguments swapped", "return g(x, y)", ["return g(y, x)"]),
        ("arguments swapped", "return max(x, y)", []),
        ("argument dropped", "return zip(x, y, strict=True)", []),
        ("constant", "return zip(x, y, strict=True)", []),
        ("call dropped", "return g(x)", ["return x"]),
        ("call dropped", "return g(x + y)", ["return (x + y)"]),
        ("call dropped", "return x.g(y, 1)", ["return x"]),
        ("condition negated", "return 1 if x > y else 2", ["return 1 if not (x > y) else 2"]),
        ("condition negated", "return 1 if x == y else 2", []),  # as a comparison already
        ("slice moved", "return x[1:]", ["return x[2:]", "return x[1:-1]"]),
        ("slice moved", "return x[y:-1]", ["return x[y + 1:-1]", "return x[y:0]"]),
        ("slice moved", "return x[::-1]", []),
        ("statement deleted", "x.g()", ["pass"]),
        ("context dropped", "with g(x):\n        return x", ["if True:"]),
        ("context dropped", "with g(x) as y:\n        return y", []),
        ("statements swapped", "x = x + y\n    y = x", ["y = x; x = x + y"]),
        ("statements swapped", "z = x + y\n    y = z", []),  # z would not be known
        ("statements swapped", "z = x\n    w = y", []),
        ("statements swapped", "g(x)\n    h(y)", ["h(y); g(x)"]),
    ],
)
def test_an_operator(operator, line, changed):
    assert changes(line, operator)[: len(changed) or 1] == changed


@pytest.mark.parametrize(
    "line",
    [
        'raise ValueError(f"{x + 1} is not {y}")',
        "assert x < y",
        '"""A docstring of 2 lines."""',
        "import g",
    ],
)
def test_what_no_test_is_to_ask_for_is_left_alone(line):
    assert changes(line) in ([], ["pass"])


def test_annotations_defaults_and_decorators_stay():
    text = "@g(1)\ndef f(x: int = 3) -> A[4]:\n    y: A[5] = x\n    return y\n"
    assert {one.change for one in mutations(text, ["f"])} == {"y: A[5] = x => pass", "return y => pass"}


def test_only_the_functions_asked_for_are_changed_methods_by_their_class():
    text = "def f():\n    return 1\n\n\nclass A:\n    def f(self):\n        return 2\n"
    assert [one.text for one in mutations(text, ["A.f"]) if one.operator == "constant"] == [
        text.replace("return 2", "return 3")
    ]
    with pytest.raises(KeyError, match="g"):
        mutations(text, ["g"])


def test_a_text_that_comes_twice_counts_once_and_what_is_no_python_not_at_all():
    found = mutations("def f(x):\n    return x.g(x)\n", ["f"])
    texts = [one.text for one in found]
    assert len(texts) == len(set(texts))
    assert not changes("y: int", "statement deleted") or all("=>" in one.change for one in found)


def test_the_change_is_shown_over_several_lines():
    (one,) = [
        one
        for one in mutations("def f(x):\n    g(\n        x,\n        1,\n    )\n", ["f"])
        if one.operator == "constant"
    ]
    assert one.change == "1, => 2,"


def test_kernels_are_known_by_their_decorator():
    text = """
@triton.jit(do_not_specialize=["n"])
@plain
def f():
    pass


@triton.jit
def g():
    pass


@jit
def h():
    pass
"""
    assert kernels(text) == {"f", "g"}
