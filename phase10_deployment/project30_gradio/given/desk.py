"""What happens when somebody clicks: each method answers one event of the page, for the window that it came from.

Nothing of a window is kept here: a window sends its conversations along with each event, and gets them back. So two
windows cannot see each other, and a window goes on as it was when the page's server was started anew.
"""

import html
import json
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import gradio as gr  # pyright: ignore[reportMissingImports]

from phase10_deployment.project30_gradio import history as talk
from phase10_deployment.project30_gradio.explain import explain_error
from phase10_deployment.project30_gradio.export import to_json, to_markdown
from phase10_deployment.project30_gradio.given.answer import Reply
from phase10_deployment.project30_gradio.given.controls import CONTROLS
from phase10_deployment.project30_gradio.given.panels import MOST_COLUMNS, Panels, in_columns, index_of
from phase10_deployment.project30_gradio.given.talk import Turn, answer_turns, as_alert, other_turns
from phase10_deployment.project30_gradio.tokens_view import ranked

TOKENS_EVERY = 0.5
"""seconds between two drawings of an answer's tokens, while it is written"""


class Desk(Panels):
    """The conversations of all windows, none of which it keeps."""

    # Conversations

    def ask(self, text: str, count: int, *rest: Any) -> list[Any]:
        """The question into every column; an empty one is said to be empty."""
        boxes, tickets, _ = in_columns(rest, 2)
        try:
            asked = [talk.ask(talk.plain(box), text) for box in boxes[:count]]
        except ValueError as problem:
            raise gr.Error(str(problem), print_exception=False, duration=4) from None
        return ["", *_to_write(asked, tickets)]

    def retry_all(self, count: int, *rest: Any) -> list[Any]:
        """The last question of every column, to be answered again."""
        boxes, tickets, _ = in_columns(rest, 2)
        plain = [talk.plain(box) for box in boxes[:count]]
        if not any(plain):
            raise gr.Error("there is nothing to retry yet", print_exception=False, duration=4)
        return _to_write([talk.retry(one) if one else [] for one in plain], tickets)

    def recall(self, memory: str) -> list[Any]:
        """What the window's tab remembers, after the page was loaded anew: its conversations and the text in work."""
        try:
            found = json.loads(memory)
            boxes = [talk.shown(talk.plain(box)) for box in found["boxes"]]
            text = found["text"] or ""
        except (ValueError, KeyError, TypeError):  # none, or of another version
            return [gr.skip()] * (MOST_COLUMNS + 1)
        return (
            [*boxes[:MOST_COLUMNS], text] if len(boxes) >= MOST_COLUMNS else [gr.skip()] * (MOST_COLUMNS + 1)
        )

    def clear(self) -> list[Any]:
        """A new conversation in every column."""
        return [*[[] for _ in range(MOST_COLUMNS)], *[None] * MOST_COLUMNS, *[""] * MOST_COLUMNS]

    def undo_all(self, count: int, *boxes: Any) -> list[Any]:
        """Every column without its last exchange; its question comes back to be written anew."""
        done = [talk.undo(talk.plain(box)) for box in boxes[:count]]
        return [*[talk.shown(kept) for kept, _ in done], *[gr.skip()] * (MOST_COLUMNS - count), done[0][1]]

    def retry(self, box: Any, ticket: int, event: gr.RetryData) -> tuple[Any, str, int]:
        return talk.shown(talk.retry(talk.plain(box), index_of(event))), "", ticket + 1

    def undo(self, box: Any, event: gr.UndoData) -> tuple[Any, str]:
        kept, text = talk.undo(talk.plain(box)[: index_of(event) + 1])
        return talk.shown(kept), text

    def edit(self, box: Any, ticket: int, event: gr.EditData) -> tuple[Any, str, int]:
        try:
            [typed] = talk.plain([{"role": "user", "content": event.value}])
            return talk.shown(talk.edit(talk.plain(box), index_of(event), typed["content"])), "", ticket + 1
        except ValueError as problem:
            raise gr.Error(str(problem), print_exception=False, duration=4) from None

    def writer(self, place: int) -> Callable[..., AsyncGenerator[tuple[Any, ...], None]]:
        """What writes the answer of one column: conversation, reply, and what is said below, as it grows."""

        async def write(
            model, box, count, system, candidates, *values
        ) -> AsyncGenerator[tuple[Any, ...], None]:
            history = talk.plain(box)
            if place >= count or not history or history[-1]["role"] != "user":
                yield gr.skip(), gr.skip(), gr.skip()
                return
            server = self.servers[self.parts(model, place)[0]]
            try:
                server, name = await self.model(model, place)
            except Exception as problem:
                yield gr.skip(), None, as_alert(explain_error(problem, server.url))
                return
            turns = answer_turns(server, name, history, system, _named(values), int(candidates))
            async with aclosing(_shown(turns)) as outputs:
                async for one in outputs:
                    yield one

        return write

    async def go_on(self, place, chosen, other, *rest) -> AsyncGenerator[list[Any], None]:
        """The answer from another token on."""
        models, boxes, replies, settings = in_columns(rest, 3)
        _, _, candidates, *values = settings
        reply: Reply | None = replies[place]
        if reply is None or other is None or not chosen < len(reply.tokens):
            raise gr.Error("choose a token first, and what to put there", print_exception=False, duration=4)
        server, name = await self.model(models[place], place)
        candidate = ranked(reply.tokens[chosen])[int(other)][0]
        history = talk.retry(talk.plain(boxes[place]))
        turns = other_turns(server, name, history, reply, chosen, candidate, _named(values), int(candidates))
        async with aclosing(_shown(turns)) as written:
            async for one in written:
                outputs = [gr.skip()] * (3 * MOST_COLUMNS)
                outputs[place::MOST_COLUMNS] = one
                yield outputs

    def show_columns(self, count: int) -> list[Any]:
        panes = [gr.update(visible=place < count) for place in range(MOST_COLUMNS)]
        return [*panes, gr.update(visible=count > 1, value=0), gr.update(visible=count > 1, value=0)]

    # Export

    def json_of(self, place, system, *rest) -> tuple[str, str]:
        models, boxes, _ = in_columns(rest, 2)
        source = {"model": (models[place] or "").partition("|")[2], "server": "LLM Ladder, project 30"}
        try:
            return to_json(talk.request_messages(talk.plain(boxes[place]), system), source), ""
        except ValueError as problem:
            return "", as_alert(str(problem))

    def markdown_of(self, place, system, *rest) -> tuple[str, str]:
        models, boxes, _ = in_columns(rest, 2)
        title = f"A conversation with {(models[place] or '').partition('|')[2] or 'a model'}"
        prompt = [{"role": "system", "content": system}] if system.strip() else []
        return to_markdown([*prompt, *talk.plain(boxes[place])], title), ""


