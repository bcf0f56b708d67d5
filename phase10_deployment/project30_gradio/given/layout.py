"""The page: what stands where, and which function answers which click."""

import os
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr  # pyright: ignore[reportMissingImports]

from phase10_deployment.project30_gradio.given.controls import CONTROLS, Control
from phase10_deployment.project30_gradio.given.desk import Desk
from phase10_deployment.project30_gradio.given.panels import MOST_COLUMNS
from phase10_deployment.project30_gradio.given.pictures import odds_panel
from phase10_deployment.project30_gradio.given.prompts import PROMPTS
from phase10_deployment.project30_gradio.given.server import ServerLink
from phase10_deployment.project30_gradio.given.style import CLICKS, DOWNLOAD, KEEP, RECALL

PLACES = ("first", "second", "third")


def theme() -> gr.themes.Base:
    """Calm, and with the fonts of the machine: nothing is fetched from elsewhere."""
    return gr.themes.Base(
        primary_hue="blue",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
        radius_size="sm",
    )


def build(servers: Sequence[ServerLink]) -> gr.Blocks:
    """The page for these servers. What a window holds is in the window (its conversations) or its own `gr.State`."""
    desk = Desk(servers)
    with gr.Blocks(title="LLM Ladder: chat", analytics_enabled=False, fill_width=True) as page:
        gr.HTML(
            "<h1>LLM Ladder: chat</h1><p>Your model answers, and its engine shows how.</p>", elem_id="title"
        )
        replies = [gr.State(None) for _ in range(MOST_COLUMNS)]
        tickets = [gr.State(0) for _ in range(MOST_COLUMNS)]
        went_on = gr.State(0)
        chosen = gr.State(0)
        frozen = gr.State([])
        seen = gr.State(-1)
        memory = gr.Textbox(visible="hidden", label="What this tab remembers")
        file_text = gr.Textbox(visible="hidden", label="What is exported")
        with gr.Row(elem_id="desk"):
            with gr.Column(scale=3, min_width=300):
                panes, boxes, models, notes = [], [], [], []
                with gr.Row():
                    for place in range(MOST_COLUMNS):
                        shown = place < len(servers) or place == 0
                        with gr.Column(min_width=280, visible=shown) as pane:
                            model = gr.Dropdown(
                                desk.waiting(), value=desk.first(place), label="Model", interactive=True,
                                allow_custom_value=True,  # a window may know more than a page that was started anew
                            )  # fmt: skip
                            box = gr.Chatbot(
                                label="Conversation" + (f", {PLACES[place]}" if place else ""), editable="user",
                                height="46vh", min_height=260,
                                render_markdown=False, sanitize_html=True, buttons=["copy"],
                                feedback_options=None, allow_file_downloads=False,
                                placeholder="Say something. Nothing leaves this machine.",
                            )  # fmt: skip
                            notes.append(gr.HTML("", elem_classes="notes"))
                        panes.append(pane)
                        boxes.append(box)
                        models.append(model)
                text = gr.Textbox(
                    label="Your message", placeholder="Enter sends, Shift+Enter is a new line", lines=1,
                    max_lines=8, autofocus=True, max_length=20_000,
                )  # fmt: skip
                with gr.Row():
                    send = gr.Button("Send", variant="primary", min_width=64)
                    stop = gr.Button("Stop", variant="stop", min_width=64)
                    again = gr.Button("Retry", min_width=64)
                    back = gr.Button("Undo", min_width=64)
                    clear = gr.Button("New", min_width=64)
            with gr.Column(scale=2, min_width=300), gr.Tabs():
                with gr.Tab("Engine", elem_id="engine-tab") as engine:
                    which = gr.Dropdown(
                        desk.engines(), value=0, label="Engine of", visible=len(servers) > 1, interactive=True
                    )
                    picture = gr.HTML("<p>Waiting for the engine…</p>", elem_id="engine")
                    live = gr.Checkbox(True, label="Follow the engine (off: stop the picture, and step back)")
                    step = gr.Slider(
                        0, 1, 1, step=1, label="Step of those that are kept", interactive=True, visible=False
                    )
                    timer = gr.Timer(0.5)
                with gr.Tab("Tokens", elem_id="tokens-tab") as tokens:
                    ask_of = gr.Radio(
                        [(name, place) for place, name in enumerate(PLACES)], value=0, label="Answer",
                        visible=len(servers) > 1,
                    )  # fmt: skip
                    strip = gr.HTML(odds_panel(None, None), js_on_load=CLICKS, elem_id="odds")
                    table = gr.HTML("", elem_id="chances")
                    others = gr.Radio([], label="Put another one there", visible=False, elem_id="others")
                    go_on = gr.Button("Go on from this one", visible=False)
                    with gr.Accordion("What the model reads", open=False):
                        read = gr.Button("Show the conversation in the model’s template", size="sm")
                        reading = gr.HTML("", elem_id="reading")
                with gr.Tab("Attention", elem_id="attention-tab") as attention:
                    look = gr.Button("Look at the last answer", size="sm")
                    weights = gr.State(None)
                    query = gr.State(0)
                    with gr.Row():
                        layer = gr.Slider(0, 1, 0, step=1, label="Layer", interactive=True)
                        head = gr.Dropdown(
                            [("all, their mean", -1)], value=-1, label="Head", interactive=True
                        )
                    gr.HTML("<p>Choose a token: the darker another is, the more it looks there.</p>")
                    looks = gr.HTML("", js_on_load=CLICKS, elem_id="looks")
                    whole = gr.HTML("", elem_id="map")
                with gr.Tab("Settings", elem_id="settings-tab") as wishes:
                    count = gr.Radio(
                        [1, 2, 3], value=min(3, max(1, len(servers))), label="Models side by side"
                    )
                    preset = gr.Dropdown(list(PROMPTS), value="none", label="System prompts to begin with")
                    system = gr.Textbox("", label="System prompt", lines=2, max_lines=6, max_length=8000)
                    candidates = gr.Slider(
                        0, 10, 5, step=1, label="Candidates for each token",
                        info="0: do not ask for them, which is a little faster.",
                    )  # fmt: skip
                    controls = [_control(one) for one in CONTROLS]
                with gr.Tab("Export", elem_id="export-tab") as export:
                    kept = gr.Radio(
                        [(name, place) for place, name in enumerate(PLACES)], value=0, label="Conversation",
                        visible=len(servers) > 1,
                    )  # fmt: skip
                    as_json = gr.Button("JSON, to fine-tune on (project 4)")
                    as_markdown = gr.Button("Markdown, to read")
                    said = gr.HTML("", elem_classes="notes")

        hidden: dict[str, Any] = {"show_progress": "hidden"}
        # Gradio drops what is moved or clicked while it still draws what was there before, if it is not told to wait.
        last: dict[str, Any] = {**hidden, "trigger_mode": "always_last"}
        # A window's ticket for a column changes when there is something to write there. So writers are known before
        # what ends them, and what ends them comes before what begins the next one: gradio goes in this order.
        settings = [count, system, candidates, *controls]
        writing = [
            tickets[place].change(
                desk.writer(place), [models[place], boxes[place], *settings],
                [boxes[place], replies[place], notes[place]], concurrency_limit=None, **hidden,
            )
            for place in range(MOST_COLUMNS)
        ]  # fmt: skip
        writing.append(went_on.change(
            desk.go_on, [ask_of, chosen, others, *models, *boxes, *replies, *settings],
            [*boxes, *replies, *notes], concurrency_limit=None, **hidden,
        ))  # fmt: skip
        ends = [*[button.click for button in (stop, clear, back, send, again, go_on)], text.submit]
        ends += [event for box in boxes for event in (box.retry, box.edit, box.undo, box.clear)]
        for event in ends:
            event(None, cancels=writing, queue=False)

        asked = [*boxes, *notes, *tickets]
        gr.on([send.click, text.submit], desk.ask, [text, count, *boxes, *tickets], [text, *asked], **hidden)
        again.click(desk.retry_all, [count, *boxes, *tickets], asked, **hidden)
        for box, note, ticket in zip(boxes, notes, tickets, strict=True):
            box.retry(desk.retry, [box, ticket], [box, note, ticket], **hidden)
            box.edit(desk.edit, [box, ticket], [box, note, ticket], **hidden)
            box.undo(desk.undo, box, [box, text], **hidden)
        go_on.click(lambda number: number + 1, went_on, went_on, **hidden)
        back.click(desk.undo_all, [count, *boxes], [*boxes, text], **hidden)
        clear.click(desk.clear, None, [*boxes, *replies, *notes], **hidden)

        count.change(desk.show_columns, count, [*panes, ask_of, kept])
        preset.input(PROMPTS.get, preset, system)
        page.load(desk.find_models, models, models, **hidden)
        page.load(desk.recall, memory, [*boxes, text], js=RECALL, **hidden)
        gr.on([*[box.change for box in boxes], text.change], None, [*boxes, text], None, js=KEEP)

        engine.select(lambda: gr.Timer(active=True), None, timer, **hidden)  # nobody draws what nobody sees
        for tab in (tokens, attention, wishes, export):
            tab.select(lambda: gr.Timer(active=False), None, timer, **hidden)
        timer.tick(desk.follow, [which, live, seen], [picture, seen], **hidden, concurrency_limit=None)
        live.change(desk.freeze, [which, live], [frozen, step], **hidden)
        gr.on([step.input, step.release], desk.show_step, [which, frozen, step], picture, **last)

        for changed in (*[one.change for one in replies], ask_of.change):
            gr.on([changed], desk.show_tokens, [ask_of, chosen, *replies], [strip, table, others, go_on, chosen],
                  **hidden)  # fmt: skip
        strip.select(desk.choose, [ask_of, *replies], [strip, table, others, go_on, chosen], **last)
        read.click(desk.read, [ask_of, *models, *boxes, system], reading, **hidden)

        look.click(desk.look, [ask_of, *models, *replies], [weights, query, layer, head, looks, whole])
        gr.on([layer.input, head.input], desk.draw_attention, [weights, layer, head, query], [looks, whole, query],
              **last)  # fmt: skip
        looks.select(desk.turn_to, [weights, layer, head], [looks, whole, query], **last)

        for button, maker, name, kind in (
            (as_json, desk.json_of, "conversation.json", "application/json"),
            (as_markdown, desk.markdown_of, "conversation.md", "text/markdown"),
        ):
            made = button.click(maker, [kept, system, *models, *boxes], [file_text, said], **hidden)
            made.success(None, file_text, None, js=f"(text) => ({DOWNLOAD})(text, '{name}', '{kind}')")
    return page


def _control(control: Control) -> gr.components.Component:
    """The component of a setting."""
    start = control.default if control.start is None else control.start
    if control.kind == "lines":
        return gr.Textbox("", label=control.label, info=control.info, lines=2, max_lines=4)
    if control.kind == "text":
        return gr.Textbox("", label=control.label, info=control.info, lines=1)
    if control.default is None or control.high > 2000:
        return gr.Number(start, label=control.label, info=control.info, precision=0)
    return gr.Slider(
        control.low, control.high, start, step=control.step, label=control.label, info=control.info
    )
