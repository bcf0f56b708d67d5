"""What phase 4 hands to the phases above, each name with the project that teaches it."""

# project 10, prompt caching
from phase04_advanced_inference.project10_prompt_caching.block_hash import BlockKey, block_keys, hash_block
from phase04_advanced_inference.project10_prompt_caching.block_pool import BlockPool
from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore
from phase04_advanced_inference.project10_prompt_caching.hit_rate import HitRate
from phase04_advanced_inference.project10_prompt_caching.prompt_cache import PromptCache
from phase04_advanced_inference.project10_prompt_caching.response_cache import ResponseCache, request_key

# project 11, speculative decoding
from phase04_advanced_inference.project11_speculative_decoding.adaptive import AdaptiveLength
from phase04_advanced_inference.project11_speculative_decoding.distribution import distribution
from phase04_advanced_inference.project11_speculative_decoding.draft_model import DraftProposer
from phase04_advanced_inference.project11_speculative_decoding.expected import (
    acceptance_rate,
    expected_speedup,
    expected_tokens,
)
from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Draft, Proposal, Proposer
from phase04_advanced_inference.project11_speculative_decoding.grow import grow
from phase04_advanced_inference.project11_speculative_decoding.mtp import MTPProposer
from phase04_advanced_inference.project11_speculative_decoding.ngram import NGramProposer
from phase04_advanced_inference.project11_speculative_decoding.speculation import speculate
from phase04_advanced_inference.project11_speculative_decoding.verification import (
    rejection_sample,
    verify,
    verify_greedy,
)

# project 12, dynamic batching
from phase04_advanced_inference.project12_dynamic_batching.engine import Engine, Output
from phase04_advanced_inference.project12_dynamic_batching.given.recorder import Recorder
from phase04_advanced_inference.project12_dynamic_batching.latency import Latency, percentile
from phase04_advanced_inference.project12_dynamic_batching.priority import WaitingQueue
from phase04_advanced_inference.project12_dynamic_batching.rows import Memory, Rows
from phase04_advanced_inference.project12_dynamic_batching.runner import Runner
from phase04_advanced_inference.project12_dynamic_batching.scheduler import Scheduler
from phase04_advanced_inference.project12_dynamic_batching.sequence import (
    Scheduled,
    Sequence,
    SequenceStatus,
)
from phase04_advanced_inference.project12_dynamic_batching.static_batching import StaticBatcher

# project 13, paged attention
from phase04_advanced_inference.project13_paged_attention.beam_search import beam_search
from phase04_advanced_inference.project13_paged_attention.block_manager import BlockManager
from phase04_advanced_inference.project13_paged_attention.detokenizer import Detokenizer
from phase04_advanced_inference.project13_paged_attention.given.block_recorder import BlockRecorder
from phase04_advanced_inference.project13_paged_attention.given.on_gpu import on_gpu
from phase04_advanced_inference.project13_paged_attention.given.results import Completion, Delta, Result
from phase04_advanced_inference.project13_paged_attention.guided import Guide
from phase04_advanced_inference.project13_paged_attention.llm_engine import LLMEngine
from phase04_advanced_inference.project13_paged_attention.paged_attention import PagedAttention, PagedStep
from phase04_advanced_inference.project13_paged_attention.paged_runner import PagedRunner
from phase04_advanced_inference.project13_paged_attention.paged_scheduler import PagedScheduler
from phase04_advanced_inference.project13_paged_attention.sampler import Sampler
from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams

__all__ = [
    "AdaptiveLength",
    "BlockKey",
    "BlockManager",
    "BlockPool",
    "BlockRecorder",
    "BlockStore",
    "Completion",
    "Delta",
    "Detokenizer",
    "Draft",
    "DraftProposer",
    "Engine",
    "Guide",
    "HitRate",
    "LLMEngine",
    "Latency",
    "MTPProposer",
    "Memory",
    "NGramProposer",
    "Output",
    "PagedAttention",
    "PagedRunner",
    "PagedScheduler",
    "PagedStep",
    "PromptCache",
    "Proposal",
    "Proposer",
    "Recorder",
    "ResponseCache",
    "Result",
    "Rows",
    "Runner",
    "Sampler",
    "SamplingParams",
    "Scheduled",
    "Scheduler",
    "Sequence",
    "SequenceStatus",
    "StaticBatcher",
    "WaitingQueue",
    "acceptance_rate",
    "beam_search",
    "block_keys",
    "distribution",
    "expected_speedup",
    "expected_tokens",
    "grow",
    "hash_block",
    "on_gpu",
    "percentile",
    "rejection_sample",
    "request_key",
    "speculate",
    "verify",
    "verify_greedy",
]
