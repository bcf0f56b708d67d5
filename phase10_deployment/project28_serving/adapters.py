"""The engine's side of the wire: commands in, a step, one message out; and several adapters over one base.

Each adapter has an LLMEngine of its own, and all of them have the one base model. A step belongs to one of them: the
adapter is switched on, its rows go through the model together, and the next step is the next one's that has something
to do. So the base's weights are there once, and what an adapter has cached is never hit by another: its keys and
values are made with other weights (as a shared cache had it: vllm issues 3264 and 30931).

In a step, rows of different adapters could go together (Punica, arXiv:2310.18547); project 13's step lays all tokens
end to end in one row, so that this would need a product that knows whose each token is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from phase10_deployment.project28_serving.given.measure_prompt import attention_of, embed, prompt_logprobs
from phase10_deployment.project28_serving.given.stats import engine_stats, engine_view
from phase10_deployment.project28_serving.given.wire import as_logprob, params_of
from shared.phase01 import LLM
from shared.phase02 import use_adapter
from shared.phase04 import Completion, Delta, LLMEngine


@dataclass
class Asked:
    """A request in an engine, as the server knows it."""

    key: int
    """the server's"""
    name: str
    """of the adapter, and so of the engine"""
    own: int
    """the key that it has in its engine"""
    completions: list[Completion]
    """the engine's own: they grow with each step"""
    keys: list[int]
    """of its sequences in the engine, one for each text"""
    best: int | None
    """how many of the texts come back, where these are known at the end only; None: all of them, as they come"""
    logprobs: bool
    sent: dict[int, int] = field(default_factory=dict)
    """by text, of how many tokens log-probabilities have been sent"""


