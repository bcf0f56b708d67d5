"""The server's side of the engine: many requests over one link, each with its own place, and none in another's way.

Whoever reads slowly must not hold the engine up, nor let memory grow. So what comes is not queued, it is joined: where
a text has got three tokens since its reader last looked, they are one piece. A request has at most one piece a text
waiting, whatever its reader does.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phase10_deployment.project28_serving.given.links import Link
from phase10_deployment.project28_serving.given.wire import Ask, Logprob, Piece, add_command


class EngineDeadError(RuntimeError):
    """The engine has ended, and will not come back."""


class QueueFullError(RuntimeError):
    """So many texts are on their way already that no more are taken in."""


class RefusedError(ValueError):
    """The engine does not take a request in, or cannot do what it asks: its words."""


class Generation:
    """One caller's texts on their way, and what has come of them since the caller last looked."""

    def __init__(self, texts: int, heard: Callable[[Piece], None] = lambda piece: None):
        """`texts` texts are wanted; they are numbered from 0. `heard` gets to see each piece when it comes."""
        self.texts, self.heard = texts, heard
        self.keys: list[int] = []
        """of its requests at the engine"""
        self.waiting: dict[int, Piece] = {}
        """by text, all that has come and was not fetched"""
        self.unfinished = set(range(texts))
        """the texts that have not ended yet, as far as the engine says"""
        self.error: Exception | None = None
        self.prompts: dict[int, list[Logprob | None]] = {}
        """by request, in the order of asking, the log-probabilities of its prompt"""
        self.cached: dict[int, int] = {}
        """by request, how many tokens of its prompt were cached"""
        self.event = asyncio.Event()

    def put(self, piece: Piece) -> None:
        """Something has come of a text. It is joined to what waits of this text already, if anything does.

        Text, tokens and log-probabilities come behind those that wait; reason and error are the newer ones. With a
        reason the text is no longer `unfinished`. `heard` sees the piece before that, and whoever waits in `next` wakes
        up.
        """
        self.heard(piece)
        there = self.waiting.get(piece.index)
        if there is None:
            self.waiting[piece.index] = piece
        else:
            there.text += piece.text
            there.tokens += piece.tokens
            there.logprobs += piece.logprobs
            there.reason, there.error = piece.reason, piece.error
        if piece.reason is not None:
            self.unfinished.discard(piece.index)
        self.event.set()

    def fail(self, error: Exception) -> None:
        """Nothing more will come: who waits, now or later, gets this error, after all that has come before it."""
        self.error = error
        self.event.set()

    async def next(self) -> list[Piece]:
        """All that has come since the last call, a piece for each text, by their numbers; waits until something has.

        Returns [] where no text is `unfinished` any more and all was fetched. Raises the error that it failed with,
        once what had come before was fetched, and rather than returning [].
        """
        while not self.waiting:
            if self.error is not None:
                raise self.error
            if not self.unfinished:
                return []
            self.event.clear()
            await self.event.wait()
        found, self.waiting = self.waiting, {}
        return [found[index] for index in sorted(found)]


@dataclass
class Place:
    """A request at the engine, and whose it is."""

    generation: Generation
    first: int
    """the number of the first of its texts in the generation"""
    number: int
    """its own, among the generation's requests"""
    left: int
    """how many of its texts have not ended"""


