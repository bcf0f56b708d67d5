"""What went wrong, said to a person: what it is, and what can be done about it. One sentence or two, no traceback.

"Connection error." helps nobody. A person wants to know whether to wait, to write something shorter, or to start the
server, and whether what has been written so far is lost.
"""

import httpx2
import openai

from phase10_deployment.project30_gradio.given.answer import CutOffError


def explain_error(problem: BaseException, server: str) -> str:
    """A sentence or two for a person who was talking with the model at `server` (its address).

        what happened                                     what the sentence has in it
        openai.APITimeoutError, httpx2.TimeoutException   the address, and that it did not answer in time
        openai.APIConnectionError, httpx2.ConnectError    the address, and "not running" or "cannot be reached"
        CutOffError, any other httpx2.TransportError      "middle of the answer", where it broke, and "Retry"
        status 401 or 403                                 "key"
        status 404                                        "model", and what the server said
        status 429                                        when to try again: "in 7 seconds" from the header
                                                          Retry-After (`retry_after`); without it, "in a moment"
        status 400 of code "context_length_exceeded"      "too long"
        any other status from 400 to 499                  what the server said
        status 503                                        "starting or shutting down", and when, as with 429
        any other status from 500 on                      the status, and what the server said
        openai.APIError without a status, mid-stream      what the server said
        ValueError (of our own checks)                    its message, as it is
        anything else                                     the name of its class, and none of its message

    "What the server said" is `server_said`. APITimeoutError is a kind of APIConnectionError; httpx2 is what openai's
    client sends with, and its ConnectError and TimeoutException are kinds of TransportError. No line ends, and at most
    400 characters: a longer one is cut and ends in "…". It is plain text; whoever shows it escapes it.
    """
    text = " ".join(_sentence(problem, server).split())
    return text if len(text) <= 400 else text[:399] + "…"


def _sentence(problem: BaseException, server: str) -> str:
    if isinstance(problem, openai.APITimeoutError | httpx2.TimeoutException):
        return f"The server at {server} did not answer in time. It may be busy: try again in a moment."
    if isinstance(problem, openai.APIConnectionError | httpx2.ConnectError):
        return f"The server at {server} cannot be reached: it is not running, or not there. Start it, then press Retry."
    if isinstance(problem, CutOffError | httpx2.TransportError):
        return "The connection broke in the middle of the answer. What had come is kept; Retry asks again."
    if isinstance(problem, openai.APIStatusError):
        return _of_status(problem)
    if isinstance(problem, openai.APIError):
        return f"The server gave up in the middle of the answer. It said: {server_said(problem)}"
    if isinstance(problem, ValueError):
        return str(problem)
    return f"Something went wrong in the page itself ({type(problem).__name__}). Its log says more."


def _of_status(problem: openai.APIStatusError) -> str:
    status, said = problem.status_code, server_said(problem)
    if status in (401, 403):
        return "The server wants another key than this page has. Start the page with --api-key-file."
    if status == 404:
        return f"The server does not have this model. It said: {said}"
    if status == 429:
        return (
            f"The server has more requests than it takes at once. Try again {retry_after(problem.response)}."
        )
    if status == 503:
        return f"The server is starting or shutting down. Try again {retry_after(problem.response)}."
    if problem.code == "context_length_exceeded":
        return "The message is too long for the model. Write a shorter one, or begin a new conversation."
    if status < 500:
        return f"The server does not take this request. It said: {said}"
    return f"The server has failed (status {status}). It said: {said}"


def retry_after(response: httpx2.Response) -> str:
    """When to try again, from the header Retry-After: "in 7 seconds", "in 1 second", and above 90 s "in 2 minutes".

    Seconds are a number, rounded up, and minutes are rounded up. Without the header, with one that is no number (it may
    be a date), and with one below 0, NaN or infinite: "in a moment".
    """
    try:
        seconds = float(response.headers["retry-after"])
    except (KeyError, ValueError):
        return "in a moment"
    if not 0 <= seconds < float("inf"):
        return "in a moment"
    whole = max(1, -int(-seconds // 1))
    if whole <= 90:
        return f"in {whole} second{'' if whole == 1 else 's'}"
    return f"in {-(-whole // 60)} minutes"


def server_said(problem: openai.APIError) -> str:
    """The message that the server sent with its error, in OpenAI's shape: `{"error": {"message": …}}`, or what is in
    it.

    `problem.body` is that object, what stands under its "error", a text, or None. Where there is no message in it
    that is a text, the problem's own message. White space at both ends is cut off, and a text is in typographic
    quotes: “…”.
    """
    body = problem.body
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    message = body.get("message") if isinstance(body, dict) else body
    if not isinstance(message, str) or not message.strip():
        message = problem.message
    return f"“{message.strip()}”"
