"""Functions are found, told from stubs, and fingerprinted by their code alone."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ladder.source import (
    decode_source,
    definitions,
    fingerprint,
    function,
    is_stub,
    lines_of,
    read_source,
    signature,
)


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


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xef\xbb\xbfdef f(): pass\r\nx = 1\r", "def f(): pass\nx = 1\n"),
        (b'#!/x\n# -*- coding: latin-1 -*-\ns = "\xe9"\n', '#!/x\n# -*- coding: utf-8 -*-\ns = "é"\n'),
        (b'x = "# coding: latin-1"\n', 'x = "# coding: latin-1"\n'),
    ],
)  # fmt: skip
def test_a_learners_file_is_read_as_python_reads_it(data, text):
    assert decode_source(data) == text
    assert ast.dump(ast.parse(data)) == ast.dump(ast.parse(text.encode()))


@pytest.mark.parametrize(
    "data", [b"# coding: nonsense\n", b's = "\xe9"\n', b"# coding: rot13\nx", b"# coding: utf-16\nx"]
)
def test_bytes_that_are_no_text_are_a_syntax_error(data):
    with pytest.raises(SyntaxError):
        decode_source(data)


def test_a_form_feed_and_a_line_separator_move_no_line(tmp_path):
    text = 's = "\u2028"\n\x0cdef f():\n    return 1\n'
    (tmp_path / "a.py").write_text(text, encoding="utf-8")
    assert definitions(text) == {"f": 1}
    node = found(read_source(tmp_path / "a.py"), "f")
    assert lines_of(text)[node.lineno - 1] == "\x0cdef f():"
