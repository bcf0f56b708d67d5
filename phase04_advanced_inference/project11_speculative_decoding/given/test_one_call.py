"""A pass in one call of C++ gives what it gives through modules, at every place, for texts at different places."""

from dataclasses import replace

import pytest
import torch

from phase04_advanced_inference.project11_speculative_decoding.draft_model import DraftProposer
from phase04_advanced_inference.project11_speculative_decoding.given.example import (
    SHAPES,
    random_model,
    resembling,
)
from phase04_advanced_inference.project11_speculative_decoding.given.kinds import by_text
from phase04_advanced_inference.project11_speculative_decoding.given.one_call import OneCall
from phase04_advanced_inference.project11_speculative_decoding.speculation import read_places, speculate
from shared.phase01 import SamplingParams
from shared.phase03 import DecodeStep, KVCache


@pytest.mark.parametrize("shape", [0, 2])
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-4), (torch.bfloat16, 0.15)])
def test_it_gives_the_logits_of_every_asked_place(shape, dtype, near):
    model = random_model(replace(SHAPES[shape], head_dim=16), dtype)
    call = OneCall(model)
    if call.kernel is None:
        pytest.skip("there is no compiler")
    ours, theirs = (KVCache(model.config, 3, 4, dtype) for _ in range(2))
    for new, places in (
        ([[3, 1, 4, 1, 5], [], [9, 2]], [2, 0, 1]),
        ([[6], [5, 3, 5], [8, 9]], [1, 3, 2]),
        ([[], [7], []], [0, 1, 0]),
    ):
        found, expected = call.read(ours, new, places), read_places(model, theirs, new, places)
        assert found.logits.shape == expected.logits.shape
        torch.testing.assert_close(found.logits, expected.logits, rtol=near, atol=near)
        assert ours.lengths == theirs.lengths
        assert found.hidden is None


def test_with_it_texts_are_written_as_through_modules_and_long_passes_go_through_them():
    model = random_model(replace(SHAPES[0], head_dim=16, context_length=96), torch.float32)
    draft = resembling(model)
    params, prompts = SamplingParams(max_tokens=12, temperature=0), [[3, 1, 4] * 13, [2, 7]]
    found = speculate(
        model, prompts, params, DraftProposer(draft, 2, DecodeStep(draft)), 3, read=OneCall(model).read
    )
    expected = speculate(model, prompts, params, DraftProposer(draft, 2), 3)
    assert by_text(found, 2) == by_text(expected, 2)
