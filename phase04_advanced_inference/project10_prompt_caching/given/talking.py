"""What a conversation with tiny-base computes, with the cache and without: counted, not timed."""

from phase04_advanced_inference.project10_prompt_caching.given.asking import ask, prompts_about, story
from phase04_advanced_inference.project10_prompt_caching.prompt_cache import PromptCache
from shared.measuring.arms import Report
from shared.phase01 import PromptTokenizer, load_base

TURNS = 6


def conversations(report: Report) -> None:
    """Raises AssertionError where the cache changes an answer; else, how many tokens of prompts were computed."""
    model, bare = load_base("tiny-base")
    tokenizer, told = PromptTokenizer(bare), story(0, TURNS)
    kinds = {False: "questions on one story, each by itself", True: "questions in one conversation"}
    for conversation, kind in kinds.items():
        texts, without = PromptCache(model, 256), PromptCache(model, 0)
        replies, computed = [], []
        for _ in told.questions:
            prompt = prompts_about(tokenizer, told, conversation, replies)
            plain = ask(model, tokenizer, without, prompt)
            replies.append(ask(model, tokenizer, texts, prompt))
            if replies[-1].answer != plain.answer:
                raise AssertionError(f"with the cache {replies[-1].answer!r}, without it {plain.answer!r}")
            computed.append(len(prompt) - replies[-1].cached)
        total = texts.rate.total
        report.figure(
            f"{len(replies)} {kind}: prompt tokens computed", total.queried - total.hit, "tokens",
            peers={"without the cache": total.queried},
            note=f"tiny-base, blocks of 16; prompt by prompt {', '.join(map(str, computed))}; the same answers",
        )  # fmt: skip
