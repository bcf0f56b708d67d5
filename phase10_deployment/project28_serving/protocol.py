"""Bodies of OpenAI's API to requests that the engine can be given: all is checked before anything is done.

Clients differ in what they send (recorded from each of them): `max_tokens` or `max_completion_tokens`, a prompt as
text, as texts, as tokens or as lists of tokens, a message's content as text or in parts, null where nothing is meant,
and fields that nobody here knows. All that is taken. What is wrong is refused with an error that names the field; what
came through here can neither stop the engine nor fail in its step.
"""

import re
from collections.abc import Mapping
from typing import Any

from phase10_deployment.project28_serving.given.errors import ApiError, Code
from phase10_deployment.project28_serving.given.fields import Fields, kind
from phase10_deployment.project28_serving.given.requests import Request
from phase10_deployment.project28_serving.given.served import Served
from phase10_deployment.project28_serving.parameters import max_tokens_of, params_of
from phase10_deployment.project28_serving.strict_json import read_json
from shared.phase02 import TooLongError, tokenize_turns

MOST_LOGPROBS = 20
MODEL, PROMPT, MESSAGES, SUFFIX, BEST_OF, TOP = (
    "model",
    "prompt",
    "messages",
    "suffix",
    "best_of",
    "top_logprobs",
)
ROLES = {"developer": "system"}
"""what clients call a role, and what templates do"""


def parse_completion(body: bytes, served: Served) -> Request:
    """The request of a body of /v1/completions. Raises ApiError: what `read_json`, `model_of`, `prompts_of`,
    `max_tokens_of` and `params_of` say, and status 400 with the field as its param for

    - `logprobs` that is not from 0 to MOST_LOGPROBS, `echo`, `return_token_ids` or `stream` that is not true or false,
      `stream_options` that is no object, `stream_options.include_usage` likewise;
    - `best_of` below `n`, or with `stream` above `n`: which texts are the best is known at the end only;
    - `suffix` that is not null or empty: the model writes after a prompt, never between two.

    Where `max_tokens` is 0, nothing is written (`generate` is False); it may be 0 with `echo` only. `max_tokens` is 16
    where it is absent, or what room there is, if that is less. The engine's settings know no max_tokens of 0: they have
    1 then, and are not used. With `echo` and `logprobs` the prompt has
    log-probabilities too.
    """
    fields = Fields(read_json(body))
    model, adapter = model_of(fields, served)
    prompts = prompts_of(fields.content.get("prompt"), served)
    echo, stream = fields.flag("echo"), fields.flag("stream")
    if fields.text("suffix"):
        raise ApiError("suffix: the model writes after a prompt, and not between two texts", SUFFIX)
    longest = max(len(prompt) for prompt in prompts)
    count = max_tokens_of(fields, served, longest, 16, least=0 if echo else 1)
    logprobs = fields.whole("logprobs", 0, MOST_LOGPROBS, -1)
    params = params_of(fields, served, max(1, count), None if logprobs < 0 else logprobs, lead="")
    if stream and params.texts > params.n:
        raise fields.wrong(BEST_OF, f"n, which is {params.n}, where the texts are streamed")
    echoes = echoes_of(fields.content["prompt"], prompts, served) if echo else []
    return Request(
        False, model, adapter, prompts, params, stream, include_usage(fields), echo, params.logprobs,
        echoes=echoes, generate=count > 0, token_ids=fields.flag("return_token_ids"), seeded=fields.has("seed"),
    )  # fmt: skip


