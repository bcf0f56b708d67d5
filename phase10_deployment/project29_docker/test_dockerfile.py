"""A Dockerfile is read as Docker reads it: continued lines, comments between them, both forms, heredocs, stages."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase10_deployment.project29_docker.dockerfile import Instruction, inherited, instructions, stages
from shared.testing import raises


def short(text: str) -> list[tuple[int, str, str]]:
    return [(one.line, one.keyword, one.value) for one in instructions(text)]


@pytest.mark.task(1)
def test_keywords_flags_and_values():
    text = (
        "FROM debian:bookworm AS b\n"
        "run  --mount=type=cache,target=/x --network=none\tmake  all \n"
        "Copy --from=b a b\n"
    )
    assert instructions(text) == [
        Instruction(1, "FROM", (), "debian:bookworm AS b"),
        Instruction(2, "RUN", ("--mount=type=cache,target=/x", "--network=none"), "make  all"),
        Instruction(3, "COPY", ("--from=b",), "a b"),
    ]


@pytest.mark.task(1)
def test_a_flag_after_the_value_is_of_the_value():
    (one,) = instructions("RUN pip install --no-deps .")
    assert (one.flags, one.value) == ((), "pip install --no-deps .")


@pytest.mark.task(1)
def test_continued_lines_are_one_and_what_lies_between_them_goes():
    text = "RUN a \\\n    && b \\  \t\n# a comment\n\n   # another\n  && c\nUSER 1\n"
    assert short(text) == [(1, "RUN", "a     && b   && c"), (7, "USER", "1")]


@pytest.mark.task(1)
def test_a_hash_within_a_line_is_no_comment():
    assert short("ENV A=1 # 2\nRUN echo '# x' \\\n 'y'") == [
        (1, "ENV", "A=1 # 2"),
        (2, "RUN", "echo '# x'  'y'"),
    ]


@pytest.mark.task(1)
def test_a_line_is_counted_with_all_before_it():
    assert short("\n# c\n\nFROM a:1\n\n\n  # d\n  RUN b") == [(4, "FROM", "a:1"), (8, "RUN", "b")]


@pytest.mark.task(1)
def test_a_file_may_end_inside_a_continued_line_and_may_be_empty():
    assert (short("RUN a \\"), short("RUN a \\\n# x"), short(""), short("# only\n\n")) == (
        [(1, "RUN", "a")], [(1, "RUN", "a")], [], [],
    )  # fmt: skip


@pytest.mark.task(1)
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('["python", "-m", "a b"]', ("python", "-m", "a b")),
        ("[]", ()),
        ('["a",\t"b"]', ("a", "b")),
        ("['python']", None),  # a shell would look for a program called [python]
        ('["a", 1]', None),
        ('"a"', None),
        ("python -m a", None),
        ('["a"', None),
        ('["a"] b', None),
    ],
)
def test_the_exec_form_is_json_and_nothing_else(value: str, words: tuple[str, ...] | None):
    (one,) = instructions(f"CMD {value}")
    assert (one.words, one.value) == (words, value)


@pytest.mark.task(1)
def test_a_directive_changes_the_escape_character():
    assert short("# escape=`\nRUN a `\n b\nRUN c \\\nRUN d") == [
        (2, "RUN", "a  b"),
        (4, "RUN", "c \\"),
        (5, "RUN", "d"),
    ]
    assert short("# syntax=docker/dockerfile:1\n#escape = `\nRUN a `\n b") == [(3, "RUN", "a  b")]


@pytest.mark.task(1)
@pytest.mark.parametrize("before", ["# a comment\n", "\n", "ARG A=1\n", "# color=blue\n"])
def test_after_anything_else_a_directive_is_a_comment(before: str):
    assert [value for *_, value in short(f"{before}# escape=`\nRUN a \\\n b")][-1] == "a  b"


@pytest.mark.task(1)
def test_heredocs():
    text = (
        'RUN <<EOF\na\n  # no comment here\nb \\\nEOF\nCOPY <<-"A" <<B /x/\n\t\tone\n\tA\n\ttwo\nB\nUSER 1\n'
    )
    found = instructions(text)
    assert [one.heredocs for one in found] == [("a\n  # no comment here\nb \\\n",), ("one\n", "\ttwo\n"), ()]
    assert [one.line for one in found] == [1, 6, 11]


@pytest.mark.task(1)
def test_what_only_looks_like_a_heredoc():
    """<<< is bash's, 1<<2 is arithmetic, and a CMD has none."""
    assert [one.heredocs for one in instructions("RUN cat <<<EOF\nRUN echo $((1<<2))\nCMD cat <<EOF\n")] == [
        (),
        (),
        (),
    ]


@pytest.mark.task(1)
def test_a_heredoc_that_does_not_end_is_an_error():
    with raises(ValueError, 2, "EOF"):
        instructions("FROM a\nRUN <<EOF\nx\n EOF\n")


@pytest.mark.task(1)
@pytest.mark.parametrize("word", ["FORM", "RUNN", "&&"])
def test_what_is_no_instruction_is_an_error(word: str):
    """`&& x` at a line's beginning is what a forgotten backslash leaves."""
    with raises(ValueError, 3, word):
        instructions(f"FROM a\nRUN b\n{word} x")


LINES = st.lists(
    st.sampled_from(["RUN a", "ENV A=b", 'CMD ["x", "y"]', "COPY --from=z a b", "USER 1:1", "LABEL a=b c=d"]),
    max_size=8,
)


