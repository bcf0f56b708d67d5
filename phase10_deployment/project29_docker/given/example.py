"""What `ladder trace 29` shows: a Dockerfile with three faults, and what finds them."""

from phase10_deployment.project29_docker.build_rules import building_faults
from phase10_deployment.project29_docker.dockerfile import instructions, stages
from phase10_deployment.project29_docker.dockerignore import ignored, patterns
from phase10_deployment.project29_docker.run_rules import running_faults

DOCKERFILE = """\
FROM python:3.11
COPY . /app
RUN pip install -r /app/requirements.txt
CMD python /app/serve.py
"""


def trace_example() -> list[str]:
    """The faults of a small Dockerfile, and what of three files a build would send."""
    found = stages(instructions(DOCKERFILE))
    said = [str(fault) for fault in [*running_faults(found), *building_faults(found)]]
    sent = [path for path in ("app.py", ".env", "data/x") if not ignored(patterns("*\n!app.py\n"), path)]
    return [*said, f"sent: {', '.join(sent)}"]
