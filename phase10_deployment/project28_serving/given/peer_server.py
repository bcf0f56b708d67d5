"""What many begin with: transformers behind the same API, one request after the other."""

import argparse
import asyncio
import json
from typing import Any

import torch
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


def main() -> None:
    """Serve /v1/completions for prompts, without streams."""
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    parser = argparse.ArgumentParser()
    parser.add_argument("--folder")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model: Any = AutoModelForCausalLM.from_pretrained(options.folder, dtype=torch.float32).eval()
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_file=f"{options.folder}/tokenizer.json")
    lock = asyncio.Lock()

    def write(body: dict[str, Any]) -> dict[str, Any]:
        ids = tokenizer.encode(body["prompt"], return_tensors="pt")
        count = body["max_tokens"]
        out = model.generate(ids, max_new_tokens=count, min_new_tokens=count, do_sample=True, pad_token_id=0)
        text = tokenizer.decode(out[0, ids.shape[1] :])
        usage = {"prompt_tokens": ids.shape[1], "completion_tokens": out.shape[1] - ids.shape[1]}
        return {"choices": [{"index": 0, "text": text, "finish_reason": "length"}], "usage": usage}

    async def complete(request: Request) -> JSONResponse:
        body = json.loads(await request.body())
        async with lock:
            return JSONResponse(await asyncio.to_thread(write, body))

    app = Starlette(routes=[Route("/v1/completions", complete, methods=["POST"])])
    config = uvicorn.Config(app, "127.0.0.1", options.port, log_config=None, access_log=False, lifespan="off")
    socket = config.bind_socket()
    socket.listen(128)  # whoever reads the line below may connect at once
    print(f"serving transformers on http://127.0.0.1:{socket.getsockname()[1]}", flush=True)
    asyncio.run(uvicorn.Server(config).serve(sockets=[socket]))
