"""Corpora by name, and other pinned files: the one door to them.

    corpora.load("shakespeare").split("train")
    corpora.stream("wikitext103", "train")

`reading` finds the text, from a mirror, the cache, a download or tinyworld; `catalogue` knows the corpora.
"""

from shared.corpora.catalogue import CATALOGUE, GITHUB, File
from shared.corpora.pinned import ChecksumError, CorpusError, MirrorError, MissingCorpusError
from shared.corpora.reading import (
    EMBEDDED,
    Corpus,
    UnknownCorpusError,
    UnknownSplitError,
    load,
    read_file,
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
    "UnknownCorpusError",
    "UnknownSplitError",
    "load",
    "read_file",
    "stream",
]
