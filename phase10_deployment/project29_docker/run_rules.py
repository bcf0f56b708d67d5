"""What goes wrong when an image runs: a signal that never arrives, a root user, a compiler for whoever breaks in."""

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
    """What is wrong with the image that the last stage makes, when it runs; at most one fault a rule.

    All that counts is the last stage, with what it stands on (`inherited`). Of CMD, ENTRYPOINT, USER and HEALTHCHECK
    the last one counts. The rules, and the place of each, `line 7`:

    - `shell-form`: CMD or ENTRYPOINT is no exec form. Then `sh -c` is process 1, which passes no SIGTERM on, and Docker
      kills the server after ten seconds, with all its requests. The exec form of a shell is as bad: a first word that
      is one of SHELLS, with any path before it, then `-c` and a command that does not begin with `exec `. Place: its line.
    - `root`: no USER; or one that is not a number, for Kubernetes' runAsNonRoot can tell of a number only that it is not
      root (`USER app` does not start there); or 0. Of `10001:10001` the first part counts. Place: the line of the USER,
      without one that of the last stage's FROM.
    - `under-root`: something lies in /root, which no other user may enter: a COPY (or ADD) from or to there, a WORKDIR
      there, or a PATH in ENV that leads there. Place: the line of the first such.
    - `compiler`: a RUN installs one of COMPILERS (apt or apk; a version after `=` does not count). Place: its line.
    - `no-healthcheck`: no HEALTHCHECK, or HEALTHCHECK NONE. Place: as for root without a USER.
    - `no-pip`: a RUN installs with pip: then pip, its cache and what it builds with are in the image. What pip installs
      is copied from another stage. Place: its line.

    Returns them in this order.
    """
    made = inherited(found, len(found) - 1)
    start = f"line {found[-1].line}"
    checks = (
        _shell_form(made),
        _root(made, start),
        _under_root(made),
        _installs(made, "compiler"),
        _healthcheck(made, start),
        _installs(made, "no-pip"),
    )
    return [fault for fault in checks if fault]


def _last(made: Iterable[Instruction], keyword: str) -> Instruction | None:
    return next((one for one in reversed(list(made)) if one.keyword == keyword), None)


def _shell_form(made: Sequence[Instruction]) -> Fault | None:
    for keyword in ("ENTRYPOINT", "CMD"):
        one = _last(made, keyword)
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


def _root(made: Sequence[Instruction], start: str) -> Fault | None:
    user = _last(made, "USER")
    if user is None:
        return Fault("root", start, "there is no USER, so it runs as root")
    name = user.value.partition(":")[0]
    if not name.isdigit() or int(name) == 0:
        return Fault(
            "root", f"line {user.line}", f"USER {user.value} should be a number, not 0: USER 10001:10001"
        )
    return None


def _under_root(made: Sequence[Instruction]) -> Fault | None:
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


def _installs(made: Sequence[Instruction], rule: str) -> Fault | None:
    for one in made:
        if one.keyword != "RUN":
            continue
        for command in commands(one):
            tool, words = installed(command) or ("", [])
            if rule == "no-pip" and tool == "pip":
                return Fault(
                    rule, f"line {one.line}", "pip installs here: copy what it installs from a stage before"
                )
            named = [word for word in words if COMPILERS.fullmatch(word.partition("=")[0])]
            if rule == "compiler" and tool in ("apt", "apk") and named:
                return Fault(rule, f"line {one.line}", f"{', '.join(named)}: compile in a stage before")
    return None


def _healthcheck(made: Sequence[Instruction], start: str) -> Fault | None:
    check = _last(made, "HEALTHCHECK")
    if check is None:
        return Fault("no-healthcheck", start, "there is no HEALTHCHECK: a server that hangs looks well")
    if check.value.upper() == "NONE":
        return Fault(
            "no-healthcheck", f"line {check.line}", "HEALTHCHECK NONE: a server that hangs looks well"
        )
    return None
