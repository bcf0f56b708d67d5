"""One tokenizer for all models: special tokens, batches, arrays, and files.

tokenizer = Tokenizer(ByteBPE.train(texts, 10_000), {"<|endoftext|>": 10_000})
tokenizer.encode("Once upon a time.<|endoftext|>", allowed_special="all")
"""

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from operator import index
from typing import Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Int32

from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.given.added import AddedTokens
from phase01_foundation.project02_tokenizer.pretokenize import to_bytes
from phase01_foundation.project02_tokenizer.special import All, refuse_special, resolve_special, split_special


@runtime_checkable
class Model(Protocol):
    """What turns ordinary text into ids and back: CharTokenizer, WordTokenizer, ByteBPE."""

    @property
    def vocab_size(self) -> int: ...

    def encode(self, text: str) -> list[int]: ...

    def decode(self, ids: Iterable[int]) -> str: ...


AnyModel = TypeVar("AnyModel", bound=Model)


class Tokenizer(Generic[AnyModel]):
    """A model, its special tokens, and its added tokens, if there are any.

    Encoding takes `allowed_special` and `disallowed_special`, each "all" or a set of names, with tiktoken's meaning:
    an allowed special token in a text gets its id; a disallowed one is refused with a ValueError; one that is neither
    is ordinary text. Unless told otherwise, none is allowed and all are refused.
    """

    def __init__(
        self,
        model: AnyModel,
        special_tokens: Mapping[str, int] | None = None,
        added_tokens: AddedTokens | None = None,
    ):
        """`special_tokens` are ids by name. Raises ValueError for an empty name, and for an id that cannot be had."""
        self.model = model
        self.special_tokens = dict(special_tokens or {})
        self.added_tokens = added_tokens or AddedTokens({})
        taken = set(model.tokens) if isinstance(model, ByteBPE) else set(range(model.vocab_size))
        for name, id in [*self.special_tokens.items(), *self.added_tokens.ids.items()]:
            if not name:
                raise ValueError("a special or added token has an empty name")
            if not isinstance(id, int) or not 0 <= id < 2**31:
                raise ValueError(f"the token {name!r} cannot have the id {id}: ids go from 0 to {2**31 - 1}")
            # A token of the model's may be an added one too: its id is the same text.
            if id in taken and not (isinstance(model, ByteBPE) and model.tokens.get(id) == name.encode()):
                raise ValueError(f"the token {name!r} cannot have the id {id}: it is taken")
            taken.add(id)
        if both := self.special_tokens.keys() & self.added_tokens.ids.keys():
            raise ValueError(f"{min(both)!r} cannot be a special token and an added one")
        self._special_of = {id: name for name, id in (self.special_tokens | self.added_tokens.ids).items()}

    @property
    def vocab_size(self) -> int:
        """One more than the highest id: how many rows a model's embedding needs."""
        return max([self.model.vocab_size - 1, *self._special_of]) + 1

    def encode(
        self,
        text: str,
        *,
        allowed_special: All | Collection[str] = (),
        disallowed_special: All | Collection[str] = "all",
    ) -> list[int]:
        """The ids of a text: those of its ordinary parts (`encode_ordinary`), and of the allowed special tokens.

        Raises ValueError for a special token that is disallowed, as `refuse_special` does, and for one that is not
        known, as `resolve_special` does, even where the text holds none.
        """
        allowed, refused = self._resolve(allowed_special, disallowed_special)
        refuse_special(text, refused)
        if not allowed:
            return self.encode_ordinary(text)
        ids: list[int] = []
        for part in split_special(text, allowed):
            ids += [self.special_tokens[part]] if part in allowed else self.encode_ordinary(part)
        return ids

    def encode_ordinary(self, text: str) -> list[int]:
        """The ids of a text in which special tokens are ordinary text: the added tokens' own, and the model's."""
        if not self.added_tokens.ids:
            return self.model.encode(text)
        parts = self.added_tokens.split(text)
        return [id for part, own in parts for id in (self.model.encode(part) if own is None else [own])]

    def encode_to_array(
        self,
        text: str,
        *,
        allowed_special: All | Collection[str] = (),
        disallowed_special: All | Collection[str] = "all",
    ) -> Int32[np.ndarray, " tokens"]:
        """As `encode`, without a Python object for every id: for texts of many megabytes."""
        allowed, refused = self._resolve(allowed_special, disallowed_special)
        refuse_special(text, refused)
        parts = [
            np.array([self.special_tokens[part]], dtype=np.int32) if part in allowed else self._array(part)
            for part in split_special(text, allowed)
        ]
        return np.concatenate(parts)

    def encode_batch(
        self,
        texts: Iterable[str],
        *,
        allowed_special: All | Collection[str] = (),
        disallowed_special: All | Collection[str] = "all",
        threads: int = 1,
    ) -> list[list[int]]:
        """The ids of each text. More threads help with ByteBPE in C++ alone; Python runs one at a time."""
        if threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")

        def encode(text: str) -> list[int]:
            return self.encode(text, allowed_special=allowed_special, disallowed_special=disallowed_special)

        if threads == 1:
            return [encode(text) for text in texts]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(encode, texts))

    def decode(self, ids: Iterable[int]) -> str:
        """The text whose ids these are, special tokens by their names.

        Raises ValueError for an unknown id, and TypeError for what is no whole number.
        A character of which not all bytes are there becomes U+FFFD, the replacement character.
        """
        return self.decode_bytes(map(index, ids)).decode(errors="replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The UTF-8 of the text, special tokens by their names. Raises ValueError for an unknown id, naming it.

        With a ByteBPE nothing is replaced, though some tokens are parts of a character. Other models have `decode`
        alone, and their text is made bytes.
        """
        parts = []
        for special, run in groupby(ids, key=self._special_of.__contains__):
            if special:
                parts += [self._special_of[id].encode() for id in run]
            elif isinstance(self.model, ByteBPE):
                parts.append(self.model.decode_bytes(run))
            else:
                parts.append(self.model.decode(run).encode())
        return b"".join(parts)

    def _resolve(
        self, allowed: All | Collection[str], disallowed: All | Collection[str]
    ) -> tuple[Collection[str], Collection[str]]:
        """As `resolve_special`, which would take half of the time of a short text, for the usual arguments too."""
        if allowed == () and disallowed == "all":
            return (), self.special_tokens
        return resolve_special(self.special_tokens, allowed, disallowed)

    def _array(self, text: str) -> Int32[np.ndarray, " tokens"]:
        if isinstance(self.model, ByteBPE) and not self.added_tokens.ids:
            return self.model.encode_bytes(to_bytes(text))
        return np.array(self.encode_ordinary(text), dtype=np.int32)
