"""What a block of tokens holds, and all that stands before it, under one short name: a chained hash.

A token's keys and values depend on every token before it. So a block's cached values may serve another text only where
the *whole* text up to the block's end is the same. A hash that includes the hash of the block before it names such a
beginning in 32 bytes, and each block is hashed once, however long the text grows:

    "the cat sat | on the mat | and"      hash 1 = H(-, the cat sat)      hash 2 = H(hash 1, on the mat)

The salt keeps tenants apart: with another salt the same text has other names (vLLM's `cache_salt`). A hash only finds
candidates. Whether they are the same is decided by comparing tokens.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256

LARGEST_TOKEN = 2**32 - 1


# Not frozen, for that costs as much time as the hash itself; without `eq`, for equal keys are found by `same_prefix`,
# and a comparison that goes up from parent to parent by calling itself would end the stack of a long text.
@dataclass(slots=True, eq=False)
class BlockKey:
    """A full block of a text: its tokens, the key of the block before it, and whose text it is."""

    parent: "BlockKey | None" = field(repr=False)
    """the key of the block before it; None for the first"""
    tokens: tuple[int, ...]
    salt: str
    hash: bytes
    """`hash_block` of the three"""


def hash_block(parent_hash: bytes, tokens: Sequence[int], salt: str) -> bytes:
    """The SHA-256, 32 bytes, of a block: `parent_hash` of the block before it (b"" for the first), tokens and salt.

    What is hashed are these bytes, one after the other; numbers are unsigned, of 4 bytes, the lowest byte first:

        the length of parent_hash in bytes, that of the salt in UTF-8 in bytes, the number of tokens
        parent_hash, the salt in UTF-8, the tokens

    Because of the lengths no field can be taken for a part of its neighbour, and because all is fixed to the byte, two
    processes give a block the same name. Raises ValueError for a token below 0 or above 2^32 - 1, naming it.
    """
    name = salt.encode()
    sizes = len(parent_hash), len(name), len(tokens)
    try:
        return sha256(_packer(*sizes)(*sizes, parent_hash, name, *tokens)).digest()
    except struct.error:
        odd = next(token for token in tokens if not 0 <= token <= LARGEST_TOKEN)
        raise ValueError(f"a token is from 0 to {LARGEST_TOKEN}, not {odd}") from None


@lru_cache
def _packer(parent: int, salt: int, tokens: int):  # noqa: ANN202 (struct has no name for it)
    """What packs fields of these sizes in one go: blocks of a text are all alike, so it is made once."""
    return struct.Struct(f"<3I{parent}s{salt}s{tokens}I").pack


def block_keys(
    tokens: Sequence[int], block_size: int, salt: str = "", known: Sequence[BlockKey] = ()
) -> list[BlockKey]:
    """The keys of a text's full blocks of `block_size` tokens, from its beginning, each with the one before as parent.

    The last tokens, where they do not fill a block, have no key. `known` are the keys of the text's first blocks, from
    when it was shorter, or longer: as many of them as are wanted are taken as they are, and only what they lack is
    hashed, each block by one call of `hash_block`. The result is a new list. Raises ValueError for a block_size below 1,
    naming it.
    """
    if block_size < 1:
        raise ValueError(f"a block holds 1 token or more, not {block_size}")
    count = len(tokens) // block_size
    keys = list(known[:count])
    parent = keys[-1] if keys else None
    for start in range(len(keys) * block_size, count * block_size, block_size):
        block = tuple(tokens[start : start + block_size])
        name = hash_block(parent.hash if parent else b"", block, salt)
        parent = BlockKey(parent, block, salt, name)
        keys.append(parent)
    return keys


def same_prefix(one: BlockKey | None, other: BlockKey | None) -> bool:
    """Whether two keys stand for the same text from its beginning, and for the same salt; None stands for no text.

    Hashes are not asked. Both chains are followed up to their first blocks, or to where they become one and the same
    object, and every block's tokens and salt are compared; in a loop, for a long text has thousands of blocks.
    """
    while one is not other:
        if one is None or other is None or one.tokens != other.tokens or one.salt != other.salt:
            return False
        one, other = one.parent, other.parent
    return True
