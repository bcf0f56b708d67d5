"""Project 12's engine with what blocks make possible: drafts that ride along, and one prompt for several texts.

Before a step, the proposer guesses how the running texts go on, and the guesses are scheduled as tokens like others.
After it, the sampler says which may stay. And when a prompt that several texts are asked of has been read, it is
forked: all of them go on from the same blocks.
"""

from collections.abc import Callable, Mapping
from collections.abc import Sequence as List

import torch
from torch import Tensor

from phase04_advanced_inference.project11_speculative_decoding.adaptive import AdaptiveLength
from phase04_advanced_inference.project11_speculative_decoding.given.proposer import (
    Draft,
    Proposal,
    check_proposals,
)
from phase04_advanced_inference.project12_dynamic_batching.engine import Engine, Output, StepRunner, sample
from phase04_advanced_inference.project12_dynamic_batching.engine import Sampler as Choice
from phase04_advanced_inference.project12_dynamic_batching.sequence import Scheduled, Sequence, SequenceStatus
from phase04_advanced_inference.project13_paged_attention.given.block_recorder import BlockRecorder
from phase04_advanced_inference.project13_paged_attention.given.guesser import Guesser
from phase04_advanced_inference.project13_paged_attention.paged_scheduler import PagedScheduler
from phase04_advanced_inference.project13_paged_attention.sampler import Sampler
from shared.phase01 import SamplingParams


