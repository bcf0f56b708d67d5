"""A small example of everything, for `ladder trace`, the notebook, and a first look."""

import math

import numpy as np

from phase10_deployment.project30_gradio.attention_view import attention_map, attention_text, pick
from phase10_deployment.project30_gradio.engine_view import (
    assign_places,
    draw_blocks,
    draw_queues,
    draw_steps,
)
from phase10_deployment.project30_gradio.export import to_json, to_markdown
from phase10_deployment.project30_gradio.given.answer import Candidate, Reply, Written
from phase10_deployment.project30_gradio.history import answer, ask, request_messages, retry
from phase10_deployment.project30_gradio.meter import meter_line, speed
from phase10_deployment.project30_gradio.settings import request_fields
from phase10_deployment.project30_gradio.tokens_view import go_on_from, probability_table, token_strip


def a_reply() -> Reply:
    """An answer of three tokens, each with what else could have stood there."""
    chances = [
        [(" Mia", 0.62), (" Leo", 0.27), (" Zoe", 0.06)],
        [(" ran", 0.48), (" sat", 0.31), (" slept", 0.12)],
        [(".", 0.97), ("!", 0.02)],
    ]
    tokens = []
    for listed in chances:
        top = tuple(Candidate(text, math.log(chance), text.encode()) for text, chance in listed)
        tokens.append(Written(top[0].text, top[0].logprob, top[0].data, top))
    return Reply(" Mia ran.", tuple(tokens), (301, 302, 303), (1, 2, 3), 3, "stop")


def some_events() -> list[dict]:
    """Three steps of an engine: A's prompt, then B's, which shares A's first block, and C waits."""
    a = {"id": 1, "request": "req-a", "tokens": 40, "computed": 0, "scheduled": 40, "blocks": [0, 1, 2]}
    b = {"id": 2, "request": "req-b", "tokens": 30, "computed": 16, "scheduled": 14, "blocks": [0, 3]}
    c = {"id": 3, "request": "req-c", "tokens": 90}
    base = {"blocks": 32, "block_size": 16, "hits": 0, "preempted": []}
    return [
        {**base, "step": 1, "running": [a], "waiting": [], "free": 29},
        {**base, "step": 2, "running": [{**a, "tokens": 41, "computed": 40, "scheduled": 1}, b],
         "waiting": [c], "free": 28, "hits": 16},
        {**base, "step": 3, "running": [{**b, "tokens": 31, "computed": 30, "scheduled": 1}],
         "waiting": [c], "free": 30, "hits": 16},
    ]  # fmt: skip


def some_attention(time: int = 6) -> np.ndarray:
    """Weights of a layer with two heads: one looks at the token before, one at the first."""
    before, first = np.eye(time, k=-1), np.zeros((time, time))
    before[0, 0] = 1.0
    first[:, 0] = 1.0
    return np.stack([before, first])[None]


def trace_example() -> None:
    """One question, its answer, and all pictures of it."""
    history = ask([], "Who ran?")
    reply = a_reply()
    history = answer(history, reply.text)
    request_messages(history, "Be brief.")
    request_fields({"temperature": 0.5, "top_k": 5, "top_p": 1.0})
    token_strip(reply.tokens, 1)
    probability_table(reply.tokens[1])
    go_on_from(reply, 1, 310)
    events, places = some_events(), [{}]
    for event in events:
        places.append(assign_places(places[-1], event))
    draw_blocks(events[-1], places[-1])
    draw_queues(events[-1], places[-1])
    draw_steps(events, places[1:])
    names = ["<s>", " Who", " ran", "?", " Mia", " ran"]
    weights = pick(some_attention(), 0, None)
    attention_text(names, weights, 4)
    attention_map(names, weights)
    meter_line(speed(0.0, [(0.1, 1), (0.2, 3)]), 16, 24)
    to_json(history)
    to_markdown(retry(history))