def _named(values: Sequence[Any]) -> dict[str, Any]:
    return {control.name: value for control, value in zip(CONTROLS, values, strict=True)}


async def _shown(turns: AsyncGenerator[Turn, None]) -> AsyncGenerator[tuple[Any, ...], None]:
    """Conversation, reply and what is said below, for each turn; the reply now and then, and at the end.

    A reply that changes makes the window ask for its tokens to be drawn, all of them: more work than all the rest.
    """
    told = -TOKENS_EVERY
    async with aclosing(turns):
        async for turn in turns:
            said = f'<div class="meter">{html.escape(turn.meter)}</div>' if turn.meter else ""
            due = turn.done or time.monotonic() - told >= TOKENS_EVERY
            told = time.monotonic() if due else told
            reply = turn.reply if due else gr.skip()
            yield talk.shown(turn.history), reply, said + as_alert(turn.trouble)


def _to_write(histories: Sequence[list[talk.Message]], tickets: Sequence[int]) -> list[Any]:
    """What to show in each column, nothing below it, and a new ticket for each where there is something to write."""
    rest = MOST_COLUMNS - len(histories)
    new = [ticket + 1 for ticket in tickets[: len(histories)]]
    return [
        *map(talk.shown, histories),
        *[gr.skip()] * rest,
        *[""] * MOST_COLUMNS,
        *new,
        *tickets[len(histories) :],
    ]
