"""How to sample: OpenAI's fields and vLLM's to the engine's own settings."""

import secrets
from typing import Any

from phase10_deployment.project28_serving.given.errors import ApiError, Code
from phase10_deployment.project28_serving.given.fields import Fields
from phase10_deployment.project28_serving.given.guides import guide_of
from phase10_deployment.project28_serving.given.served import Served
from shared.phase04 import SamplingParams

TOP_P = "top_p"
MOST_STOPS, MOST_BIASES, LARGEST_SEED = 16, 1024, 2**63 - 1


def max_tokens_of(fields: Fields, served: Served, prompt: int, default: int | None, least: int = 1) -> int:
    """How many tokens may be written after a prompt of so many, at least `least`.

    It is `max_completion_tokens`, or else `max_tokens`, or else `default`, or all that there is room for where that is
    less or None. There is room for served.longest less the prompt. Raises ApiError for a number that is none, or below
    `least`, or where there is no room for it: code "context_length_exceeded", naming the prompt's length, the
    number, and served.longest.
    """
    name = "max_completion_tokens" if fields.has("max_completion_tokens") else "max_tokens"
    room = served.longest - prompt
    count = fields.whole(name, least, 2**63, min(room, room if default is None else default))
    if count > room or room < least:
        raise ApiError(
            f"after the prompt's {prompt} tokens there is room for {room} of the model's {served.longest}, and "
            f"{name} asks for {max(count, least)}", name, code=Code.TOO_LONG,
        )  # fmt: skip
    return count


def params_of(
    fields: Fields, served: Served, max_tokens: int, logprobs: int | None, lead: str
) -> SamplingParams:
    """The engine's settings. Where the request has no seed, one is drawn (`secrets`), another one each time.

    Null is absent. Absent are: temperature 1, top_p 1, top_k all (vLLM's -1 is that too), n 1, best_of n, penalties
    0 (repetition_penalty 1), min_tokens 0, no stop, no bias, no guide. The tokens that end a text are served.stop_ids
    and `stop_token_ids`; with `ignore_eos` only the latter. `include_stop_str_in_output` is the engine's include_stop,
    false where absent. `min_p` and others that nobody knows here are ignored.

    Raises ApiError, naming the field: temperature from 0 to 2; top_p from 0 (excluded) to 1; top_k from -1 to the
    vocabulary; n from 1 to served.most_texts, best_of from n to that; presence_penalty and frequency_penalty from -2 to
    2; repetition_penalty from 0.01 to 100; min_tokens from 0 to `max_tokens`; seed from -2⁶³ to LARGEST_SEED, and the
    engine gets it modulo 2⁶³, for it knows none below 0; stop one text or at most MOST_STOPS; logit_bias at most
    MOST_BIASES tokens that the model knows, as texts, with numbers from -100 to 100; stop_token_ids tokens that it
    knows; a guide as `guide_of` says.
    """
    n = fields.whole("n", 1, served.most_texts, 1)
    best_of = fields.whole("best_of", n, served.most_texts, n)
    top_k = fields.whole("top_k", -1, served.vocab_size, 0)
    top_p = fields.number("top_p", 0, 1, 1.0)
    if not top_p:
        raise fields.wrong(TOP_P, "a number above 0, up to 1")
    own = _stop_token_ids(fields, served)
    choices, regex = guide_of(fields, lead)
    try:
        return SamplingParams(
            max_tokens=max_tokens,
            temperature=fields.number("temperature", 0, 2, 1.0),
            top_k=max(0, top_k),
            top_p=top_p,
            repetition_penalty=fields.number("repetition_penalty", 0.01, 100, 1.0),
            presence_penalty=fields.number("presence_penalty", -2, 2, 0.0),
            frequency_penalty=fields.number("frequency_penalty", -2, 2, 0.0),
            logit_bias=_biases(fields, served),
            seed=fields.whole("seed", -(2**63), LARGEST_SEED, secrets.randbits(62)) % 2**63,
            stop=fields.texts("stop", MOST_STOPS),
            stop_ids=own if fields.flag("ignore_eos") else tuple(dict.fromkeys((*served.stop_ids, *own))),
            min_tokens=fields.whole("min_tokens", 0, max_tokens, 0),
            include_stop=fields.flag("include_stop_str_in_output"),
            logprobs=logprobs,
            n=n,
            best_of=best_of,
            choices=choices,
            regex=regex,
        )
    except ValueError as problem:
        raise ApiError(str(problem)[:500]) from None


def _stop_token_ids(fields: Fields, served: Served) -> tuple[int, ...]:
    value = fields.content.get("stop_token_ids")
    if value is None:
        return ()
    fine = isinstance(value, list) and len(value) <= MOST_STOPS
    if not fine or not all(_token(one, served) for one in value):
        raise fields.wrong(
            "stop_token_ids", f"an array of at most {MOST_STOPS} tokens from 0 to {served.vocab_size - 1}"
        )
    return tuple(value)


def _token(value: Any, served: Served) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < served.vocab_size


def _biases(fields: Fields, served: Served) -> dict[int, float]:
    found: dict[int, float] = {}
    given = fields.object("logit_bias").content
    if len(given) > MOST_BIASES:
        raise ApiError(f"logit_bias may name {MOST_BIASES} tokens, not {len(given)}", "logit_bias")
    for name, bias in given.items():
        known = name.isascii() and name.isdigit() and len(name) < 10 and int(name) < served.vocab_size
        if not known:
            raise ApiError(
                f"logit_bias names the token {name[:20]!r}; the model knows 0 to {served.vocab_size - 1}",
                "logit_bias",
            )
        if not isinstance(bias, int | float) or isinstance(bias, bool) or not -100 <= bias <= 100:
            raise ApiError(f"the logit_bias of token {name} must be a number from -100 to 100", "logit_bias")
        found[int(name)] = float(bias)
    return found
