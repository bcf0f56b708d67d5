import pytest

from phase04_advanced_inference.project13_paged_attention.given import alike


@pytest.fixture(scope="module")
def found():
    return {case.name: case for case in alike.cases(alike.AlikeSettings(random=12, trained=4))}


def test_every_request_is_written_alike_in_all_ways(found):
    assert set(found) >= {"a random model", "tiny-base"}
    assert alike.written_alike(found["a random model"]) == 12


def test_a_trained_model_is_asked_beginnings_of_stories(found):
    case = found["tiny-base"]
    assert len(case.prompts) == 4
    assert all(8 <= len(case.tokenizer.decode(prompt)) <= 120 for prompt in case.prompts)
    assert alike.dense(case, case.prompts[0], alike.SamplingParams(max_tokens=2, temperature=0.0))


def test_a_pool_that_is_short_sends_texts_back(found):
    case, sent = found["a random model"], 0
    way = alike.WAYS["sent back to the host"]
    engine = alike.paged(case, way)
    for prompt in case.prompts:
        engine.add(prompt, alike.SamplingParams(max_tokens=12, temperature=0.0))
    while engine.requests:
        engine.step()
        sent += len(engine.scheduler.preempted)
    assert sent > 0


def test_another_text_is_told_with_what_was_expected(found, monkeypatch):
    monkeypatch.setattr(alike, "dense", lambda *_: [0])
    with pytest.raises(AssertionError, match=r"a random model after .*: \[0\] alone, and .* in company"):
        alike.written_alike(found["a random model"])