class AsyncEngine:
    """Everybody's generations over one link."""

    def __init__(
        self, link: Link, most: int = 272, heard: Callable[[dict[str, Any]], None] = lambda message: None
    ):
        """At most `most` texts are on their way at once: those that run and those that wait. `heard` gets to see every
        message of the engine, before it is given out.
        """
        self.link, self.most, self.heard = link, most, heard
        self.next_key = 0
        self.places: dict[int, Place] = {}
        """the requests at the engine that have not ended, by key"""
        self.answers: dict[int, asyncio.Future[Any]] = {}
        """by key, who waits for an answer that is no text"""
        self.dead: str | None = None
        """why the engine has ended; None while it lives"""

    @property
    def load(self) -> int:
        """How many texts are on their way."""
        return sum(place.left for place in self.places.values())

    def submit(self, asks: Sequence[Ask], heard: Callable[[Piece], None] = lambda piece: None) -> Generation:
        """Send requests to the engine; returns their generation: first the texts of the first ask, then the second's.

        An ask for params.n texts has so many; one that is not to `generate` has one, which will be empty.

        Raises, and sends nothing: EngineDeadError, naming why, if it has ended; QueueFullError, naming `most`, where
        with these more than `most` texts would be on their way.
        """
        counts = [ask.params.n if ask.generate else 1 for ask in asks]
        if self.dead is not None:
            raise EngineDeadError(f"the engine has ended: {self.dead}")
        if self.load + sum(counts) > self.most:
            raise QueueFullError(f"{self.load} texts are on their way, and no more than {self.most} may be")
        generation, first = Generation(sum(counts), heard), 0
        for number, (ask, count) in enumerate(zip(asks, counts, strict=True)):
            key, self.next_key = self.next_key, self.next_key + 1
            generation.keys.append(key)
            self.places[key] = Place(generation, first, number, count)
            first += count
            self.link.send(add_command(key, ask))
        return generation

    def abort(self, generation: Generation) -> None:
        """Nobody wants these texts any more: what is still at the engine is aborted there, and forgotten here.

        None is `unfinished` from now on. Who waits in `next`, or calls it, gets what has come, and then [].
        """
        for key in generation.keys:
            if self.places.pop(key, None) is not None:
                self.link.send({"do": "abort", "key": key})
        generation.unfinished.clear()
        generation.event.set()

    def generate(self, asks: Sequence[Ask]) -> AsyncGenerator[list[Piece], None]:
        """Submit, at once, and return what yields what comes (`Generation.next`) until it is over.

        However it ends, also where whoever reads it goes away in the middle, nothing of it stays at the engine. (A
        generator that nobody ever reads from cannot know.) Raises as `submit` does.
        """
        generation = self.submit(asks)

        async def pieces() -> AsyncGenerator[list[Piece], None]:
            try:
                while found := await generation.next():
                    yield found
            finally:
                self.abort(generation)

        return pieces()

    async def call(self, command: Mapping[str, Any]) -> Any:
        """Send a command that is answered once, as "embed" is, and wait for the answer.

        Raises EngineDeadError where the engine has ended or ends meanwhile, RefusedError with the engine's words.
        """
        if self.dead is not None:
            raise EngineDeadError(f"the engine has ended: {self.dead}")
        key, self.next_key = self.next_key, self.next_key + 1
        self.answers[key] = asyncio.get_running_loop().create_future()
        self.link.send({**command, "key": key})
        try:
            return await self.answers[key]
        finally:
            del self.answers[key]

    async def run(self) -> None:
        """Give out what the engine sends, until it ends; then everybody who waits gets an EngineDeadError.

        `dead` says why: the message's "fatal", or that it ended without a word.
        """
        try:
            async for message in self.link.messages():
                if "fatal" in message:
                    self.dead = str(message["fatal"])
                else:
                    self.dispatch(message)
        except Exception as fault:
            self.dead = f"a message of it was not understood: {type(fault).__name__}"
            raise
        finally:
            self.die(self.dead or "its process ended without a word")

    def die(self, why: str) -> None:
        """The engine is no more: everybody who waits hears it, and nobody new is taken in."""
        self.dead = why
        error = EngineDeadError(f"the engine has ended: {why}")
        for place in self.places.values():
            place.generation.fail(error)
        for future in self.answers.values():
            if not future.done():
                future.set_exception(error)
        self.places.clear()

    def dispatch(self, message: dict[str, Any]) -> None:
        """Give out one message of the engine (EngineCore.turn), after `heard` has seen it.

        - "prompt": the log-probabilities go into `prompts` of the generation, by the number of the request.
        - "cached": into `cached`, likewise.
        - "pieces": each goes to its generation, with the number that the text has there. A request whose texts have all
          ended leaves `places`. What is of a key that nobody knows any more, since it was aborted, is dropped.
        - "refused": the generation is aborted, with all of its requests, and fails with a RefusedError that has the
          engine's words; or who waits for an answer gets it.
        - "answers": who waits gets them.
        """
        self.heard(message)
        for key, logprobs in message.get("prompt", ()):
            if place := self.places.get(key):
                place.generation.prompts[place.number] = logprobs
        for key, count in message.get("cached", ()):
            if place := self.places.get(key):
                place.generation.cached[place.number] = count
        for key, index, text, tokens, reason, error, logprobs in message.get("pieces", ()):
            if place := self.places.get(key):
                place.left -= reason is not None
                if not place.left:
                    del self.places[key]
                place.generation.put(Piece(place.first + index, text, tokens, reason, error, logprobs))
        for key, kind, said in message.get("refused", ()):
            error = RefusedError(said if kind.endswith("Error") else f"{kind}: {said}")
            if place := self.places.get(key):
                self.abort(place.generation)
                place.generation.fail(error)
            elif key in self.answers and not self.answers[key].done():
                self.answers[key].set_exception(error)
        for key, value in message.get("answers", ()):
            if key in self.answers and not self.answers[key].done():
                self.answers[key].set_result(value)
