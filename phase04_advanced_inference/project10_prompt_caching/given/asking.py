"""Questions about a story, as tiny-base was trained to answer them, through a prompt cache."""

import time
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

from phase04_advanced_inference.project10_prompt_caching.block_hash import BlockKey
from phase04_advanced_inference.project10_prompt_caching.prompt_cache import PromptCache
from shared import tinyworld
from shared.phase01 import LLM, PromptTokenizer
from shared.phase03 import KVCache, step
from shared.tinyworld import Question

LONGEST_ANSWER = 16  # tokens


class Reply(NamedTuple):
    """An answer, and what it took."""

    text: list[int]
    """the prompt and the answer"""
    answer: str
    cached: int
    """tokens of the prompt that were not computed"""
    seconds: float
    """to the first token"""
    keys: list[BlockKey]


class Told(NamedTuple):
    """A story, and what can be asked about it."""

    text: str
    questions: list[Question]


def story(number: int = 0, most: int = 4) -> Told:
    """A story of the test split with at least `most` questions, the longest first, and so many of its questions.

    Raises ValueError where no story has as many, naming the number.
    """
    documents = islice(tinyworld.documents("test", kinds=["story"]), 200)
    fitting = [document for document in documents if len(document.questions) >= most]
    if not fitting:
        raise ValueError(f"no story of the test split has {most} questions")
    fitting.sort(key=lambda document: len(document.text), reverse=True)
    chosen = fitting[number % len(fitting)]
    return Told(chosen.text, chosen.questions[:most])


def as_prompt(question: str, told: str = "") -> str:
    """The text up to where the answer begins, in the words of training."""
    return f"Question: {told}{question}\nAnswer:"


def ask(
    model: LLM, tokenizer: PromptTokenizer, texts: PromptCache, prompt: Sequence[int], salt: str = ""
) -> Reply:
    """Read a prompt through the prompt cache, answer it greedily up to the end of the line, and keep the whole text."""
    weight, text = model.embedding.weight, list(prompt)
    room = min(len(prompt) + LONGEST_ANSWER, model.config.context_length)
    cache = KVCache(model.config, 1, room, weight.dtype, weight.device)
    begin = time.perf_counter()
    found = texts.prefill(cache, 0, prompt, salt)
    token = int(found.logits.argmax())
    seconds = time.perf_counter() - begin
    read = partial(step, model, cache)
    while token not in tokenizer.start and "\n" not in tokenizer.decode([token]) and len(text) < room:
        text.append(token)
        if len(text) < room:
            token = int(read([[token]])[0].argmax())
    texts.keep(cache, 0, text, salt, found.keys)
    return Reply(text, tokenizer.decode(text[len(prompt) :]).strip(), found.cached, seconds, found.keys)


def prompts_about(
    tokenizer: PromptTokenizer, told: Told, conversation: bool, replies: Sequence[Reply]
) -> list[int]:
    """The tokens of the next prompt after these replies: a text of its own, or the conversation so far and a question.

    In a conversation, the tokens of the text so far stay as they are, and those of the new question come after them. To
    encode the whole as one text anew could cut words at other places, and then the prefix would be another one.
    """
    question = told.questions[len(replies)].text
    if conversation and replies:
        more = tokenizer.encode("\n" + as_prompt(question))
        return [*replies[-1].text, *more[len(tokenizer.start) :]]
    return tokenizer.encode(as_prompt(question, told.text + "\n"))
