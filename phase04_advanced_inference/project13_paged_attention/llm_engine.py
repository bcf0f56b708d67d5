"""LLMEngine: prompts in, texts out. All that projects 10 to 13 have built, behind four names.

    engine = LLMEngine(model, tokenizer, num_blocks=256)
    results = engine.generate(["Once upon a time", "The cat"], SamplingParams(max_tokens=40))
    for delta in engine.stream("Once upon a time"): print(delta.text, end="")

or step by step, with requests that come and go: `add`, `abort`, `step`. The names are vLLM's.
"""

from collections import deque
from collections.abc import Generator
from collections.abc import Sequence as List
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from phase04_advanced_inference.project10_prompt_caching.block_pool import BlockPool
from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore
from phase04_advanced_inference.project10_prompt_caching.hit_rate import HitRate
from phase04_advanced_inference.project11_speculative_decoding.adaptive import AdaptiveLength
from phase04_advanced_inference.project12_dynamic_batching.engine import Output
from phase04_advanced_inference.project13_paged_attention.beam_search import Beam, beam_search
from phase04_advanced_inference.project13_paged_attention.block_manager import BlockManager
from phase04_advanced_inference.project13_paged_attention.detokenizer import Detokenizer
from phase04_advanced_inference.project13_paged_attention.given.block_recorder import BlockRecorder
from phase04_advanced_inference.project13_paged_attention.given.check_prompt import check_prompt
from phase04_advanced_inference.project13_paged_attention.given.fastest import fastest
from phase04_advanced_inference.project13_paged_attention.given.guesser import Guesser
from phase04_advanced_inference.project13_paged_attention.given.huge_pages import use_huge_pages
from phase04_advanced_inference.project13_paged_attention.given.pieces import token_pieces
from phase04_advanced_inference.project13_paged_attention.given.results import (
    REASONS,
    Completion,
    Delta,
    Result,
)
from phase04_advanced_inference.project13_paged_attention.paged_attention import PagedAttention, PagedDecode
from phase04_advanced_inference.project13_paged_attention.paged_engine import PagedEngine
from phase04_advanced_inference.project13_paged_attention.paged_runner import PagedRunner, StepDecode
from phase04_advanced_inference.project13_paged_attention.paged_scheduler import PagedScheduler
from phase04_advanced_inference.project13_paged_attention.sampler import Sampler
from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams
from phase04_advanced_inference.project13_paged_attention.swap import HostPool
from shared.phase01 import LLM


@runtime_checkable
class Texts(Protocol):
    """A tokenizer: PromptTokenizer is one, and so are phase 1's others."""

    def encode(self, text: str, /) -> list[int]: ...
    def decode(self, ids: list[int], /) -> str: ...


@dataclass
class Request:
    """A prompt on its way, with all texts that are written after it."""

    prompt: list[int]
    params: SamplingParams
    keys: list[int]
    """of its sequences; the first is the request's own"""
    completions: list[Completion]
    detokenizers: list[Detokenizer]
    cached: int | None = None
    """how many tokens of the prompt were hit when it came in; None while it waits"""
    stream: deque[Delta] | None = None
    """what has come and was not fetched yet, where somebody streams it"""

    @property
    def ended(self) -> bool:
        """Whether all of its texts have."""
        return all(one.reason is not None for one in self.completions)


@dataclass
class Saved:
    """What the engine did not have to do, or did twice, counted over all of its steps."""

    prompts: HitRate = field(default_factory=HitRate)
    """tokens of prompts, and those of them that were cached; each request once"""
    guessed: int = 0
    accepted: int = 0
    """tokens that were guessed, and those that stayed: each of these is a step less for its text"""
    preempted: int = 0
    swapped: int = 0
    """how often a text was sent back, and how often of these to the host"""
    copied: int = 0
    """blocks, by copy-on-write"""


