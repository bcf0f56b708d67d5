"""Where an image's bytes lie: its layers, and what lies in them that nobody sees any more."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


@dataclass(frozen=True)
class Layer:
    """One layer of an image."""

    created_by: str
    """the instruction that made it, as the image's history has it"""
    packed: int
    """bytes of the blob: what is sent and stored"""
    files: Mapping[str, int]
    """bytes of each file in it, by path without a `/` at the beginning; links and folders have none"""
    removes: tuple[str, ...]
    """the paths below it that it hides, by whiteouts: a file, or a folder with all that is in it"""
    empties: tuple[str, ...]
    """the folders of which it hides all that the layers below have put there"""

    @property
    def unpacked(self) -> int:
        """Bytes of its files."""
        return sum(self.files.values())


def read_blob(layout: Path, digest: str) -> bytes:
    """The bytes of a blob of an OCI image layout: `sha256:abc…` lies in blobs/sha256/abc….

    Raises ValueError that names the digest where the bytes do not have it, or it is no sha256 in 64 hex digits (a
    path such as `../x` must lead nowhere); FileNotFoundError where there is no such blob.
    """
    kind, _, name = digest.partition(":")
    if kind != "sha256" or len(name) != 64 or set(name) - set("0123456789abcdef"):
        raise ValueError(f"the digest is {digest!r}; it must be sha256: and 64 hex digits")
    content = (Path(layout) / "blobs" / "sha256" / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != name:
        raise ValueError(f"the blob {digest} has other bytes than it says")
    return content


def read_layers(layout: Path) -> list[Layer]:
    """The layers of the image in an OCI image layout, from the lowest.

    `index.json` names manifests, each with mediaType and digest. Those of MANIFESTS count that are not of the
    platform `unknown` (under platform, architecture: such are attestations); exactly one must be left. The manifest
    names config and layers, each with mediaType and digest (`read_blob`, `read_layer`). The config's history has an
    entry for each instruction, in order; those with `empty_layer: true` made no layer, and each of the others made
    one: its `created_by` (an empty text where there is none) goes with the layer.

    Raises ValueError: for no or several images, with their number; where history and layers do not go together,
    with both numbers. (OCI image specification, "layer".)
    """
    index = json.loads((Path(layout) / "index.json").read_text(encoding="utf-8"))
    named = [one for one in index["manifests"] if one.get("mediaType") in MANIFESTS]
    images = [one for one in named if one.get("platform", {}).get("architecture") != "unknown"]
    if len(images) != 1:
        raise ValueError(f"{layout} holds {len(images)} images; there must be exactly one")
    manifest = json.loads(read_blob(layout, images[0]["digest"]))
    config = json.loads(read_blob(layout, manifest["config"]["digest"]))
    made = [one.get("created_by", "") for one in config.get("history", []) if not one.get("empty_layer")]
    blobs = manifest["layers"]
    if len(made) != len(blobs):
        raise ValueError(f"the history tells of {len(made)} layers, and the image has {len(blobs)}")
    return [
        read_layer(read_blob(layout, blob["digest"]), said, str(blob.get("mediaType", "")))
        for blob, said in zip(blobs, made, strict=True)
    ]


def read_layer(
    packed: bytes, created_by: str, kind: str = "application/vnd.oci.image.layer.v1.tar+gzip"
) -> Layer:
    """A layer from the bytes of its blob: a tar, packed with gzip (then it begins with the bytes 1f 8b) or not.

    Names in a tar may begin with `./` or `/`, which goes. A file `a/.wh.b` is a whiteout: it hides a/b of the
    layers below (`removes`). A file `a/.wh..wh..opq` hides all that the layers below have in a (`empties`; `""` is
    the root). Neither counts as a file. Links, of both kinds, and devices count as files of 0 bytes; folders do not
    count.

    Raises ValueError that names `kind`, the media type, where it ends with `zstd`.
    """
    if kind.endswith("zstd"):
        raise ValueError(f"a layer is packed as {kind}; gzip and plain tar can be read")
    content = gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed
    files: dict[str, int] = {}
    removes, empties = [], []
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        for member in archive:
            path = _plain(member.name)
            folder, _, name = path.rpartition("/")
            if name == ".wh..wh..opq":
                empties.append(folder)
            elif name.startswith(".wh."):
                removes.append(_plain(f"{folder}/{name.removeprefix('.wh.')}"))
            elif member.isfile():
                files[path] = member.size
            elif not member.isdir():
                files[path] = 0
    return Layer(created_by, len(packed), files, tuple(removes), tuple(empties))


def _plain(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def visible(layers: Sequence[Layer]) -> dict[str, tuple[int, int]]:
    """The files that a container sees, by path: the index of the layer that each is of, and its bytes.

    Layer by layer, from the lowest: first go the files that it hides (`removes`: the path itself and all below it;
    `empties`: all below; `""` is the root), then its own come, in the place of those that were there. A file in the
    place of a folder hides what was below it, too. What a layer hides is of the layers below, never its own.
    """
    seen: dict[str, tuple[int, int]] = {}
    for index, layer in enumerate(layers):
        gone = {*layer.removes, *layer.files}
        folders = set(layer.empties)
        seen = {
            path: held
            for path, held in seen.items()
            if path not in gone and not any(above in gone or above in folders for above in _above(path))
        }
        seen |= {path: (index, size) for path, size in layer.files.items()}
    return seen


def _above(path: str) -> list[str]:
    """The folders that a path lies in, the root among them."""
    parts = path.split("/")
    return ["", *("/".join(parts[:count]) for count in range(1, len(parts)))]


def wasted(layers: Sequence[Layer]) -> list[int]:
    """Of each layer, the unpacked bytes that no container sees: a later layer has removed or replaced those files.

    A RUN that deletes what an earlier one has made saves nothing: this is where it shows.
    """
    seen = visible(layers)
    left = [0] * len(layers)
    for index, size in seen.values():
        left[index] += size
    return [layer.unpacked - still for layer, still in zip(layers, left, strict=True)]
