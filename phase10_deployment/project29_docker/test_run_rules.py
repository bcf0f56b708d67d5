"""Rules of how an image runs: each has a bad example that somebody once ran, and what is right beside it."""

import pytest

from phase10_deployment.project29_docker import run_rules
from phase10_deployment.project29_docker.dockerfile import Instruction, inherited, instructions, stages
from phase10_deployment.project29_docker.given.fault import Fault, rules
from phase10_deployment.project29_docker.given.own import own_dockerfile


def made(*lines: str) -> list[Instruction]:
    """What makes the last stage of a Dockerfile with these lines after its FROM, which is line 1."""
    found = stages(instructions("\n".join(["FROM debian:12", *lines])))
    return inherited(found, len(found) - 1)


def where(fault: Fault | None) -> str:
    return f"{fault.rule} {fault.place}" if fault else ""


@pytest.mark.task(2)
@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (['CMD ["uvicorn", "app:app"]'], ""),
        (["CMD uvicorn app:app"], "shell-form line 2"),
        (["CMD ['uvicorn', 'app:app']"], "shell-form line 2"),
        (["ENTRYPOINT ./start.sh", 'CMD ["a"]'], "shell-form line 2"),
        (['ENTRYPOINT ["tini", "--"]', "CMD python serve.py"], "shell-form line 3"),
        (["CMD python a.py", 'CMD ["python", "b.py"]'], ""),
        (['CMD ["python", "b.py"]', "USER 1", "CMD python a.py"], "shell-form line 4"),
        (['CMD ["sh", "-c", "python a.py"]'], "shell-form line 2"),
        (['CMD ["/bin/bash", "-c", "python a.py --port $PORT"]'], "shell-form line 2"),
        (['CMD ["/bin/bash", "-e", "-c", "python a.py"]'], "shell-form line 2"),
        (['CMD ["sh", "-c", "exec python a.py"]'], ""),
        (['CMD ["sh", "-c", "executable a"]'], "shell-form line 2"),
        (['CMD ["sh", "start.sh"]'], ""),
        (['CMD ["python", "-c", "print(1)"]'], ""),
        (['CMD ["sh", "-c"]'], ""),
        (["CMD []"], ""),
        (["RUN make"], ""),
        (["ENTRYPOINT a", "CMD b"], "shell-form line 2"),
    ],
)
def test_shell_form(lines: list[str], fault: str):
    assert where(run_rules.shell_form(made(*lines))) == fault


@pytest.mark.task(2)
@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["USER 10001:10001"], ""),
        (["USER 10001"], ""),
        (["RUN a"], "root the image"),
        (["USER root"], "root line 2"),
        (["USER 0"], "root line 2"),
        (["USER 0:10001"], "root line 2"),
        (["USER 00"], "root line 2"),
        (["USER app"], "root line 2"),
        (["USER $UID"], "root line 2"),
        (["USER 10001", "USER root", "RUN a"], "root line 3"),
        (["USER root", "RUN a", "USER 10001:0"], ""),
    ],
)
def test_root(lines: list[str], fault: str):
    assert where(run_rules.root(made(*lines))) == fault


@pytest.mark.task(2)
@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["COPY --from=b /opt/venv /opt/venv"], ""),
        (["COPY --from=b /root/.local /usr/local"], "under-root line 2"),
        (["RUN a", "COPY app /root/app"], "under-root line 3"),
        (['COPY ["a b", "/root/"]'], "under-root line 2"),
        (["COPY a /rootfs/"], ""),
        (["COPY x /opt/root/x"], ""),
        (["WORKDIR /root"], "under-root line 2"),
        (["WORKDIR /root/app"], "under-root line 2"),
        (["ENV PATH=/root/.local/bin:$PATH"], "under-root line 2"),
        (['ENV A=1 PATH="$PATH:/root/.cargo/bin"'], "under-root line 2"),
        (["ENV PATH=/opt/venv/bin:$PATH"], ""),
        (["ENV NOTPATH=/root"], ""),
        (["RUN ls /root"], ""),
        (["WORKDIR /root", "COPY a /root"], "under-root line 2"),
    ],
)
def test_under_root(lines: list[str], fault: str):
    assert where(run_rules.under_root(made(*lines))) == fault