class EngineCore:
    """Engines by the name of their adapter ("" is the base's), and who asked for what."""

    def __init__(self, model: LLM, engines: Mapping[str, LLMEngine]):
        """`model` is the one that all engines compute with; where there is no engine but the base's, it needs no
        adapters.
        """
        self.model, self.engines = model, dict(engines)
        self.order = list(engines)
        """the engines' names, the one whose turn it is first"""
        self.asked: dict[int, Asked] = {}
        """those that have not ended, by the server's key"""
        self.owners: dict[tuple[str, int], Asked] = {}
        """the same by engine and the key there"""
        self.done: list[list[Any]] = []
        """pieces for the next message that no step makes"""
        self.events: dict[str, list[Any]] = {}
        """what the next message has to say besides pieces, by its kind"""
        self.watched = False
        """whether somebody looks at the steps"""
        self.changed = False
        """whether something came since the last message that it must tell of, though no step is made"""

    @property
    def idle(self) -> bool:
        """Whether there is nothing to compute, and nothing to tell."""
        return not self.changed and not any(engine.requests for engine in self.engines.values())

    def switch(self, name: str) -> LLMEngine:
        """Let the model be the base with this adapter, or for "" the base alone, from now on; returns its engine.

        Raises KeyError for an adapter there is not. Where the only engine is the base's, the model is left alone.
        """
        engine = self.engines[name]
        if len(self.engines) > 1:
            use_adapter(self.model, name or None)
        return engine

    def take(self, command: Mapping[str, Any]) -> None:
        """Do what a command says: "add", "abort", "embed", "attention", "watch".

        - add: `prompt_logprobs`, where they are wanted, of the prompt with the adapter on: a "prompt" event, [key,
          list]. Then, if it is to `generate`, the request goes into the adapter's engine with its salt; if not, the
          next message has one empty piece of it, which ends with the reason "length".
        - abort: the request leaves its engine, and nothing of it is kept; one that has ended, or never came, is no
          mistake.
        - embed: `embed` of each of the "texts" with the adapter on; attention: `attention_of` the "tokens" with the
          base. Both at once, between two steps; the result is an "answers" event, [key, result].
        - watch: from now on somebody looks at the steps, or for "on" False nobody; first comes a "views" event,
          `engine_view` of the base's engine, with "snapshot" True.

        Where anything is wrong with a command, no error gets out: its key has a "refused" event, [key, the name of the
        exception's class, its text], and everybody else goes on. After any command something has `changed`.
        """
        self.changed = True
        do = {
            "add": self._add,
            "abort": self._abort,
            "embed": self._embed,
            "attention": self._attention,
            "watch": self._watch,
        }
        try:
            do[command["do"]](command)
        except Exception as error:
            self._tell("refused", [command.get("key"), type(error).__name__, str(error)])

    def _tell(self, kind: str, value: Any) -> None:
        self.events.setdefault(kind, []).append(value)

    def _add(self, command: Mapping[str, Any]) -> None:
        """A request comes in, as `take` says: `asked` and `owners` know it from now on, if it is to generate."""
        key, name, prompt = command["key"], command["adapter"], command["prompt"]
        engine = self.switch(name)
        if command["prompt_logprobs"] is not None:
            self._tell("prompt", [key, prompt_logprobs(self.model, prompt, command["prompt_logprobs"])])
        if not command["generate"]:
            self.done.append([key, 0, "", [], "length", None, []])
        else:
            params = params_of(command["params"])
            own = engine.add(prompt, params, salt=command["salt"])
            request = engine.requests[own]
            best = params.n if params.texts > params.n else None
            asked = Asked(
                key, name, own, request.completions, request.keys, best, params.logprobs is not None
            )
            self.asked[key] = self.owners[name, own] = asked

    def _abort(self, command: Mapping[str, Any]) -> None:
        """A request goes, as `take` says: out of its engine, `asked` and `owners`."""
        asked = self.asked.pop(command["key"], None)
        if asked is not None:
            del self.owners[asked.name, asked.own]
            self.engines[asked.name].abort(asked.own)

    def _embed(self, command: Mapping[str, Any]) -> None:
        self.switch(command["adapter"])
        self._tell("answers", [command["key"], [embed(self.model, tokens) for tokens in command["texts"]]])

    def _attention(self, command: Mapping[str, Any]) -> None:
        self.switch("")
        self._tell("answers", [command["key"], attention_of(self.model, command["tokens"])])

    def _watch(self, command: Mapping[str, Any]) -> None:
        self.watched = bool(command["on"])
        if self.watched:
            self._tell("views", {"snapshot": True, **engine_view(self.engines[""], self.request_of(""))})

    def request_of(self, name: str) -> dict[int, int]:
        """By the key of each sequence in an engine, the server's key of its request."""
        return {at: one.key for one in self.asked.values() if one.name == name for at in one.keys}

    def turn(self) -> dict[str, Any] | None:
        """One step of the next engine that has something to do, and the message about it; None where all is `idle`.

        The engines take turns: from the first of `order` on, the first one that has requests makes a step, with its
        adapter switched on, and comes last in `order`. The message has "pieces" (`pieces`), "stats" (`engine_stats` of
        all engines), and the events that have gathered, which are then forgotten. Where somebody looks, a step of the
        base's engine gives a "views" event, `engine_view`.

        Without a step there is a message, too, if something has `changed`: where the last request is aborted, no step
        will ever say that nothing runs. An error that gets out of a step is raised on: it is fatal, for nobody knows
        the state of the engine then.
        """
        if self.idle:
            return None
        found, self.done = self.done, []
        name = next((name for name in self.order if self.engines[name].requests), None)
        if name is not None:
            self.order.remove(name)
            self.order.append(name)
            engine, requests = self.switch(name), self.request_of(name) if self.watched else {}
            found += self.pieces(name, engine, engine.step())
            if self.watched and name == "":
                self._tell("views", engine_view(engine, requests))
        events, self.events, self.changed = self.events, {}, False
        return {"pieces": found, "stats": engine_stats(self.engines.values()), **events}

    def pieces(self, name: str, engine: LLMEngine, deltas: list[Delta]) -> list[list[Any]]:
        """What a step brought, a list for each text: [key, index, text, tokens, reason, error, logprobs].

        The key is the server's, the error "ValueError: …" or None, and there is one `as_logprob` for each of the tokens
        where they were asked for. Of a request whose best texts are known only at its end, nothing comes before, and
        then these with all they have, numbered from 0. A request that has ended is forgotten, and a "cached" event has
        [key, how many tokens of its prompt were cached].
        """
        found = []
        for delta in deltas:
            asked = self.owners[name, delta.key]
            if asked.best is None:
                entries = self._logprobs(asked, engine, delta)
                found.append(
                    [
                        asked.key,
                        delta.index,
                        delta.text,
                        delta.tokens,
                        delta.reason,
                        _said(delta.error),
                        entries,
                    ]
                )
        for own in {delta.key for delta in deltas if delta.key in engine.results}:
            asked, result = self.owners.pop((name, own)), engine.results.pop(own)
            del self.asked[asked.key]
            self._tell("cached", [asked.key, result.cached])
            if asked.best is not None:
                for index, one in enumerate(result.completions):
                    entries = (
                        [as_logprob(entry) for entry in one.logprobs[: len(one.tokens)]]
                        if asked.logprobs
                        else []
                    )
                    found.append(
                        [asked.key, index, one.text, one.tokens, one.reason, _said(one.error), entries]
                    )
        return found

    def _logprobs(self, asked: Asked, engine: LLMEngine, delta: Delta) -> list[Any]:
        """An `as_logprob` for each of the delta's tokens; none where nobody wants them.

        While a text is written, the engine's sampler has them, by the sequence's key, for all of its tokens so far;
        once it has ended, its Completion has. `sent` says how many have been sent already.
        """
        if not asked.logprobs:
            return []
        one, start = asked.completions[delta.index], asked.sent.get(delta.index, 0)
        there = (
            one.logprobs
            if one.reason is not None
            else engine.sampler.logprobs.get(asked.keys[delta.index], [])
        )
        asked.sent[delta.index] = len(one.tokens)
        return [as_logprob(entry) for entry in there[start : len(one.tokens)]]


def _said(error: Exception | None) -> str | None:
    return None if error is None else f"{type(error).__name__}: {error}"
