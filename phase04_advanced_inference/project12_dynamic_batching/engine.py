"""The engine: step after step, schedule, run, choose, write.

Requests come and go between any two steps. Which others are there changes when a text is written, and never what: a
sequence sees only its own keys and values, and its tokens are drawn by a generator of its own.
"""

from collections.abc import Callable, Mapping
from collections.abc import Sequence as List
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from phase04_advanced_inference.project12_dynamic_batching.given.recorder import Recorder
from phase04_advanced_inference.project12_dynamic_batching.given.refusals import (
    EmptyPromptError,
    PromptTooLongError,
    UnknownTokenError,
)
from phase04_advanced_inference.project12_dynamic_batching.sequence import Scheduled, Sequence, SequenceStatus
from shared.phase01 import Config, SamplingParams, choose


@runtime_checkable
class Batcher(Protocol):
    """What decides who goes on: the Scheduler, or the StaticBatcher."""

    sequences: dict[int, Sequence]
    preempted: list[int]

    def add(self, sequence: Sequence) -> None: ...
    def abort(self, key: int) -> bool: ...
    def schedule(self) -> list[Scheduled]: ...
    def update(self, scheduled: List[Scheduled], chosen: List[List[int]]) -> list[list[int]]: ...


@runtime_checkable
class StepRunner(Protocol):
    """What computes a step: here the Runner."""

    config: Config

    def __call__(self, scheduled: List[Scheduled]) -> list[Tensor]: ...


Sampler = Callable[[Sequence, Tensor], list[int]]
"""a sequence and its logits (wanted, vocab) in, the next tokens out"""


@dataclass(frozen=True)
class Output:
    """What a step brought a sequence."""

    key: int
    tokens: list[int]
    """those that were written"""
    status: SequenceStatus
    error: Exception | None = None
    """why it failed, where it did"""

    @property
    def finished(self) -> bool:
        """Whether there will be no more."""
        return self.status.finished


def sample(sequence: Sequence, logits: Float[Tensor, "wanted vocab"]) -> list[int]:
    """The next token of a sequence, or none, where no logits are wanted: its prompt is not read to the end.

    Project 1's `choose`, on the last row of the logits, with all of the text so far as `used` and the sequence's own
    generator: one draw a token, so that a text depends on its seed and on nobody beside it.
    """
    if not len(logits):
        return []
    assert sequence.generator is not None
    return [choose(logits[-1], torch.tensor(sequence.tokens), sequence.params, sequence.generator)]


