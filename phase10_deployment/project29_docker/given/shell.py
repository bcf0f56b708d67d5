"""Splits what a RUN says into commands, as far as rules about Dockerfiles need it."""

import re
import shlex

from phase10_deployment.project29_docker.dockerfile import Instruction

INSTALLERS = {
    ("apt-get", "install"): "apt",
    ("apt", "install"): "apt",
    ("apk", "add"): "apk",
    ("pip", "install"): "pip",
    ("pip3", "install"): "pip",
    ("uv", "pip", "install"): "pip",
}


def commands(run: Instruction) -> list[list[str]]:
    """The words of each command of a RUN: `apt-get update && rm -rf x` are two. Heredocs are read, too.

    Words that only set variables go, and so does a path before a program: `/venv/bin/python -m pip install x` is
    `pip install x`.
    """
    text = run.value if not run.heredocs else "\n".join([re.sub(r"<<-?\S+", "", run.value), *run.heredocs])
    parts = [list(run.words)] if run.words else [_words(part) for part in re.split(r"&&|\|\||[;|\n]", text)]
    return [plain for part in parts if (plain := _plain(part))]


def _words(part: str) -> list[str]:
    try:
        return shlex.split(part, comments=True)
    except ValueError:  # an open quote: the splitting above went through a quoted text
        return part.split()


def _plain(words: list[str]) -> list[str]:
    while words and re.fullmatch(r"\w+=.*", words[0]):
        words = words[1:]
    if not words:
        return []
    program = words[0].rpartition("/")[2]
    if re.fullmatch(r"python[\d.]*", program) and words[1:3] == ["-m", "pip"]:
        return ["pip", *words[3:]]
    return [program, *words[1:]]


def installed(command: list[str]) -> tuple[str, list[str]] | None:
    """Who installs, apt, apk or pip, and the words after `install`; None for a command that installs nothing."""
    bare = [word for word in command if not word.startswith("-")]
    for start, tool in INSTALLERS.items():
        if tuple(bare[: len(start)]) == start:
            rest = command[command.index(start[-1]) + 1 :]
            return tool, rest
    return None
