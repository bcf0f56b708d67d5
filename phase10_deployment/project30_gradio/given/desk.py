"""What happens when somebody clicks: each method answers one event of the page, for the window that it came from.

Nothing of a window is kept here: a window sends its conversations along with each event, and gets them back. So two
windows cannot see each other, and a window goes on as it was when the page's server was started anew.
"""

import html
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import gradio as gr  # pyright: ignore[reportMissingImports]
import numpy as np

from phase10_deployment.project30_gradio import history as talk
from phase10_deployment.project30_gradio.attention_view import attention_map, attention_text, pick
from phase10_deployment.project30_gradio.explain import explain_error
from phase10_deployment.project30_gradio.export import to_json, to_markdown
from phase10_deployment.project30_gradio.given import pictures
from phase10_deployment.project30_gradio.given.answer import Reply
from phase10_deployment.project30_gradio.given.controls import CONTROLS
from phase10_deployment.project30_gradio.given.server import ServerLink
from phase10_deployment.project30_gradio.given.talk import Turn, answer_turns, as_alert, other_turns
from phase10_deployment.project30_gradio.given.watch import Watch
from phase10_deployment.project30_gradio.tokens_view import probability_table, ranked

MOST_COLUMNS = 3
MOST_LOOKED_AT = 128
"""tokens whose attention is asked for: it grows with their square"""


