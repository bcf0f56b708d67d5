"""What goes wrong when an image runs: a signal that never arrives, a root user, a compiler for whoever breaks in.

A rule takes all that makes the image's last stage, those it stands on included (`inherited`), and gives its first
fault, or None. Of CMD, ENTRYPOINT, USER and HEALTHCHECK the last one in an image counts.
"""

import re
from collections.abc import Iterable, Sequence

from phase10_deployment.project29_docker.dockerfile import Instruction, Stage, inherited
from phase10_deployment.project29_docker.given.fault import Fault
from phase10_deployment.project29_docker.given.shell import commands, installed

SHELLS = ("sh", "bash", "ash", "dash")
COMPILERS = re.compile(
    r"(gcc|g\+\+|clang|cpp|make|cmake|build-essential|build-base|rustc|cargo|golang|musl-dev)(-[\d.]+)?"
)
"""the packages that are compilers or build with one, with a version or without"""


def running_faults(found: Sequence[Stage]) -> list[Fault]:
    """The faults of the image that the last stage makes, at most one a rule."""
    made = inherited(found, len(found) - 1)
    rules = (shell_form, root, under_root, compiler, no_healthcheck, pip_inside)
    return [fault for rule in rules if (fault := rule(made))]


def last(made: Iterable[Instruction], keyword: str) -> Instruction | None:
    """The last instruction with this keyword, the one that counts."""
    return next((one for one in reversed(list(made)) if one.keyword == keyword), None)


def shell_form(made: Sequence[Instruction]) -> Fault | None:
    """Rule `shell-form`: ENTRYPOINT, then CMD, has an exec form that starts the program and no shell.

    In the shell form `sh -c` is process 1. It passes no SIGTERM on, so Docker waits ten seconds and kills the
    server, with all requests in it. The exec form of a shell is as bad: a first word that is one of SHELLS, with
    any path before it, then `-c` and a command that does not begin with `exec `. The place is `line 7`, that of the
    instruction.
    """
    for keyword in ("ENTRYPOINT", "CMD"):
        one = last(made, keyword)
        if one is None:
            continue
        if one.words is None:
            return Fault("shell-form", f"line {one.line}", f'{keyword} {one.value}: write it as ["word", …]')
        program = one.words[0].rpartition("/")[2] if one.words else ""
        if program in SHELLS and "-c" in one.words[:-1]:
            script = one.words[one.words.index("-c") + 1]
            if not script.startswith("exec "):
                return Fault(
                    "shell-form", f"line {one.line}", f"{keyword} starts a shell that stays process 1"
                )
    return None


def root(made: Sequence[Instruction]) -> Fault | None:
    """Rule `root`: USER is a number, and not 0. Of `10001:10001` the part before the colon is the user.

    A name will not do: Kubernetes' runAsNonRoot cannot tell whether `app` is root, and does not start it. The place
    is `line 7`, that of the USER; where there is none, `the image`.
    """
    user = last(made, "USER")
    if user is None:
        return Fault("root", "the image", "there is no USER, so it runs as root")
    name = user.value.partition(":")[0]
    if not name.isdigit() or int(name) == 0:
        return Fault("root", f"line {user.line}", f"USER {user.value}: give a number, not 0, as 10001:10001")
    return None


def under_root(made: Sequence[Instruction]) -> Fault | None:
    """Rule `under-root`: nothing lies in /root, which no other user may enter.

    That is /root or what is below it (/rootfs is not) as a word of COPY or ADD, as a WORKDIR, or as one of the
    folders of PATH in an ENV. The place is `line 7`, that of the first such instruction.
    """
    for one in made:
        if one.keyword in ("COPY", "ADD"):
            places = one.words or tuple(one.value.split())
        elif one.keyword == "WORKDIR":
            places = (one.value,)
        elif one.keyword == "ENV" and (match := re.search(r"(?:^|\s)PATH=(\S+)", one.value)):
            places = tuple(match[1].strip("\"'").split(":"))
        else:
            continue
        if any(re.match(r"/root(/|$)", place) for place in places):
            return Fault(
                "under-root", f"line {one.line}", f"{one.keyword} {one.value}: only root may enter /root"
            )
    return None


def compiler(made: Sequence[Instruction]) -> Fault | None:
    """Rule `compiler`: no RUN installs one of COMPILERS with apt or apk (`installed` of given/shell.py tells).

    `g++=4:12.2` is g++. A compiler is hundreds of megabytes, and whoever breaks in can build what they like. The
    place is `line 7`, that of the first such RUN.
    """
    for run, tool, words in _installs(made):
        named = [word for word in words if COMPILERS.fullmatch(word.partition("=")[0])]
        if tool in ("apt", "apk") and named:
            return Fault("compiler", f"line {run.line}", f"{', '.join(named)}: compile in a stage before")
    return None


def pip_inside(made: Sequence[Instruction]) -> Fault | None:
    """Rule `pip-inside`: no RUN installs with pip; what it installs comes from another stage, by COPY.

    Else pip, its cache, and what it needs to build are in the image. The place is `line 7`, that of the first such
    RUN.
    """
    for run, tool, _ in _installs(made):
        if tool == "pip":
            return Fault(
                "pip-inside", f"line {run.line}", "pip installs here: copy from a stage where it has"
            )
    return None


def no_healthcheck(made: Sequence[Instruction]) -> Fault | None:
    """Rule `no-healthcheck`: there is a HEALTHCHECK, and the last one is not HEALTHCHECK NONE (in any case).

    Without one, a server that hangs looks well. The place is `line 7`, that of the NONE; else `the image`.
    """
    check = last(made, "HEALTHCHECK")
    if check is None:
        return Fault("no-healthcheck", "the image", "there is no HEALTHCHECK: a server that hangs looks well")
    if check.value.upper() == "NONE":
        return Fault("no-healthcheck", f"line {check.line}", "NONE: a server that hangs looks well")
    return None


def _installs(made: Sequence[Instruction]) -> list[tuple[Instruction, str, list[str]]]:
    """Each install in a RUN: the RUN, who installs, and the words after `install`."""
    return [
        (one, *found)
        for one in made
        if one.keyword == "RUN"
        for command in commands(one)
        if (found := installed(command))
    ]