@pytest.mark.task(2)
@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["RUN apt-get update && apt-get install -y --no-install-recommends python3"], ""),
        (["RUN apt-get update && apt-get install -y python3 g++"], "compiler line 2"),
        (
            ["RUN a", "RUN apt-get update \\", " && apt-get install -y build-essential \\", " && rm -rf x"],
            "compiler line 3",
        ),
        (["RUN apt-get install gcc-12=12.2.0-14"], "compiler line 2"),
        (["RUN apk add --no-cache musl-dev"], "compiler line 2"),
        (["RUN apt install cmake"], "compiler line 2"),
        (["RUN <<EOF", "apt-get update", "apt-get install -y clang-15", "EOF"], "compiler line 2"),
        (["RUN apt-get install libgcc-s1 gcc-12-base makedev"], ""),
        (["RUN echo apt-get install is fun; echo gcc"], ""),
        (["RUN pip install cmake"], ""),
        (["RUN apt-get remove gcc"], ""),
        (["COPY gcc /usr/bin/gcc"], ""),
    ],
)
def test_compiler(lines: list[str], fault: str):
    assert where(run_rules.compiler(made(*lines))) == fault


@pytest.mark.task(2)
@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["RUN pip install -r requirements.txt"], "pip-inside line 2"),
        (["RUN a", "RUN /opt/venv/bin/python3 -m pip install torch"], "pip-inside line 3"),
        (["RUN A=1 pip3 install --no-cache-dir x==1"], "pip-inside line 2"),
        (["RUN uv pip install x"], "pip-inside line 2"),
        (['RUN ["pip", "install", "x"]'], "pip-inside line 2"),
        (["RUN apt-get install pip"], ""),
        (["RUN pip --version"], ""),
        (["RUN pip uninstall -y pip"], ""),
        (["COPY pip install"], ""),
    ],
)
def test_pip_inside(lines: list[str], fault: str):
    assert where(run_rules.pip_inside(made(*lines))) == fault


@pytest.mark.task(2)
@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (['HEALTHCHECK --interval=5s CMD ["check"]'], ""),
        (["HEALTHCHECK CMD curl localhost"], ""),
        ([], "no-healthcheck the image"),
        (["HEALTHCHECK NONE"], "no-healthcheck line 2"),
        (['HEALTHCHECK CMD ["a"]', "HEALTHCHECK none"], "no-healthcheck line 3"),
        (["HEALTHCHECK NONE", 'HEALTHCHECK CMD ["a"]'], ""),
    ],
)
def test_no_healthcheck(lines: list[str], fault: str):
    assert where(run_rules.no_healthcheck(made(*lines))) == fault


@pytest.mark.task(2)
def test_what_a_stage_stands_on_counts_and_what_it_copies_from_does_not():
    below = "FROM d:1 AS build\nRUN apt-get install gcc && pip install x\nFROM d:1 AS base\nUSER 1\nHEALTHCHECK CMD a\n"
    assert (
        rules(run_rules.running_faults(stages(instructions(below + "FROM base\nCOPY --from=build /a /a"))))
        == []
    )
    assert rules(run_rules.running_faults(stages(instructions(below + "FROM build\nUSER 1")))) == [
        "compiler", "no-healthcheck", "pip-inside",
    ]  # fmt: skip


@pytest.mark.task(2)
@pytest.mark.parametrize(
    ("before", "after", "broken"),
    [
        ("", "", []),
        ("USER 10001:10001\n", "", ["root"]),
        ("USER 10001:10001", "USER app", ["root"]),
        ('ENTRYPOINT ["python", "-I", ', 'ENTRYPOINT sh -c "', ["shell-form"]),
        ("HEALTHCHECK --interval", "LABEL a=--interval", ["no-healthcheck"]),
        ("FROM runtime-${DEVICE} AS serve", "FROM slim AS serve", ["compiler", "pip-inside"]),
        ("COPY --from=slim /opt/venv /opt/venv", "COPY --from=slim /root/venv /root/venv", ["under-root"]),
    ],
)
def test_the_projects_own_dockerfile_spoiled_in_one_line(before: str, after: str, broken: list[str]):
    found = own_dockerfile(before, after)
    assert rules(run_rules.running_faults(found)) == broken


@pytest.mark.task(2)
def test_with_cuda_it_has_a_compiler_and_nothing_else_is_wrong():
    """Triton compiles at run time. It is the one thing that the GPU's image costs in safety."""
    assert rules(run_rules.running_faults(own_dockerfile("", "", {"DEVICE": "cuda"}))) == ["compiler"]
