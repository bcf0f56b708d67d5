from dataclasses import replace

import pytest
import torch

from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain.given import skills as module
from phase01_foundation.project03_pretrain.given.example import TINY, example
from phase01_foundation.project03_pretrain.given.skills import answer_ends, skill_scores
from shared import tinyworld

TOKENIZER = Tokenizer(
    ByteBPE.train([tinyworld.text("train", 0, 20_000)], 290, native=False), {"<|endoftext|>": 295}
)


@pytest.fixture(scope="module")
def model():
    return example(replace(TINY, vocab_size=296, context_length=600), torch.float32)[0]


def test_an_answer_ends_with_the_text_or_at_the_next_question():
    assert answer_ends(TOKENIZER) == {295}, "with few entries, Question is several tokens"
    large = Tokenizer(
        ByteBPE.train([tinyworld.text("train", 0, 200_000)], 600, native=False), {"<|endoftext|>": 600}
    )
    [question] = answer_ends(large) - {600}
    assert large.decode([question]) == "Question"


def test_right_answers_are_counted(model, monkeypatch):
    items = [one for group in tinyworld.evaluation("validation", 2).values() for one in group]
    given = {}

    def answer(model, prompts, max_tokens, stop_ids, *more):
        given.update(prompts=prompts, max_tokens=max_tokens, stop_ids=stop_ids)
        # The first half is right, the rest says nothing; the next question does not count.
        said = [f" {one.answer}." if i < len(items) / 2 else "" for i, one in enumerate(items)]
        return [TOKENIZER.encode(text + "\nQuestion") for text in said]

    monkeypatch.setattr(module, "greedy_batch", answer)
    score, asked, predictions = skill_scores(model, TOKENIZER, "validation", 2)
    assert asked == items
    assert (score.correct, score.total) == (14, 28)
    assert predictions[0] == items[0].answer + "."
    assert predictions[-1] == ""
    assert TOKENIZER.decode(given["prompts"][0]) == "<|endoftext|>" + items[0].query
    assert given["max_tokens"] > max(len(TOKENIZER.encode(" " + one.answer)) for one in items)


def test_a_real_model_answers(model):
    found = skill_scores(model, TOKENIZER, "validation", 1, dtype=torch.bfloat16)
    assert len(found.predictions) == len(found.items) == found.score.total == len(tinyworld.SKILLS)
    assert not any("\nQuestion" in prediction for prediction in found.predictions)


def test_an_answer_ends_before_an_id_that_the_tokenizer_lacks():
    wide = example(replace(TINY, vocab_size=300, context_length=600), torch.float32)[0]
    with torch.no_grad():  # 290 to 294 are free, 296 to 299 are beyond it; all others lose to one of them
        wide.head.weight[[291, 298]] = torch.stack([wide.head.weight[0], -wide.head.weight[0]]) * 1e4
    assert set(skill_scores(wide, TOKENIZER, "validation", 1).predictions) == {""}


def test_what_there_is_not_is_refused(model):
    with pytest.raises(ValueError, match="per_skill must be at least 1"):
        skill_scores(model, TOKENIZER, per_skill=0)


def test_an_answer_may_have_several_lines(model, monkeypatch):
    items = [one for group in tinyworld.evaluation("test", 20).values() for one in group]
    assert any("\n" in one.answer for one in items)
    right = [TOKENIZER.encode(f" {one.answer}\nQuestion: ") for one in items]
    monkeypatch.setattr(module, "greedy_batch", lambda *arguments: right)
    assert skill_scores(model, TOKENIZER, "test", 20).score.accuracy == 1
