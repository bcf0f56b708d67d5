"""Reads a Dockerfile: its instructions, the stages they make, and what a stage has from the stages below it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

KEYWORDS = (
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER",
    "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
)  # fmt: skip


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile."""

    line: int
    """the line it begins on, from 1"""
    keyword: str
    """in capitals: `RUN`"""
    flags: tuple[str, ...]
    """the words before the value that begin with two dashes: `--from=build`"""
    value: str
    """what follows, as it stands, in one line"""
    words: tuple[str, ...] | None = None
    """the exec form's words; None where the value is no JSON list of texts, and a shell would read it"""
    heredocs: tuple[str, ...] = ()
    """the texts of `<<EOF`, each with the line end of every line"""


@dataclass(frozen=True)
class Stage:
    """What one FROM begins. `instructions` are those after it; `base` is what it begins with, variables filled in."""

    name: str
    """in small letters; its number, as text, where the FROM names none"""
    base: str
    parent: int | None
    """the index of the stage that `base` names; None for an image from elsewhere"""
    line: int
    instructions: tuple[Instruction, ...]


def instructions(text: str) -> list[Instruction]:
    r"""The instructions of a Dockerfile, in order.

    - A line whose first visible character is `#` is a comment, and is left out, also between continued lines. So is
      an empty line.
    - A line that ends with the escape character, `\`, goes on in the next line that is none of these. Spaces and
      tabs after the character do not count. The lines are joined as they stand, without that character and the line
      end; space at the ends of the whole goes.
    - The first lines may be directives: `# syntax=…`, `# check=…`, and `` # escape=` ``, which makes the backquote
      the escape character. The first line that is none of the three ends them: after it, `# escape=` is a comment.
    - The keyword is in any case. Then come flags, words that begin with `--`, then the value.
    - A value that is a JSON list of texts is the exec form. All else is for a shell, such as ['a'], whose quotes
      are no JSON.
    - In RUN, COPY and ADD, `<<EOF` (also `<<-EOF`, `<<"EOF"` and `<<'EOF'`) makes the lines that follow a text, up
      to the line that is this word. `<<-` takes tabs off the beginnings of its lines, the last one's too. There may
      be several, read one after the other.

    Raises ValueError that names the line and what stands there: a word that is no instruction, and the word of a
    heredoc that does not end. (Docker's documentation, "Dockerfile reference".)
    """
    lines = text.splitlines()
    escape, start = _directives(lines)
    found: list[Instruction] = []
    at = start
    while at < len(lines):
        first, joined = at, ""
        while at < len(lines):
            line, at = lines[at], at + 1
            if not line.strip() or line.lstrip().startswith("#"):
                if not joined:
                    first = at
                    break
                continue
            bare = line.rstrip(" \t")
            if not bare.endswith(escape):
                joined += line
                break
            joined += bare[:-1]
        if not joined.strip():
            continue
        one = _instruction(first + 1, joined.strip())
        texts = []
        if one.keyword in ("RUN", "COPY", "ADD"):
            for tabs, word in _heredocs(one.value):
                content, at = _heredoc(lines, at, bool(tabs), word, first + 1)
                texts.append(content)
        found.append(Instruction(one.line, one.keyword, one.flags, one.value, one.words, tuple(texts)))
    return found


def _directives(lines: Sequence[str]) -> tuple[str, int]:
    """The escape character, and the index of the first line that is no directive."""
    escape = "\\"
    for index, line in enumerate(lines):
        match = re.fullmatch(r"#\s*(syntax|escape|check)\s*=\s*(\S+)", line.strip(), re.IGNORECASE)
        if not match:
            return escape, index
        if match[1].lower() == "escape":
            escape = match[2]
    return escape, len(lines)


def _instruction(line: int, joined: str) -> Instruction:
    keyword, _, rest = joined.replace("\t", " ").partition(" ")
    rest = joined[len(keyword) :].strip()
    if keyword.upper() not in KEYWORDS:
        raise ValueError(f"line {line}: {keyword!r} is no instruction; there is {', '.join(KEYWORDS)}")
    flags = []
    while match := re.match(r"(--\S+)\s*", rest):
        flags.append(match[1])
        rest = rest[match.end() :]
    return Instruction(line, keyword.upper(), tuple(flags), rest, exec_form(rest))


