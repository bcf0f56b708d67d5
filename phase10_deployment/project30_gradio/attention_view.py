"""Where a model looks: for each token, how much it takes from each token before it.

A layer has several heads, and each gives every token (the query) weights over itself and those before it (the keys)
that sum to 1. Most of it is dull, and that is worth seeing: many heads look at the first token when they find
nothing, many at the token before. Some look things up.

The weights come from the server (`POST /debug/attention`), since only there the model is.
"""

import html
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from phase10_deployment.project30_gradio.tokens_view import visible

MOST_SHOWN = 48


def pick(
    attention: Float[np.ndarray, "layer head query key"], layer: int, head: int | None
) -> Float[np.ndarray, "query key"]:
    """The weights of one head of a layer, both counted from 0; the mean over all its heads, where `head` is None.

    Each row of the mean sums to 1, as each row of a head does. Raises ValueError, naming the number and how many there
    are, for a layer or a head that there is not (the negative ones too).
    """
    if not 0 <= layer < len(attention):
        raise ValueError(f"there is no layer {layer}: the model has {len(attention)}, counted from 0")
    heads = attention[layer]
    if head is None:
        return heads.mean(axis=0)
    if not 0 <= head < len(heads):
        raise ValueError(f"there is no head {head}: a layer has {len(heads)}, counted from 0")
    return heads[head]


def attention_text(tokens: Sequence[str], weights: Float[np.ndarray, "query key"], query: int) -> str:
    """The text as one token sees it, as HTML: each token before it, and itself, is the darker the more it looks there.

        <button type="button" class="seen" data-index="0" style="--share: 0.87" aria-pressed="false"
                title="87.0%">The</button>

    `--share` is the weight that `query` gives to that token, two digits after the point, and the title the same in
    percent with one digit. Tokens after the query, which it cannot see, have class "unseen" instead, and no title. The
    query has aria-pressed "true". Tokens are shown as `visible` shows them. Raises ValueError, naming the number and
    how many tokens there are, for a query that there is not (the negative ones too).
    """
    if not 0 <= query < len(tokens):
        raise ValueError(f"there is no token {query}: there are {len(tokens)}, counted from 0")
    row = weights[query]
    found = []
    for index, token in enumerate(tokens):
        pressed = "true" if index == query else "false"
        if index > query:
            kind = 'class="unseen"'
            title = ""
        else:
            kind = f'class="seen" style="--share: {row[index]:.2f}"'
            title = f' title="{100 * row[index]:.1f}%"'
        place = f'data-index="{index}" aria-pressed="{pressed}"{title}'
        found.append(f'<button type="button" {kind} {place}>{visible(token)}</button>')
    return "".join(found)


def attention_map(tokens: Sequence[str], weights: Float[np.ndarray, "query key"]) -> str:
    """All weights of a head as an SVG: a row a query, a column a key, the lower triangle alone.

        <rect x="…" y="…" width="…" height="…" fill-opacity="0.870"><title>␣found looks at ␣Mia: 87.0%</title></rect>

    In a text of more than MOST_SHOWN tokens, the last MOST_SHOWN are drawn, queries and keys, with their weights as
    they are. There is a text for each row, on its left: the token, as `visible` shows it, cut to 10 characters (then
    "…" for the rest) before it is escaped. The rows' and columns' side is 12. The svg is as `draw_blocks` has it,
    with the aria-label "attention of 12 tokens to those before them".
    """
    first = max(0, len(tokens) - MOST_SHOWN)
    shown = tokens[first:]
    side, left = 12, 84
    found = []
    for row, name in enumerate(shown):
        short = name if len(name) <= 10 else name[:10] + "…"
        found.append(
            f'<text x="{left - 4}" y="{(row + 1) * side - 3}" text-anchor="end">{visible(short)}</text>'
        )
        for column in range(row + 1):
            weight = weights[first + row][first + column]
            said = f"{visible(name)} looks at {visible(shown[column])}: {100 * weight:.1f}%"
            found.append(
                f'<rect x="{left + column * side}" y="{row * side}" width="{side}" height="{side}"'
                f' fill-opacity="{weight:.3f}"><title>{said}</title></rect>'
            )
    label = html.escape(f"attention of {len(shown)} tokens to those before them")
    wide, high = left + len(shown) * side, len(shown) * side
    return f'<svg class="attention" viewBox="0 0 {wide} {high}" role="img" aria-label="{label}">{"".join(found)}</svg>'
