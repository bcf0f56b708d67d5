"""llama2.c's files: a whole trained Llama in one megabyte, and its tokenizer. https://github.com/karpathy/llama2.c

The legacy checkpoint is seven int32 (dim, hidden_dim, layers, heads, kv_heads, vocab_size, context_length), then all
tensors in float32, little-endian, in the order of `_tensors`. A negative vocab_size says that a head of its own comes
last; else the head is the embedding.
"""

import math
import struct
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from phase01_foundation.project02_tokenizer.given.long_pieces import merge_by_heap
from phase01_foundation.project03_pretrain.model import LLM, Config, from_tensors
from shared.checkpoint import CheckpointError

HEADER = struct.Struct("<7i")
BOS = 1
FIRST_BYTE = 3  # ids 0, 1 and 2 are unknown, begin and end; then come the 256 bytes


def load(path: Path | str) -> LLM:
    """The model in a legacy checkpoint, in float32.

    Raises CheckpointError for a file that is missing, not whole, or no such checkpoint.
    """
    content = _read(Path(path))
    if len(content) < HEADER.size:
        raise CheckpointError(f"{path} is no llama2.c checkpoint: it has {len(content)} bytes")
    dim, hidden_dim, layers, heads, kv_heads, vocab_size, context_length = HEADER.unpack_from(content)
    try:
        config = Config(
            vocab_size=abs(vocab_size),
            context_length=context_length,
            layers=layers,
            heads=heads,
            kv_heads=kv_heads,
            dim=dim,
            hidden_dim=hidden_dim,
            tied_embeddings=vocab_size > 0,
        )
    except ValueError as problem:
        raise CheckpointError(f"{path} is no llama2.c checkpoint: {problem}") from None
    shapes = _tensors(config)
    expected = HEADER.size + 4 * sum(math.prod(shape) for shape in shapes.values())
    if len(content) != expected:
        raise CheckpointError(
            f"{path} has {len(content):,} bytes, and its header says {expected:,}: it is not whole or not legacy"
        )
    flat = torch.from_numpy(np.frombuffer(content, "<f4", offset=HEADER.size).astype(np.float32))
    parts = flat.split([math.prod(shape) for shape in shapes.values()])
    tensors = {}
    for (name, shape), part in zip(shapes.items(), parts, strict=True):
        if "{}" not in name:
            tensors[name] = part.view(shape).clone()
            continue
        for layer, tensor in enumerate(part.view(shape).unbind()):
            if name.endswith(("attention.q.weight", "attention.k.weight")):
                tensor = pairs_to_halves(tensor, config.head_width)
            tensors[name.format(layer)] = tensor.clone()
    del tensors["rope_cosines"], tensors["rope_sines"]  # this model computes its own
    return from_tensors(config, tensors)


def pairs_to_halves(weight: Float[Tensor, "out dim"], head_dim: int) -> Float[Tensor, "out dim"]:
    """Reorder a query or key matrix from rotary pairs (0, 1), (2, 3), ... to (p, p + head_dim / 2), head by head.

    The rows 2p and 2p + 1 of a head become its rows p and p + head_dim / 2. Queries and keys are reordered alike, so
    their products, all that attention sees, stay the same.
    """
    heads = weight.view(-1, head_dim // 2, 2, weight.shape[1])  # (head, pair, first or second, dim)
    return heads.transpose(1, 2).reshape(weight.shape)


def _tensors(config: Config) -> dict[str, tuple[int, ...]]:
    """Our names and the shapes of all that the file holds, in its order; {} is one tensor for each layer."""
    layers, dim, hidden = config.layers, config.dim, config.hidden_dim
    kv_dim = config.kv_heads * config.head_width
    angles = (config.context_length, config.head_width // 2)
    shapes = {
        "embedding.weight": (config.vocab_size, dim),
        "blocks.{}.attention_norm.weight": (layers, dim),
        "blocks.{}.attention.q.weight": (layers, dim, dim),
        "blocks.{}.attention.k.weight": (layers, kv_dim, dim),
        "blocks.{}.attention.v.weight": (layers, kv_dim, dim),
        "blocks.{}.attention.out.weight": (layers, dim, dim),
        "blocks.{}.feed_forward_norm.weight": (layers, dim),
        "blocks.{}.feed_forward.gate.weight": (layers, hidden, dim),
        "blocks.{}.feed_forward.down.weight": (layers, dim, hidden),
        "blocks.{}.feed_forward.up.weight": (layers, hidden, dim),
        "norm.weight": (dim,),
        "rope_cosines": angles,
        "rope_sines": angles,
    }
    return shapes if config.tied_embeddings else {**shapes, "head.weight": (config.vocab_size, dim)}


class Llama2cTokenizer:
    """llama2.c's tokenizer: SentencePiece BPE, where the pair whose merger has the highest score is merged first."""

    def __init__(self, pieces: list[bytes], scores: list[float]):
        self.pieces = pieces
        self.scores = scores
        self.ids = {piece: token for token, piece in enumerate(pieces)}

    def encode(self, text: str) -> list[int]:
        """Ids of a text, with BOS before it; a blank goes before the first word, as before any other."""
        tokens = []
        for character in f" {text}" if text else "":
            known = self.ids.get(character.encode())
            tokens += [FIRST_BYTE + byte for byte in character.encode()] if known is None else [known]
        return [BOS, *merge_by_heap(tokens, self._merged)]

    def _merged(self, left: int, right: int) -> tuple[float, int] | None:
        token = self.ids.get(self.pieces[left] + self.pieces[right])
        return None if token is None else (-self.scores[token], token)

    def decode(self, tokens: list[int]) -> str:
        """The text of ids. BOS shows nothing, and the blank right after it goes; broken UTF-8 becomes U+FFFD.

        Raises ValueError for an id that stands for no piece, naming it.
        """
        content, before = bytearray(), -1
        for token in tokens:
            if not 0 <= token < len(self.pieces):
                raise ValueError(
                    f"there is no piece with the id {token}; ids go from 0 to {len(self.pieces) - 1}"
                )
            piece = self.pieces[token]
            if FIRST_BYTE <= token < FIRST_BYTE + 256:
                piece = bytes([token - FIRST_BYTE])
            elif token == BOS:
                piece = b""
            elif before == BOS:
                piece = piece.removeprefix(b" ")
            content += piece
            before = token
        return content.decode(errors="replace")


def load_tokenizer(path: Path | str) -> Llama2cTokenizer:
    """The tokenizer in a file: an int32, the longest piece, then for each token a float32 score, its length, its bytes.

    Raises CheckpointError for a file that is missing, not whole, or no such tokenizer.
    """
    content = _read(Path(path))
    pieces, scores, place = [], [], 4
    while place < len(content):
        header = content[place : place + 8]
        if len(header) < 8:
            raise CheckpointError(f"{path} is cut short after {len(pieces)} tokens")
        score, length = struct.unpack("<fi", header)
        piece = content[place + 8 : place + 8 + length]
        if length < 0 or len(piece) != length:
            raise CheckpointError(f"{path} is cut short after {len(pieces)} tokens, or no llama2.c tokenizer")
        pieces.append(piece)
        scores.append(score)
        place += 8 + length
    if pieces[FIRST_BYTE : FIRST_BYTE + 256] != [b"<0x%02X>" % byte for byte in range(256)]:
        raise CheckpointError(f"{path} is no llama2.c tokenizer: the 256 bytes are not its ids 3 to 258")
    return Llama2cTokenizer(pieces, scores)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}")
    return path.read_bytes()
