"""Rules of how an image is built: what stays in its history, what changes by itself, what the cache can keep."""

import pytest

from phase10_deployment.project29_docker import build_rules
from phase10_deployment.project29_docker.dockerfile import Instruction, instructions, stages
from phase10_deployment.project29_docker.given.fault import Fault, rules
from phase10_deployment.project29_docker.given.own import own_dockerfile


def places(faults: list[Fault]) -> list[str]:
    return [f"{fault.rule} {fault.place}" for fault in faults]


def one(text: str) -> Instruction:
    (found,) = instructions(text)
    return found


DIGEST = "@sha256:" + "a" * 64


@pytest.mark.task(3)
@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("FROM debian:bookworm-slim", []),
        ("FROM debian", ["unpinned line 1"]),
        ("FROM debian:latest", ["unpinned line 1"]),
        (f"FROM debian{DIGEST}", []),
        (f"FROM debian:latest{DIGEST}", []),
        ("FROM registry:5000/app", ["unpinned line 1"]),
        ("FROM registry:5000/app:1", []),
        ("FROM scratch", []),
        ("FROM a:1 AS x\nFROM x\nFROM b", ["unpinned line 3"]),
        ("FROM a:1 AS x\nFROM a:1\nCOPY --from=X /a /a\nCOPY --from=0 b b", []),
        ("FROM a:1\nCOPY --from=nginx /a /a\nRUN a\nCOPY --from=nginx:1.29 b b", ["unpinned line 2"]),
        (
            "FROM a:1 AS x\nCOPY --from=y a a\nFROM b:1 AS y\nCOPY --from=1 a a",
            ["unpinned line 2", "unpinned line 4"],
        ),
        ("FROM a:1\nRUN --mount=type=cache,target=/x b", []),
        ("FROM a:1\nCOPY --chown=1:1 a b", []),
    ],
)
def test_unpinned(text: str, faults: list[str]):
    assert places(build_rules.unpinned(stages(instructions(text)))) == faults


@pytest.mark.task(3)
@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("ENV HF_TOKEN=hf_abc", "HF_TOKEN"),
        ("ARG HF_TOKEN", "HF_TOKEN"),
        ("ENV A=1 DB_PASSWORD=x", "DB_PASSWORD"),
        ("ENV api_key x y", "api_key"),
        ("ARG Secret=1", "Secret"),
        ("ENV AWS_SECRET_ACCESS_KEY=x", "AWS_SECRET_ACCESS_KEY"),
        ("RUN pip install -i https://me:hunter2@pypi.example/simple x", ""),
        ("ENV INDEX=https://me:hunter2@pypi.example/simple", ""),
        ("RUN <<EOF\ngit clone https://me:hunter2@example.com/x\nEOF", ""),
        ("ADD http://u:hunter2@h/x /x", ""),
    ],
)
def test_secret(text: str, named: str):
    said = build_rules.secret(one(text))
    assert (said is not None and named in said, "hunter2" in str(said)) == (True, False)


@pytest.mark.task(3)
@pytest.mark.parametrize(
    "text",
    [
        "ENV MAX_TOKENS=5 KEYBOARD=us",
        "ENV TOKENIZERS_PARALLELISM=false",
        "ARG DEVICE=cpu",
        "ENV A=token",
        "RUN --mount=type=secret,id=hf_token python fetch.py",
        "RUN curl https://example.com/a@b:c",
        "RUN curl http://127.0.0.1:8000/x",
        "LABEL key=value",
    ],
)
def test_no_secret(text: str):
    assert build_rules.secret(one(text)) is None


@pytest.mark.task(3)
@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("ADD https://example.com/model.bin /m", True),
        ('ADD ["http://example.com/a b", "/m"]', True),
        ("ADD --chown=1:1 https://example.com/m /m", True),
        (f"ADD --checksum=sha256:{'a' * 64} https://example.com/m /m", False),
        ("ADD model.tar.gz /m", False),
        ("ADD git@example.com:a/b.git#v1 /m", False),
        ("COPY https:/x /m", False),
        ("RUN curl https://example.com/m", False),
    ],
)
def test_remote_add(text: str, bad: bool):
    assert (build_rules.remote_add(one(text)) is not None) == bad


