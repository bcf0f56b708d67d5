"""The project's own Dockerfile, as it is or spoiled in one place, and its own manifests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from phase10_deployment.project29_docker.dockerfile import Stage, instructions, stages

DOCKERFILE = Path(__file__).parents[1] / "Dockerfile"
SERVE = "serve"  # the stage that is the server's image


def own_dockerfile(
    before: str = "", after: str = "", arguments: Mapping[str, str] | None = None
) -> list[Stage]:
    """Its stages up to the server's, with `before`, which must stand there once, replaced by `after`."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    if before:
        assert text.count(before) == 1, f"{before!r} stands {text.count(before)} times in the Dockerfile"
        text = text.replace(before, after)
    found = stages(instructions(text), arguments)
    return found[: [stage.name for stage in found].index(SERVE) + 1]


def own_manifests() -> list[dict[str, Any]]:
    """The objects of deploy/kubernetes, file by file."""
    files = sorted((DOCKERFILE.parent / "deploy" / "kubernetes").glob("*.yaml"))
    return [one for file in files for one in yaml.safe_load_all(file.read_text(encoding="utf-8")) if one]
