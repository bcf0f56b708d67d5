"""Layers of an image, on layouts made here and on a copy of the layers in a real file system."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase10_deployment.project29_docker.layers import (
    Layer,
    read_blob,
    read_layer,
    read_layers,
    visible,
    wasted,
)
from shared.testing import raises

OCI = "application/vnd.oci.image.manifest.v1+json"
TAR = "application/vnd.oci.image.layer.v1.tar"


def tar(files: dict[str, bytes | None]) -> bytes:
    """A tar of files; None is a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            if content is None:
                member.type = tarfile.DIRTYPE
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def put(layout: Path, content: bytes) -> str:
    name = hashlib.sha256(content).hexdigest()
    folder = layout / "blobs" / "sha256"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return f"sha256:{name}"


def image(
    layout: Path, history: list[dict[str, Any]], blobs: list[bytes], kind: str = TAR + "+gzip"
) -> dict[str, Any]:
    """An image in a layout; gives what index.json says of it."""
    config = put(layout, json.dumps({"history": history}).encode())
    layers = [{"mediaType": kind, "digest": put(layout, blob)} for blob in blobs]
    manifest = put(layout, json.dumps({"config": {"digest": config}, "layers": layers}).encode())
    return {"mediaType": OCI, "digest": manifest}


def index(layout: Path, *manifests: dict[str, Any]) -> Path:
    (layout / "index.json").write_text(json.dumps({"manifests": manifests}), encoding="utf-8")
    return layout


RUN = [{"created_by": "RUN a"}, {"created_by": "ENV B=1", "empty_layer": True}, {"created_by": "COPY c"}]


@pytest.mark.task(7)
def test_layers_come_with_the_instruction_that_made_them(tmp_path: Path):
    first, second = tar({"usr/": None, "usr/a": b"aaa", "b": b"bb"}), tar({"./usr/c": b"c", "/d": b""})
    packed = gzip.compress(first)
    index(tmp_path, image(tmp_path, RUN, [packed, second]))
    assert read_layers(tmp_path) == [
        Layer("RUN a", len(packed), {"usr/a": 3, "b": 2}, (), ()),
        Layer("COPY c", len(second), {"usr/c": 1, "d": 0}, (), ()),
    ]


@pytest.mark.task(7)
def test_an_instruction_without_a_text(tmp_path: Path):
    index(
        tmp_path,
        image(tmp_path, [{}, {"empty_layer": False, "created_by": "x"}], [tar({}), tar({"a": b"1"})]),
    )
    assert [(one.created_by, one.unpacked) for one in read_layers(tmp_path)] == [("", 0), ("x", 1)]


@pytest.mark.task(7)
def test_whiteouts_are_no_files():
    content = tar(
        {
            "a/.wh.b": b"",
            ".wh.c": b"",
            "d/.wh..wh..opq": b"",
            ".wh..wh..opq": b"",
            "e": b"12",
            "./f/.wh.g": b"",
        }
    )
    layer = read_layer(content, "x")
    assert (layer.files, layer.removes, layer.empties) == ({"e": 2}, ("a/b", "c", "f/g"), ("d", ""))


