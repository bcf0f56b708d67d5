"""Conversations for hypothesis: any that a template can write down, with what is meant to trip it."""

from hypothesis import strategies as st

contents = st.one_of(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=12),
    st.sampled_from(
        [
            "{{ messages }}",
            "{% raw %}",
            "<|im_end|>",
            "<|end|>",
            " a\n",
            "\n\n",
            "Answer: x",
            "### Response:\n",
        ]
    ),
).filter(str.strip)


@st.composite
def talks(draw, answered=True):
    """A conversation that may be written down; one that is answered ends with the assistant."""
    found = [{"role": "system", "content": draw(contents)}] if draw(st.booleans()) else []
    for number in range(2 * draw(st.integers(1, 3)) - (not answered)):
        found.append({"role": "assistant" if number % 2 else "user", "content": draw(contents)})
    return found


words = st.sampled_from(
    ["Mia", "Who is it?", "She has 12 apples, 3 pears.", "a\nb", "é und ß", "No.", "it's 5"]
)


@st.composite
def plain_talks(draw):
    """A conversation whose contents neither begin nor end with white space, and hold no control token."""
    found = [{"role": "system", "content": draw(words)}] if draw(st.booleans()) else []
    for number in range(2 * draw(st.integers(1, 3))):
        found.append({"role": "assistant" if number % 2 else "user", "content": draw(words)})
    return found