class LLMEngine:
    """A model with a tokenizer, a pool of blocks, and everybody's requests."""

    def __init__(
        self,
        model: LLM,
        tokenizer: Texts,
        num_blocks: int,
        block_size: int = 16,
        max_sequences: int = 8,
        max_tokens: int = 256,
        chunk: int | None = None,
        proposer: Guesser | None = None,
        guesses: int | AdaptiveLength = 4,
        swap_blocks: int = 0,
        max_waiting: int = 10_000,
        watermark: float = 0.01,
        decode: StepDecode | None = None,
        kernel: PagedDecode | None = None,
        keep_hidden: bool = False,
        recorder: BlockRecorder | None = None,
        compiled: bool = True,
    ):
        """Keys and values of `num_blocks` blocks of `block_size` tokens, in the model's dtype and on its device.

        `max_sequences`, `max_tokens` (the budget of a step), `chunk` and `max_waiting` are the scheduler's. `proposer`
        guesses, `guesses` tokens at most; without one, nobody does. `swap_blocks` are those of the host pool. `decode`
        does small steps in one call, `kernel` attends for single tokens; where neither is given, they are those in C++
        (given/fastest.py) if there is a compiler and they fit the model, unless `compiled` is False. `keep_hidden` is
        for proposers with heads. The store's memory is in large pages, where the system grants them.

        Raises ValueError as the parts do, for numbers out of range.
        """
        weight = model.embedding.weight
        store = BlockStore(model.config, num_blocks, block_size, weight.dtype, weight.device)
        use_huge_pages([*store.keys, *store.values])
        if compiled and decode is None and kernel is None:
            decode, kernel = fastest(model, store)
        host = HostPool(swap_blocks, store) if swap_blocks else None
        self.manager = BlockManager(BlockPool(num_blocks, block_size), watermark, host)
        self.scheduler = PagedScheduler(self.manager, max_sequences, max_tokens, max_waiting, chunk)
        attention = PagedAttention(store, kernel)
        self.runner = PagedRunner(model, store, self.manager, attention, decode, keep_hidden)
        vocab_size = model.config.vocab_size
        self.tokenizer, self.pieces = tokenizer, token_pieces(tokenizer, vocab_size)
        self.sampler = Sampler(token_pieces(tokenizer, vocab_size, special=False))
        self.engine = PagedEngine(
            self.scheduler, self.runner, self.sampler, proposer, guesses, recorder, self._take
        )
        self.requests: dict[int, Request] = {}
        """those that have not ended, by key"""
        self.owners: dict[int, tuple[int, int]] = {}
        """of each sequence: the request's key, and which of its texts it is"""
        self.results: dict[int, Result] = {}
        """those that have ended and were not fetched"""
        self.deltas: list[Delta] = []
        """of the step that is being made"""
        self.saved = Saved()

    def add(
        self,
        prompt: str | List[int],
        params: SamplingParams | None = None,
        priority: int = 0,
        salt: str = "",
    ) -> int:
        """Take in a request, a text or its tokens; returns its key. Texts with another `salt` share no blocks with it.

        A text is encoded by the tokenizer. `params.texts` texts are written after it, text i with the seed
        params.seed + i; None are the default ones.

        Raises, before anything changes: TypeError for a prompt that is neither text nor a sequence of int, for other
        params than SamplingParams of this project, and a salt that is no text, naming the type that came; ValueError as
        the sampler's `check` does; what the engine's `add` raises (EmptyPromptError, UnknownTokenError,
        PromptTooLongError) and the scheduler's (NeverFitsError, UnknownPriorityError, QueueFullError), all of them
        ValueErrors.
        """
        params = SamplingParams() if params is None else params
        if not isinstance(params, SamplingParams):
            raise TypeError(f"params are SamplingParams of project 13, not {type(params).__name__}")
        if not isinstance(salt, str):
            raise TypeError(f"a salt is a text, not {type(salt).__name__}")
        tokens = self._tokens(prompt)
        self.sampler.check(params)
        keys = self.engine.ask(tokens, params, params.texts, priority, salt)
        self.requests[keys[0]] = Request(
            tokens,
            params,
            keys,
            [Completion(i) for i in range(len(keys))],
            [Detokenizer(self.pieces, params.stop, params.include_stop, params.min_tokens) for _ in keys],
        )
        self.owners |= {key: (keys[0], i) for i, key in enumerate(keys)}
        return keys[0]

    def _tokens(self, prompt: str | List[int]) -> list[int]:
        if isinstance(prompt, str):
            return self.tokenizer.encode(prompt)
        if isinstance(prompt, List) and not isinstance(prompt, bytes):
            odd = [token for token in prompt if not isinstance(token, int) or isinstance(token, bool)]
            if not odd:
                return list(prompt)
            raise TypeError(f"tokens are whole numbers, not {type(odd[0]).__name__}")
        raise TypeError(f"a prompt is a text, or a list of its tokens, not {type(prompt).__name__}")

    def abort(self, key: int) -> bool:
        """End a request, with all of its texts, that nobody wants any more; False if it has ended, or never came.

        There is no result, and no delta, but a stream of it ends.
        """
        request = self.requests.pop(key, None)
        if request is None:
            return False
        for at, one in zip(request.keys, request.completions, strict=True):
            if one.reason is None:
                one.reason = "aborted"
                self.engine.abort(at)
            self._forget(at)
        return True

    def step(self) -> list[Delta]:
        """Make one step of the engine; returns what it brought, to whichever requests.

        There is a delta for each text that got tokens or has ended. The text of it is what the detokenizer is certain
        of; with the last delta, all that is left. A text ends where the engine says so, at a stop text, and where its
        guide's text is complete (`sampler.finished`), both with the reason "stop". A request whose texts have all ended
        is in `results`, and no longer in `requests`.
        """
        self.deltas = []
        self.engine.step()
        self._count()
        for delta in self.deltas:
            stream = self.requests[delta.key].stream
            if stream is not None:
                stream.append(delta)
        for key in {delta.key for delta in self.deltas if delta.reason is not None}:
            if self.requests[key].ended:
                self.results[key] = self._result(key, self.requests.pop(key))
        return self.deltas

    def _take(self, output: Output) -> bool:
        """A text got tokens, or has ended: note the delta; whether it is to end here."""
        key, index = self.owners[output.key]
        request = self.requests[key]
        one, detokenizer = request.completions[index], request.detokenizers[index]
        piece, before = "", len(one.tokens)
        for token in output.tokens:
            piece += detokenizer.add(token)
            one.tokens.append(token)
            if detokenizer.stopped is not None:
                break
        stopped = detokenizer.stopped is not None
        if not (stopped or output.finished):
            stopped = self.sampler.finished(self.scheduler.sequences[output.key])
        if stopped or output.finished:
            piece += detokenizer.finish()
            one.reason = REASONS[output.status] if output.finished else "stop"
            if stopped or detokenizer.stopped is not None:
                one.reason = "stop"
            if output.error is not None:
                one.reason, one.error = "error", output.error
            self._end(output.key, one, at_token=one.reason == "stop" and not stopped)
        one.text += piece
        self.deltas.append(Delta(key, index, piece, one.tokens[before:], one.reason, one.error))
        return stopped

    def _end(self, key: int, one: Completion, at_token: bool) -> None:
        """A text has ended: its log-probabilities are those of its tokens, and of the token that ended it."""
        logprobs = self.sampler.logprobs.get(key, [])
        one.logprobs = logprobs[: len(one.tokens) + at_token]
        self._forget(key)

    def _forget(self, key: int) -> None:
        self.owners.pop(key, None)
        self.sampler.forget(key)

    def _result(self, key: int, request: Request) -> Result:
        """The n texts that come back: the likeliest, where more were written; equal ones by their index."""
        completions = request.completions
        if request.params.texts > request.params.n:
            completions = sorted(
                completions, key=lambda one: (one.error is not None, -one.cumulative_logprob)
            )
        return Result(key, request.prompt, completions[: request.params.n], request.cached or 0)

    def _count(self) -> None:
        """Note what the step has saved."""
        saved, scheduler = self.saved, self.scheduler
        for key, count in scheduler.hits.items():
            request = self.requests.get(key)
            if request is not None and request.cached is None:
                request.cached = count
                evicted = (
                    self.manager.pool.evictions - saved.prompts.total.evicted
                )  # since the last that came in
                saved.prompts.record(len(request.prompt), count, evicted)
        saved.guessed += sum(guessed for guessed, _ in self.engine.judged.values())
        saved.accepted += sum(accepted for _, accepted in self.engine.judged.values())
        saved.preempted += len(scheduler.preempted)
        saved.swapped += len(scheduler.swapped)
        saved.copied = self.runner.copied

    def generate(
        self,
        prompts: List[str | List[int]],
        params: SamplingParams | List[SamplingParams] | None = None,
        priority: int = 0,
        salt: str = "",
    ) -> list[Result]:
        """Write texts after all prompts, and return the results in their order; `params` for all, or one for each.

        All are added first. Where one is refused, those before it are aborted, and the error is raised. Then steps are
        made until all have ended; those that were there before go on meanwhile. A text whose step failed has the error
        in its completion. Raises ValueError, naming both numbers, for another number of params than prompts.
        """
        each = params if isinstance(params, List) else [params] * len(prompts)
        if len(each) != len(prompts):
            raise ValueError(f"there are {len(prompts)} prompts, and params for {len(each)}")
        keys: list[int] = []
        try:
            for prompt, one in zip(prompts, each, strict=True):
                keys.append(self.add(prompt, one, priority, salt))
        except BaseException:
            for key in keys:
                self.abort(key)
            raise
        for key in keys:
            while key in self.requests:
                self.step()
        return [self.results.pop(key) for key in keys]

    def beam_search(
        self,
        prompt: str | List[int],
        width: int = 4,
        max_tokens: int = 40,
        length_penalty: float = 1.0,
        stop_ids: List[int] = (),
    ) -> list[tuple[str, Beam]]:
        """The `width` best texts after a prompt by beam search (beam_search.py), the best first, between two steps.

        It takes blocks that are free now, and gives them back; nobody who runs is sent back for it. Raises as `add`
        does for the prompt, and as `beam_search` does.
        """
        tokens = self._tokens(prompt)
        check_prompt(tokens, self.runner.config)
        beams = beam_search(self.runner, tokens, width, max_tokens, length_penalty, stop_ids)
        return [(self.tokenizer.decode(beam.tokens), beam) for beam in beams]

    def stream(
        self,
        prompt: str | List[int],
        params: SamplingParams | None = None,
        priority: int = 0,
        salt: str = "",
    ) -> Generator[Delta, None, None]:
        """Add a request, at once, and yield its deltas as they come; a step is made whenever none is there.

        Several streams may be read in turn: each has all that is its own, whoever made the step. One that is closed
        before its end aborts its request. Raises as `add` does, and ValueError where more texts are written than come
        back, for which these are is known only at the end: it names both numbers.
        """
        if isinstance(params, SamplingParams) and params.texts > params.n:
            raise ValueError(
                f"the best {params.n} of {params.texts} texts are known at the end only, and cannot be streamed"
            )
        key = self.add(prompt, params, priority, salt)
        request = self.requests[key]
        request.stream = deque()
        return self._stream(key, request, request.stream)

    def _stream(self, key: int, request: Request, queue: deque[Delta]) -> Generator[Delta, None, None]:
        try:
            while queue or not request.ended:
                if queue:
                    yield queue.popleft()
                else:
                    self.step()
        finally:
            self.abort(key)
            self.results.pop(key, None)
