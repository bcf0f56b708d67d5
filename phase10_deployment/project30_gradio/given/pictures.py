"""The panels of the page, as HTML, from what the tasks draw."""

import html
from collections.abc import Sequence
from typing import Any

from phase10_deployment.project30_gradio.engine_view import (
    Event,
    Places,
    draw_blocks,
    draw_queues,
    draw_steps,
)
from phase10_deployment.project30_gradio.given.answer import Reply
from phase10_deployment.project30_gradio.tokens_view import percent, ranked, token_strip, visible


def engine_panel(steps: Sequence[tuple[Event, Places]], state: str, name: str) -> str:
    """The engine after the last of these steps."""
    if not steps:
        return f'<p class="engine-facts">The engine of {html.escape(name)}: {html.escape(state)}.</p>'
    event, places = steps[-1]
    facts = {
        "engine": state,
        "step": f"{event['step']:,}",
        "blocks free": f"{event['free']:,} of {event['blocks']:,}",
        "tokens a block": str(event["block_size"]),
        "prefix hits": f"{event['hits']:,}",
        "preempted now": str(len(event["preempted"])),
    }
    line = "".join(f"<span>{name} <b>{html.escape(value)}</b></span>" for name, value in facts.items())
    return (
        f'<div class="engine-facts">{line}</div>'
        f'<h4 class="small">Tokens that each step computed</h4>'
        f"{draw_steps([one for one, _ in steps], [one for _, one in steps])}"
        f'<h4 class="small">Blocks: whose is which</h4>{draw_blocks(event, places)}'
        f'<div class="queues">{draw_queues(event, places)}</div>'
    )


def odds_panel(reply: Reply | None, chosen: int | None) -> str:
    """The tokens of an answer, to click on."""
    if reply is None or not reply.tokens:
        return '<p class="hint">Here are the tokens of an answer, when there is one: the darker, the less sure.</p>'
    strip = token_strip(reply.tokens, chosen)
    return f'<div class="strip odds" role="group" aria-label="tokens of the answer">{strip}</div>'


def other_choices(reply: Reply, index: int) -> list[tuple[str, int]]:
    """What else could stand at a place, for a list to choose from: what it is called, and which candidate it is."""
    return [
        (f"{html.unescape(visible(other.text))} · {percent(other.logprob)}{' ✓' if written else ''}", place)
        for place, (other, written) in enumerate(ranked(reply.tokens[index]))
    ]


def reading_panel(found: dict[str, Any]) -> str:
    """What the model reads of a conversation, template and all, as tokens."""
    names = "".join(
        f'<button type="button" tabindex="-1">{visible(one)}</button>' for one in found["token_strs"]
    )
    room = f"{found['count']:,} tokens of at most {found['max_model_len']:,}"
    return f'<p class="hint">{room}</p><div class="strip" aria-label="what the model reads">{names}</div>'
