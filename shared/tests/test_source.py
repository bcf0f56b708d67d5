"""Functions are found, told from stubs, and fingerprinted by their code alone."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ladder.source import definitions, fingerprint, function, is_stub, signature


def found(text, name):
    """The function, which must be there."""
    node = function(text, name)
    assert node is not None
    return node


SOURCE = '''
def plain(a: int, b=2) -> int:
    """Says."""
    return a

class Box:
    size = 1

    @property
    def size_of(self):
        def inner():
            return 1
        return inner()

    async def wait(self):
        pass

def after():
    raise NotImplementedError("later")

def again():
    return 1

def again():
    return 2
'''


def test_definitions_agree_with_the_syntax_tree():
    found = definitions(SOURCE)
    assert found == {"plain": 1, "Box.size_of": 1, "Box.wait": 1, "after": 1, "again": 2}


def test_function_finds_methods_and_the_last_of_two():
    assert ast.unparse(found(SOURCE, "again").body[0]) == "return 2"
    assert found(SOURCE, "Box.wait").name == "wait"
    assert function(SOURCE, "Box.plain") is None
    assert function(SOURCE, "Bag.wait") is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('raise NotImplementedError("x")', True),
        ('"""Doc."""\n    raise NotImplementedError', True),
        ("raise ValueError", False),
        ("raise", False),
        ('"""Doc."""', False),
        ("x = 1\n    raise NotImplementedError", False),
    ],
)
def test_is_stub(body, expected):
    assert is_stub(found(f"def f():\n    {body}\n", "f")) is expected


def test_comments_layout_and_docstring_do_not_change_the_fingerprint():
    a = found('def f(x):\n    """One."""\n    return x+1\n', "f")
    b = found('def f( x ):\n    """Two."""\n    # why\n    return (x + 1)\n', "f")
    assert fingerprint(a) == fingerprint(b)


@given(st.integers(), st.integers())
def test_fingerprints_are_equal_exactly_when_the_code_is(a, b):
    one, other = (fingerprint(found(f"def f():\n    return {n}\n", "f")) for n in (a, b))
    assert (one == other) == (a == b)


def test_signature_holds_decorators_annotations_and_docstring():
    assert signature(found(SOURCE, "plain")) == "def plain(a: int, b=2) -> int:\nSays."
    assert signature(found(SOURCE, "Box.size_of")).startswith("@property\ndef size_of(self):")
