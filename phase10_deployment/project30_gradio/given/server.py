"""The server that the page talks with: its address, its key, and the routes beyond those of the OpenAI client."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2
from openai import AsyncOpenAI

LIMITS = httpx2.Timeout(120.0, connect=5.0)
"""seconds: an answer may wait in the server's queue, but whether a server is there is soon known"""


@dataclass
class ServerLink:
    """One server. Its address comes from the command line alone: nobody in a browser can send the page elsewhere."""

    url: str
    key: str = ""
    transport: httpx2.AsyncBaseTransport | None = field(default=None, repr=False, compare=False)
    """how requests travel; None is the network"""
    tells_hits: bool = False
    """whether it has said, with an answer, what was cached; then nobody need read its metrics for that"""
    client: AsyncOpenAI = field(init=False, repr=False, compare=False)
    http: httpx2.AsyncClient = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises ValueError for an address that is none of a server."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"a server's address is like http://127.0.0.1:8000, not {self.url!r}")
        self.url = self.url.rstrip("/").removesuffix("/v1")
        self.http = httpx2.AsyncClient(timeout=LIMITS, headers=self.headers, transport=self.transport)
        # The client would try again by itself, and say nothing; a person should hear of it, and decide.
        self.client = AsyncOpenAI(
            base_url=f"{self.url}/v1",
            api_key=self.key or "none",
            max_retries=0,
            timeout=LIMITS,
            http_client=self.http,
        )

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"} if self.key else {}

    @property
    def name(self) -> str:
        """How the page calls it: host and port."""
        return urlsplit(self.url).netloc

    async def models(self) -> list[str]:
        """The names of what it serves."""
        return [model.id for model in (await self.client.models.list()).data]

    async def metrics(self) -> str:
        """A reading of its counters; "" where it has none for us."""
        try:
            answer = await self.http.get(f"{self.url}/metrics", timeout=5.0)
        except httpx2.HTTPError:
            return ""
        return answer.text if answer.is_success else ""

    async def tokenize(self, **body: Any) -> dict[str, Any]:
        """The tokens of `prompt=text`, or of `messages=[…]` as the model's template writes them."""
        return await self._post("/tokenize", body)

    async def attention(self, ids: list[int]) -> dict[str, Any]:
        """The attention weights of a text's tokens, of every layer and head."""
        return await self._post("/debug/attention", {"tokens": ids})

    async def close(self) -> None:
        """Give its connections back."""
        await self.client.close()
        await self.http.aclose()

    async def _post(self, path: str, body: Any) -> dict[str, Any]:
        """What a route answers; raises as the OpenAI client does, so that `explain_error` knows what it is."""
        answer = await self.http.post(f"{self.url}{path}", content=json.dumps(body))
        if not answer.is_success:
            raise self.client._make_status_error_from_response(answer)
        return answer.json()