class Engine:
    """Requests in, tokens out, a step at a time."""

    def __init__(
        self,
        scheduler: Batcher,
        runner: StepRunner,
        sampler: Sampler = sample,
        recorder: Recorder | None = None,
    ):
        self.scheduler, self.runner, self.sampler, self.recorder = scheduler, runner, sampler, recorder
        self.steps = 0
        """how many have been made, with the one that is being made"""
        self.next_key = 0
        self.aborted: list[int] = []
        """keys of those that were aborted since the last step"""

    def add(
        self,
        prompt: List[int],
        params: SamplingParams,
        key: int | None = None,
        priority: int = 0,
        generator: torch.Generator | None = None,
    ) -> int:
        """Take in a request; returns its key, which is `key`, or one that no request has had, where that is None.

        Raises, before anything changes: EmptyPromptError; PromptTooLongError, naming the prompt's length and the
        context length of `runner.config`, for more tokens than that; UnknownTokenError, naming the first token that
        is not from 0 to vocab_size - 1, and vocab_size - 1; and what the scheduler's `add` raises.
        """
        config = self.runner.config
        if not prompt:
            raise EmptyPromptError("the prompt is empty: the model needs at least one token to go on from")
        if len(prompt) > config.context_length:
            raise PromptTooLongError(
                f"the prompt has {len(prompt)} tokens, and the model reads at most {config.context_length}"
            )
        for token in prompt:
            if not 0 <= token < config.vocab_size:
                raise UnknownTokenError(
                    f"the model knows the tokens 0 to {config.vocab_size - 1}, not {token}"
                )
        key = self.next_key if key is None else key
        sequence = Sequence(key, list(prompt), params, config.context_length, priority, generator)
        self.scheduler.add(sequence)
        self.next_key = max(self.next_key, key + 1)
        return key

    def abort(self, key: int) -> bool:
        """End a request that nobody wants any more, without an output; False if it has ended, or never came."""
        found = self.scheduler.abort(key)
        if found:
            self.aborted.append(key)
        return found

    def step(self) -> list[Output]:
        """Make one step; returns what it brought, by the schedule's order, of each that wrote a token or has ended.

        Schedule, run, let the sampler choose for each sequence (`_choose`), update, and make the outputs (`_outputs`).
        Without anybody there it returns [], and no step is counted; else `steps` counts it before it runs, and one that
        fails as well. The recorder hears the schedule (`plan`) before anything is done to it, and the outputs at the
        end (`_record`). What was aborted in the meantime, as by the sampler of another or by the runner, has no output,
        and is not asked for a token.

        A runner that raises an Exception fails all that were scheduled, a sampler that does only its own sequence:
        they are aborted (`scheduler.abort`), and their output has no tokens and the error; everybody else goes on.
        Raises RuntimeError, naming how many requests there are, where there are some but none is scheduled.
        """
        scheduled = self.scheduler.schedule()
        if not scheduled:
            if self.scheduler.sequences:
                raise RuntimeError(f"{len(self.scheduler.sequences)} requests are there, and none can go on")
            return []
        self.steps += 1
        if self.recorder is not None:
            self.recorder.plan(scheduled)
        errors: dict[int, Exception] = {}
        try:
            logits = self.runner(scheduled)
        except Exception as error:
            errors = {sequence.key: error for sequence, _ in scheduled if not sequence.finished}
            chosen: list[list[int]] = [[] for _ in scheduled]
        else:
            chosen = [
                self._choose(sequence, rows, errors) if not sequence.finished else []
                for (sequence, _), rows in zip(scheduled, logits, strict=True)
            ]
        for key in errors:
            self.scheduler.abort(key)
        outputs = self._outputs(scheduled, self.scheduler.update(scheduled, chosen), errors)
        self._record(scheduled, outputs)
        return outputs

    def _choose(self, sequence: Sequence, logits: Tensor, errors: dict[int, Exception]) -> list[int]:
        """A sequence's next tokens; an error is noted, and costs nobody else anything."""
        try:
            return self.sampler(sequence, logits)
        except Exception as error:
            if not sequence.finished:  # by the sampler itself: then nobody waits for the error
                errors[sequence.key] = error
            return []

    def _outputs(
        self, scheduled: List[Scheduled], written: List[list[int]], errors: Mapping[int, Exception]
    ) -> list[Output]:
        outputs = []
        for (sequence, _), tokens in zip(scheduled, written, strict=True):
            error = errors.get(sequence.key)
            aborted = sequence.status is SequenceStatus.FINISHED_ABORTED and error is None
            if not aborted and (tokens or sequence.finished):
                outputs.append(Output(sequence.key, tokens, sequence.status, error))
        return outputs

    def _record(self, scheduled: List[Scheduled], outputs: List[Output]) -> None:
        """Tell the recorder, where there is one, of the step that was made."""
        if self.recorder is not None:
            present = {sequence.key for sequence, _ in scheduled}
            self.recorder.record(
                self.steps,
                waiting=[key for key in self.scheduler.sequences if key not in present],
                finished={output.key: output.status.value for output in outputs if output.finished},
                aborted=self.aborted, preempted=self.scheduler.preempted,
            )  # fmt: skip
        self.aborted = []

    def run(self) -> dict[int, list[int]]:
        """Make steps until all have ended; returns, by key, what each that was there has written, without its prompt.

        The error of one that fails is raised at once; the others are still there, and `run` goes on with them.
        """
        sequences = list(self.scheduler.sequences.values())
        while self.scheduler.sequences:
            for output in self.step():
                if output.error is not None:
                    raise output.error
        return {sequence.key: sequence.written for sequence in sequences}
