"""Batches from a stream of documents: tokenised on the way, shuffled in a buffer, never held whole.

    batches = StreamingBatches(
        lambda start: stream("wikitext103", "train", start=start),
        tokenizer, context_length=512, batch_size=32,
    )
    batches.next()["tokens"]  # (32, 512)

The same documents, seed and buffer give the same rows, on one process or many, stopped and resumed or not.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
import torch
from jaxtyping import Int32, Int64
from torch import Tensor

from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain.batches import check_shares
from phase01_foundation.project03_pretrain.token_file import END_OF_TEXT


class StreamingBatches:
    """Rows of `context_length` tokens and their successors, out of documents that come one by one.

    Every document is led by the end-of-text token, as in a token file. Together they make one long text, cut into
    rows without a gap: the last target of a row is the first token of the next. When the documents end, they begin
    anew; each comes once in every pass.

    `documents(start)` gives the documents from number `start` on, always the same ones in the same order. With
    `buffer_size` documents in memory, the next is drawn from them at random (1 keeps their order). Of `world_size`
    processes, the one of number `rank` gets its share of every batch's rows: all of them together get what one alone
    would. Each tokenises all documents, which is cheap beside training on them.
    """

    def __init__(
        self,
        documents: Callable[[int], Iterable[str]],
        tokenizer: Tokenizer,
        *,
        context_length: int,
        batch_size: int,
        buffer_size: int = 1000,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ):
        """`batch_size` is in rows, of all processes together.

        Raises ValueError for settings that cannot be, and for documents of which there is none.
        """
        for name, value in (("context_length", context_length), ("buffer_size", buffer_size)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        check_shares(batch_size, rank, world_size)
        if END_OF_TEXT not in tokenizer.special_tokens:
            known = ", ".join(tokenizer.special_tokens) or "none"
            raise ValueError(f"the tokenizer needs the special token {END_OF_TEXT}; it has {known}")
        self.context_length, self.batch_size = context_length, batch_size
        self.rank, self.world_size = rank, world_size
        self.passes = 0  # through all documents, completed
        self._settings = {"vocab_size": tokenizer.vocab_size, "buffer_size": buffer_size, "seed": seed}
        self._tokenizer, self._end = tokenizer, tokenizer.special_tokens[END_OF_TEXT]
        self._buffer_size = buffer_size
        self._open = documents
        self._documents = self._from_the_first()
        self._drawn = 0  # documents taken from this pass so far
        self._buffer: list[Int32[np.ndarray, " tokens"]] = []
        self._generator = torch.Generator().manual_seed(seed)
        self._waiting = np.empty(0, dtype=np.int32)  # tokens that are in no row yet

    def next(self) -> dict[str, Int64[Tensor, "rows time"]]:
        """This process's rows of the next batch: {"tokens": (rows, time), "targets": (rows, time)}, int64.

        rows = batch_size / world_size, and time = context_length. Targets are the tokens, one place later. A batch
        is the next batch_size × context_length tokens of the long text, and the first process has the first of its
        rows. `_waiting` keeps the tokens of documents that were drawn and are in no row yet, the last target too.
        """
        size = self.batch_size * self.context_length
        parts, missing = [self._waiting], size + 1 - len(self._waiting)
        while missing > 0:
            parts.append(self.next_document())
            missing -= len(parts[-1])
        text = np.concatenate(parts)
        self._waiting = text[size:].copy()  # its first token was the batch's last target
        share = size // self.world_size
        mine = torch.from_numpy(text[self.rank * share : (self.rank + 1) * share + 1].astype(np.int64))
        return {
            "tokens": mine[:-1].view(-1, self.context_length),
            "targets": mine[1:].view(-1, self.context_length),
        }

    def next_document(self) -> Int32[np.ndarray, " tokens"]:
        """The end-of-text token and the tokens of a document, drawn at random from the buffer.

        The buffer is filled before (`_fill`): up to `buffer_size` documents, as long as this pass has more. It runs
        empty before the next pass begins (`_from_the_first`), so that no document comes twice in a pass. `passes`
        counts those that are completed, and `_drawn` the documents read in this one.
        """
        if not self._fill():
            self.passes, self._drawn = self.passes + 1, 0
            self._documents = self._from_the_first()
            self._fill()
        place = int(torch.randint(len(self._buffer), (), generator=self._generator))
        self._buffer[place], self._buffer[-1] = self._buffer[-1], self._buffer[place]
        return self._buffer.pop()

    def state_dict(self) -> dict[str, Any]:
        """Where the stream stands, for shared.checkpoint: numbers, strings and tensors. The same on every rank.

        That is all that decides the rows to come: `_settings`, `passes`, `_drawn`, the tokens of the documents in the
        buffer, in their order, so that resuming reads none of them again, `_waiting`, and the generator's state. It
        stays as it is while the stream goes on.
        """
        tokens = np.concatenate([np.empty(0, dtype=np.int32), *self._buffer])
        return {
            "settings": self._settings,
            "passes": self.passes,
            "drawn": self._drawn,
            "buffer": torch.from_numpy(tokens),
            "lengths": torch.tensor([len(document) for document in self._buffer], dtype=torch.int64),
            "waiting": torch.from_numpy(self._waiting),
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was called: the rows are the same, bit for bit, as without a stop.

        Batch size and number of processes may be others than before: then the rows are cut anew from the same text.
        The state stays as it is, and can be loaded again. Raises ValueError for a state made with another vocabulary,
        buffer size or seed, naming it (vocab_size, buffer_size or seed) and both values.
        """
        for name, value in self._settings.items():
            if (before := state["settings"][name]) != value:
                raise ValueError(
                    f"the saved stream has {name} {before!r}, and this one {value!r}; they must agree"
                )
        self.passes, self._drawn = state["passes"], state["drawn"]
        self._documents = iter(self._open(self._drawn))
        ends = np.cumsum(state["lengths"].numpy())
        self._buffer = np.split(state["buffer"].numpy(), ends)[:-1]
        self._waiting = state["waiting"].numpy()
        self._generator.set_state(state["generator"])

    def _fill(self) -> bool:
        """Tokenise documents into the buffer until it is full or the pass is over. False if it stays empty."""
        while len(self._buffer) < self._buffer_size:
            document = next(self._documents, None)
            if document is None:
                break
            self._drawn += 1
            ids = self._tokenizer.encode_to_array(
                document, allowed_special={END_OF_TEXT}, disallowed_special=()
            )
            self._buffer.append(np.concatenate([np.array([self._end], dtype=np.int32), ids]))
        return bool(self._buffer)

    def _from_the_first(self) -> Iterator[str]:
        """A new pass. Raises ValueError when it has no document."""
        documents = iter(self._open(0))
        for first in documents:
            return chain([first], documents)
        raise ValueError("there are no documents: documents(0) ended before the first one")
