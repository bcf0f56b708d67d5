"""Text data sets of the Hugging Face hub, line by line, through the library `datasets`. They are never held whole."""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from shared.corpora.catalogue import HubSplit
from shared.corpora.download import DownloadError, reach


def described(which: HubSplit) -> str:
    """A split of a data set in words."""
    return f"the hub's {which.dataset}, {which.config}, {which.split}, revision {which.revision[:8]}"


def hub_lines(which: HubSplit) -> Iterator[str]:
    """The rows of a split, each as a line that ends in a line end.

    Raises DownloadError: at once when LADDER_OFFLINE is set, after at most 5 s when the hub does not answer, when
    `datasets` is not installed, and, while reading, when the transfer breaks off.
    """
    # `datasets` would try a dead network for minutes.
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    reach(f"{endpoint}/api/datasets/{which.dataset}/revision/{which.revision}")
    try:
        import datasets  # takes seconds, and only who asks for it needs it
    except ImportError as problem:
        raise DownloadError(
            f"the library datasets cannot be imported ({problem}); `make setup` installs it"
        ) from None
    try:
        rows = datasets.load_dataset(
            which.dataset, which.config, split=which.split, revision=which.revision, streaming=True
        )
    except Exception as problem:  # the library raises errors of many others
        raise DownloadError(_reason(problem)) from problem
    return _lines(rows)


def _lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    try:
        for row in rows:
            text = row["text"]
            yield text if text.endswith("\n") else f"{text}\n"
    except Exception as problem:
        raise DownloadError(_reason(problem)) from problem


def _reason(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}"
