"""All that a server's routes share."""

import hmac
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from phase10_deployment.project28_serving.async_engine import AsyncEngine
from phase10_deployment.project28_serving.given.served import Served
from phase10_deployment.project28_serving.given.views import Views
from phase10_deployment.project28_serving.lifecycle import Lifecycle
from phase10_deployment.project28_serving.limits import ApiKeys, RateLimits
from phase10_deployment.project28_serving.metrics import Metrics


@dataclass
class Options:
    """What a server is told besides its model."""

    debug: bool = False
    largest_body: int = 1_000_000
    """bytes"""
    time_limit: float = 600.0
    """seconds for a request, from its first byte to its last"""
    body_seconds: float = 30.0
    """seconds until its body must be there"""
    cors: list[str] = field(default_factory=list)
    """origins whose pages may ask"""
    log_prompts: bool = False


@dataclass
class State:
    """A server at work."""

    lifecycle: Lifecycle
    keys: ApiKeys
    limits: RateLimits
    options: Options
    metrics: Metrics
    engine: AsyncEngine
    served: Served
    views: Views
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    tracer: Any = None

    def salt(self, key: str) -> str:
        """Whose blocks a key's prompts may share: its own alone. What a client says of it does not matter.

        It is made with a secret of this process, so that nobody can work out another one's.
        """
        return hmac.new(self.secret, key.encode(), sha256).hexdigest() if key else ""
