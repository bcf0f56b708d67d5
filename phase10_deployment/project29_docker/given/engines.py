"""What builds images here: Docker, or buildah where there is no Docker. And Debian, where no registry can be asked."""

import functools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from shared.files import ROOT

PROJECT = Path(__file__).resolve().parents[1]
DOCKERFILE = PROJECT / "Dockerfile"
BASE = "docker.io/library/debian:bookworm-slim"
SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"


class EngineError(Exception):
    """There is no engine, or it could not do what it was told; the message has its last words."""


def find_engine() -> str:
    """`docker`, `buildah`, or an empty text where neither is there."""
    if shutil.which("docker") and _works(["docker", "info"]):
        return "docker"
    if shutil.which("buildah") and os.geteuid() == 0:
        return "buildah"
    return ""


def _works(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def store() -> Path:
    """Where buildah keeps images and layers: LADDER_IMAGES, or a folder in /var/tmp."""
    return Path(os.environ.get("LADDER_IMAGES") or "/var/tmp/ladder-images")


def buildah(*arguments: str, quiet: bool = True) -> str:
    """Run buildah on our store; returns what it says on stdout. Raises EngineError with its last words."""
    done = _buildah(_driver(), arguments, quiet)
    if done.returncode:
        raise EngineError(f"buildah {arguments[0]}: {(done.stderr or done.stdout).strip()[-1500:]}")
    return done.stdout.strip()


def _buildah(driver: str, arguments: Sequence[str], quiet: bool = True) -> subprocess.CompletedProcess[str]:
    folder = store()
    places = ["--root", str(folder / driver / "root"), "--runroot", str(folder / driver / "run")]
    return subprocess.run(
        ["buildah", *places, "--storage-driver", driver, *arguments], cwd=ROOT, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE if quiet else None,
    )  # fmt: skip


@functools.cache
def _driver() -> str:
    """How layers are kept: overlay where the machine can mount it; else vfs, which copies all of them for each."""
    return "overlay" if _buildah("overlay", ["images"]).returncode == 0 else "vfs"


def base_image() -> str:
    """The base as buildah is to take it: with its digest where a registry gave it, else by the name it has here.

    Where no registry answers, Debian is put together from its packages (debootstrap), which is what its image is.
    Raises EngineError where neither can be done.
    """
    try:
        known = json.loads(buildah("inspect", "--type", "image", BASE))
    except EngineError:
        try:
            buildah("pull", "-q", BASE)
            known = json.loads(buildah("inspect", "--type", "image", BASE))
        except EngineError as problem:
            _debootstrap(problem)
            return BASE
    digest = known.get("FromImageDigest", "")
    return f"{BASE.rpartition(':')[0]}@{digest}" if digest and _from_registry(known) else BASE


def _from_registry(known: dict[str, object]) -> bool:
    return "debootstrap" not in json.dumps(known.get("OCIv1", {}))


def _debootstrap(problem: EngineError) -> None:
    if shutil.which("debootstrap") is None:
        raise EngineError(
            f"no registry has {BASE} ({problem}), and debootstrap, which could make it, is not installed"
        )
    with tempfile.TemporaryDirectory(dir=store()) as folder:
        command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE, folder, MIRROR]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise EngineError(f"debootstrap: {done.stdout.strip()[-500:]}")
        import_base(Path(folder))


def import_base(folder: Path) -> None:
    """Make a folder that holds a Debian the base image."""
    for waste in ("var/cache/apt/archives", "var/lib/apt/lists"):
        for file in (Path(folder) / waste).glob("*_*"):
            file.unlink()
    container = buildah("from", "scratch")
    try:
        buildah("add", "-q", container, str(folder), "/")
        buildah("config", "--cmd", "bash", "--created-by", "debootstrap", container)
        buildah("commit", "-q", container, BASE)
    finally:
        buildah("rm", container)


def build(
    engine: str,
    tag: str,
    target: str,
    arguments: dict[str, str],
    secret: str,
    volumes: Sequence[str],
    base: str,
) -> None:
    """Build a stage of the Dockerfile, with layers kept for the next time. Raises EngineError."""
    told = [f"--build-arg={name}={value}" for name, value in arguments.items() if value]
    if secret:
        told.append(f"--secret=id=pip,src={secret}")
    if engine == "docker":
        command = ["docker", "build", "-f", str(DOCKERFILE), "--target", target, "-t", tag, *told, "."]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            raise EngineError("docker build did not end well; its words are above")
        return
    buildah(
        "bud", "--isolation", "chroot", "--format", "docker", "--layers", "--pull-never", "-f", str(DOCKERFILE),
        "--ignorefile", f"{DOCKERFILE}.dockerignore", "--target", target, "-t", tag,
        "--build-arg", f"DEBIAN={base}", *told, *(f"--volume={one}" for one in volumes), ".", quiet=False,
    )  # fmt: skip


def export(engine: str, tag: str, layout: Path) -> None:
    """Write an image as an OCI image layout. Raises EngineError."""
    if engine == "docker":
        with tempfile.NamedTemporaryFile(suffix=".tar") as file:
            done = subprocess.run(["docker", "save", "-o", file.name, tag], check=False)
            if done.returncode:
                raise EngineError("docker save did not end well")
            shutil.unpack_archive(file.name, layout)
        return
    buildah("push", "-q", "--format", "oci", tag, f"oci:{layout}")


def mount(tag: str) -> tuple[str, Path]:
    """A container of an image that buildah has, and where its files lie; `unmount` it in the end."""
    container = buildah("from", "--pull-never", tag)
    return container, Path(buildah("mount", container))


def unmount(container: str) -> None:
    """Remove a container; its image stays."""
    buildah("umount", container)
    buildah("rm", container)
