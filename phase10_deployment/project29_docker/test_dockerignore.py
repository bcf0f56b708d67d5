"""The language of .dockerignore, against Docker's documented examples and a matcher that tries everything."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase10_deployment.project29_docker.dockerignore import expression, ignored, patterns
from shared.testing import raises


@pytest.mark.task(4)
def test_lines_become_patterns():
    text = "\ufeff# comment\n\n  a/  \n/b\n./c//\n!/d/\n! e\n # f\n.\n/\n!\n**/x \nend"
    assert patterns(text) == ["a", "b", "c", "!d", "!e", "# f", "**/x", "end"]


@pytest.mark.task(4)
def test_a_hash_comments_at_the_beginning_alone():
    assert patterns("a#b\n#c\n\\#d\r\ne") == ["a#b", "\\#d", "e"]


@pytest.mark.task(4)
@pytest.mark.parametrize(
    ("pattern", "matched", "not_matched"),
    [
        ("*.md", ["README.md", ".md"], ["a/README.md", "README.md5", "READMEmd"]),
        ("*/temp*", ["a/temporary.txt", "a/temp"], ["temp", "a/b/temp", "temporary.txt"]),
        ("temp?", ["tempa", "temp1"], ["temp", "tempab", "temp/"]),
        ("**/*.go", ["a.go", "a/b.go", "a/b/c.go"], ["a.gox", "a/b.g"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb", "b", "a/b/c"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab"]),
        ("**", ["a", "a/b"], []),
        ("a**", ["a", "ab", "a/b"], ["ba"]),
        ("a/**b", ["a/b", "a/xb", "a/x/b"], ["ab", "b", "a/bx"]),
        ("**/a", ["a", "b/a", "c/b/a"], ["ba", "b/ba", "a/b"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "x", "aax"]),
        ("[^a-c]x", ["dx"], ["ax", "/x", "x"]),
        ("a[]]", [], ["ab"]),
        ("a[.]b", ["a.b"], ["axb"]),
        ("\\*.md", ["*.md"], ["a.md"]),
        ("a.b", ["a.b"], ["axb"]),
        ("a+(b)", ["a+(b)"], ["aab"]),
        ("x\\[1\\]", ["x[1]"], ["x1"]),
        ("", [""], ["a"]),
    ],
)
def test_what_a_pattern_matches(pattern: str, matched: list[str], not_matched: list[str]):
    found = expression(pattern)
    names = [*matched, *not_matched]
    if pattern == "a[]]":  # Go's own rules: the first ] does not close. It is a class of one.
        assert [bool(found.fullmatch(name)) for name in ("a]", "ab")] == [True, False]
    else:
        assert [name for name in names if found.fullmatch(name)] == matched


@pytest.mark.task(4)
@pytest.mark.parametrize("pattern", ["a[b", "[", "x\\", "[z-a]"])
def test_a_pattern_that_does_not_end_is_an_error(pattern: str):
    with raises(ValueError, (pattern, repr(pattern)[1:-1])):
        expression(pattern)


def slow(pattern: str, path: str) -> bool:
    """Whether a pattern of letters, /, *, ? and ** matches: every way of taking it, one character at a time."""
    if not pattern:
        return not path
    if pattern.startswith("**/"):
        # No folder, or everything up to any slash.
        ends = [index + 1 for index, letter in enumerate(path) if letter == "/"]
        return any(slow(pattern[3:], path[end:]) for end in [0, *ends])
    if pattern.startswith("**"):
        return any(slow(pattern[2:], path[end:]) for end in range(len(path) + 1))
    if pattern[0] == "*":
        stretch = len(re.match(r"[^/]*", path)[0])  # pyright: ignore[reportOptionalSubscript]
        return any(slow(pattern[1:], path[end:]) for end in range(stretch + 1))
    if not path:
        return False
    return (pattern[0] == path[0] or (pattern[0] == "?" and path[0] != "/")) and slow(pattern[1:], path[1:])


PART = st.lists(st.sampled_from(["a", "b", "*", "?", "ab"]), min_size=1, max_size=3).map("".join)
PATTERN = (
    st.lists(st.one_of(PART, st.just("**")), min_size=1, max_size=4)
    .map("/".join)
    .filter(lambda p: "***" not in p)
)
PATH = st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


@pytest.mark.task(4)
@given(pattern=PATTERN, path=PATH)
def test_it_equals_a_matcher_that_tries_everything(pattern: str, path: str):
    assert bool(expression(pattern).fullmatch(path)) == slow(pattern, path)


@pytest.mark.task(4)
@given(lines=st.lists(st.tuples(st.booleans(), PATTERN), max_size=5), path=PATH)
def test_the_last_pattern_that_matches_a_path_or_a_folder_above_decides(
    lines: list[tuple[bool, str]], path: str
):
    parts = path.split("/")
    out = False
    for back, pattern in lines:
        if any(slow(pattern, "/".join(parts[:count])) for count in range(1, len(parts) + 1)):
            out = not back
    assert ignored([("!" if back else "") + pattern for back, pattern in lines], path) == out


@pytest.mark.task(4)
@pytest.mark.parametrize(
    ("pattern_list", "path", "out"),
    [
        (["data"], "data/models/x", True),
        (["data"], "data2/x", False),
        (["data", "!data/models"], "data/models/x/y", False),
        (["data", "!data/models"], "data/corpora/x", True),
        (["*", "!shared", "**/__pycache__"], "shared/__pycache__/a.pyc", True),
        (["*", "!shared"], "shared/a/b.py", False),
        (["*", "!shared"], ".env", True),
        (["*.md", "!README*.md", "README-secret.md"], "README-secret.md", True),
        (["*.md", "!README*.md"], "README-secret.md", False),
        (["!a"], "a", False),
        ([], "a", False),
        (["a/*"], "a/b/c", True),
    ],
)
def test_what_stays_out(pattern_list: list[str], path: str, out: bool):
    assert ignored(pattern_list, path) is out


@pytest.mark.task(4)
def test_the_projects_own_list_lets_in_what_is_named_and_nothing_else():
    """What is not named stays out, so a file that somebody puts there, such as a key, is in no image."""
    mine = patterns(Path(__file__).with_name("Dockerfile.dockerignore").read_text(encoding="utf-8"))
    project = "phase10_deployment/project29_docker"
    inside = ["constraints.txt", "shared/files.py", f"{project}/init.py", f"{project}/warm.py",
              f"{project}/requirements.txt", "data/models/tiny-chat/model.safetensors"]  # fmt: skip
    outside = [".env", ".git/config", "api_keys.txt", "work/x.py", "data/models/tiny-base/model.safetensors",
               "data/corpora/x", ".venv/bin/python", f"{project}/test_init.py", f"{project}/__pycache__/a.pyc",
               "shared/tests/test_files.py", f"{project}/mutants.toml", f"{project}/deploy/nginx.conf",
               f"{project}/explore.ipynb", f"{project}/results/x.json", "README.md"]  # fmt: skip
    assert [path for path in [*inside, *outside] if not ignored(mine, path)] == inside
