"""A small example, for `ladder trace 2`."""

from phase01_foundation.project02_tokenizer.bpe import count_pieces, encode_piece, learn_merges
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer

TEXT = "low low low low low lower lower newest newest newest newest newest newest widest widest widest"


def trace_example() -> list[int]:
    """Learn a few merges in Python, encode a word with them, then a text with a special token."""
    counts = count_pieces([TEXT])
    merges = learn_merges(counts, 10)
    model = ByteBPE.from_merges(merges, native=False)
    ranks = {pair: (rank, 256 + rank) for rank, pair in enumerate(merges)}
    encode_piece(b" lowest", model.id_of, ranks)
    tokenizer = Tokenizer(model, {"<|endoftext|>": model.vocab_size})
    ids = tokenizer.encode("the lowest<|endoftext|>", allowed_special="all")
    tokenizer.decode(ids)
    return ids
