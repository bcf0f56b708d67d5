"""From tokens to text as they come: whole characters, up to a stop text, and nothing that may yet become one.

    stop: "\\n\\n"         tokens     "Hi"   " there\\n"   "\\nBye"
                          comes out   "Hi"   " there"     "" and it has stopped

A stop text may be spread over tokens, begin inside one and end inside another; what comes out is the same however many
tokens a step brings.
"""

from codecs import getincrementaldecoder
from collections.abc import Sequence

from shared.phase01 import partial_stop_length


def first_stop(text: str, stops: Sequence[str], early: int = 0) -> tuple[int, str] | None:
    """Where the first stop text begins, and which it is: the leftmost, and of two that begin there the shorter.

    One counts only if it ends after the first `early` characters: those are of tokens that nothing may end. None where
    there is none.
    """
    found = []
    for stop in stops:
        start = text.find(stop, max(0, early - len(stop) + 1))
        if start >= 0:
            found.append((start, len(stop), stop))
    if not found:
        return None
    start, _, stop = min(found)
    return start, stop


class Detokenizer:
    """The text of one sequence: tokens in, one after the other; pieces of text out, as soon as they are certain.

    It sees what is written, and never the prompt: a stop text in the prompt stops nothing.
    """

    def __init__(
        self,
        pieces: Sequence[bytes],
        stop: Sequence[str] = (),
        include_stop: bool = False,
        min_tokens: int = 0,
    ):
        """`pieces` are the bytes of each token; the others are as in SamplingParams."""
        self.pieces, self.stop, self.include_stop, self.min_tokens = pieces, stop, include_stop, min_tokens
        self.text = ""
        """all that has come out"""
        self.count = 0
        """how many tokens have gone in"""
        self.stopped: str | None = None
        """the stop text that ended it"""
        self.waiting = ""
        """whole characters that have not come out: they may be the beginning of a stop text"""
        self.early = 0
        """how many characters of `waiting` are of the first `min_tokens` tokens"""
        self.decoder = getincrementaldecoder("utf-8")("replace")

    def add(self, token: int) -> str:
        """One more token; returns the text that has become certain by it, which may be none.

        Bytes of a character that is not whole wait in `decoder`. Bytes that are no UTF-8 become U+FFFD, as in decoding
        all at once. Once it has stopped, it takes no more: it returns "", and nothing changes.
        """
        if self.stopped is not None:
            return ""
        self.count += 1
        return self.take(self.decoder.decode(self.pieces[token]), over=False)

    def finish(self) -> str:
        """No more tokens will come: returns what is left, in which a stop text may be found still.

        A character that will not become whole is U+FFFD. After this, or where it has stopped, there is nothing: "".
        """
        if self.stopped is not None:
            return ""
        return self.take(self.decoder.decode(b"", final=True), over=True)

    def take(self, characters: str, over: bool) -> str:
        """New whole characters have come; returns those that are certain now. `over` says that no more will come.

        They go behind those in `waiting`. While no more than `min_tokens` tokens have come (`count`), all that is there
        is `early`. Where there is a `first_stop`, what stands before it comes out, and then it is over: `stopped` is
        this stop text, which comes out too if `include_stop`, and nothing is left waiting. Where there is none, all
        comes out but the last `partial_stop_length` characters, which wait; or all, if it is over. What comes out is
        added to `text`.
        """
        self.waiting += characters
        if self.count <= self.min_tokens:
            self.early = len(self.waiting)
        found = first_stop(self.waiting, self.stop, self.early)
        if found is not None:
            start, self.stopped = found
            sure, left = self.waiting[: start + len(self.stopped) * self.include_stop], ""
        else:
            kept = 0 if over else partial_stop_length(self.waiting, self.stop)
            sure, left = self.waiting[: len(self.waiting) - kept], self.waiting[len(self.waiting) - kept :]
        self.early = max(0, self.early - len(sure))
        self.text, self.waiting = self.text + sure, left
        return sure
