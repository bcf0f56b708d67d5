"""What goes wrong when an image is built: secrets that stay in it, another base each time, a cache that never hits."""

import re
from collections.abc import Iterator, Sequence

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


def building_faults(found: Sequence[Stage]) -> list[Fault]:
    """What is wrong with how the image is built: in every stage, in the order of the lines.

    The rules; the place of each is the line of the instruction, `line 7`:

    - `unpinned`: the FROM of a stage without a parent names an image without a tag, or with the tag `latest`, and without
      a digest (`@sha256:…`). `scratch` is no image. A port is no tag: `registry:5000/app` has none. The same for
      COPY --from=, where it names neither a stage (by name or number) nor an image with tag or digest.
    - `secret`: ARG or ENV sets or takes a variable of which a word between underscores, in any case, is one of SECRET:
      HF_TOKEN is one, MAX_TOKENS and TOKENIZERS_PARALLELISM are none. Or an instruction's value has a password in a URL,
      `https://name:password@host`. Both can be read in the image's history. Once an instruction.
    - `remote-add`: ADD of an http or https URL without the flag --checksum: what arrives is not known.
    - `apt-update-alone`: a RUN installs with apt and does not update in the same RUN. An update in a layer of its own is
      taken from the cache, and its list is months old.
    - `apt-lists-kept`: a RUN updates apt's lists and neither removes /var/lib/apt/lists in the same RUN (rm with a path
      that begins so) nor has it as a cache or tmpfs mount (a flag --mount with that path). Removing them in a later RUN
      saves nothing.
    - `cache-order`: in a stage, a COPY or ADD of the context's code comes before a RUN that installs packages with pip
      or apt, so that every change of a line installs all anew. Code is a source, all words but the last, that does not
      end as one of PINS; what comes --from a stage is no code, and nor is a heredoc. An install of the code itself
      counts not: pip install with --no-deps. Place: the line of the COPY; once for each such COPY.
    - `unpinned-package`: pip installs packages by bare names: a word after `install` that does not begin with a dash, is
      no argument of -r, -c, -t, -i, -f or their long forms (--requirement, --constraint, --target, --index-url,
      --find-links), holds none of `=`, `<`, `>`, `@`, `/` and does not begin with `.`; unless -c, --constraint, or
      --no-deps is there.
    """
    faults: list[Fault] = []
    names: set[str] = set()
    for index, stage in enumerate(found):
        if stage.parent is None and _is_loose(stage.base):
            faults.append(
                Fault("unpinned", f"line {stage.line}", f"FROM {stage.base}: name a tag, or a digest")
            )
        for one in stage.instructions:
            message = {
                rule: text for rule, text in _of_one(one, names | {str(number) for number in range(index)})
            }
            faults += [Fault(rule, f"line {one.line}", text) for rule, text in message.items()]
        faults += _cache_order(stage)
        names.add(stage.name)
    return sorted(faults, key=lambda fault: int(fault.place.removeprefix("line ")))


def _is_loose(image: str) -> bool:
    """Whether an image's name leaves open which one it is."""
    if image == "scratch" or "@sha256:" in image:
        return False
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return not colon or tag == "latest"


def _of_one(one: Instruction, names: set[str]) -> Iterator[tuple[str, str]]:
    """The rules that one instruction breaks by itself, each with what to say."""
    if one.keyword == "COPY":
        for flag in one.flags:
            source = flag.removeprefix("--from=")
            if source != flag and source.lower() not in names and _is_loose(source):
                yield "unpinned", f"COPY --from={source}: no stage is called so, and the image has no tag"
    if one.keyword in ("ARG", "ENV"):
        named = [name for name, _ in assignments(one.value) if set(name.lower().split("_")) & set(SECRET)]
        if named:
            yield (
                "secret",
                f"{one.keyword} {', '.join(named)} stays in the image: use RUN --mount=type=secret",
            )
    if re.search(r"https?://[^/\s:@]+:[^/\s@]+@", one.value):
        yield "secret", "a password in a URL stays in the image: use RUN --mount=type=secret"
    if one.keyword == "ADD" and re.search(r"(^|\s)https?://", one.value) and not _has(one, "--checksum="):
        yield "remote-add", f"ADD {one.value}: give --checksum=sha256:…"
    if one.keyword == "RUN":
        yield from _of_run(one)


def _has(one: Instruction, start: str) -> bool:
    return any(flag.startswith(start) for flag in one.flags)


def _of_run(one: Instruction) -> Iterator[tuple[str, str]]:
    done = commands(one)
    updates = any(command[0] in ("apt-get", "apt") and "update" in command for command in done)
    installs = [found for command in done if (found := installed(command))]
    if any(tool == "apt" for tool, _ in installs) and not updates:
        yield "apt-update-alone", "apt installs from a list that another layer has: update in the same RUN"
    removes = any(command[0] == "rm" and any(word.startswith(LISTS) for word in command) for command in done)
    mounted = any(flag.startswith("--mount=") and LISTS in flag for flag in one.flags)
    if updates and not removes and not mounted:
        yield "apt-lists-kept", f"apt's lists stay in this layer: rm -rf {LISTS}/* in the same RUN"
    for tool, words in installs:
        if tool == "pip" and (loose := _loose_packages(words)):
            yield (
                "unpinned-package",
                f"pip installs {', '.join(loose)} in whatever version: give -c constraints.txt",
            )


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


def _loose_packages(words: Sequence[str]) -> list[str]:
    if any(word in ("-c", "--no-deps") or word.startswith("--constraint") for word in words):
        return []
    loose, before = [], ""
    for word in words:
        is_name = not word.startswith(("-", ".")) and not re.search(r"[=<>@/]", word)
        if is_name and before not in TAKES:
            loose.append(word)
        before = word
    return loose


def _cache_order(stage: Stage) -> Iterator[Fault]:
    installs = [one.line for one in stage.instructions if one.keyword == "RUN" and _installs_packages(one)]
    for one in stage.instructions:
        if one.keyword not in ("COPY", "ADD") or _has(one, "--from=") or one.heredocs:
            continue
        sources = (one.words or one.value.split())[:-1]
        code = [source for source in sources if not source.endswith(PINS)]
        if code and any(line > one.line for line in installs):
            yield Fault(
                "cache-order",
                f"line {one.line}",
                f"{', '.join(code)} is copied before packages are installed",
            )


def _installs_packages(one: Instruction) -> bool:
    return any(
        found and "--no-deps" not in found[1] for command in commands(one) for found in [installed(command)]
    )
