"""Dockerfiles that somebody once shipped, each with one fault: what it is, and the rule that finds it."""

RIGHT = """\
FROM docker.io/library/debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv g++ && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/venv
COPY constraints.txt requirements.txt /tmp/
RUN /opt/venv/bin/pip install --no-cache-dir -c /tmp/constraints.txt -r /tmp/requirements.txt
FROM docker.io/library/debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/venv /opt/venv
COPY . /app
WORKDIR /app
USER 10001:10001
HEALTHCHECK CMD ["python3", "-I", "/app/healthcheck.py"]
ENTRYPOINT ["python3", "-I", "/app/init.py", "--"]
CMD ["python3", "-m", "app.serve"]
"""
"""a Dockerfile without a fault, which the others are made of"""

CHANGES: dict[str, tuple[str, str, str]] = {
    # name: (rule, text, its replacement)
    "a server that never gets SIGTERM": (
        "shell-form",
        'ENTRYPOINT ["python3", "-I", "/app/init.py", "--"]\nCMD ["python3", "-m", "app.serve"]',
        "CMD python3 -m app.serve",
    ),
    "quotes that are no JSON": (
        "shell-form",
        'CMD ["python3", "-m", "app.serve"]',
        "CMD ['python3', '-m', 'app.serve']",
    ),
    "a shell in the exec form": (
        "shell-form",
        'ENTRYPOINT ["python3", "-I", "/app/init.py", "--"]\nCMD ["python3", "-m", "app.serve"]',
        'CMD ["sh", "-c", "python3 -m app.serve --port $PORT"]',
    ),
    "no user": (
        "root",
        "USER 10001:10001\n",
        "",
    ),
    "root again, for one more line": (
        "root",
        "USER 10001:10001\n",
        "USER 10001\nUSER root\nRUN mkdir /cache\n",
    ),
    "a user that a cluster cannot judge": (
        "root",
        "USER 10001:10001",
        "USER app",
    ),
    "packages in root's home": (
        "under-root",
        "COPY --from=build /opt/venv /opt/venv",
        "COPY --from=build /root/.local /root/.local",
    ),
    "a compiler for whoever breaks in": (
        "compiler",
        "install-recommends python3 &&",
        "install-recommends python3 build-essential &&",
    ),
    "pip where it runs": (
        "pip-inside",
        "COPY . /app",
        "RUN /opt/venv/bin/pip install --no-cache-dir uvicorn==0.54\nCOPY . /app",
    ),
    "nobody asks whether it lives": (
        "no-healthcheck",
        'HEALTHCHECK CMD ["python3", "-I", "/app/healthcheck.py"]\n',
        "",
    ),
    "the health check taken back": (
        "no-healthcheck",
        'HEALTHCHECK CMD ["python3", "-I", "/app/healthcheck.py"]',
        "HEALTHCHECK NONE",
    ),
    "whatever is the latest": (
        "unpinned",
        "FROM docker.io/library/debian:bookworm-slim AS build",
        "FROM docker.io/library/debian:latest AS build",
    ),
    "a port taken for a tag": (
        "unpinned",
        "FROM docker.io/library/debian:bookworm-slim AS build",
        "FROM registry.example:5000/debian AS build",
    ),
    "a binary from somewhere": (
        "unpinned",
        "COPY . /app",
        "COPY --from=ghcr.io/example/tool /tool /usr/bin/tool\nCOPY . /app",
    ),
    "a token in the history": (
        "secret",
        "WORKDIR /app",
        "WORKDIR /app\nENV HF_TOKEN=hf_example",
    ),
    "a token as a build argument": (
        "secret",
        "COPY constraints.txt",
        "ARG GITHUB_TOKEN\nCOPY constraints.txt",
    ),
    "an index with its password": (
        "secret",
        "--no-cache-dir -c",
        "--no-cache-dir -i https://ci:example@pypi.example/simple -c",
    ),
    "weights from a URL": (
        "remote-add",
        "COPY . /app",
        "ADD https://example.com/model.safetensors /data/model.safetensors\nCOPY . /app",
    ),
    "an update of its own": (
        "apt-stale",
        "RUN apt-get update && apt-get install -y --no-install-recommends python3 && rm -rf "
        "/var/lib/apt/lists/*",
        "RUN apt-get update && rm -rf /var/lib/apt/lists/*\n"
        "RUN apt-get install -y --no-install-recommends python3",
    ),
    "lists that are removed too late": (
        "apt-kept",
        "python3 && rm -rf /var/lib/apt/lists/*",
        "python3\nRUN rm -rf /var/lib/apt/lists/*",
    ),
    "packages in whatever version": (
        "unpinned-package",
        "-c /tmp/constraints.txt -r /tmp/requirements.txt",
        "torch fastapi",
    ),
    "all anew for every line": (
        "cache-order",
        "COPY constraints.txt requirements.txt /tmp/",
        "COPY . /tmp/",
    ),
}


def bad_dockerfiles() -> dict[str, tuple[str, str]]:
    """The rule that should find the fault, and the Dockerfile, of each example by name."""
    found = {}
    for name, (rule, before, after) in CHANGES.items():
        assert RIGHT.count(before) == 1, f"{name}: {before!r} stands {RIGHT.count(before)} times"
        found[name] = (rule, RIGHT.replace(before, after))
    return found
