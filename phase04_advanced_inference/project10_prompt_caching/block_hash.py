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

        the length of the salt in UTF-8 in bytes, that of parent_hash in bytes, the number of tokens
        the salt in UTF-8, parent_hash, the tokens

    Because of the lengths no field can be taken for a part of its neighbour, and because all is fixed to the byte, two
    processes give a block the same name. Raises ValueError for a token below 0 or above 2^32 - 1, naming it.
    """
    return sha256(_head(salt, len(parent_hash), len(tokens)) + parent_hash + _packed(tokens)).digest()


@lru_cache
def _head(salt: str, parent: int, tokens: int) -> bytes:
    """What stands before the parent's hash; a text's blocks but the first have it in common."""
    name = salt.encode()
    return struct.pack("<3I", len(name), parent, tokens) + name


def _packed(tokens: Sequence[int]) -> bytes:
    """The tokens in 4 bytes each, in one go. Raises ValueError as `hash_block` says."""
    try:
        return struct.pack(f"<{len(tokens)}I", *tokens)
    except struct.error:
        odd = next(token for token in tokens if not 0 <= token <= LARGEST_TOKEN)
        raise ValueError(f"a token is from 0 to {LARGEST_TOKEN}, not {odd}") from None


def block_keys(
    tokens: Sequence[int], block_size: int, salt: str = "", known: Sequence[BlockKey] = ()
) -> list[BlockKey]:
    """The keys of a text's full blocks of `block_size` tokens, from its beginning, each with the one before as parent.

    The last tokens, where they do not fill a block, have no key. `known` are the keys of the text's first blocks, from
    when it was shorter, or longer: as many of them as are wanted are taken as they are, their tokens are not looked at
    again, and only the blocks that they lack are hashed, so that each is hashed once as the text grows. The result is a
    new list. A key's hash is what `hash_block` gives; to pack the tokens of all blocks at once is faster than to call
    it for each. Raises ValueError as it does, and for a block_size below 1, naming it.
    """
    if block_size < 1:
        raise ValueError(f"a block holds 1 token or more, not {block_size}")
    count = len(tokens) // block_size
    keys = list(known[:count])
    parent = keys[-1] if keys else None
    name = parent.hash if parent else b""
    text = tuple(tokens[len(keys) * block_size : count * block_size])
    packed = _packed(text)
    for start in range(0, len(text), block_size):
        end = start + block_size
        name = sha256(_head(salt, len(name), block_size) + name + packed[4 * start : 4 * end]).digest()
        parent = BlockKey(parent, text[start:end], salt, name)
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