class PagedEngine(Engine):
    """An Engine over blocks, that guesses ahead and forks."""

    def __init__(
        self,
        scheduler: PagedScheduler,
        runner: StepRunner,
        sampler: Choice = sample,
        proposer: Guesser | None = None,
        guesses: int | AdaptiveLength = 4,
        recorder: BlockRecorder | None = None,
        ends: Callable[[Output], bool] = lambda output: False,
    ):
        """`guesses` is how many tokens the proposer is asked for, or what says so for each text.

        `ends` is told of every output, and says whether its text is to end here, as where its words are those to stop
        at; for one that has ended already it does not matter what it says.
        """
        super().__init__(scheduler, runner, sampler, recorder)
        if recorder is not None:
            recorder.manager = scheduler.manager
        self.paged, self.manager = scheduler, scheduler.manager
        self.proposer, self.guesses, self.ends = proposer, guesses, ends
        self.proposals: dict[int, Proposal] = {}
        """by key, what was guessed for the step that is being made"""
        self.judged: dict[int, tuple[int, int]] = {}
        """by key, how many guesses the last step has computed, and how many of them stayed"""
        self.siblings: dict[int, list[Sequence]] = {}
        """by the key of a text whose prompt is not read yet: the others that are to go on from the same prompt"""
        self.forks: list[tuple[Scheduled, list[int]]] = []
        """those that were forked in the step that is being made, with their first tokens"""
        self.late: list[Sequence] = []
        """those for which there was no place: they wait, and will find the prompt's full blocks cached"""

    def step(self) -> list[Output]:
        """`propose`, and then a step as Engine's, with forks.

        A proposer that raises an Exception, or whose proposals are no answer to what was asked, fails those that it
        was asked about, as a runner that raises does; everybody else goes on.
        """
        failed: list[Output] = []
        try:
            self.propose()
        except Exception as error:
            failed = self._fail([one for one in self.paged.running.values() if one.pending == 1], error)
        self.judged = {}
        return [*failed, *super().step()]

    def _fail(self, sequences: List[Sequence], error: Exception) -> list[Output]:
        """Abort sequences because of an error; their outputs have it."""
        for one in sequences:
            self.paged.abort(one.key)
        nothing = [Scheduled(one, 0) for one in sequences]
        return self._outputs(nothing, [[] for _ in sequences], {one.key: error for one in sequences})

    def ask(
        self,
        prompt: List[int],
        params: SamplingParams,
        count: int = 1,
        priority: int = 0,
        salt: str = "",
    ) -> list[int]:
        """Take in a request for `count` texts after one prompt; returns their keys.

        The first is added as by Engine's `add`, which raises what it says, before anything changes. The others are its
        siblings: they wait until its prompt is read. Text i draws from a generator seeded with params.seed + i. Each
        has its own number of arrival, one after the other. Texts with different salts share no blocks.
        """
        context = self.runner.config.context_length
        key = self.add(prompt, params, priority=priority)
        first = self.paged.sequences[key]
        others = []
        for i in range(1, count):
            generator = torch.Generator().manual_seed((params.seed + i) % 2**64)
            child = Sequence(key + i, list(prompt), params, context, priority, generator)
            child.arrival = first.arrival + i
            others.append(child)
        self.paged.arrivals += len(others)
        self.next_key += len(others)
        if others:
            self.siblings[key] = others
        if salt:
            self.manager.salts[key] = salt
        return [key, *(child.key for child in others)]

    def propose(self) -> None:
        """Ask the proposer for a draft of each running text with one pending token, its last.

        At most `guesses` tokens (or its `length` of the key), and no more than may still be computed of the sequence
        (`longest`) after those of its text. No draft is asked for where that is 0. All are asked for in one call, with
        the sequence's own key, a copy of its tokens, its params and generator. `check_proposals` looks at what comes;
        then `draft` and `proposals` have it.
        """
        self.proposals = {}
        if self.proposer is None:
            return
        asked: list[tuple[Sequence, Draft]] = []
        for sequence in self.paged.running.values():
            if len(sequence.tokens) - sequence.num_computed != 1:
                continue
            wanted = self.guesses if isinstance(self.guesses, int) else self.guesses.length(sequence.key)
            count = min(wanted, sequence.longest - len(sequence.tokens))
            if count > 0:
                assert sequence.generator is not None
                tokens, hidden = list(sequence.tokens), self._hidden(sequence)
                asked.append((sequence, Draft(sequence.key, tokens, count, sequence.params, sequence.generator,
                hidden)))  # fmt: skip
        if not asked:
            return
        drafts = [draft for _, draft in asked]
        proposals = self.proposer.propose(drafts)
        check_proposals(drafts, proposals, self.runner.config.vocab_size)
        for (sequence, _), proposal in zip(asked, proposals, strict=True):
            sequence.draft = list(proposal.tokens)
            self.proposals[sequence.key] = proposal

    def _hidden(self, sequence: Sequence) -> Tensor | None:
        """The stream where the last token was chosen, if the runner keeps it."""
        kept: Mapping[int, Tensor] = getattr(self.runner, "hidden", {})
        rows = kept.get(sequence.key)
        if rows is None or not len(rows):
            return None
        return rows[self.judged.get(sequence.key, (0, 0))[1]]

    def _choose(self, sequence: Sequence, logits: Tensor, errors: dict[int, Exception]) -> list[int]:
        """The next tokens; and once a prompt has been read to its end, those of its siblings."""
        if len(logits):
            for child in self.siblings.pop(sequence.key, ()):
                self.fork(
                    sequence, child, logits[:1], errors
                )  # those after its guesses are not of the prompt
        if sequence.key in self.proposals and isinstance(self.sampler, Sampler):
            self.sampler.proposals[sequence.key] = self.proposals[sequence.key]
        tokens = super()._choose(sequence, logits, errors)
        if len(logits) > 1 and tokens:
            self.judged[sequence.key] = len(logits) - 1, len(tokens) - 1
        if tokens and isinstance(self.guesses, AdaptiveLength):  # without guesses, what was seen fades
            self.guesses.update(sequence.key, *self.judged.get(sequence.key, (0, 0)))
        return tokens

    def fork(self, parent: Sequence, child: Sequence, logits: Tensor, errors: dict[int, Exception]) -> None:
        """Let `child` go on from the parent's prompt, which is being read to its end in this step, with these logits.

        Where there is a place for it among those that run, it gets the parent's blocks (`manager.fork`), joins those
        that run, and chooses its first token from the same logits, with its own generator. `forks` gets it, with all of
        its pending tokens as the count, for computed they are, in this step or before. Else `late` gets it, and the
        parent's salt if there is one.
        """
        if len(self.paged.running) >= self.paged.max_sequences:
            if parent.key in self.manager.salts:
                self.manager.salts[child.key] = self.manager.salts[parent.key]
            self.late.append(child)
            return
        self.manager.fork(parent, child)
        self.paged.join(child)
        tokens = super()._choose(child, logits, errors)
        self.forks.append((Scheduled(child, child.pending), tokens))

    def _outputs(
        self, scheduled: List[Scheduled], written: List[list[int]], errors: Mapping[int, Exception]
    ) -> list[Output]:
        """Those of Engine, and those of forks; some end here, and of what has ended nothing is kept."""
        forks, self.forks = self.forks, []
        more = self.paged.update([one for one, _ in forks], [tokens for _, tokens in forks])
        outputs = super()._outputs([*scheduled, *(one for one, _ in forks)], [*written, *more], errors)
        for key, error in errors.items():
            for child in self.siblings.pop(key, ()):
                child.status = SequenceStatus.FINISHED_ABORTED
                outputs.append(Output(child.key, [], child.status, error))
        for child in reversed(self.late):
            self.paged.wait(child)
        self.late = []
        outputs = [self._ended(output) for output in outputs]
        for output in outputs:
            if output.finished:
                self.forget(output.key)
        return outputs

    def _ended(self, output: Output) -> Output:
        """The output, as the last of its text where `ends` says so."""
        if not self.ends(output) or output.finished:
            return output
        self.paged.finish(output.key, SequenceStatus.FINISHED_STOPPED)
        return Output(output.key, output.tokens, SequenceStatus.FINISHED_STOPPED)

    def abort(self, key: int) -> bool:
        """As Engine's. Those that wait for the same prompt go with it."""
        found = super().abort(key)
        if found:
            self.siblings.pop(key, None)
            self.forget(key)
        return found

    def forget(self, key: int) -> None:
        """A text has ended: proposer and lengths keep nothing of it."""
        self.judged.pop(key, None)
        if self.proposer is not None:
            self.proposer.forget(key)
        if isinstance(self.guesses, AdaptiveLength):
            self.guesses.forget(key)

    def _record(self, scheduled: List[Scheduled], outputs: List[Output]) -> None:
        """Tell the recorder of the step, with what has become of the blocks."""
        if self.recorder is not None:
            present = {sequence.key for sequence, _ in scheduled}
            self.recorder.record(
                self.steps,
                waiting=[key for key in self.paged.sequences if key not in present and key not in self.paged.running],
                finished={output.key: output.status.value for output in outputs if output.finished},
                aborted=self.aborted, preempted=self.paged.preempted,
                hits={str(key): count for key, count in self.paged.hits.items() if count}, swapped=self.paged.swapped,
                accepted={str(key): pair for key, pair in self.judged.items() if key in present},
            )  # fmt: skip
        self.aborted = []
