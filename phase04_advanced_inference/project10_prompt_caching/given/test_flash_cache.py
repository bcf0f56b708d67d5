import pytest
import torch

from phase04_advanced_inference.project10_prompt_caching.given.example import (
    TINY,
    random_model,
    random_text,
    without_cache,
)
from phase04_advanced_inference.project10_prompt_caching.given.flash_cache import FlashCache
from shared.phase03 import step


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_reads_as_the_model_does_in_parts_and_rows(dtype):
    model = random_model(dtype=dtype)
    one, other = random_text(17, seed=1), random_text(9, seed=2)
    cache = FlashCache(TINY, rows=3, capacity=4, dtype=dtype)
    step(model, cache, [one[:9], [], other[:1]])
    logits = step(model, cache, [one[9:], [], other[1:]])
    expected = torch.stack([without_cache(model, text) for text in (one, other)])
    tolerance = 1e-4 if dtype == torch.float32 else 1e-10
    torch.testing.assert_close(logits, expected, rtol=tolerance, atol=tolerance)
    assert cache.lengths == [17, 0, 9]


def test_another_models_keys_are_refused():
    cache = FlashCache(TINY, dtype=torch.float64)
    with pytest.raises(ValueError, match="no step is planned"):
        random_model()(torch.tensor([[1, 2]]), torch.arange(2), cache)