@pytest.mark.task(7)
def test_links_and_devices_have_no_bytes_of_their_own():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO(b""))
        for name, kind in (("soft", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("null", tarfile.CHRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "a"
            archive.addfile(member)
    assert read_layer(out.getvalue(), "").files == {"a": 0, "soft": 0, "hard": 0, "null": 0}


@pytest.mark.task(7)
def test_packed_in_another_way_is_an_error():
    with raises(ValueError, TAR + "+zstd"):
        read_layer(b"\x28\xb5\x2f\xfd", "x", TAR + "+zstd")


@pytest.mark.task(7)
def test_attestations_and_other_things_are_no_images(tmp_path: Path):
    mine = image(tmp_path, RUN, [tar({}), tar({})])
    attestation = {**mine, "platform": {"architecture": "unknown", "os": "unknown"}}
    other = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": mine["digest"]}
    docker = {**mine, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}
    assert len(read_layers(index(tmp_path, attestation, other, mine))) == 2
    assert len(read_layers(index(tmp_path, {**docker, "platform": {"architecture": "amd64"}}))) == 2
    with raises(ValueError, 0):
        read_layers(index(tmp_path, attestation, other))
    with raises(ValueError, 2):
        read_layers(index(tmp_path, mine, docker))


@pytest.mark.task(7)
def test_a_history_that_does_not_fit_is_an_error(tmp_path: Path):
    index(tmp_path, image(tmp_path, RUN, [tar({}), tar({"a": b"1"}), tar({"b": b"1"})]))
    with raises(ValueError, 2, 3):
        read_layers(tmp_path)


@pytest.mark.task(7)
def test_a_blob_is_what_its_name_says(tmp_path: Path):
    digest = put(tmp_path, b"content")
    assert read_blob(tmp_path, digest) == b"content"
    (tmp_path / "blobs" / "sha256" / digest.removeprefix("sha256:")).write_bytes(b"Content")
    with raises(ValueError, digest):
        read_blob(tmp_path, digest)
    with pytest.raises(FileNotFoundError):
        read_blob(tmp_path, "sha256:" + "0" * 64)


@pytest.mark.task(7)
@pytest.mark.parametrize(
    "digest", ["sha256:../../index.json", "sha512:" + "0" * 64, "0" * 64, "sha256:" + "G" * 64, ""]
)
def test_a_digest_leads_nowhere_else(tmp_path: Path, digest: str):
    index(tmp_path)
    with raises(ValueError, digest):
        read_blob(tmp_path, digest)


def layer(files: dict[str, int], removes: tuple[str, ...] = (), empties: tuple[str, ...] = ()) -> Layer:
    return Layer("", 0, files, removes, empties)


@pytest.mark.task(7)
def test_what_a_container_sees():
    stack = [
        layer({"a/x": 1, "a/y": 2, "b": 4, "c": 8}),
        layer({"a/x": 16}, ("b",)),
        layer({"d": 32}, ("missing",)),
    ]
    assert visible(stack) == {"a/x": (1, 16), "a/y": (0, 2), "c": (0, 8), "d": (2, 32)}
    assert wasted(stack) == [5, 0, 0]


@pytest.mark.task(7)
@pytest.mark.parametrize(
    ("top", "left"),
    [
        (layer({}, ("a",)), {"ab": 4, "b/c": 8}),
        (layer({}, (), ("a",)), {"ab": 4, "b/c": 8}),
        (layer({"a/new": 16}, (), ("a",)), {"a/new": 16, "ab": 4, "b/c": 8}),
        (layer({"a/x": 16}, ("a/x",)), {"a/x": 16, "a/d/y": 2, "ab": 4, "b/c": 8}),
        (layer({"n": 1}, (), ("",)), {"n": 1}),
        (layer({"a": 16}), {"a": 16, "ab": 4, "b/c": 8}),
        (layer({}, ("a/d", "b/c")), {"a/x": 1, "ab": 4}),
    ],
)
def test_what_is_hidden(top: Layer, left: dict[str, int]):
    """A folder with all in it, an opaque folder that has new files, a file that takes a folder's place."""
    below = layer({"a/x": 1, "a/d/y": 2, "ab": 4, "b/c": 8})
    assert {path: size for path, (_, size) in visible([below, top]).items()} == left
    assert wasted([below, top])[0] == 15 - sum(
        size for path, size in left.items() if path in below.files and path not in top.files
    )


PATHS = st.sampled_from(["a", "a/x", "a/y", "a/d/z", "b", "b/c"])
STACKS = st.lists(
    st.tuples(
        st.dictionaries(PATHS, st.integers(0, 9), max_size=3),
        st.lists(PATHS, max_size=2).map(tuple),
        st.lists(st.sampled_from(["a", "b", "a/d", ""]), max_size=1).map(tuple),
    ),
    max_size=4,
)


@pytest.mark.task(7)
@given(parts=STACKS)
def test_it_equals_asking_for_each_file_of_each_layer(
    parts: list[tuple[dict[str, int], tuple[str, ...], tuple[str, ...]]],
):
    """A file is seen when no layer above it has, removes or empties its path, or a folder that it lies in."""

    def hides(one: Layer, path: str) -> bool:
        words = path.split("/")
        above = ["", *("/".join(words[:count]) for count in range(1, len(words)))]
        return bool({path, *above} & {*one.removes, *one.files}) or bool(set(above) & set(one.empties))

    def possible(files: dict[str, int]) -> dict[str, int]:
        """In one layer, a file and a folder of one name cannot both be."""
        return {
            path: size for path, size in files.items() if not any(one.startswith(f"{path}/") for one in files)
        }

    stack = [layer(possible(files), removes, empties) for files, removes, empties in parts]
    expected = {
        path: (number, size)
        for number, one in enumerate(stack)
        for path, size in one.files.items()
        if not any(hides(later, path) for later in stack[number + 1 :])
    }
    assert visible(stack) == expected
    assert [one.unpacked - lost for one, lost in zip(stack, wasted(stack), strict=True)] == [
        sum(size for of, size in expected.values() if of == number) for number in range(len(stack))
    ]
