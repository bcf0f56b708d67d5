"""Blocks by number: who holds which, which are free, and which text a block can be hit under.

The pool knows no tensors. Each of its blocks is in one of three states:

    empty    nobody holds it, and it is published under no key            may be handed out
    held     references > 0: somebody reads it, or writes into it         stays
    idle     nobody holds it, but it is published: it may be hit again    handed out when no empty one is left,
                                                                          the one released longest ago first

A block that is hit needs the blocks before it, so a parent must never go before its child. Two rules see to that.
Who holds a block holds the blocks before it too; and they are released from the tail, so that of one text the last
block becomes idle first, and goes first. (vLLM's `BlockPool` and `free_block_queue`.)
"""

from collections import OrderedDict
from collections.abc import Sequence

from phase04_advanced_inference.project10_prompt_caching.block_hash import BlockKey, same_prefix


class OutOfBlocksError(Exception):
    """A block is wanted, and all of them are held."""


class BlockPool:
    """`num_blocks` blocks of `block_size` tokens."""

    def __init__(self, num_blocks: int, block_size: int):
        """All blocks empty; a pool of 0 blocks is fine and keeps nothing. Raises ValueError, naming the number."""
        if num_blocks < 0 or block_size < 1:
            raise ValueError(
                f"a pool has 0 blocks or more, of 1 token or more, not {num_blocks} and {block_size}"
            )
        self.num_blocks, self.block_size = num_blocks, block_size
        self.references = [0] * num_blocks
        """how many hold each block"""
        self.keys: list[BlockKey | None] = [None] * num_blocks
        """what each block is published under; None where it is not"""
        self.parents: list[int | None] = [None] * num_blocks
        """of a published block, the published block of its key's parent; None for the first of a text"""
        self.index: dict[bytes, list[int]] = {}
        """the published blocks by the hash of their key; nearly always one, for hashes rarely collide"""
        self.empty = list(range(num_blocks))
        """blocks that nobody holds and that are not published, in any order"""
        self.idle: OrderedDict[int, None] = OrderedDict()
        """published blocks that nobody holds, the one released longest ago first"""
        self.evictions = 0
        """how many published blocks were handed out again"""

    @property
    def num_free(self) -> int:
        """How many blocks can be handed out now: the empty ones and the idle ones."""
        return len(self.empty) + len(self.idle)

    @property
    def num_published(self) -> int:
        """How many blocks can be hit, held or idle."""
        return sum(map(len, self.index.values()))

    def allocate(self) -> int:
        """Hand out a block that nobody holds, with one reference, for its caller to write into.

        An empty one, while there is one. Else the idle one that was released longest ago, which is no longer published
        then: it leaves `idle` and `index` (a hash without blocks does too), `keys` and `parents` say None, and
        `evictions` counts it. Raises OutOfBlocksError, naming `num_blocks`, where all blocks are held.
        """
        if self.empty:
            block = self.empty.pop()
        elif self.idle:
            block, _ = self.idle.popitem(last=False)
            self._unpublish(block)
        else:
            raise OutOfBlocksError(
                f"all {self.num_blocks} blocks are held; `num_free` says how many are left"
            )
        self.references[block] = 1
        return block

    def _unpublish(self, block: int) -> None:
        key = self.keys[block]
        assert key is not None
        self.index[key.hash].remove(block)
        if not self.index[key.hash]:
            del self.index[key.hash]
        self.keys[block] = self.parents[block] = None
        self.evictions += 1

    def take(self, blocks: Sequence[int]) -> None:
        """One more reference for each of `blocks`, as often as it stands there; an idle one is not idle any more.

        Raises ValueError, and changes nothing, for a number that is no block's, from 0 to num_blocks - 1, and for an
        empty block, which has nothing to share: it names the block.
        """
        for block in blocks:
            self._check_number(block)
            if not self.references[block] and self.keys[block] is None:
                raise ValueError(f"block {block} is empty: it holds nothing that could be taken")
        for block in blocks:
            if not self.references[block]:
                del self.idle[block]
            self.references[block] += 1

    def release(self, blocks: Sequence[int]) -> None:
        """One reference less for each of a text's blocks, given from its beginning, from the last to the first.

        A block that nobody holds then is idle if it is published, the last of them in the order of eviction, else
        empty. Because they are released from the last to the first, a text's last block is evicted before its first.

        Raises ValueError, and changes nothing, for a number that is no block's, and where a block stands more often in
        `blocks` than it has references (a double release): it names the block.
        """
        left: dict[int, int] = {}
        for block in blocks:
            self._check_number(block)
            left[block] = left.get(block, self.references[block]) - 1
            if left[block] < 0:
                raise ValueError(
                    f"block {block} is released more often than it is held: {self.references[block]} times"
                )
        for block in reversed(blocks):
            self.references[block] -= 1
            if self.references[block]:
                continue
            if self.keys[block] is None:
                self.empty.append(block)
            else:
                self.idle[block] = None

    def match(self, keys: Sequence[BlockKey]) -> list[int]:
        """The published blocks of the longest cached prefix of a text, whose full blocks have these keys.

        It is right whatever the hashes are: with a hash that is always the same it is only slow. A block is hit where
        its tokens and its salt are the key's, and its parent is the block that was hit just before (None for the first
        one). So the whole prefix is compared, block by block, and none twice. Nothing changes: who wants the blocks
        takes them.
        """
        blocks: list[int] = []
        parent = None
        for key in keys:
            for block in self.index.get(key.hash, ()):
                mine = self.keys[block]
                assert mine is not None
                if self.parents[block] == parent and mine.tokens == key.tokens and mine.salt == key.salt:
                    break
            else:
                break
            blocks.append(block)
            parent = block
        return blocks

    def publish(self, block: int, key: BlockKey) -> int:
        """From now on, `block` can be hit under `key`, full and computed as it is. Returns the block to hold.

        That is `block`, unless there is a published block of the same prefix already, a twin, as where two texts with
        one beginning are computed in the same step. Then the twin is returned, nothing is published, and whoever goes
        on to publish the next block of the text holds the twin in place of `block`, for it is the twin that is the
        next one's parent.

        Raises ValueError, and changes nothing: for a number that is no block's, a block that nobody holds, and one that
        is published already, naming the block; for a key with another number of tokens than `block_size`, naming both
        numbers; for a key whose parent is not published, or is held by nobody, so that it could go before its child.
        All of these come first, whether there is a twin or not. Publishing takes no reference, of a twin neither.
        """
        self._check_number(block)
        if not self.references[block] or self.keys[block] is not None:
            state = "held by nobody" if not self.references[block] else "published already"
            raise ValueError(f"block {block} is {state}: only a block that is held is published, once")
        if len(key.tokens) != self.block_size:
            raise ValueError(
                f"only full blocks are published, of {self.block_size} tokens, not of {len(key.tokens)}"
            )
        parent = None if key.parent is None else self._find(key.parent)
        if key.parent is not None and (parent is None or not self.references[parent]):
            raise ValueError(f"the block before block {block} must be published, and held, before it is")
        twin = self._find(key)
        if twin is not None:
            return twin
        self.keys[block], self.parents[block] = key, parent
        self.index.setdefault(key.hash, []).append(block)
        return block

    def _find(self, key: BlockKey) -> int | None:
        """The published block of this prefix."""
        return next((at for at in self.index.get(key.hash, ()) if same_prefix(self.keys[at], key)), None)

    def _check_number(self, block: int) -> None:
        """Raises ValueError: Python would take -1 for the last block."""
        if not 0 <= block < self.num_blocks:
            raise ValueError(f"there is no block {block}; the pool has {self.num_blocks}, counted from 0")
