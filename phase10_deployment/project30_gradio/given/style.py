"""How the page looks, and the little that runs in the browser: nothing is fetched from elsewhere."""

from pathlib import Path

FOLDER = Path(__file__).parent
CSS = (FOLDER / "page.css").read_text(encoding="utf-8")
FRAME = """
.gradio-container .fillable { width: 100%; max-width: 1440px !important; margin-inline: auto; box-sizing: border-box; }
.gradio-container .contain { width: 100%; min-width: 0; }
@media (max-width: 600px) { .gradio-container .fillable { padding: 8px !important; } }
"""
"""not in the page's own style, whose rules gradio puts below its container"""
HEAD = f"<style>{FRAME}</style><script>\n{(FOLDER / 'heart.js').read_text(encoding='utf-8')}</script>"

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

KEEP = """
(...all) => {
  if (!window.ladderRecalled) return [];
  try { sessionStorage.setItem('ladder-talk', JSON.stringify({ boxes: all.slice(0, -1), text: all.at(-1) })); } catch {}
  return [];
}
"""
"""what is on the page, into the memory of its tab: gradio loads the page anew when its server was away

Not before the memory has been read: a page that is loaded begins with windows in which there is nothing.
"""

RECALL = """
() => {
  window.ladderRecalled = true;
  return [sessionStorage.getItem('ladder-talk') || ''];
}
"""
"""what a tab remembers; another tab has another memory"""