class Desk:
    """The servers, and a watch on the engine of each."""

    def __init__(self, servers: Sequence[ServerLink]):
        self.servers = list(servers)
        self.watches = [Watch(server) for server in servers]

    # Models. A model's value is "number of its server|its name", with no name until the server has told it.

    def waiting(self) -> list[tuple[str, str]]:
        return [(server.name, f"{number}|") for number, server in enumerate(self.servers)]

    def first(self, place: int) -> str:
        return f"{min(place, len(self.servers) - 1)}|"

    def engines(self) -> list[tuple[str, int]]:
        return [(server.name, number) for number, server in enumerate(self.servers)]

    async def find_models(self, *chosen: str | None) -> list[Any]:
        """The models of all servers, as they are found when a window opens."""
        choices = []
        for number, server in enumerate(self.servers):
            try:
                names = await server.models()
            except Exception:  # it is away, and says so when it is asked
                names = []
            where = f" · {server.name}" if len(self.servers) > 1 else ""
            choices += [(f"{name}{where}", f"{number}|{name}") for name in names] or [
                (f"{server.name} (away)", f"{number}|")
            ]
        values = [value for _, value in choices]
        found = []
        for place, value in enumerate(chosen):
            wanted = value or self.first(place)
            same = [one for one in values if one.split("|")[0] == wanted.split("|")[0]]
            found.append(gr.update(choices=choices, value=wanted if wanted in values else same[0]))
        return found

    async def model(self, value: str | None, place: int) -> tuple[ServerLink, str]:
        """The server and the model of a choice; one without a name is the server's first."""
        number, _, name = (value or self.first(place)).partition("|")
        server = self.servers[int(number)]  # choices are checked by gradio: nobody sends another number
        return server, name or (await server.models())[0]

    # Conversations

    def ask(self, text: str, count: int, *rest: Any) -> list[Any]:
        """The question into every column; an empty one is said to be empty."""
        boxes, tickets, _ = _parts(rest, 2)
        try:
            asked = [talk.ask(talk.plain(box), text) for box in boxes[:count]]
        except ValueError as problem:
            raise gr.Error(str(problem), print_exception=False, duration=4) from None
        return ["", *_to_write(asked, tickets)]

    def retry_all(self, count: int, *rest: Any) -> list[Any]:
        """The last question of every column, to be answered again."""
        boxes, tickets, _ = _parts(rest, 2)
        plain = [talk.plain(box) for box in boxes[:count]]
        if not any(plain):
            raise gr.Error("there is nothing to ask again yet", print_exception=False, duration=4)
        return _to_write([talk.retry(one) if one else [] for one in plain], tickets)

    def clear(self) -> list[Any]:
        """A new conversation in every column."""
        return [*[[] for _ in range(MOST_COLUMNS)], *[None] * MOST_COLUMNS, *[""] * MOST_COLUMNS]

    def undo_all(self, count: int, *boxes: Any) -> list[Any]:
        """Every column without its last exchange; its question comes back to be written anew."""
        done = [talk.undo(talk.plain(box)) for box in boxes[:count]]
        return [*[talk.shown(kept) for kept, _ in done], *[gr.skip()] * (MOST_COLUMNS - count), done[0][1]]

    def retry(self, box: Any, ticket: int, event: gr.RetryData) -> tuple[Any, str, int]:
        return talk.shown(talk.retry(talk.plain(box), _index(event))), "", ticket + 1

    def undo(self, box: Any, event: gr.UndoData) -> tuple[Any, str]:
        kept, text = talk.undo(talk.plain(box)[: _index(event) + 1])
        return talk.shown(kept), text

    def edit(self, box: Any, ticket: int, event: gr.EditData) -> tuple[Any, str, int]:
        try:
            [typed] = talk.plain([{"role": "user", "content": event.value}])
            return talk.shown(talk.edit(talk.plain(box), _index(event), typed["content"])), "", ticket + 1
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
            server = self.servers[int((model or self.first(place)).partition("|")[0])]
            try:
                server, name = await self.model(model, place)
            except Exception as problem:
                yield gr.skip(), None, as_alert(explain_error(problem, server.url))
                return
            async with aclosing(
                answer_turns(server, name, history, system, _named(values), int(candidates))
            ) as turns:
                async for turn in turns:
                    yield _shown(turn)

        return write

    async def go_on(self, place, chosen, other, *rest) -> AsyncGenerator[list[Any], None]:
        """The answer from another token on."""
        models, boxes, replies, settings = _parts(rest, 3)
        _, _, candidates, *values = settings
        reply: Reply | None = replies[place]
        if reply is None or other is None or not chosen < len(reply.tokens):
            raise gr.Error("choose a token first, and what to put there", print_exception=False, duration=4)
        server, name = await self.model(models[place], place)
        candidate = ranked(reply.tokens[chosen])[int(other)][0]
        history = talk.retry(talk.plain(boxes[place]))
        turns = other_turns(server, name, history, reply, chosen, candidate, _named(values), int(candidates))
        async with aclosing(turns):
            async for turn in turns:
                outputs = [gr.skip()] * (3 * MOST_COLUMNS)
                outputs[place::MOST_COLUMNS] = _shown(turn)
                yield outputs

    def show_columns(self, count: int) -> list[Any]:
        panes = [gr.update(visible=place < count) for place in range(MOST_COLUMNS)]
        return [*panes, gr.update(visible=count > 1, value=0), gr.update(visible=count > 1, value=0)]

    # The engine

    def follow(self, which: int, live: bool, seen: Any) -> tuple[Any, Any]:
        """The engine as it is now, where something has changed."""
        watch = self.watches[which]
        if not live:
            return gr.skip(), gr.skip()
        steps = watch.look()
        now = (which, watch.state, steps[-1][0]["step"] if steps else -1, len(steps[-1][1]) if steps else 0)
        if now == seen:
            return gr.skip(), gr.skip()
        return pictures.engine_panel(steps, watch.state, watch.server.name), now

    def freeze(self, which: int, live: bool) -> tuple[Any, Any]:
        """The kept steps, to step back in, or nothing of them."""
        steps = [] if live else self.watches[which].look()
        last = max(1, len(steps) - 1)
        return steps, gr.update(visible=bool(steps), maximum=last, value=last)

    def show_step(self, which: int, frozen: list[Any], step: int) -> Any:
        if not frozen:
            return gr.skip()
        return pictures.engine_panel(frozen[: int(step) + 1], "stopped", self.servers[which].name)

    # Tokens

    def show_tokens(self, place: int, chosen: int, *replies: Reply | None) -> list[Any]:
        reply = replies[place]
        last = len(reply.tokens) - 1 if reply is not None else -1
        return self._tokens(reply, min(chosen, last) if last >= 0 else 0)

    def choose(self, place: int, left: Any, middle: Any, right: Any, event: gr.SelectData) -> list[Any]:
        return self._tokens((left, middle, right)[place], _index(event))

    def _tokens(self, reply: Reply | None, chosen: int) -> list[Any]:
        """The strip, the table, the other candidates, the button, and which token is chosen."""
        if reply is None or not 0 <= chosen < len(reply.tokens):
            return [
                pictures.odds_panel(reply, None),
                "",
                gr.update(visible=False),
                gr.update(visible=False),
                0,
            ]
        able = len(reply.ids) > chosen and bool(reply.prompt_ids)
        choices = pictures.other_choices(reply, chosen)
        return [
            pictures.odds_panel(reply, chosen),
            probability_table(reply.tokens[chosen]),
            gr.update(choices=choices, value=None, visible=able),
            gr.update(visible=able),
            chosen,
        ]

    async def read(self, place, *rest) -> str:
        """The conversation as the model reads it."""
        models, boxes, [system] = _parts(rest, 2)
        server, name = await self.model(models[place], place)
        messages = talk.request_messages(talk.plain(boxes[place]), system)
        if not messages:
            return "<p>There is no conversation yet.</p>"
        try:
            ends = messages[-1]["role"] == "user"
            found = await server.tokenize(model=name, messages=messages, add_generation_prompt=ends)
        except Exception as problem:
            return as_alert(explain_error(problem, server.url))
        return pictures.reading_panel(found)

    # Attention

    async def look(self, place, *rest) -> list[Any]:
        """The attention of the last answer's tokens, with the prompt's before them."""
        models, replies, _ = _parts(rest, 2)
        reply: Reply | None = replies[place]
        nothing = [None, 0, gr.skip(), gr.skip()]
        if reply is None or not reply.ids or not reply.prompt_ids:
            return [*nothing, "<p>There is no answer yet.</p>", ""]
        server, _ = await self.model(models[place], place)
        try:
            found = await server.attention([*reply.prompt_ids, *reply.ids][:MOST_LOOKED_AT])
        except Exception as problem:
            return [*nothing, as_alert(explain_error(problem, server.url)), ""]
        weights = {"names": found["token_strs"], "weights": np.asarray(found["attention"], dtype=np.float32)}
        layers, heads = weights["weights"].shape[:2]
        query = len(found["token_strs"]) - 1
        choices = [("all, their mean", -1), *[(str(number), number) for number in range(heads)]]
        layer = layers // 2
        return [
            weights, query, gr.update(maximum=max(1, layers - 1), value=layer), gr.update(choices=choices, value=-1),
            *self.draw_attention(weights, layer, -1, query)[:2],
        ]  # fmt: skip

    def draw_attention(
        self, weights: dict[str, Any] | None, layer: int, head: int, query: int
    ) -> tuple[Any, ...]:
        if weights is None:
            return "", "", 0
        layer = min(int(layer), len(weights["weights"]) - 1)
        matrix = pick(weights["weights"], layer, None if head < 0 else int(head))
        inside = attention_text(weights["names"], matrix, query)
        strip = f'<div class="strip" role="group" aria-label="the text, as one token sees it">{inside}</div>'
        return strip, attention_map(weights["names"], matrix), query

    def turn_to(self, weights, layer, head, event: gr.SelectData) -> tuple[Any, ...]:
        return self.draw_attention(weights, layer, head, int(_index(event)))

    # Export

    def json_of(self, place, system, *rest) -> tuple[str, str]:
        models, boxes, _ = _parts(rest, 2)
        source = {"model": (models[place] or "").partition("|")[2], "server": "LLM Ladder, project 30"}
        try:
            return to_json(talk.request_messages(talk.plain(boxes[place]), system), source), ""
        except ValueError as problem:
            return "", as_alert(str(problem))

    def markdown_of(self, place, system, *rest) -> tuple[str, str]:
        models, boxes, _ = _parts(rest, 2)
        title = f"A conversation with {(models[place] or '').partition('|')[2] or 'a model'}"
        prompt = [{"role": "system", "content": system}] if system.strip() else []
        return to_markdown([*prompt, *talk.plain(boxes[place])], title), ""


def _index(event: Any) -> int:
    """The place of the message or of the token that an event is about."""
    return int(event.index[0] if isinstance(event.index, list | tuple) else event.index)


def _named(values: Sequence[Any]) -> dict[str, Any]:
    return {control.name: value for control, value in zip(CONTROLS, values, strict=True)}


def _parts(rest: Sequence[Any], count: int) -> list[list[Any]]:
    """`count` lists of an element a column, and what is left."""
    cut = [list(rest[number * MOST_COLUMNS : (number + 1) * MOST_COLUMNS]) for number in range(count)]
    return [*cut, list(rest[count * MOST_COLUMNS :])]


def _shown(turn: Turn) -> tuple[Any, ...]:
    said = f'<div class="meter">{html.escape(turn.meter)}</div>' if turn.meter else ""
    return talk.shown(turn.history), turn.reply, said + as_alert(turn.trouble)


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
