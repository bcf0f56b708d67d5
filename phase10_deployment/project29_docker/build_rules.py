"""What goes wrong when an image is built: secrets that stay in it, another base each time, a cache that never hits."""

import re
from collections.abc import Sequence

from phase10_deployment.project29_docker.dockerfile import Instruction, Stage, assignments
from phase10_deployment.project29_docker.given.fault import Fault
from phase10_deployment.project29_docker.given.shell import commands, installed

SECRET = (
    "auth",
    "apikey",
    "credential",
    "credentials",
    "key",
    "passwd",
    "password",
    "pwd",
    "secret",
    "token",
)
"""the words that make a variable's name one of a secret"""
LISTS = "/var/lib/apt/lists"
PINS = (".txt", ".toml", ".lock", ".cfg")
"""the ends of files that say what to install: copying one of these before an install is right"""
TAKES = (
    "-r",
    "-c",
    "-t",
    "-i",
    "-f",
    "--requirement",
    "--constraint",
    "--target",
    "--index-url",
    "--find-links",
)
"""pip's options whose argument is the next word"""


def building_faults(found: Sequence[Stage]) -> list[Fault]:
    """The faults of all stages, in the order of their lines."""
    faults = unpinned(found)
    for stage in found:
        for one in stage.instructions:
            faults += [
                Fault(name, f"line {one.line}", said)
                for name, rule in RULES.items()
                if (said := rule(one)) is not None
            ]
        faults += cache_order(stage)
    return sorted(faults, key=lambda fault: int(fault.place.removeprefix("line ")))


def unpinned(found: Sequence[Stage]) -> list[Fault]:
    """Rule `unpinned`: an image from elsewhere is named with a tag other than `latest`, or with a digest (`@sha256:…`).

    It holds for the base of a stage without a parent, but for `scratch`, which is no image; place: `line 7`, that
    of the FROM. And for what a COPY's flag --from= names, unless that is an earlier stage, by name (in any case) or
    by number; place: the line of the COPY. A port is no tag: `registry:5000/app` has none. In the order of the
    lines.
    """
    faults, earlier = [], set[str]()
    for index, stage in enumerate(found):
        if stage.parent is None and stage.base != "scratch" and _is_loose(stage.base):
            faults.append(
                Fault("unpinned", f"line {stage.line}", f"FROM {stage.base}: name a tag, or a digest")
            )
        for one in stage.instructions:
            for flag in one.flags if one.keyword == "COPY" else ():
                source = flag.removeprefix("--from=")
                if source != flag and source.lower() not in earlier and _is_loose(source):
                    faults.append(
                        Fault("unpinned", f"line {one.line}", f"{source} is no stage, and has no tag")
                    )
        earlier |= {stage.name, str(index)}
    return faults


def _is_loose(image: str) -> bool:
    """Whether an image's name leaves open which one it is."""
    if "@sha256:" in image:
        return False
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return not colon or tag == "latest"


def secret(one: Instruction) -> str | None:
    """Rule `secret`: what to say of an instruction that leaves a secret in the image's history; None if it leaves none.

    ARG or ENV sets or takes a variable (`assignments`) of which a word between underscores, in any case, is one of
    SECRET: HF_TOKEN is one; MAX_TOKENS, and KEYBOARD, are none. Or an instruction of any kind has a password in a
    URL, `https://name:password@host`, in its value or its heredocs. What to say names the variables; it never says
    the password. (A secret that a RUN needs: --mount=type=secret.)
    """
    if one.keyword in ("ARG", "ENV"):
        named = [name for name, _ in assignments(one.value) if set(name.lower().split("_")) & set(SECRET)]
        if named:
            return f"{one.keyword} {', '.join(named)} stays in the image: use RUN --mount=type=secret"
    if any(re.search(r"https?://[^/\s:@]+:[^/\s@]+@", text) for text in (one.value, *one.heredocs)):
        return "a password in a URL stays in the image: use RUN --mount=type=secret"
    return None


