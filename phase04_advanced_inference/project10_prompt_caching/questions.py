"""Several questions about one long story, which is read once: ladder run 10 questions"""

import time
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from phase04_advanced_inference.project10_prompt_caching.given.asking import (
    LONGEST_ANSWER,
    Reply,
    Told,
    ask,
    prompts_about,
    story,
)
from phase04_advanced_inference.project10_prompt_caching.prompt_cache import PromptCache
from phase04_advanced_inference.project10_prompt_caching.response_cache import ResponseCache, request_key
from shared.artifacts import ArtifactError, CheckpointError
from shared.command import exits_with_message, printable
from shared.device import set_threads
from shared.options import run_command
from shared.phase01 import LLM, PromptTokenizer, SamplingParams, load_base

GREEDY = SamplingParams(max_tokens=LONGEST_ANSWER, temperature=0)


def main(
    model: Annotated[str, typer.Option(help="The model's name.")] = "tiny-base",
    number: Annotated[int, typer.Option("--story", help="Which story, from 0: the longest first.")] = 0,
    questions: Annotated[int, typer.Option(help="How many questions.")] = 4,
    conversation: Annotated[
        bool,
        typer.Option(help="Ask in one conversation, whose answers are kept too, and not each by itself."),
    ] = False,
    blocks: Annotated[int, typer.Option(help="How many blocks are kept; 0 is no cache.")] = 256,
    block_size: Annotated[int, typer.Option(help="Tokens in a block.")] = 16,
) -> None:
    """Let tiny-base answer several questions about one story, and say for each what was cached, and what that saved.

    Then the first question is asked again, word for word: its answer is looked up, and nothing is computed.
    """
    with exits_with_message(Console(stderr=True), ValueError, ArtifactError, CheckpointError):
        if number < 0 or questions < 1:
            raise ValueError(f"--story is 0 or more and --questions 1 or more, not {number} and {questions}")
        set_threads()
        llm, bare = load_base(model)
        tokenizer = PromptTokenizer(bare)
        texts, without = PromptCache(llm, blocks, block_size), PromptCache(llm, 0)
        told = story(number, questions)
        ask(
            llm, tokenizer, without, tokenizer.encode("It was")
        )  # what is done once is done before the clock starts
        print(f"{printable(told.text)}\n")
        answers, replies = ResponseCache(), []
        for _ in told.questions:
            tokens = prompts_about(tokenizer, told, conversation, replies)
            replies.append(_asked(llm, tokenizer, texts, without, told, tokens, len(replies)))
            answers.put(request_key(model, tokens, GREEDY), replies[-1].text[len(tokens) :])
        _again(
            tokenizer, answers, request_key(model, prompts_about(tokenizer, told, False, []), GREEDY), told
        )
        _sum(texts, replies)


def _asked(
    llm: LLM,
    tokenizer: PromptTokenizer,
    texts: PromptCache,
    without: PromptCache,
    told: Told,
    tokens: Sequence[int],
    number: int,
) -> Reply:
    """Ask with the cache and without, and print both."""
    slow, reply = ask(llm, tokenizer, without, tokens), ask(llm, tokenizer, texts, tokens)
    question = told.questions[number]
    print(f"{question.text}  {printable(reply.answer)}  (right: {question.answer})")
    same = (
        "" if slow.answer == reply.answer else f"; without the cache the answer is {printable(slow.answer)!r}"
    )
    print(
        f"    {len(tokens)} tokens, {reply.cached} of them cached: first token after {1000 * reply.seconds:.1f} ms, "
        f"without the cache {1000 * slow.seconds:.1f} ms{same}"
    )
    return reply


def _again(tokenizer: PromptTokenizer, answers: ResponseCache, key: object, told: Told) -> None:
    begin = time.perf_counter()
    found = answers.get(key)  # pyright: ignore[reportArgumentType]
    seconds = time.perf_counter() - begin
    assert found is not None
    print(f"\nAgain: {told.questions[0].text}  {printable(tokenizer.decode(list(found)).strip())}")
    print(f"    looked up in {1e6 * seconds:.0f} µs")


def _sum(texts: PromptCache, replies: Sequence[Reply]) -> None:
    total = texts.rate.total
    print(
        f"\n{total.queried} tokens of {len(replies)} prompts, {total.queried - total.hit} computed: "
        f"{total.rate:.0%} were hits; {texts.pool.num_published} of {texts.pool.num_blocks} blocks hold something, "
        f"{texts.pool.evictions} were evicted"
    )


if __name__ == "__main__":
    run_command(main)