@pytest.mark.task(1)
@given(lines=LINES, data=st.data())
def test_comments_and_breaks_change_nothing_but_lines(lines: list[str], data: st.DataObject):
    """A line broken at any space, with comments and empty lines put in, says the same, space apart."""
    text = ""
    for line in lines:
        words = line.split(" ")
        for index, word in enumerate(words):
            text += word
            if index + 1 < len(words):
                # Not between keyword and flag: there the break would be at the value's beginning, which is trimmed.
                text += data.draw(st.sampled_from([" ", " \\\n", " \\\n# c\n\n", "\\\n  "]))
        text += data.draw(st.sampled_from(["\n", "\n\n", "\n# RUN no\n"]))
    found = [(one.keyword, one.flags, one.value.split()) for one in instructions(text)]
    assert found == [(one.keyword, one.flags, one.value.split()) for one in instructions("\n".join(lines))]


@pytest.mark.task(1)
def test_stages_stand_on_each_other():
    text = "FROM debian:12 AS Base\nRUN a\nFROM base\nRUN b\nFROM alpine:3 AS last\nFROM 1\nRUN d\n"
    found = stages(instructions(text))
    assert [(one.name, one.base, one.parent, one.line) for one in found] == [
        ("base", "debian:12", None, 1), ("1", "base", 0, 3), ("last", "alpine:3", None, 5), ("3", "1", 1, 6),
    ]  # fmt: skip
    assert [[step.value for step in one.instructions] for one in found] == [["a"], ["b"], [], ["d"]]


@pytest.mark.task(1)
def test_stages_are_named_in_any_case():
    assert [one.parent for one in stages(instructions("FROM x AS Base\nFROM BASE AS b\nFROM base"))] == [
        None,
        0,
        0,
    ]


@pytest.mark.task(1)
def test_a_stage_stands_on_no_later_one_and_not_on_itself():
    found = stages(instructions("FROM b AS a\nFROM a AS b\nFROM c AS c\n"))
    assert [one.parent for one in found] == [None, 0, None]


@pytest.mark.task(1)
def test_of_two_stages_of_one_name_the_later_one_counts():
    assert [one.parent for one in stages(instructions("FROM x AS a\nFROM y AS a\nFROM a"))] == [None, None, 1]


@pytest.mark.task(1)
@pytest.mark.parametrize(
    ("arguments", "base"),
    [
        ({}, "debian:12"),
        ({"TAG": "13"}, "debian:13"),
        ({"BASE": "alpine", "TAG": ""}, "alpine:12"),
        ({"X": "y"}, "debian:12"),
    ],
)
def test_build_arguments_fill_in_what_a_from_names(arguments: dict[str, str], base: str):
    text = "ARG BASE=debian\nARG TAG\nFROM ${BASE}:${TAG:-12}\n"
    assert stages(instructions(text), arguments)[0].base == base


@pytest.mark.task(1)
def test_an_argument_may_use_one_before_it_and_a_build_argument_needs_an_arg():
    text = "ARG A=x\nARG B=$A:1\nFROM $B AS s\nARG A=z\nFROM $A:2"
    assert [one.base for one in stages(instructions(text))] == ["x:1", "x:2"]
    with raises(ValueError, 1, "DEVICE"):
        stages(instructions("FROM run-${DEVICE}"), {"DEVICE": "cpu"})
    with raises(ValueError, 2, "A"):
        stages(instructions("ARG A\nFROM $A"))


@pytest.mark.task(1)
def test_a_stage_that_an_argument_chooses():
    text = "ARG DEVICE=cpu\nFROM a:1 AS run-cpu\nFROM b:1 AS run-cuda\nFROM run-${DEVICE} AS serve"
    assert [stages(instructions(text), {"DEVICE": device})[-1].parent for device in ("cpu", "cuda")] == [0, 1]


@pytest.mark.task(1)
def test_what_makes_no_stages_is_an_error():
    with raises(ValueError, 1, "RUN"):
        stages(instructions("RUN a\nFROM b"))
    with raises(ValueError, 2, "a AS"):
        stages(instructions("ARG B\nFROM a AS"))
    with raises(ValueError, "FROM"):
        stages(instructions("ARG A=1\n"))


@pytest.mark.task(1)
def test_what_a_stage_has_from_below_comes_first():
    text = "FROM x:1 AS a\nUSER 1\nFROM a AS b\nRUN b\nFROM y:1 AS c\nUSER 3\nFROM b AS d\nCMD d\n"
    found = stages(instructions(text))
    assert [[one.value for one in inherited(found, index)] for index in range(4)] == [
        ["1"], ["1", "b"], ["3"], ["1", "b", "d"],
    ]  # fmt: skip


@pytest.mark.task(1)
@pytest.mark.parametrize(("device", "count"), [("cpu", 1), ("cuda", 2)])
def test_the_projects_own_dockerfile(device: str, count: int):
    """The last stage, and what of it installs: a compiler with CUDA, where Triton needs one."""
    text = Path(__file__).with_name("Dockerfile").read_text(encoding="utf-8")
    found = stages(instructions(text), {"DEVICE": device})
    made = inherited(found, [one.name for one in found].index("serve"))
    assert sum("apt-get install" in one.value for one in made) == count
    assert [one.keyword for one in made][-1] == "CMD"
