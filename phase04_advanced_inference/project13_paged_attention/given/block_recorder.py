"""Project 12's recording with what becomes of the blocks:

    "blocks": {"3": [5, 2], "4": [5, 0]}, "num_blocks": 8, "cached": [1, 7], "used": {"3": 21, "4": 17},
    "copies": [[2, 0]], "restored": [[0, 4]], "hits": {"4": 16}, "swapped": [9], "accepted": {"3": [4, 2]}

`blocks` are the tables as the step uses them, `used` how many tokens are in each with the step's, `cached` the blocks
that nobody has and that could be hit. `copies` and `restored` come before the step, `hits` are tokens that did not have
to be computed, of those that came in; `accepted` is how many tokens were guessed, and how many of them stayed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from phase04_advanced_inference.project12_dynamic_batching.given.recorder import Recorder
from phase04_advanced_inference.project12_dynamic_batching.sequence import Scheduled
from phase04_advanced_inference.project13_paged_attention.block_manager import BlockManager


class BlockRecorder(Recorder):
    """A Recorder that looks at a manager's tables, too; the engine says which."""

    manager: BlockManager | None = None

    def plan(self, scheduled: Iterable[Scheduled]) -> None:
        """Note what is scheduled, and where it lies."""
        scheduled = list(scheduled)
        super().plan(scheduled)
        self.blocks: dict[str, Any] = {}
        if self.manager is not None:
            pool, tables = self.manager.pool, self.manager.tables
            self.blocks = {
                "num_blocks": pool.num_blocks,
                "block_size": pool.block_size,
                "blocks": {str(key): list(table) for key, table in tables.items()},
                "used": {str(one.key): one.num_computed + count for one, count in scheduled},
                "cached": list(pool.idle),
                "copies": [list(pair) for pair in self.manager.copies],
                "restored": [list(pair) for pair in self.manager.restores],
            }

    def record(
        self,
        step: int,
        waiting: Iterable[int],
        finished: Mapping[int, str],
        aborted: Iterable[int] = (),
        preempted: Iterable[int] = (),
        **more: object,
    ) -> None:
        """The step that was planned has been made."""
        super().record(step, waiting, finished, aborted, preempted, **self.blocks, **more)
