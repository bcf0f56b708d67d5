"""The server as a FastAPI app: which path is which route, behind the gate."""

from collections.abc import Awaitable, Callable
from typing import Any, no_type_check

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from phase10_deployment.project28_serving.given import openapi, routes
from phase10_deployment.project28_serving.given.errors import ApiError
from phase10_deployment.project28_serving.given.gate import Gate
from phase10_deployment.project28_serving.given.reading import ClientGoneError
from phase10_deployment.project28_serving.given.state import State
from phase10_deployment.project28_serving.given.texts import answer_texts


def make_app(state: State) -> ASGIApp:
    """The app. Its routes are in `.routes` of the FastAPI app, which is `state`'s gate's innermost."""
    return wrap(make_routes(state), state)


def wrap(app: ASGIApp, state: State) -> ASGIApp:
    """The layers around the routes; CORS is the outermost, for a preflight request has no key."""
    gate: ASGIApp = Gate(app, state)
    if state.options.cors:
        gate = CORSMiddleware(
            gate,
            allow_origins=state.options.cors,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "x-request-id"],
            expose_headers=["x-request-id", "retry-after"],
        )
    return gate


@no_type_check
def make_routes(state: State) -> FastAPI:
    """The routes alone. What checks types in tests hides that they are coroutines, so here it does not."""
    app = FastAPI(title="LLM Ladder", version="1", docs_url=None, redoc_url=None, redirect_slashes=False)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientGoneError, _gone)
    app.add_exception_handler(Exception, _fault)

    def post(path: str, act: Callable[[Request, State], Awaitable[Response]], name: str) -> None:
        async def route(request: Request) -> Response:
            return await act(request, state)

        route.__doc__ = act.__doc__
        app.add_api_route(
            path, route, methods=["POST"], name=name, operation_id=name, openapi_extra=openapi.body_of(name),
            responses=openapi.RESPONSES, response_class=Response,
        )  # fmt: skip

    def get(path: str, act: Callable[[State], Any], name: str) -> None:
        async def route() -> Response:
            found = act(state)
            return await found if isinstance(found, Awaitable) else found

        route.__doc__ = act.__doc__
        app.add_api_route(
            path, route, methods=["GET"], name=name, operation_id=name, responses=openapi.RESPONSES,
            response_class=Response,
        )  # fmt: skip

    post("/v1/chat/completions", lambda request, state: answer_texts(request, state, chat=True), "chat")
    post("/v1/completions", lambda request, state: answer_texts(request, state, chat=False), "completions")
    post("/v1/embeddings", routes.embeddings, "embeddings")
    post("/generate", routes.generate, "generate")
    post("/tokenize", routes.tokenize, "tokenize")
    post("/detokenize", routes.detokenize, "detokenize")
    get("/v1/models", routes.models, "models")
    get("/health", routes.health, "health")
    get("/ready", routes.ready, "ready")
    get("/metrics", routes.metrics, "metrics")
    if state.options.debug:
        get("/debug/steps", routes.steps, "steps")
        post("/debug/attention", routes.attention, "attention")
    return app


def _answer(error: ApiError) -> Response:
    return Response(error.body, error.status, error.headers)


@no_type_check
async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _answer(error)


@no_type_check
async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    found = _answer(
        ApiError(f"{request.method} {request.url.path[:100]}: {error.detail}", status=error.status_code)
    )
    found.headers.update(error.headers or {})
    return found


@no_type_check
async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it


@no_type_check
async def _fault(request: Request, error: Exception) -> Response:
    return _answer(ApiError("something went wrong here; the request's id is in x-request-id", status=500))
