"""Which blocks each sequence has: the scheduler's memory, over project 10's pool.

A sequence has a *block table*: the numbers of its blocks, in the order of its text. They may lie anywhere, so nothing
need be reserved for a text that may become long, and nothing is wasted but the end of each last block. And a block may
stand in several tables: a prompt that many begin with is there once.

    pool of 8 blocks of 4 tokens       table of sequence 1:  5 2 7       "the cat sat on | the mat and it | was"
                                       table of sequence 2:  5 2 0       the same beginning, then its own

A block that may be read by others is never written to. Who has to write into one gets a copy first (copy-on-write).
Kwon et al. 2023, PagedAttention (arXiv:2309.06180), sections 4.2 to 4.4.
"""

from phase04_advanced_inference.project10_prompt_caching.block_hash import BlockKey, block_keys
from phase04_advanced_inference.project10_prompt_caching.block_pool import BlockPool
from phase04_advanced_inference.project12_dynamic_batching.sequence import Sequence, SequenceStatus
from phase04_advanced_inference.project13_paged_attention.swap import HostPool

ENDED = (SequenceStatus.FINISHED_STOPPED, SequenceStatus.FINISHED_LENGTH)
"""how a sequence ends whose last step went well"""


class BlockManager:
    """Block tables by sequence. It is project 12's `Memory`, and knows no tensors."""

    def __init__(self, pool: BlockPool, watermark: float = 0.01, host: HostPool | None = None):
        """All of the pool is for these sequences. `watermark` is the share of its blocks that admission leaves free.

        With a `host` pool, preempted sequences can be put there. Raises ValueError for a pool without a block, and for
        a watermark that is not from 0 to below 1, naming it.
        """
        if not pool.num_blocks or not 0 <= watermark < 1:
            raise ValueError(
                "there must be a block or more, and a watermark from 0 to below 1, not "
                f"{pool.num_blocks} and {watermark}"
            )
        self.pool, self.host = pool, host
        self.block_size = pool.block_size
        self.watermark = int(watermark * pool.num_blocks)
        """how many blocks admission leaves free for those that run, so that they need not be sent back at once"""
        self.tables: dict[int, list[int]] = {}
        """the blocks of each sequence that is in, by its key"""
        self.keys: dict[int, list[BlockKey]] = {}
        """the keys of its full blocks, as far as they were needed; kept while it waits, so that each is made once"""
        self.published: dict[int, int] = {}
        """how many blocks of each table, from the first, are held as the pool has published them"""
        self.salts: dict[int, str] = {}
        """whose text it is, by the sequence's key: texts with different salts share nothing; "" where none is given"""
        self.copies: list[tuple[int, int]] = []
        """(source, target): blocks to be copied, in this order, before the step's keys and values are written"""
        self.restores: list[tuple[int, int]] = []
        """(host block, block): what is to be brought back from the host, after the copies and before the step"""
        self.restoring: dict[int, int] = {}
        """sequences that were admitted with their tokens still at the host, and the first block that is to come back"""

    @property
    def capacity(self) -> int:
        """The most tokens that one sequence can have, were it alone."""
        return self.pool.num_blocks * self.block_size

    def count(self, tokens: int) -> int:
        """How many blocks so many tokens take."""
        return -(-tokens // self.block_size)

    def is_shared(self, block: int) -> bool:
        """Whether a held block may be read by others: more than one table has it, or it is published."""
        return self.pool.references[block] > 1 or self.pool.keys[block] is not None

    def keys_of(self, sequence: Sequence, count: int) -> list[BlockKey]:
        """The keys of a sequence's first `count` blocks, all of them full; each is made once."""
        keys = self.keys.setdefault(sequence.key, [])
        if len(keys) < count:
            salt = self.salts.get(sequence.key, "")
            keys[:] = block_keys(sequence.tokens[: count * self.block_size], self.block_size, salt, keys)
        return keys[:count]

    def admit(self, sequence: Sequence) -> bool:
        """Take in a waiting sequence, if there is room for all of its tokens; else False, and nothing changes.

        Its table begins with the blocks that the pool has of it (`match` on `keys_of` all of its full blocks), one more
        reference for each, and `published` counts them; so their tokens are computed already. But one token at least is
        computed anew, since logits are wanted after the last: `num_computed` is at most one less than it has tokens.
        Where even the last token's block was hit, that token will be written into a copy of it.

        There is room if after this, when it has grown to all of its tokens, `watermark` blocks are still free (0, where
        no other sequence is in): it needs `count(tokens)` blocks less those that were hit, and one more for the copy.
        Blocks that were hit and idle are no longer free. Where there would be room but for the copy, the last block
        that was hit is left out of the table; then all of its tokens are computed, and nothing is copied.

        With a host pool, `recall` comes last.
        """
        size, length = self.block_size, len(sequence.tokens)
        hits = self.pool.match(self.keys_of(sequence, length // size))
        copy = len(hits) * size == length
        if copy and not self._has_room(hits, length, copy):
            hits, copy = hits[:-1], False
        if not self._has_room(hits, length, copy):
            return False
        self.pool.take(hits)
        self.tables[sequence.key], self.published[sequence.key] = hits, len(hits)
        sequence.num_computed = min(len(hits) * size, length - 1)
        if self.host is not None:
            self.recall(sequence)
        return True

    def _has_room(self, hits: list[int], length: int, copy: bool) -> bool:
        idle = sum(not self.pool.references[block] for block in hits)
        needed = self.count(length) - len(hits) + copy
        return self.pool.num_free - idle - needed >= (self.watermark if self.tables else 0)

    def grow(self, sequence: Sequence, count: int) -> bool:
        """Make room for `count` more computed tokens, which a step will write; False, and no change, without room.

        They get the places from `num_computed` on. Blocks that the table lacks are allocated, and those of these places
        that it has already, but that are shared (`is_shared`), are replaced (`copy_on_write`); if fewer blocks than
        that are free, it is False. A table may be longer than needed, after a draft that was rejected: then nothing is
        allocated. With a host pool, `restore` comes last.
        """
        end = sequence.num_computed + count
        table = self.tables[sequence.key]
        shared = self._shared(sequence, end)
        new = max(0, self.count(end) - len(table))
        if len(shared) + new > self.pool.num_free:
            return False
        for place in shared:
            self.copy_on_write(sequence, place)
        table += [self.pool.allocate() for _ in range(new)]
        if self.host is not None:
            self.restore(sequence)
        return True

    def _shared(self, sequence: Sequence, end: int) -> list[int]:
        """The places in the table of shared blocks that tokens up to `end` would be written into."""
        table = self.tables[sequence.key]
        places = range(sequence.num_computed // self.block_size, min(len(table), self.count(end)))
        return [place for place in places if self.is_shared(table[place])]

    def room(self, sequence: Sequence) -> int:
        """By how many tokens a sequence could grow now."""
        table = self.tables[sequence.key]
        copies = len(self._shared(sequence, len(table) * self.block_size))
        return (len(table) + self.pool.num_free - copies) * self.block_size - sequence.num_computed

    def copy_on_write(self, sequence: Sequence, place: int) -> None:
        """Give a sequence a block of its own at this place of its table, with a copy of what was there.

        A new block is allocated first, and only then is the old one released: it must not be handed out as its own
        copy. (old, new) comes last in `copies`. The new block is not published, whatever the old one was, so
        `published` says at most `place` for the sequence.
        """
        table = self.tables[sequence.key]
        old, new = table[place], self.pool.allocate()
        self.copies.append((old, new))
        self.pool.release([old])
        table[place] = new
        self.published[sequence.key] = min(self.published[sequence.key], place)

    def fork(self, parent: Sequence, child: Sequence) -> None:
        """Let `child` go on from where `parent` is: the same blocks, one more reference for each; nothing is copied.

        The last block, too, is shared, full or not: the first of them to write into it gets a copy, and the last one
        does not. The child has a table, keys and a salt of its own, equal to the parent's, and what is published of one
        is of the other. Raises ValueError, naming the key, where the parent is not in, or the child is already.
        """
        if parent.key not in self.tables or child.key in self.tables:
            raise ValueError(
                f"sequence {parent.key} must have blocks, and {child.key} must not, to be forked from it"
            )
        table = list(self.tables[parent.key])
        self.pool.take(table)
        self.tables[child.key] = table
        self.keys[child.key] = list(self.keys[parent.key])
        self.published[child.key] = self.published[parent.key]
        if parent.key in self.salts:
            self.salts[child.key] = self.salts[parent.key]

    def computed(self, sequence: Sequence) -> None:
        """A step is done: publish the blocks that are full and computed now, of `num_computed` tokens.

        Those after the first `published`, from the first to the last, under `keys_of`, and `published` counts them
        then. One that is published already, as a fork's, stays as it is. Where the pool has a twin, `publish` returns
        it: then the table holds the twin, with a reference of its own, and the block is released. A sequence that is
        not in changes nothing.
        """
        if sequence.key not in self.tables:
            return
        table, full = self.tables[sequence.key], sequence.num_computed // self.block_size
        keys = self.keys_of(sequence, full)
        for place in range(self.published[sequence.key], full):
            block = table[place]
            if self.pool.keys[block] is not None:
                continue
            held = self.pool.publish(block, keys[place])
            if held != block:
                self.pool.take([held])
                self.pool.release([block])
                table[place] = held
        self.published[sequence.key] = max(self.published[sequence.key], full)

    def free(self, sequence: Sequence) -> None:
        """Take a sequence's blocks back, all at once, given from the first to the last; one that has none changes
        nothing.

        One that has ended well (`ENDED`) publishes first what it has computed (`computed`), for the next turn of a
        conversation may hit it. Copies and restores into its blocks are no longer wanted: those into blocks that nobody
        holds now are taken off the lists. What is at the host of it stays, and so do its keys, if it has not finished;
        if it has, all is forgotten (`forget`).
        """
        if sequence.status in ENDED:
            self.computed(sequence)
        table = self.tables.pop(sequence.key, [])
        self.pool.release(table)
        self.published.pop(sequence.key, None)
        self.restoring.pop(sequence.key, None)
        lost = {block for block in table if not self.pool.references[block]}
        self.copies = [pair for pair in self.copies if pair[1] not in lost]
        self.restores = [pair for pair in self.restores if pair[1] not in lost]
        if sequence.finished:
            self.forget(sequence.key)

    def forget(self, key: int) -> None:
        """A sequence that has no blocks will not come back: nothing of it is kept, at the host neither."""
        self.keys.pop(key, None)
        self.salts.pop(key, None)
        if self.host is not None:
            self.host.drop(key)

    def swap_out(self, sequence: Sequence) -> bool:
        """Put what a sequence has computed into the host pool, if there is one; False without, or without room there.

        Of its blocks those that hold its first `num_computed` tokens are stored; where that is 0, it is False. The
        sequence keeps all of its blocks: `free` takes them back.
        """
        if self.host is None or not sequence.num_computed:
            return False
        blocks = self.tables[sequence.key][: self.count(sequence.num_computed)]
        return self.host.store(sequence.key, blocks, sequence.num_computed)

    def recall(self, sequence: Sequence) -> None:
        """Count what the host has of a sequence that was just admitted; it has a table with the blocks that were hit.

        Where more tokens are computed there than `num_computed` says, that becomes their number, `restoring` gets the
        number of blocks in the table, and the table new blocks, up to all that these tokens take. Nothing comes back
        yet: the sequence may have to leave again, before it has grown.
        """
        assert self.host is not None
        stored, table = self.host.computed(sequence.key), self.tables[sequence.key]
        if stored > sequence.num_computed:
            self.restoring[sequence.key] = len(table)
            table += [self.pool.allocate() for _ in range(self.count(stored) - len(table))]
            sequence.num_computed = stored

    def restore(self, sequence: Sequence) -> None:
        """A sequence has grown, and is in for good: what the host has of it is to come back, and is dropped there.

        If it is in `restoring`, it leaves there, and `restores` gets a pair for each place of its table, from that
        number on, up to what `num_computed` tokens take: the host's block of this place, and the table's.
        """
        assert self.host is not None
        first = self.restoring.pop(sequence.key, None)
        if first is not None:
            back = self.host.blocks(sequence.key)[first:]
            blocks = self.tables[sequence.key][first : self.count(sequence.num_computed)]
            self.restores += zip(back, blocks, strict=True)
        self.host.drop(sequence.key)
