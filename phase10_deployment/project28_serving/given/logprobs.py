"""Log-probabilities in OpenAI's two forms, of chats and of completions."""

from collections.abc import Sequence
from typing import Any

from phase10_deployment.project28_serving.given.served import Served
from phase10_deployment.project28_serving.given.wire import Logprob, Piece


def token_text(served: Served, token: int) -> str:
    """A token's text; one that is no whole characters by its bytes, so that no two tokens look alike."""
    data = served.bytes_of(token)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


def chat_logprobs(served: Served, entries: Sequence[Logprob]) -> dict[str, Any]:
    """As in a chat: a list with an entry a token."""

    def entry(token: int, logprob: float) -> dict[str, Any]:
        return {"token": token_text(served, token), "logprob": logprob, "bytes": list(served.bytes_of(token))}

    content = [
        {**entry(token, logprob), "top_logprobs": [entry(*one) for one in top]}
        for token, logprob, top in entries
    ]
    return {"content": content, "refusal": None}


class CompletionLogprobs:
    """As in a completion: lists side by side, with where each token begins, for a text that comes in pieces."""

    def __init__(self, served: Served):
        self.served = served
        self.offsets: dict[int, int] = {}
        """by text, where its next token begins"""

    def of(self, index: int, entries: Sequence[Logprob | None], prompt: Sequence[int] = ()) -> dict[str, Any]:
        """Those of the next tokens of a text; where one is None, as of a prompt's first, the token is in `prompt`."""
        found: dict[str, list[Any]] = {
            "tokens": [],
            "token_logprobs": [],
            "top_logprobs": [],
            "text_offset": [],
        }
        offset = self.offsets.get(index, 0)
        for place, one in enumerate(entries):
            token = prompt[place] if one is None else one[0]
            text = token_text(self.served, token)
            top = None
            if one is not None:
                top = {}
                for other, logprob in [*one[2], (token, one[1])]:
                    top.setdefault(token_text(self.served, other), logprob)
            found["tokens"].append(text)
            found["token_logprobs"].append(None if one is None else one[1])
            found["top_logprobs"].append(top)
            found["text_offset"].append(offset)
            offset += len(self.served.text_of(token))
        self.offsets[index] = offset
        return found

    def piece(self, piece: Piece) -> dict[str, Any]:
        """Those of a piece."""
        return self.of(piece.index, piece.logprobs)


def joined(one: dict[str, list[Any]], other: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Those of two pieces of a text, one after the other."""
    return {name: [*values, *other[name]] for name, values in one.items()}