def exec_form(value: str) -> tuple[str, ...] | None:
    """The words of a JSON list of texts; None for anything else."""
    try:
        words = json.loads(value)
    except ValueError:
        return None
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        return tuple(words)
    return None


def _heredocs(value: str) -> list[tuple[str, str]]:
    """Whether tabs go, and the closing word, of each `<<WORD` in a value."""
    return [
        (dash, word)
        for dash, _, word in re.findall(r"(?<![<\w])<<(-?)([\"']?)([A-Za-z_]\w*)\2(?![\w<])", value)
    ]


def _heredoc(lines: Sequence[str], at: int, tabs: bool, word: str, line: int) -> tuple[str, int]:
    """The text up to the line that is `word`, and the index after it."""
    content = []
    for index in range(at, len(lines)):
        one = lines[index].lstrip("\t") if tabs else lines[index]
        if one == word:
            return "".join(f"{each}\n" for each in content), index + 1
        content.append(one)
    raise ValueError(f"line {line}: the text that <<{word} begins has no line {word} to end it")


def stages(parsed: Sequence[Instruction], arguments: Mapping[str, str] | None = None) -> list[Stage]:
    """The stages that the instructions make, in order.

    Before the first FROM there may be ARG alone. What it sets is for the FROM lines: `$NAME`, `${NAME}` and
    `${NAME:-other}`, which is `other` where NAME is not set or empty. `arguments` are build arguments, which win
    over an ARG's default, and do nothing without an ARG. `FROM base AS name` names a stage, in any case; a later
    FROM of that name stands on it. A stage stands on an earlier one only.

    Raises ValueError that names the line and what stands there: an instruction before the first FROM, a variable
    that nothing sets, a FROM of another form. Raises ValueError where there is no FROM.
    """
    given, known = dict(arguments or {}), dict[str, str]()
    found: list[Stage] = []
    for one in parsed:
        if one.keyword == "FROM":
            base, name = _from(one, known)
            numbers = {stage.name: index for index, stage in enumerate(found)}
            found.append(
                Stage(name or str(len(found)), base, numbers.get(base.lower()), one.line, instructions=())
            )
        elif found:
            last = found[-1]
            found[-1] = Stage(last.name, last.base, last.parent, last.line, (*last.instructions, one))
        elif one.keyword == "ARG":
            for name, value in assignments(one.value):
                default = None if value is None else _filled(value, known, one.line)
                if (chosen := given.get(name, default)) is not None:
                    known[name] = chosen
        else:
            raise ValueError(
                f"line {one.line}: {one.keyword} stands before the first FROM; there ARG alone may"
            )
    if not found:
        raise ValueError("there is no FROM, so there is no image")
    return found


def _from(one: Instruction, known: Mapping[str, str]) -> tuple[str, str]:
    match = re.fullmatch(r"(\S+)(?:\s+AS\s+(\S+))?", one.value, re.IGNORECASE)
    if not match:
        raise ValueError(f"line {one.line}: FROM {one.value!r} should be FROM image, or FROM image AS name")
    return _filled(match[1], known, one.line), (match[2] or "").lower()


def _filled(text: str, known: Mapping[str, str], line: int) -> str:
    """The text with its variables filled in."""

    def value(match: re.Match[str]) -> str:
        name, other = match[1] or match[3], match[2]
        if other is not None:
            return known.get(name) or other
        if name not in known:
            raise ValueError(f"line {line}: nothing sets {name}")
        return known[name]

    return re.sub(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))", value, text).strip("\"'")


def assignments(value: str) -> Iterator[tuple[str, str | None]]:
    """The names that an ARG or ENV sets, each with its value, None where it has none.

    `A=1 B="two words"` sets two; `A two words`, an old form of ENV, sets one.
    """
    pairs = re.findall(r"([^\s=]+)(?:=(\"(?:\\.|[^\"])*\"|'[^']*'|(?:\\.|\S)*))?", value)
    if "=" not in value.partition(" ")[0] and " " in value.strip():
        name, _, rest = value.strip().partition(" ")
        if "=" not in rest:
            yield name, rest.strip()
            return
    for match in pairs:
        name, text = match
        yield name, text.strip("\"'") if f"{name}=" in value else None


def inherited(found: Sequence[Stage], index: int) -> list[Instruction]:
    """All that makes a stage: the instructions of the stages it stands on, from the lowest, then its own."""
    stage = found[index]
    below = [] if stage.parent is None else inherited(found, stage.parent)
    return [*below, *stage.instructions]
