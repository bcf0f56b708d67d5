"""The word-level tokenizer: one id a word, and one for all words that it does not know."""

from collections.abc import Iterable, Mapping, Sequence

from phase01_foundation.project02_tokenizer.pretokenize import split_pieces, to_bytes

UNKNOWN = "<unk>"  # no piece of a text is written so: the pattern cuts at the brackets


class WordTokenizer:
    """Ids for the words of a list, a word being a piece of GPT-2's pattern: with the space before it, if there is one.

    So decoding only has to join. What is not in the list becomes `<unk>`, and is lost.
    """

    def __init__(self, words: Sequence[str]):
        """`words` in the order of their ids. Raises ValueError unless `<unk>` is the first and none comes twice."""
        if not words or words[0] != UNKNOWN:
            raise ValueError(f"the first word must be {UNKNOWN!r}, not {words[0] if words else 'missing'!r}")
        self.words = list(words)
        self.id_of = {word: id for id, word in enumerate(self.words)}
        if len(self.id_of) < len(self.words):
            twice = next(word for id, word in enumerate(self.words) if self.id_of[word] != id)
            raise ValueError(f"the word {twice!r} is there more than once")

    @classmethod
    def from_counts(cls, counts: Mapping[bytes, int], vocab_size: int) -> "WordTokenizer":
        """The tokenizer of `<unk>` and the vocab_size - 1 most frequent pieces, the most frequent first.

        Equally frequent ones stand in the order of their bytes. Bytes of a piece that are no valid UTF-8 (it may have
        been cut inside a character) become U+FFFD; of pieces that are then the same word, the first is kept and the
        others are dropped, so that there are fewer words. Raises ValueError for a vocab_size below 2, one word and
        `<unk>`, naming it.
        """
        if vocab_size < 2:
            raise ValueError(f"vocab_size must be at least 2, one word and {UNKNOWN}, not {vocab_size}")
        ordered = sorted(counts, key=lambda piece: (-counts[piece], piece))
        words = [piece.decode(errors="replace") for piece in ordered[: vocab_size - 1]]
        return cls(list(dict.fromkeys([UNKNOWN, *words])))

    @property
    def vocab_size(self) -> int:
        return len(self.words)

    def encode(self, text: str) -> list[int]:
        """The ids of the words of `text`, which are the pieces of `to_bytes(text)`; 0 for one that is not known."""
        return [self.id_of.get(piece.decode(), 0) for piece in split_pieces(to_bytes(text), "gpt2")]

    def decode(self, ids: Iterable[int]) -> str:
        """The words joined. Raises ValueError for an id outside 0 ... vocab_size - 1, naming it and the highest id."""
        words = []
        for id in ids:
            if not 0 <= id < self.vocab_size:
                raise ValueError(f"there is no word with the id {id}; ids go from 0 to {self.vocab_size - 1}")
            words.append(self.words[id])
        return "".join(words)