@pytest.mark.task(3)
@pytest.mark.parametrize(
    ("text", "stale", "kept"),
    [
        ("RUN apt-get update && apt-get install -y a && rm -rf /var/lib/apt/lists/*", False, False),
        ("RUN apt-get update && apt-get install -y a", False, True),
        ("RUN apt-get update", False, True),
        ("RUN apt-get install -y a", True, False),
        ("RUN apt-get -y install a; rm -rf /var/lib/apt/lists", True, False),
        ("RUN apt update && apt install a && rm -rf /var/cache/apt", False, True),
        (
            "RUN --mount=type=cache,target=/var/lib/apt/lists apt-get update && apt-get install a",
            False,
            False,
        ),
        ("RUN --mount=type=cache,target=/var/cache/apt apt-get update && apt-get install a", False, True),
        ("RUN <<EOF\napt-get update\napt-get install -y a\nrm -rf /var/lib/apt/lists/*\nEOF", False, False),
        ("RUN rm -rf /var/lib/apt/lists/*", False, False),
        ("RUN apk add a && pip install b==1", False, False),
        ("CMD apt-get install a", False, False),
        ("CMD apt-get update", False, False),
        ("RUN echo update && echo rm", False, False),
    ],
)
def test_apt_lists(text: str, stale: bool, kept: bool):
    found = (build_rules.stale_lists(one(text)) is not None, build_rules.kept_lists(one(text)) is not None)
    assert found == (stale, kept)


@pytest.mark.task(3)
@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("RUN pip install torch numpy==2.1", ["torch"]),
        ("RUN pip install --no-cache-dir torch numpy -r r.txt", ["torch", "numpy"]),
        ("RUN python -m pip install -t /x uvicorn[standard]", ["uvicorn[standard]"]),
        ("RUN pip install a==1 && pip install b", ["b"]),
        ("RUN pip install --index-url https://x/simple a", ["a"]),
        ("RUN pip install -r requirements.txt", None),
        ("RUN pip install -c constraints.txt torch", None),
        ("RUN pip install --constraint=c.txt torch", None),
        ("RUN pip install --no-deps mine", None),
        ("RUN pip install . ./wheels/a.whl", None),
        ("RUN pip install 'a>=1' a@https://x/a.whl", None),
        ("RUN pip install -f wheels --requirement r.txt", None),
        ("RUN apt-get install torch", None),
        ("CMD pip install torch", None),
    ],
)
def test_loose_packages(text: str, named: list[str] | None):
    said = build_rules.loose_packages(one(text))
    assert (None if said is None else [name in said for name in named or [""]]) == (
        named and [True] * len(named)
    )
    assert "==" not in (said or "")


@pytest.mark.task(3)
@pytest.mark.parametrize(
    ("lines", "faults"),
    [
        (["COPY constraints.txt r.txt /tmp/", "RUN pip install -r /tmp/r.txt", "COPY . /app"], []),
        (["COPY . /app", "RUN pip install -r /app/r.txt"], ["cache-order line 2"]),
        (
            ["COPY a b.txt /x", "ADD src /y", "RUN apt-get install a"],
            ["cache-order line 2", "cache-order line 3"],
        ),
        (['COPY ["src", "/x"]', "RUN pip install -r r.txt"], ["cache-order line 2"]),
        (["COPY pyproject.toml uv.lock setup.cfg ./", "RUN pip install a==1", "COPY src ."], []),
        (["COPY --from=b /opt /opt", "RUN apt-get install a"], []),
        (["COPY --chown=1:1 src /x", "RUN apt-get install a"], ["cache-order line 2"]),
        (["RUN pip install -r r.txt", "COPY . .", "RUN pip install --no-deps ."], []),
        (["COPY . .", "RUN make", "CMD pip install x"], []),
        (["COPY <<EOF /x", "code", "EOF", "RUN pip install a==1"], []),
    ],
)
def test_cache_order(lines: list[str], faults: list[str]):
    (stage,) = stages(instructions("\n".join(["FROM a:1", *lines])))
    assert places(build_rules.cache_order(stage)) == faults


@pytest.mark.task(3)
def test_stages_are_looked_at_each_by_itself():
    """A COPY in one stage and an install in the next do not meet; faults come in the order of their lines."""
    text = "FROM a:1 AS x\nCOPY . .\nFROM b\nRUN apt-get update\nENV A_TOKEN=1\n"
    assert places(build_rules.building_faults(stages(instructions(text)))) == [
        "unpinned line 3", "apt-kept line 4", "secret line 5",
    ]  # fmt: skip


@pytest.mark.task(3)
@pytest.mark.parametrize(
    ("before", "after", "broken"),
    [
        ("", "", []),
        ("ARG DEBIAN=docker.io/library/debian:bookworm-slim", "ARG DEBIAN=debian", ["unpinned"]),
        ("ARG PIP_EXTRA_INDEX_URL=\n", "ARG PIP_EXTRA_INDEX_URL=https://a:b@c/simple\n", ["secret"]),
        ("COPY constraints.txt ", "COPY . constraints.txt ", ["cache-order"]),
        ("ENV LADDER_MARCH=", "ENV HF_TOKEN=x LADDER_MARCH=", ["secret"]),
    ],
)
def test_the_projects_own_dockerfile_spoiled_in_one_line(before: str, after: str, broken: list[str]):
    assert rules(build_rules.building_faults(own_dockerfile(before, after))) == broken
