"""One file from the nearest place that has it: mirror, cache, download or the Hugging Face hub; checked if pinned."""

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from shared.corpora.catalogue import File, HubSplit
from shared.corpora.download import DownloadError, fetch, progress_bar
from shared.corpora.hub import described, hub_lines
from shared.files import data_folder, replacing, shown

Origin = Literal["mirror", "cache", "download", "embedded"]
ORIGINS: tuple[Origin, ...] = get_args(Origin)  # from near to far


class CorpusError(Exception):
    """A corpus cannot be had; the message says why, and what to do."""


class MirrorError(CorpusError):
    """LADDER_DATA_MIRROR names something that is no folder."""


class ChecksumError(CorpusError):
    """A file of the mirror is not the file it should be."""


class MissingCorpusError(CorpusError):
    """Neither mirror, cache nor network has a file of the corpus."""


@dataclass(frozen=True)
class Found:
    """A file that was found: on disk at `path`, or else its `content`. `where` says it in words."""

    origin: Origin
    where: str
    path: Path | None = None
    content: bytes = b""

    def read(self) -> bytes:
        """All bytes."""
        return self.path.read_bytes() if self.path else self.content

    def lines(self) -> Iterator[str]:
        """One line after another, each with its line end, without reading the whole file."""
        binary = self.path.open("rb") if self.path else io.BytesIO(self.content)
        with io.TextIOWrapper(binary, encoding="utf-8", newline="\n") as text:
            yield from text


def mirror_folder() -> Path | None:
    """The folder of LADDER_DATA_MIRROR, if it is set. Raises MirrorError if it is none."""
    name = os.environ.get("LADDER_DATA_MIRROR")
    if name and not Path(name).is_dir():
        raise MirrorError(f"LADDER_DATA_MIRROR is set to {name}, which is no folder; mend it or unset it")
    return Path(name) if name else None


def find(file: File, mirror: Path | None) -> Found:
    """A file from the first place that has it, checked. What comes over the network is kept in the cache.

    Raises ChecksumError for a wrong file in the mirror, and MissingCorpusError when no place has the file.
    """
    found, why = _nearby(file, mirror)
    if found:
        return found
    if file.hub:
        return _kept_from_hub(file, file.hub, why)
    if not file.url:
        raise _missing(file, f"{why}, and there is no download of it")
    try:
        content = fetch(file.url, file.size, file.sha256)
    except DownloadError as problem:
        raise _missing(file, f"{why}, and the download failed ({problem})") from None
    kept = keep(content, _cached(file))
    return Found("download", f"downloaded from {file.url}, {kept}, as {why}", content=content)


def find_lines(file: File, mirror: Path | None) -> tuple[Callable[[], Iterator[str]], str]:
    """What opens the lines of a file, read in bounded memory, and where they come from. What the hub has is not kept.

    Raises as `find` does.
    """
    found, why = _nearby(file, mirror)
    if not found and file.hub:
        try:
            opened = [hub_lines(file.hub)]
        except DownloadError as problem:
            raise _missing(file, f"{why}, and {described(file.hub)} cannot be read ({problem})") from None
        again = partial(hub_lines, file.hub)
        return (
            lambda: opened.pop() if opened else again(),
            f"streamed from {described(file.hub)}, not kept, as {why}",
        )
    found = found or find(file, mirror)
    return found.lines, found.where


def keep(content: bytes, path: Path) -> str:
    """Write a file into the cache; says where it is, or why it is not, as a clause."""
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as problem:
        return f"not kept (cannot write {shown(path.parent)}: {problem.strerror})"
    return f"kept in {shown(path.parent)}"


def _nearby(file: File, mirror: Path | None) -> tuple[Found | None, str]:
    """The file from the mirror or the cache; without it, why neither has it."""
    unchecked = "" if file.sha256 else " (its checksum is not known, so it is taken as it is)"
    if mirror and (mirror / file.path).is_file():
        _check(file, mirror / file.path)
        return Found("mirror", f"from the mirror {mirror / file.path}{unchecked}", mirror / file.path), ""
    tried = [f"the mirror {mirror} does not have it" if mirror else "no mirror is set (LADDER_DATA_MIRROR)"]
    cached, from_hub = _cached(file), _cached_from_hub(file.hub) if file.hub else None
    if cached.is_file():
        try:
            _check(file, cached)
            where = f"from the cache {shown(cached)}{unchecked}, as {tried[0]}"
            return Found("cache", where, cached), ""
        except ChecksumError:
            tried.append(f"the cached file {shown(cached)} is broken")
    elif not (from_hub and from_hub.is_file()):
        tried.append("it is not in the cache")
    if from_hub and from_hub.is_file():
        return Found("cache", f"from the cache {shown(from_hub)}, as {', '.join(tried)}", from_hub), ""
    return None, ", ".join(tried)


def _cached(file: File) -> Path:
    return data_folder() / "corpora" / file.path


def _cached_from_hub(hub: HubSplit) -> Path:
    """Not the place of the pinned file: the hub's text is another file, and bears its revision."""
    return data_folder() / "corpora" / "hub" / hub.dataset / hub.config / hub.revision / f"{hub.split}.txt"


def _kept_from_hub(file: File, hub: HubSplit, why: str) -> Found:
    cached, where = _cached_from_hub(hub), described(hub)
    try:
        with replacing(cached) as temporary, open(temporary, "wb") as out, progress_bar() as progress:
            task = progress.add_task(f"reading {where}", total=None)
            for line in hub_lines(hub):
                progress.advance(task, out.write(line.encode()))
    except DownloadError as problem:
        raise _missing(file, f"{why}, and {where} cannot be read ({problem})") from None
    except OSError as problem:
        place = shown(cached.parent)
        raise _missing(file, f"{why}, and {place} cannot be written ({problem.strerror})") from None
    return Found("download", f"read from {where}, kept in {shown(cached.parent)}, as {why}", cached)


def _missing(file: File, why: str) -> MissingCorpusError:
    remedy = "Set LADDER_DATA_MIRROR to a folder that holds it."
    return MissingCorpusError(f"{file.path} cannot be had: {why}. {remedy}")


def _check(file: File, path: Path) -> None:
    """Raises ChecksumError if the file at `path` is not the pinned one."""
    if not file.sha256:
        return
    with open(path, "rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != file.sha256:
        raise ChecksumError(
            f"{path} is not the file it should be. Expected sha256 {file.sha256}, {file.size:,} bytes; "
            f"found {found}, {path.stat().st_size:,} bytes. Put the right file there, or delete it."
        )
