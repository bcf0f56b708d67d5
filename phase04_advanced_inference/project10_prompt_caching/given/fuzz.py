"""Random operations on a block pool, with all that must hold checked after each: ten thousand ways to lose a block.

Texts are of two tokens, in blocks of two, so that the same beginnings come again and again: hits, twins, evictions. The
pool is small, so that it is nearly always full. Every holder keeps its own books; the pool's are compared with the sum
of theirs.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from phase04_advanced_inference.project10_prompt_caching.block_hash import BlockKey, block_keys
from phase04_advanced_inference.project10_prompt_caching.block_pool import BlockPool

BLOCK_SIZE = 2
Keys = Callable[..., list[BlockKey]]
"""what makes keys, as `block_keys` does"""


@dataclass
class Holder:
    """A text, its keys, and the blocks that it holds, the first `published` of them published."""

    tokens: list[int]
    salt: str
    keys: list[BlockKey]
    blocks: list[int] = field(default_factory=list)
    published: int = 0


class Fuzz:
    """A pool and those who hold blocks of it."""

    def __init__(self, seed: int, num_blocks: int = 12, most: int = 5, keys: Keys = block_keys):
        self.block_keys = keys
        self.draw = random.Random(seed)
        self.pool = BlockPool(num_blocks, BLOCK_SIZE)
        self.holders: list[Holder] = []
        self.most = most
        self.hits = self.twins = 0

    def run(self, operations: int) -> None:
        """So many operations, each checked. Raises AssertionError, naming the operation, where something is broken."""
        for number in range(operations):
            operation = self.draw.choice([self.admit, self.grow, self.publish, self.publish, self.release])
            try:
                operation()
                self.check()
            except Exception as problem:
                raise AssertionError(f"operation {number}, {operation.__name__}: {problem}") from problem

    def admit(self) -> None:
        """A text that begins, with whatever of it is cached."""
        if len(self.holders) == self.most:
            return
        tokens = [self.draw.randint(0, 1) for _ in range(self.draw.randint(1, 9))]
        salt = self.draw.choice(["", "", "other"])
        keys = self.block_keys(tokens, BLOCK_SIZE, salt)
        blocks = self.pool.match(keys)
        for block, key in zip(blocks, keys, strict=False):
            assert _whole(self.pool.keys[block]) == _whole(key), f"block {block} holds another text"
        self.pool.take(blocks)
        self.hits += len(blocks)
        self.holders.append(Holder(tokens, salt, keys, blocks, len(blocks)))

    def grow(self) -> None:
        """A text that goes on by a token, or gets a block to compute its tokens in."""
        if not self.holders:
            return
        holder = self.draw.choice(self.holders)
        if len(holder.blocks) * BLOCK_SIZE < len(holder.tokens):
            if self.pool.num_free:
                holder.blocks.append(self.pool.allocate())
            return
        holder.tokens.append(self.draw.randint(0, 1))
        holder.keys = self.block_keys(holder.tokens, BLOCK_SIZE, holder.salt, holder.keys)

    def publish(self) -> None:
        """A text's next full block has been computed. Where it has a twin, the text goes on with that."""
        if not self.holders:
            return
        holder = self.draw.choice(self.holders)
        number = holder.published
        if number >= min(len(holder.keys), len(holder.blocks)):
            return
        mine = holder.blocks[number]
        kept = self.pool.publish(mine, holder.keys[number])
        if kept != mine:
            assert self.pool.keys[mine] is None, f"block {mine} has a twin and is published too"
            self.pool.take([kept])
            self.pool.release([mine])
            holder.blocks[number] = kept
            self.twins += 1
        holder.published += 1

    def release(self) -> None:
        """A text that is done, or given up in the middle; less often than texts begin."""
        if self.holders and self.draw.random() < 0.7:
            gone = self.holders.pop(self.draw.randrange(len(self.holders)))
            self.pool.release(gone.blocks)

    def check(self) -> None:
        """Raises AssertionError unless the pool's books agree with those of the holders, and with each other."""
        pool = self.pool
        held = Counter(block for holder in self.holders for block in holder.blocks)
        assert pool.references == [held[block] for block in range(pool.num_blocks)], "references"
        free = [*pool.empty, *pool.idle]
        assert sorted([*free, *held]) == list(range(pool.num_blocks)), "free and held are not all"
        assert pool.num_free == len(free)
        published = {block for block, key in enumerate(pool.keys) if key is not None}
        listed = [block for blocks in pool.index.values() for block in blocks]
        assert sorted(listed) == sorted(published), "the index does not list what is published"
        assert all(pool.index.values()), "a hash without blocks"
        assert set(pool.idle) <= published, "an idle block that is not published"
        assert not published & set(pool.empty), "an empty block that is published"
        texts = set()
        for block in published:
            key = pool.keys[block]
            assert key is not None
            assert len(key.tokens) == pool.block_size, "a block that is not full"
            assert block in pool.index[key.hash], "listed under another hash"
            texts.add(_whole(key))
            parent = pool.parents[block]
            assert (parent is None) == (key.parent is None)
            if parent is not None:
                assert _whole(pool.keys[parent]) == _whole(key.parent), "a parent that is gone, or another's"
                assert pool.references[parent] >= pool.references[block], "a child held without its parent"
        assert len(texts) == len(published), "a text is published twice"
        for holder in self.holders:
            for block, key in zip(holder.blocks[: holder.published], holder.keys, strict=False):
                assert _whole(pool.keys[block]) == _whole(key), f"block {block} was evicted while it was held"
        self._check_order()

    def _check_order(self) -> None:
        """Of idle blocks, a child is older than its parent: it goes first."""
        age = {block: number for number, block in enumerate(self.pool.idle)}
        for block, number in age.items():
            parent = self.pool.parents[block]
            assert parent is None or age.get(parent, len(age)) > number, "a parent goes before its child"


def _whole(key: BlockKey | None) -> tuple[str, Sequence[tuple[int, ...]]] | None:
    """A key's text from its beginning, written out, and its salt."""
    if key is None:
        return None
    salt, blocks = key.salt, []
    while key is not None:
        blocks.append(key.tokens)
        key = key.parent
    return salt, tuple(reversed(blocks))
