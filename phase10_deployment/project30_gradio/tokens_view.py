"""What the model could have written: the tokens of an answer with their probabilities, and another way to go on.

A model gives each token of its vocabulary a probability, and one is drawn. Here one sees what the others were. And if
one of them is put in its place, the model can go on from there: the prompt's tokens, those written before, and the
other one are a new prompt. It has to be tokens. A text would be cut into tokens again, and not always into the same
ones.

All of it is HTML, made of what a model wrote, and a model may write HTML. So each text is escaped before it goes in.
"""

import codecs
import html
import math
from collections.abc import Sequence

from phase10_deployment.project30_gradio.given.answer import Candidate, Reply, Written

MARKS = {" ": "␣", "\n": "⏎", "\t": "⇥"}


def visible(text: str) -> str:
    """A token as HTML that one can see: a space is ␣, a line end ⏎, a tab ⇥, and no text at all is ∅.

    Everything else as it is, escaped, quotes too: in an attribute it stays inside of it.
    """
    shown = "".join(MARKS.get(letter, letter) for letter in text)
    return html.escape(shown or "∅", quote=True)


def percent(logprob: float) -> str:
    """A probability in words: "93.1%", "0.02%", "< 0.01%" below a hundredth, and "?" for NaN.

    From 1% on, one digit after the point, below it two.
    """
    if math.isnan(logprob):
        return "?"
    share = 100 * math.exp(logprob)
    if share < 0.01:
        return "< 0.01%"
    return f"{share:.1f}%" if share >= 1 else f"{share:.2f}%"


def token_strip(tokens: Sequence[Written], chosen: int | None = None) -> str:
    """The tokens of an answer, in order, each a button, as HTML.

        <button type="button" class="token" data-index="2" style="--share: 0.43" aria-pressed="false"
                title="43.0%" aria-label="token 3, ␣Mia, 43.0%">␣Mia</button>

    `--share` is its probability with two digits after the point (the page's style makes a colour of it; 0 where it is
    NaN), `data-index` its place from 0, and `aria-pressed` "true" for the one that is chosen alone. What is said of it
    and shown of it is `visible` and `percent`. Without tokens, "".
    """
    found = []
    for index, token in enumerate(tokens):
        name, said = visible(token.text), html.escape(percent(token.logprob))
        share = 0.0 if math.isnan(token.logprob) else math.exp(token.logprob)
        found.append(
            f'<button type="button" class="token" data-index="{index}" style="--share: {share:.2f}"'
            f' aria-pressed="{"true" if index == chosen else "false"}" title="{said}"'
            f' aria-label="token {index + 1}, {name}, {said}">{name}</button>'
        )
    return "".join(found)


def ranked(token: Written) -> list[tuple[Candidate, bool]]:
    """The candidates for a token's place, the likeliest first, each with whether it is the one that was written.

    That one is told by its bytes. If it is not among them, having been drawn from further down, it is appended.
    """
    found = [(other, other.data == token.data) for other in token.top]
    if not any(written for _, written in found):
        found.append((token, True))
    return found


def probability_table(token: Written) -> str:
    """What could have stood in a token's place, as an HTML table: a row each of `ranked`, and what is left.

        <tr class="written"><td>␣Mia</td><td>43.0%</td><td><span class="bar" style="width: 43.0%"></span></td></tr>

    The class is there in the row of the token that was written alone, whose first cell also has " ✓" after the token.
    A bar is as wide as its probability, one digit after the point, and 0.0% for NaN. The last row, "all others", has
    1 minus the sum of the rows, at least 0, where that is 0.005% or more (and none is NaN). The table has a `caption`,
    and a `th` with scope="col" over each column: token, probability, and one that is empty for the eye.
    """
    rows = ranked(token)
    shares = [math.exp(candidate.logprob) for candidate, _ in rows]
    lines = [
        _row(visible(candidate.text) + (" ✓" if written else ""), candidate.logprob, written)
        for candidate, written in rows
    ]
    rest = 1 - sum(shares)
    if rest >= 5e-5:  # false for NaN
        lines.append(_row("all others", math.log(rest), False))
    return (
        '<table class="chances"><caption>What could have stood here</caption><thead><tr>'
        '<th scope="col">token</th><th scope="col">probability</th><th scope="col" aria-label="as a bar"></th>'
        f"</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def _row(name: str, logprob: float, written: bool) -> str:
    """A row of the table; `name` is HTML."""
    share = 0.0 if math.isnan(logprob) else 100 * math.exp(logprob)
    kind = ' class="written"' if written else ""
    return (
        f"<tr{kind}><td>{name}</td><td>{html.escape(percent(logprob))}</td>"
        f'<td><span class="bar" style="width: {share:.1f}%"></span></td></tr>'
    )


def go_on_from(reply: Reply, index: int, other: int) -> list[int]:
    """The tokens to go on from when another one stands at place `index` of the answer (from 0).

    Those of the prompt, those that were written before that place, and `other`. Raises ValueError, naming the index and
    how many tokens were written, for a place that the answer does not have (the negative ones too); and for a reply
    whose prompt's tokens are not known.
    """
    if not 0 <= index < len(reply.ids):
        raise ValueError(f"there is no token {index}: the answer has {len(reply.ids)}, counted from 0")
    if not reply.prompt_ids:
        raise ValueError("the server did not say which tokens the prompt has (return_token_ids)")
    return [*reply.prompt_ids, *reply.ids[:index], other]


def text_before(reply: Reply, index: int, other: Candidate) -> str:
    """The text of the answer up to place `index`, with the other token there: what the new answer begins with.

    A character may be cut over several tokens, so their bytes are joined first. Bytes at the end that do not make a
    character yet are left out: what comes next has its other half. Any that can never be one are "�".
    """
    joined = b"".join(token.data for token in reply.tokens[:index]) + other.data
    return codecs.getincrementaldecoder("utf-8")("replace").decode(joined)
