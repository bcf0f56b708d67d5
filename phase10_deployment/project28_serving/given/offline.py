"""The engine alone, in a process that waits for work: what serving is compared with.

Its one argument is an EngineSettings, as JSON. A line on standard input is {"prompts": [[…], …], "seeds": […],
"max_tokens": n, "first": bool}; the answer is a line with the seconds it took and the tokens written. With "first", the
seconds are those until the first token.
"""

import json
import sys
import time

from phase10_deployment.project28_serving.given.engine_process import EngineSettings, build
from phase10_deployment.project28_serving.given.wire import encode
from shared.phase04 import SamplingParams


def main() -> None:
    """Work until the input ends."""
    core, _ = build(EngineSettings(**json.loads(sys.argv[1])))
    engine = core.engines[""]
    sys.stdout.buffer.write(encode({"ready": True}))
    sys.stdout.flush()
    for line in sys.stdin.buffer:
        work = json.loads(line)
        params = [SamplingParams(max_tokens=work["max_tokens"], seed=seed) for seed in work["seeds"]]
        start = time.perf_counter()
        keys = [engine.add(prompt, one) for prompt, one in zip(work["prompts"], params, strict=True)]
        seconds = 0.0
        while engine.requests:
            deltas = engine.step()
            if not seconds and deltas and work["first"]:
                seconds = time.perf_counter() - start
        seconds = seconds or time.perf_counter() - start
        tokens = sum(len(engine.results.pop(key).completions[0].tokens) for key in keys)
        sys.stdout.buffer.write(encode({"seconds": seconds, "tokens": tokens}))
        sys.stdout.flush()
