"""How the page looks, and the little that runs in the browser: nothing is fetched from elsewhere."""

CSS = """
:root { --ladder-ink: #1f2937; --ladder-soft: #e8edf3; --ladder-line: #cbd5e1; --ladder-accent: #2f5d8a; --ladder-seen: 47 93 138; }
.dark { --ladder-ink: #e5e7eb; --ladder-soft: #273244; --ladder-line: #475569; --ladder-accent: #8fb8de; --ladder-seen: 143 184 222; }
.gradio-container { max-width: 1440px !important; margin: 0 auto !important; }
#title h1 { font-size: 1.3rem; margin: 0; }
#title p { margin: 0; opacity: .75; font-size: .9rem; }
.meter { min-height: 1.4em; font-size: .85rem; color: var(--body-text-color); opacity: .8; font-variant-numeric: tabular-nums; }
.trouble:not(:empty) > .say { border-left: 4px solid #c2410c; background: #c2410c1f; border-radius: 4px; padding: .5rem .75rem; color: var(--body-text-color); }
.block-free { fill: none; }
svg.engine, svg.attention { width: 100%; height: auto; display: block; }
svg.blocks { max-width: 720px; }
svg.blocks .free rect { fill: var(--ladder-soft); }
svg.blocks rect { stroke: none; }
svg.blocks text { font: 600 11px system-ui, sans-serif; fill: #fff; text-anchor: middle; pointer-events: none; }
svg.blocks text.note { fill: var(--ladder-ink); text-anchor: start; font-weight: 400; }
svg.steps { border-bottom: 1px solid var(--ladder-line); max-width: 720px; }
svg.attention rect { fill: rgb(var(--ladder-seen)); stroke: var(--ladder-line); stroke-width: .4; }
svg.attention text { font: 9px ui-monospace, monospace; fill: var(--ladder-ink); }
.engine-facts { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; font-variant-numeric: tabular-nums; margin-bottom: .5rem; }
.engine-facts b { font-weight: 600; }
h4.small, .queues h4 { font-size: .85rem; margin: .6rem 0 .2rem; font-weight: 600; }
ol.queue { list-style: none; padding: 0; margin: 0; }
ol.queue li { display: grid; grid-template-columns: 1.6em minmax(0, 1fr) auto; gap: .1rem .5rem; align-items: center; font-size: .85rem; padding: .15rem 0; }
ol.queue li.none, ol.queue li.more { display: block; opacity: .7; }
ol.queue b { background: var(--colour); color: #fff; border-radius: 3px; text-align: center; font-size: .75rem; line-height: 1.5em; }
ol.queue .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-family: ui-monospace, monospace; }
ol.queue .count { font-variant-numeric: tabular-nums; }
ol.queue .track { grid-column: 2 / -1; display: flex; height: 5px; background: var(--ladder-soft); border-radius: 3px; overflow: hidden; }
ol.queue .track i { background: var(--colour); opacity: .75; } ol.queue .track i.now { opacity: 1; outline: 1px solid var(--ladder-ink); }
.strip { display: flex; flex-wrap: wrap; gap: 3px; }
.strip button { font: 13px ui-monospace, monospace; border: 1px solid var(--ladder-line); border-radius: 4px; padding: 2px 5px;
  color: var(--ladder-ink); background: rgb(var(--ladder-seen) / calc(var(--share, 0) * .55)); cursor: pointer; max-width: 100%; overflow-wrap: anywhere; min-height: 26px; }
.strip.odds button { background: rgb(194 65 12 / calc((1 - var(--share)) * .45)); }
.strip button[aria-pressed=true] { outline: 2px solid var(--ladder-accent); outline-offset: 1px; }
.strip button.unseen { opacity: .45; background: none; }
button:focus-visible, [role=tab]:focus-visible { outline: 3px solid var(--ladder-accent) !important; outline-offset: 2px; }
table.chances { width: 100%; border-collapse: collapse; font-size: .9rem; }
table.chances caption { text-align: left; font-weight: 600; padding: .3rem 0; }
table.chances th, table.chances td { text-align: left; padding: .2rem .5rem .2rem 0; border-bottom: 1px solid var(--ladder-line); font-variant-numeric: tabular-nums; }
table.chances td:first-child { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
table.chances td:nth-child(3) { width: 45%; }
table.chances .bar { display: block; height: .7em; background: rgb(var(--ladder-seen)); border-radius: 2px; min-width: 1px; }
table.chances tr.written td { font-weight: 700; }
#page-gone { display: none; position: fixed; inset: 0 0 auto 0; z-index: 9999; background: #9a3412; color: #fff; padding: .7rem 1rem; text-align: center; font: 500 15px system-ui, sans-serif; }
#page-gone.shown { display: block; }
.message, .message * { overflow-wrap: anywhere; }
@media (max-width: 600px) { .gradio-container { padding: 8px !important; } }
"""

GONE = "The page’s own server does not answer. What is on the page stays; it goes on by itself when the server is back."

HEAD = f"""
<script>
(() => {{
  const say = () => {{
    let box = document.getElementById("page-gone");
    if (!box) {{
      box = document.createElement("div");
      box.id = "page-gone";
      box.setAttribute("role", "alert");
      document.body.appendChild(box);
    }}
    return box;
  }};
  let away = false, run = null;
  const beat = async () => {{
    let here = null;
    try {{
      const answer = await fetch("alive", {{ cache: "no-store", signal: AbortSignal.timeout(4000) }});
      here = answer.ok ? (await answer.json()).run : null;
    }} catch {{ here = null; }}
    if (here === null && !away) {{ away = true; say().textContent = "{GONE}"; say().classList.add("shown"); }}
    if (here !== null && away) {{ away = false; say().textContent = ""; say().classList.remove("shown"); }}
    setTimeout(beat, away ? 1000 : 2000);
  }};
  addEventListener("load", beat);
}})();
</script>
"""

CLICKS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-index]');
  if (button) trigger('select', { index: Number(button.dataset.index), value: button.dataset.index, selected: true });
});
"""
"""a click, or Enter, on a button with data-index is the component's `select`"""

DOWNLOAD = """
(text, name, kind) => {
  if (!text) return [];
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: kind }));
  link.download = name;
  document.body.appendChild(link); link.click(); link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  return [];
}
"""
"""a text becomes a file in the browser: no copy of a conversation lies on the server's disk"""
