"""An engine takes the kernels in C++ by itself, and writes the same texts with them."""

import torch

from phase04_advanced_inference.project13_paged_attention.given.example import WIDE, empty_store, random_model
from phase04_advanced_inference.project13_paged_attention.given.fastest import fastest
from phase04_advanced_inference.project13_paged_attention.given.paged_step import PagedStepDecode
from phase04_advanced_inference.project13_paged_attention.given.small import LETTERS
from phase04_advanced_inference.project13_paged_attention.llm_engine import LLMEngine
from phase04_advanced_inference.project13_paged_attention.paged_kernel import PagedKernel
from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams

PROMPTS = ["the cat sat on the mat", "the cat ran", "a"]
GREEDY = SamplingParams(max_tokens=12, temperature=0, logprobs=0)


def has_compiler(model):
    """Whether the kernels were made."""
    return PagedStepDecode(model).kernel is not None


def test_an_engine_takes_them_by_itself():
    model = random_model(WIDE[0], torch.float32)
    runner = LLMEngine(model, LETTERS, 24).runner
    assert isinstance(runner.decode, PagedStepDecode) == has_compiler(model)
    assert isinstance(runner.attention.decode, PagedKernel) == has_compiler(model)


def test_an_engine_can_be_told_not_to():
    runner = LLMEngine(random_model(WIDE[0], torch.float32), LETTERS, 24, compiled=False).runner
    assert runner.decode is runner.attention.decode is None


def test_what_is_given_is_taken():
    model = random_model(WIDE[0], torch.float32)

    def decode(store, step, tokens, positions):
        raise ArithmeticError

    runner = LLMEngine(model, LETTERS, 24, decode=decode).runner
    assert runner.decode is decode
    assert runner.attention.decode is None


def test_what_they_are_not_made_for_goes_without():
    for config, dtype in ((WIDE[0], torch.float64), (WIDE[0], torch.float16)):
        model = random_model(config, dtype)
        assert fastest(model, empty_store(config, 4, 4, dtype)) == (None, None)


def test_the_same_texts_with_them_as_without():
    """The last step of a prompt in chunks goes through the modules with the kernel, others through the one call."""
    model = random_model(WIDE[0], torch.float32)
    for chunk, size in ((None, 16), (5, 4)):
        fast, plain = (
            LLMEngine(model, LETTERS, 40, size, chunk=chunk, compiled=compiled).generate(PROMPTS, GREEDY)
            for compiled in (True, False)
        )
        for one, other in zip(fast, plain, strict=True):
            assert one.completions[0].tokens == other.completions[0].tokens
            ours, theirs = (
                torch.tensor([kept.logprob for kept in result.completions[0].logprobs])
                for result in (one, other)
            )
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
