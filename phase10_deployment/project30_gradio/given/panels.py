"""What is shown beside the conversation: the models there are, the engine, tokens and attention."""

from collections.abc import Sequence
from typing import Any

import gradio as gr  # pyright: ignore[reportMissingImports]
import numpy as np

from phase10_deployment.project30_gradio import history as talk
from phase10_deployment.project30_gradio.attention_view import attention_map, attention_text, pick
from phase10_deployment.project30_gradio.explain import explain_error
from phase10_deployment.project30_gradio.given import pictures
from phase10_deployment.project30_gradio.given.answer import Reply
from phase10_deployment.project30_gradio.given.server import ServerLink
from phase10_deployment.project30_gradio.given.talk import as_alert
from phase10_deployment.project30_gradio.given.watch import Watch
from phase10_deployment.project30_gradio.tokens_view import probability_table

MOST_COLUMNS = 3
MOST_LOOKED_AT = 128
"""tokens whose attention is asked for: it grows with their square"""


class Panels:
    """The servers, a watch on the engine of each, and what is drawn of them."""

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
            number, name = self.parts(value, place)
            same = [one for one in values if self.parts(one, place)[0] == number]
            wanted = f"{number}|{name}"
            found.append(gr.update(choices=choices, value=wanted if wanted in values else same[0]))
        return found

    def parts(self, value: str | None, place: int) -> tuple[int, str]:
        """The number of a choice's server, and its model's name; a typed name is one of this column's server."""
        number, bar, name = (value or self.first(place)).partition("|")
        if not bar:
            number, name = self.first(place).rstrip("|"), number.strip()
        if not number.isdecimal() or int(number) >= len(self.servers):
            raise gr.Error("there is no such server", print_exception=False, duration=4)
        return int(number), name

    async def model(self, value: str | None, place: int) -> tuple[ServerLink, str]:
        """The server and the model of a choice; one without a name is the server's first."""
        number, name = self.parts(value, place)
        server = self.servers[number]
        return server, name or (await server.models())[0]

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
        return self._tokens((left, middle, right)[place], index_of(event))

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
        models, boxes, [system] = in_columns(rest, 2)
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
        models, replies, _ = in_columns(rest, 2)
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
        return self.draw_attention(weights, layer, head, int(index_of(event)))


def index_of(event: Any) -> int:
    """The place of the message or of the token that an event is about."""
    return int(event.index[0] if isinstance(event.index, list | tuple) else event.index)


def in_columns(rest: Sequence[Any], count: int) -> list[list[Any]]:
    """`count` lists of an element a column, and what is left."""
    cut = [list(rest[number * MOST_COLUMNS : (number + 1) * MOST_COLUMNS]) for number in range(count)]
    return [*cut, list(rest[count * MOST_COLUMNS :])]
