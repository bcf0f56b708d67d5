"""A corpus, tokenised once, to a file of ids that is mapped into memory: training reads it as if it were an array.

The file is a plain .npy of unsigned numbers, two bytes an id where the vocabulary fits, so a billion tokens take 2 GB
of disk and, while training, no more memory than the pages in use.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from jaxtyping import UInt

from phase01_foundation.project02_tokenizer import tokenizer_json
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from shared.files import data_folder, replacing

END_OF_TEXT = "<|endoftext|>"


def write_tokens(path: Path, texts: Iterable[str], tokenizer: Tokenizer[Any]) -> int:
    """Encode texts, one after another, into a .npy file of ids; returns how many there are.

    They are uint16 where all ids of the vocabulary fit, else uint32. The end-of-text token, where the tokenizer has
    one, comes before each text: it tells the model that what stands before has nothing to do with what follows, and a
    text that is to be written starts with it too. Where a text itself has "<|endoftext|>", that becomes the token;
    what looks like any other special token is plain text (`tokenizer.encode_to_array`).

    Memory stays bounded by the longest text: a file is its header (`_write_header`) and then the ids' bytes. It
    appears only when it is whole (`replacing`). Raises ValueError, and leaves no file, when there is no token at all.
    """
    dtype = np.uint16 if tokenizer.vocab_size <= 2**16 else np.uint32
    end = tokenizer.special_tokens.get(END_OF_TEXT)
    allowed = set() if end is None else {END_OF_TEXT}
    count = 0
    with replacing(path) as temporary, open(temporary, "wb") as file:
        _write_header(file, 0, dtype)  # holds the place
        for text in texts:
            ids = tokenizer.encode_to_array(text, allowed_special=allowed, disallowed_special=())
            if end is not None:
                ids = np.concatenate([[end], ids])
            file.write(ids.astype(dtype).tobytes())
            count += len(ids)
        if not count:
            raise ValueError("there is no text to tokenise")
        file.seek(0)
        _write_header(file, count, dtype)
    return count


def _write_header(file: IO[bytes], count: int, dtype: type[np.unsignedinteger]) -> None:
    """Write a .npy file's header for `count` ids. It has the same length for any count: numpy leaves room in it."""
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)


def read_tokens(path: Path) -> UInt[np.ndarray, " tokens"]:
    """The ids of a file, mapped: nothing is read before it is used. Raises ValueError for another kind of file."""
    try:
        ids = np.lib.format.open_memmap(path, mode="r")
    except ValueError as problem:
        raise ValueError(f"{path} is no file of token ids: {problem}") from None
    if ids.ndim != 1 or ids.dtype not in (np.uint16, np.uint32):
        raise ValueError(f"{path} is no file of token ids: {ids.dtype}, shape {ids.shape}")
    return ids


def cached_tokens(
    name: str, texts: Callable[[], Iterable[str]], tokenizer: Tokenizer[Any]
) -> UInt[np.ndarray, " tokens"]:
    """The ids of a corpus split, encoded at the first call and kept in data/tokens/ for the next ones.

    `name` must say exactly which text it is; the tokenizer's own content is part of the file's name.
    """
    content = json.dumps(tokenizer_json.to_json(tokenizer), sort_keys=True)
    fingerprint = hashlib.sha256(content.encode()).hexdigest()[:12]
    path = data_folder() / "tokens" / f"{name}-{fingerprint}.npy"
    if not path.is_file():
        write_tokens(path, texts(), tokenizer)
    return read_tokens(path)
