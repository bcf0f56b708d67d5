from dataclasses import replace

import pytest
import torch

from phase03_core_inference.project08_kv_cache.given.example import TINY, random_model
from phase03_core_inference.project08_kv_cache.kv_cache import KVCache
from phase03_core_inference.project08_kv_cache.memory import bytes_per_token, tokens_per_second, weight_bytes
from shared.phase01 import LLM, Config
from shared.testing import raises

task = pytest.mark.task(7)
GPT2_SMALL = Config(
    50257, 1024, layers=12, heads=12, kv_heads=12, dim=768, hidden_dim=2048, tied_embeddings=True
)


@task
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_a_caches_buffers_have_so_many_bytes_a_token(dtype, kv_heads):
    config = replace(TINY, kv_heads=kv_heads, layers=3)
    cache = KVCache(config, rows=5, capacity=7, dtype=dtype)
    assert cache.nbytes == 5 * 7 * bytes_per_token(config, dtype)
    cache.reserve(8)
    assert cache.nbytes == 5 * 14 * bytes_per_token(config, dtype)


@task
def test_a_token_of_gpt2_small_takes_73_kilobytes():
    assert bytes_per_token(GPT2_SMALL, torch.float32) == 73_728
    assert bytes_per_token(replace(GPT2_SMALL, kv_heads=3), torch.bfloat16) == 9_216


@task
def test_a_tied_embedding_is_read_as_the_head_and_one_of_its_own_is_not():
    tied = random_model(replace(TINY, tied_embeddings=True))
    assert weight_bytes(tied) == sum(parameter.nbytes for parameter in tied.parameters())
    own = random_model(TINY)
    assert weight_bytes(own) == weight_bytes(tied)
    assert weight_bytes(own.bfloat16()) == weight_bytes(tied) // 4


@task
def test_gpt2_small_reads_its_parameters_once():
    with torch.device("meta"):
        model = LLM(GPT2_SMALL)
    assert weight_bytes(model) == 4 * model.parameter_count() == 494_204_928


@task
def test_the_limit_is_what_memory_delivers_over_what_a_step_reads():
    assert tokens_per_second(20e9, weights=500_000_000, cached=0) == pytest.approx(40)
    assert tokens_per_second(20e9, weights=500_000_000, cached=500_000_000) == pytest.approx(20)
    assert tokens_per_second(20e9, weights=500_000_000, cached=0, rows=8) == pytest.approx(320)
    assert tokens_per_second(20e9, weights=400_000_000, cached=50_000_000, rows=8) == pytest.approx(200)
    assert tokens_per_second(0.5, weights=1, cached=0) == pytest.approx(0.5)


@task
@pytest.mark.parametrize(("bandwidth", "rows"), [(0.0, 1), (-5.0, 1), (float("nan"), 1), (1e9, 0)])
def test_no_bandwidth_and_no_rows_are_refused(bandwidth, rows):
    with raises(ValueError, str(bandwidth), rows):
        tokens_per_second(bandwidth, 1000, 10, rows)
