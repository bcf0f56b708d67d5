"""What a build sends: the language of .dockerignore, in which a later line may take back an earlier one."""

import re
from collections.abc import Sequence


def patterns(text: str) -> list[str]:
    """The patterns of a .dockerignore file, in order, each as `ignored` wants it.

    A line that begins with `#` is a comment (one with a space before it is none). Space at the ends goes, empty
    lines go. A `!` at the beginning stays, and what stands after it is treated in the same way: a `/` at the
    beginning goes, slashes at the end go, and so do `./` at the beginning. A pattern of which nothing is left, or
    `.` alone, goes. A byte-order mark at the file's beginning goes.
    """
    found = []
    for line in text.removeprefix("\ufeff").splitlines():
        if line.startswith("#"):
            continue
        pattern = line.strip()
        bang = "!" if pattern.startswith("!") else ""
        pattern = pattern.removeprefix("!").strip()
        while pattern.startswith(("/", "./")):
            pattern = pattern.removeprefix("/").removeprefix("./")
        pattern = pattern.rstrip("/")
        if pattern not in ("", "."):
            found.append(bang + pattern)
    return found


def expression(pattern: str) -> re.Pattern[str]:
    r"""What a pattern (without `!`) matches, as a regular expression for `fullmatch` on a whole path.

    - `*` is any number of characters but `/`, `?` is one, `[a-z]` one of these, `[^a-z]` one that is none of these
      nor `/`.
    - `**` is any number of folders: `**/a` matches a, b/a and c/b/a; `a/**/b` matches a/b and a/x/y/b; `a/**`
      matches all below a, not a itself. Beside other characters, as in `a**b`, it is any characters or none, `/` too.
    - `\` makes the next character an ordinary one. All other characters are themselves.

    Raises ValueError that names the pattern where a `[` is not closed, a range runs backwards (`[z-a]`), or the
    pattern ends with a single `\`.
    """
    out, at = "", 0
    while at < len(pattern):
        rest = pattern[at:]
        if rest.startswith("**/"):
            out, at = out + "(?:.*/)?", at + 3
        elif rest.startswith("**"):
            out, at = out + ".*", at + 2
        elif rest[0] == "*":
            out, at = out + "[^/]*", at + 1
        elif rest[0] == "?":
            out, at = out + "[^/]", at + 1
        elif rest[0] == "[":
            end = pattern.find("]", at + 2)
            if end < 0:
                raise ValueError(f"in the pattern {pattern!r} a [ is not closed")
            inner = pattern[at + 1 : end]
            negated = inner.startswith("^")
            members = re.sub(r"([\\\[&~|])", r"\\\1", inner.removeprefix("^"))
            out, at = out + (f"[^/{members}]" if negated else f"(?!/)[{members}]"), end + 1
        elif rest[0] == "\\":
            if len(rest) == 1:
                raise ValueError(f"the pattern {pattern!r} ends with a single \\")
            out, at = out + re.escape(rest[1]), at + 2
        else:
            out, at = out + re.escape(rest[0]), at + 1
    try:
        return re.compile(out, re.DOTALL)
    except re.error:
        raise ValueError(f"in the pattern {pattern!r} a range runs backwards") from None


def ignored(pattern_list: Sequence[str], path: str) -> bool:
    """Whether a path of the context, with `/` between its parts and none at its ends, stays out of the build.

    A pattern matches a path when it matches the path itself or one of the folders it lies in: `data` also matches
    data/models/x. The last pattern that matches decides: the path stays out, or, when the pattern begins with `!`,
    it comes in. A path that no pattern matches comes in. (Docker's documentation, "Build context".)
    """
    parts = path.split("/")
    above = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    out = False
    for pattern in pattern_list:
        wanted = expression(pattern.removeprefix("!"))
        if any(wanted.fullmatch(place) for place in above):
            out = not pattern.startswith("!")
    return out