def parse_chat(body: bytes, served: Served) -> Request:
    """The request of a body of /v1/chat/completions. Raises ApiError: what `read_json`, `model_of`, `messages_of`,
    `max_tokens_of` and `params_of` say, and status 400 with the field as its param for

    - `tools` (or the older `functions`) that are not null and not empty, unless `tool_choice` is "none": no template
      here can write them down, and a model that is not shown its tools would only seem to have none to call;
    - `logprobs` that is not true or false, `top_logprobs` that is not from 0 to MOST_LOGPROBS, or comes without
      `logprobs`; `stream`, `stream_options` and `return_token_ids` as in a completion; `best_of` above `n`, streamed or
      not, for a chat has none;
    - "messages", code "context_length_exceeded", for a conversation that is longer than the model reads, naming both.

    The prompt is the conversation in the template with its generation prompt (`tokenize_turns`), so that nothing that
    was typed becomes a control token. Without a number, as many tokens may be written as there is room for.
    `max_completion_tokens` is as good as `max_tokens`.
    """
    fields = Fields(read_json(body))
    model, adapter = model_of(fields, served)
    messages = messages_of(fields.content.get("messages"))
    wanted = fields.content.get("tool_choice") != "none"
    if wanted and (fields.content.get("tools") or fields.content.get("functions")):
        name = "tools" if fields.has("tools") else "functions"
        raise ApiError(
            f"{name}: the template {served.template} of {served.name} has no place for tools", name
        )
    prompt = chat_tokens(messages, served)
    count = max_tokens_of(fields, served, len(prompt), None)
    top = fields.whole("top_logprobs", 0, MOST_LOGPROBS, 0)
    logprobs = fields.flag("logprobs")
    if top and not logprobs:
        raise ApiError("top_logprobs needs logprobs to be true", TOP)
    params = params_of(fields, served, count, top if logprobs else None, lead=served.lead)
    if params.texts > params.n:
        raise fields.wrong(BEST_OF, f"n, which is {params.n}, in a chat")
    return Request(
        True, model, adapter, [prompt], params, fields.flag("stream"), include_usage(fields), False, params.logprobs,
        token_ids=fields.flag("return_token_ids"), seeded=fields.has("seed"), lead=served.lead,
    )  # fmt: skip


def include_usage(fields: Fields) -> bool:
    """Whether a stream is to end with its counts."""
    return fields.object("stream_options").flag("include_usage")


def model_of(fields: Fields, served: Served) -> tuple[str, str]:
    """The name of the model that is asked for, and of the adapter, "" for the base; the base where none is named.

    Raises ApiError: 400 where it is no string, 404 with the code "model_not_found", naming it and those there are,
    where nothing of that name is served.
    """
    name = fields.text("model", served.name)
    if name not in served.names:
        known = ", ".join(served.names)
        raise ApiError(
            f"there is no model {name[:100]!r} here; there is {known}", MODEL, 404, Code.MODEL_NOT_FOUND
        )
    return name, "" if name == served.name else name


def prompts_of(value: Any, served: Served) -> list[list[int]]:
    """Prompts as lists of tokens, from one of the four forms: a text, texts, tokens, lists of tokens.

    A text is encoded by `served.prompts`, so it begins as texts did in training; tokens stay as they are. Raises
    ApiError with the param "prompt": for none of these forms, null and mixtures included; for no prompt at all, or more
    than served.most_prompts, naming that number; for an empty list of tokens; for a token that the model does not know,
    naming it and served.vocab_size - 1; with the code "context_length_exceeded" for a prompt with more tokens than
    served.longest, naming both numbers. A text that is too long whatever its tokens are, since it has more bytes than
    so many of the longest tokens, is not even encoded.
    """
    forms = "a string, an array of strings, an array of tokens, or an array of arrays of tokens"
    if isinstance(value, str) or (isinstance(value, list) and value and all(map(_whole, value))):
        value = [value]
    if not isinstance(value, list) or not value:
        raise ApiError(f"prompt must be {forms}, not {kind(value)}", PROMPT)
    if len(value) > served.most_prompts:
        raise ApiError(f"there may be {served.most_prompts} prompts in a request, not {len(value)}", PROMPT)
    if all(isinstance(one, str) for one in value):
        return [_encode(one, served) for one in value]
    if not all(isinstance(one, list) and all(map(_whole, one)) for one in value):
        raise ApiError(f"prompt must be {forms}, and not a mixture of them", PROMPT)
    for tokens in value:
        if not tokens:
            raise ApiError("a prompt of no tokens has nothing to go on from", PROMPT)
        _check_length(len(tokens), served, "prompt")
        for token in tokens:
            if not 0 <= token < served.vocab_size:
                raise ApiError(
                    f"the model knows the tokens 0 to {served.vocab_size - 1}, not {token}", PROMPT
                )
    return [list(tokens) for tokens in value]


