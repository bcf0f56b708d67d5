import pytest

from phase02_finetuning.project04_sft.given.located_json import LineError, located


def test_entries_of_a_list_and_lines_come_with_their_line():
    assert list(located(b'[1, {"a": 2},\n\n "x\\ny",\n[3]]\n')) == [
        (1, 1),
        (1, {"a": 2}),
        (3, "x\ny"),
        (4, [3]),
    ]
    assert list(located(b'\n{"a": 1}\n\n 2 \r\n')) == [(2, {"a": 1}), (4, 2)]
    assert list(located(b"\xef\xbb\xbf [ ] ")) == []
    assert list(located("7\n\u2028 8".encode()[:2])) == [(1, 7)]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"[1,\n2,\n3", 3), (b"[1\n2]", 2), (b"[1]\n2", 2), (b"[1,]", 1), (b"[\n\n?]", 3), (b"1\n2 3", 2),
        (b"1\n\xff", 2), (b'{"a": 1, "a": 2}', 1), (b"1\n2\n-Infinity", 3), (b"[[1,\n\n?]]", 3),
        (b"1\n" + b"[" * 100_000, 2),
    ],
)  # fmt: skip
def test_what_is_broken_comes_with_its_line(data, line):
    with pytest.raises(LineError) as caught:
        list(located(data))
    assert caught.value.line == line
