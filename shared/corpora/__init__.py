"""Corpora by name, and other pinned files: the one door to them.

    corpora.load("shakespeare").split("train")
    corpora.stream("wikitext103", "train")
    corpora.reader("wikitext103", ["train", "validation"])    # to be read more than once, and found once

`reading` finds the text, from a mirror, the cache, a download or tinyworld; `catalogue` knows the corpora.
"""

from shared.corpora.catalogue import CATALOGUE, GITHUB, File
from shared.corpora.pinned import ChecksumError, CorpusError, MirrorError, MissingCorpusError
from shared.corpora.reading import (
    EMBEDDED,
    Corpus,
    Reader,
    UnknownCorpusError,
    UnknownSplitError,
    load,
    read_file,
    reader,
    stream,
)

__all__ = [
    "CATALOGUE",
    "EMBEDDED",
    "GITHUB",
    "ChecksumError",
    "Corpus",
    "CorpusError",
    "File",
    "MirrorError",
    "MissingCorpusError",
    "Reader",
    "UnknownCorpusError",
    "UnknownSplitError",
    "load",
    "read_file",
    "reader",
    "stream",
]
