"""A talk with a model: what was said is remembered, as far as the model can read back."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from phase02_finetuning.project04_sft.given.chat_model import ChatModel
from phase02_finetuning.project04_sft.templates import END
from phase02_finetuning.project04_sft.turns import TooLongError, tokenize_turns
from shared.phase01 import SamplingParams, Tokenizer, stream, torch_attention


@dataclass
class Conversation:
    """A talk with one model. `messages` is all of it; the model sees what fits."""

    chat: ChatModel
    system: str = ""
    max_tokens: int = 100
    temperature: float = 0.0
    seed: int = 0
    messages: list[dict[str, str]] = field(default_factory=list)
    forgotten: int = 0
    """how many messages at the beginning the model does not see any more"""

    def say(self, text: str) -> Iterator[str]:
        """Say something; yields the answer in pieces, as it is written. Then both are part of the talk.

        Raises ValueError for an empty text, and TooLongError for one that does not fit into the model's context with
        nothing before it; the talk is then as it was.
        """
        prompt = self._fitting([*self.messages, {"role": "user", "content": text}])
        end = self.chat.tokenizer.special_tokens[END[self.chat.template]]
        params = SamplingParams(self.max_tokens, self.temperature, stop_ids=(end,), seed=self.seed)
        prompts = _Prompts(self.chat.tokenizer, self.chat.template)
        answer = ""
        for _, piece in stream(self.chat.model, prompts, [json.dumps(prompt)], params, torch_attention):
            answer += piece
            yield piece
        self.messages.append({"role": "user", "content": text})
        # An empty answer is no message: what comes next would have nothing to go on from.
        self.messages.append({"role": "assistant", "content": answer.strip() or "…"})

    def _fitting(self, messages: list[dict[str, str]]) -> list[dict[str, str]]:
        """The system's message and the last ones of the talk that leave room for an answer; whole exchanges go."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        room = self.chat.model.config.context_length - self.max_tokens
        for start in range(0, len(messages), 2):
            prompt = [*system, *messages[start:]]
            try:
                tokenize_turns(prompt, self.chat.tokenizer, self.chat.template, room, True)
            except TooLongError:
                if start + 2 >= len(messages):
                    raise
            else:
                self.forgotten = start
                return prompt
        raise AssertionError("a talk has at least one message")


class _Prompts:
    """A tokenizer for project 1's `stream`, whose prompts are texts: here each is a conversation, as JSON."""

    def __init__(self, tokenizer: Tokenizer[Any], template: str):
        self.tokenizer, self.template = tokenizer, template

    def encode(self, text: str) -> list[int]:
        return tokenize_turns(json.loads(text), self.tokenizer, self.template, None, True).ids

    def decode(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids)