def remote_add(one: Instruction) -> str | None:
    """Rule `remote-add`: what to say of an ADD of an http or https URL without a flag --checksum=; else None.

    A URL is a word that begins so, in the exec form too. Without a checksum nobody knows what arrives.
    """
    if one.keyword != "ADD" or any(flag.startswith("--checksum=") for flag in one.flags):
        return None
    urls = [word for word in one.words or one.value.split() if re.match(r"https?://", word)]
    return f"ADD {', '.join(urls)}: give --checksum=sha256:…" if urls else None


def stale_lists(one: Instruction) -> str | None:
    """Rule `apt-stale`: what to say of a RUN that installs with apt and does not update in the same RUN; else None.

    An update in a layer of its own is taken from the cache: its lists are months old, and the versions they name
    gone.
    """
    if one.keyword != "RUN":
        return None
    done = commands(one)
    installs = any((installed(command) or ("",))[0] == "apt" for command in done)
    if not installs or _updates(done):
        return None
    return "apt installs by lists of another layer: apt-get update in the same RUN"


def kept_lists(one: Instruction) -> str | None:
    """Rule `apt-kept`: what to say of a RUN that updates apt's lists and leaves them in its layer; else None.

    It leaves them unless the same RUN removes them (rm, with a word that begins with LISTS), or has a flag --mount=
    that names LISTS, as a cache or a tmpfs. Removing them in a later RUN saves nothing: the earlier layer has them.
    """
    if one.keyword != "RUN" or not _updates(done := commands(one)):
        return None
    removed = any(command[0] == "rm" and any(word.startswith(LISTS) for word in command) for command in done)
    mounted = any(flag.startswith("--mount=") and LISTS in flag for flag in one.flags)
    return None if removed or mounted else f"apt's lists stay in this layer: rm -rf {LISTS}/* in the same RUN"


def _updates(done: Sequence[Sequence[str]]) -> bool:
    return any(command[0] in ("apt-get", "apt") and "update" in command for command in done)


def loose_packages(one: Instruction) -> str | None:
    """Rule `unpinned-package`: what to say of a RUN with which pip installs packages by bare names; else None.

    A bare name is a word after `install` that does not begin with a dash or a dot, holds none of = < > @ / and is
    not the argument of an option of TAKES. With -c, --constraint (also --constraint=…) or --no-deps among the
    words, that install is right, whatever it names. What to say names the packages.
    """
    loose = []
    for command in commands(one) if one.keyword == "RUN" else ():
        tool, words = installed(command) or ("", [])
        if tool == "pip" and not any(
            word in ("-c", "--no-deps") or word.startswith("--constraint") for word in words
        ):
            loose += [
                word
                for word, before in zip(words, ["", *words], strict=False)
                if before not in TAKES and not word.startswith(("-", ".")) and not re.search(r"[=<>@/]", word)
            ]
    return f"pip installs {', '.join(loose)} in whatever version: give -c constraints.txt" if loose else None


RULES = {
    "secret": secret,
    "remote-add": remote_add,
    "apt-stale": stale_lists,
    "apt-kept": kept_lists,
    "unpinned-package": loose_packages,
}
"""the rules that look at one instruction"""


def cache_order(stage: Stage) -> list[Fault]:
    """Rule `cache-order`: in a stage, the code is copied after packages are installed. A fault for each COPY before.

    Else every change of a line installs all of them anew. An install is a RUN with apt, apk or pip (`installed`),
    unless --no-deps is among its words: that installs the code itself. Code is what COPY or ADD takes from the
    context, all its words but the last, that does not end as one of PINS; with a flag --from= it comes from a
    stage, and a heredoc is no code either. The place is `line 7`, that of the COPY.
    """
    installs = [
        one.line
        for one in stage.instructions
        if one.keyword == "RUN"
        and any(found and "--no-deps" not in found[1] for found in map(installed, commands(one)))
    ]
    faults = []
    for one in stage.instructions:
        if one.keyword not in ("COPY", "ADD") or one.heredocs:
            continue
        sources = (one.words or one.value.split())[:-1]
        code = [source for source in sources if not source.endswith(PINS)]
        from_context = not any(flag.startswith("--from=") for flag in one.flags)
        if code and from_context and any(line > one.line for line in installs):
            said = f"{', '.join(code)} is copied before packages are installed"
            faults.append(Fault("cache-order", f"line {one.line}", said))
    return faults