def echoes_of(value: Any, prompts: list[list[int]], served: Served) -> list[str]:
    """The prompts as they came: texts as they are, tokens decoded."""
    given = [value] if isinstance(value, str) else value
    return [
        one if isinstance(one, str) else served.tokenizer.decode(tokens)
        for one, tokens in zip(given if len(given) == len(prompts) else [None], prompts, strict=True)
    ]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _encode(text: str, served: Served) -> list[int]:
    size = len(text.encode())
    if size > served.longest * served.longest_token:
        raise _too_long(f"a prompt of {size:,} bytes has more than {served.longest} tokens", "prompt")
    tokens = served.prompts.encode(text)
    if not tokens:
        raise ApiError("the prompt is empty: the model needs a token to go on from", "prompt")
    _check_length(len(tokens), served, "prompt")
    return tokens


def _check_length(count: int, served: Served, param: str) -> None:
    if count > served.longest:
        raise _too_long(f"the prompt has {count} tokens, and there is room for {served.longest}", param)


def _too_long(message: str, param: str) -> ApiError:
    return ApiError(message, param, code=Code.TOO_LONG)


def messages_of(value: Any) -> list[dict[str, str]]:
    """Messages as templates want them: role and content, both texts.

    A content in parts, [{"type": "text", "text": …}, …], is their texts, one after the other. The role "developer" is
    "system". Other fields of a message, as `name`, or null ones, are left out. Raises ApiError with the param

    - "messages" where that is no list, or an empty one;
    - "messages.[2]", counted from 0, where the third is no object;
    - "messages.[2].role" where its role is no text;
    - "messages.[2].tool_calls" where it has `tool_calls` or a `tool_call_id` that are not null and not empty;
    - "messages.[2].content" where its content is neither form, or a part is no text, naming the part's type: no image
      is ever fetched.
    """
    if not isinstance(value, list) or not value:
        raise ApiError(f"messages must be an array of at least one message, not {kind(value)}", MESSAGES)
    found = []
    for number, message in enumerate(value):
        where = f"messages.[{number}]"
        if not isinstance(message, dict):
            raise ApiError(f"{where} must be an object, not {kind(message)}", where)
        role, content = message.get("role"), message.get("content")
        if not isinstance(role, str):
            place = f"{where}.role"
            raise ApiError(f"{place} must be a string, not {kind(role)}", place)
        if message.get("tool_calls") or message.get("tool_call_id"):
            place = f"{where}.tool_calls"
            raise ApiError(f"{place}: the template has no place for calls of tools", place)
        if isinstance(content, list):
            content = "".join(_part(part, f"{where}.content") for part in content)
        if not isinstance(content, str):
            place = f"{where}.content"
            raise ApiError(f"{place} must be a string or an array of parts", place)
        found.append({"role": ROLES.get(role, role), "content": content})
    return found


def _part(part: Any, where: str) -> str:
    if isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return part["text"]
    name = part.get("type") if isinstance(part, Mapping) else kind(part)
    raise ApiError(f"a part of {where} must be of the type text, with a text, not {str(name)[:40]!r}", where)


def chat_tokens(messages: list[dict[str, str]], served: Served, generation_prompt: bool = True) -> list[int]:
    """The tokens of a conversation, with the generation prompt. Raises ApiError with the param "messages"."""
    size = sum(len(message["content"].encode()) for message in messages)
    if size > served.longest * served.longest_token:
        raise _too_long(f"messages of {size:,} bytes have more than {served.longest} tokens", "messages")
    try:
        return tokenize_turns(
            messages, served.tokenizer, served.template, served.longest, generation_prompt
        ).ids
    except TooLongError as problem:
        raise _too_long(str(problem), "messages") from None
    except ValueError as problem:
        raise ApiError(re.sub(r"'[^']{60,}'", "…", str(problem)), "messages") from None
