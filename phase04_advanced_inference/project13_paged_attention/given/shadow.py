"""A store without a model: in each slot stands which text it was computed of, so that any mix-up is seen at once.

A token's keys and values depend on all tokens before it. Here they are one number that does so too, a hash of the salt
and of all tokens up to this one. What a sequence would attend to is right if in each of its slots stands the number of
its own text.
"""

from collections.abc import Sequence as List

from phase04_advanced_inference.project12_dynamic_batching.sequence import Scheduled, Sequence
from phase04_advanced_inference.project13_paged_attention.block_manager import BlockManager
from phase04_advanced_inference.project13_paged_attention.swap import HostPool

NOTHING = 0


def marks(tokens: List[int], salt: str) -> list[int]:
    """What stands in the slots of a text."""
    found, last = [], hash(("salt", salt))
    for token in tokens:
        last = hash((last, token))
        found.append(last)
    return found


class ShadowHost(HostPool):
    """A host pool for a shadow store."""

    def __init__(self, num_blocks: int, slots: list[list[int]]):
        super().__init__(num_blocks)
        self.slots = slots
        self.contents: list[list[int]] = [[] for _ in range(num_blocks)]

    def store(self, key: int, blocks: List[int], computed: int) -> bool:
        """Copy what stands in the blocks."""
        if not super().store(key, blocks, computed):
            return False
        for place, block in zip(self.blocks(key), blocks, strict=True):
            self.contents[place] = list(self.slots[block])
        return True

    def load(self, pairs: List[tuple[int, int]]) -> None:
        """Copy it back."""
        for place, block in pairs:
            self.slots[block] = list(self.contents[place])


class Shadow:
    """The slots of a manager's blocks."""

    def __init__(self, num_blocks: int, block_size: int):
        self.block_size = block_size
        self.slots = [[NOTHING] * block_size for _ in range(num_blocks)]

    def move(self, manager: BlockManager) -> None:
        """What PagedRunner.move does."""
        copies, restores = manager.copies, manager.restores
        manager.copies, manager.restores = [], []
        read = [list(self.slots[source]) for source, _ in copies]
        for (_, target), marked in zip(copies, read, strict=True):
            self.slots[target] = marked
        if manager.host is not None:
            manager.host.load(restores)

    def compute(self, manager: BlockManager, scheduled: List[Scheduled]) -> None:
        """A step: write all that is scheduled, and then see that each has its own text before it, and only that."""
        self.move(manager)
        texts = {}
        for sequence, count in scheduled:
            salt = manager.salts.get(sequence.key, "")
            text = marks([*sequence.tokens, *sequence.draft], salt)
            texts[sequence.key] = text
            for place in range(sequence.num_computed, sequence.num_computed + count):
                block = manager.tables[sequence.key][place // self.block_size]
                assert not manager.is_shared(block), "a block that others may read is not written to"
                self.slots[block][place % self.block_size] = text[place]
        for sequence, count in scheduled:
            end = sequence.num_computed + count
            assert self.read(manager, sequence, end) == texts[sequence.key][:end], "each sees its own text"

    def read(self, manager: BlockManager, sequence: Sequence, end: int) -> list[int]:
        """What stands in the slots of a sequence's first `end` tokens."""
        table = manager.tables[sequence.key]
        found = [mark for block in table[: manager.count(end)] for mark in self.slots[block]]
        return found[:end]


def check(manager: BlockManager, shadow: Shadow) -> None:
    """What must hold of a manager between any two steps."""
    pool = manager.pool
    held = [0] * pool.num_blocks
    for table in manager.tables.values():
        assert len(set(table)) == len(table), "a block stands in a table once"
        for block in table:
            held[block] += 1
    assert held == pool.references, "references are what the tables have"
    assert pool.num_free + sum(count > 0 for count in held) == pool.num_blocks, "free and used are all"
    for block, key in enumerate(pool.keys):
        if key is None:
            continue
        assert len(key.tokens) == pool.block_size, "only full blocks are published"
        tokens, parent = list(key.tokens), key.parent
        while parent is not None:
            tokens, parent = [*parent.tokens, *tokens], parent.parent
        text = marks(tokens, key.salt)
        assert shadow.slots[block] == text[-pool.block_size :], "only what is computed is published"
        above = pool.parents[block]
        assert (above is None) == (key.parent is None), "a block that is published has its parent"
        assert above is None or pool.keys[above] is not None, "no parent is evicted before its child"
    host = manager.host
    if host is not None:
        taken = [place for blocks, _ in host.held.values() for place in blocks]
        assert sorted(taken + host.unused) == list(range(host.num_blocks)), (
            "host blocks: free and used are all"
        )
