import json
import math
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from shared import checkpoint
from shared.checkpoint import CheckpointError, read, read_dict, read_metadata, write


def same(a, b):
    """Equal in value and in type, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, dict):
        return len(a) == len(b) and all(
            same(k, m) and same(v, w) for (k, v), (m, w) in zip(a.items(), b.items(), strict=True)
        )
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    return a == b


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]))
)
keys = st.integers() | st.text("ab.'_", max_size=3) | st.booleans() | st.none() | st.just("__metadata__")
dtypes = st.sampled_from(sorted(checkpoint.DTYPES - {torch.float8_e4m3fn, torch.float8_e5m2}, key=str))
tensors = st.builds(
    lambda shape, dtype: torch.arange(math.prod(shape)).reshape(shape).to(dtype),
    st.lists(st.integers(0, 3), max_size=3),
    dtypes,
)
states = st.recursive(
    scalars | tensors,
    lambda inner: (
        st.dictionaries(keys, inner, max_size=4)
        | st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(states)
def test_any_state_comes_back_the_same(tmp_path_factory, state):
    path = tmp_path_factory.mktemp("state") / "state.safetensors"
    write(path, state)
    assert same(read(path), state)


def test_a_training_run_comes_back_exactly(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.randn(2, 3)).square().sum().backward()
    optimizer.step()
    state = {
        "model": dict(model.state_dict()),
        "optimizer": optimizer.state_dict(),
        "rng": torch.get_rng_state(),
        "step": 1,
        "best": math.inf,
    }
    path = tmp_path / "run" / "last.safetensors"
    write(path, state)
    back = read(path)
    assert same(back, state)
    optimizer.load_state_dict(back["optimizer"])
    assert "optimizer.state.0.exp_avg" in load_file(path), "other programs can find the tensors"


def test_tied_weights_are_stored_once_and_stay_tied(tmp_path):
    weight = torch.nn.Parameter(torch.randn(100, 100))
    write(tmp_path / "one", {"embed": weight})
    write(tmp_path / "two", {"embed": weight, "head": weight})
    assert (tmp_path / "two").stat().st_size < (tmp_path / "one").stat().st_size + 1000
    back = read(tmp_path / "two")
    assert back["embed"] is back["head"]
    assert torch.equal(back["head"], weight.detach())


def test_views_of_one_memory_are_stored_as_what_they_show(tmp_path):
    whole = torch.arange(12.0).reshape(3, 4)
    views = {
        "whole": whole,
        "row": whole[1],
        "turned": whole.T,
        "strided": whole[:, ::2],
        "flipped": whole.flip(0),
    }
    views["complex"] = torch.view_as_complex(whole.reshape(3, 2, 2))
    views["conjugate"] = views["complex"].conj()
    write(tmp_path / "views", views)
    assert same(read(tmp_path / "views"), views)
    write(tmp_path / "part", whole[0])
    assert (tmp_path / "part").stat().st_size < 400 + whole[0].nbytes


def test_names_that_would_collide(tmp_path):
    numbers = [torch.tensor(float(i)) for i in range(5)]
    keys = {
        "a.b": numbers[0],
        "a": {"b": numbers[1]},
        "a.b'": numbers[2],
        "__metadata__": numbers[3],
        "": numbers[4],
    }
    write(tmp_path / "x", keys)
    assert same(read(tmp_path / "x"), keys)


def test_float8(tmp_path):
    for dtype in (torch.float8_e4m3fn, torch.float8_e5m2):
        write(tmp_path / "x", torch.tensor([1.0, -0.5]).to(dtype))
        assert read(tmp_path / "x").float().tolist() == [1.0, -0.5]
        assert read(tmp_path / "x").dtype == dtype


def test_what_is_read_is_aligned_and_ones_own(tmp_path):
    path = tmp_path / "x"
    write(path, {"odd": torch.ones(3, dtype=torch.uint8), "x": torch.ones(64)})
    back = read(path)["x"]
    assert back.data_ptr() % 64 == 0
    back += 1
    assert read(path)["x"].sum() == 64


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"a": {"b": [0, {1}]}}, r"a\.b\.1 is of type set"),
        (object(), "the state is of type object"),
        ({"a": {(1, 2): 3}}, r"a has the key \(1, 2\)"),
        ({b"x": 1}, "the state has the key b'x'"),
        ({"a": torch.ones(2, dtype=torch.complex128)}, "a is a tensor .*complex128"),
        ({"a": torch.eye(2).to_sparse()}, "a is a tensor .*sparse"),
        (torch.ones(2, device="meta"), "the state is a tensor .*meta"),
    ],
)
def test_what_cannot_be_stored_is_named_before_anything_is_written(tmp_path, state, words):
    with pytest.raises(TypeError, match=words):
        write(tmp_path / "x", state)
    assert os.listdir(tmp_path) == []


def test_a_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"there is no checkpoint at .*x"):
        read(tmp_path / "x")


def test_a_file_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / "x"
    write(path, {"a": torch.arange(100), "b": "text"})
    whole = path.read_bytes()
    for length in {*range(0, len(whole), 7), 8, 9, len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"cut short"):
            read(path)
    path.write_bytes(whole[:-1])
    with pytest.raises(
        CheckpointError, match=f"it has {len(whole) - 1:,} bytes, and its header says {len(whole):,}"
    ):
        read(path)
    path.write_bytes(whole + b"x")
    with pytest.raises(CheckpointError, match="has grown at its end"):
        read(path)


def header(text: bytes) -> bytes:
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"this is some text of no format at all",
        b"\x80\x02}q\x00(X\x05\x00\x00\x00modelq\x01",  # a pickle
        (10**9).to_bytes(8, "little") + b"{" + bytes(100),
        header(b"{not json}"),
        header(b'{"a": 1}'),
        header(b'{"a": {"data_offsets": []}}'),
        header(b'{"a": {"dtype": "F32"}}'),
        header(b'{"a": ["x"]}'),
        header(b'{"__metadata__": 5}'),
        header(b'{"__metadata__": {"structure": 5}}'),
        header(b'{"a": ' + b"[" * 200_000),
    ],
)
def test_a_file_of_another_format_is_refused(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a safetensors file"):
        read(tmp_path / "x")


def test_another_programs_safetensors_and_another_version_are_refused(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "x")
    with pytest.raises(CheckpointError, match="not a checkpoint of this project"):
        read(tmp_path / "x")
    save_file({"a": torch.ones(1)}, tmp_path / "x", {"structure": json.dumps(None), "ladder_version": "9"})
    with pytest.raises(CheckpointError, match="format version 9; this code reads version 1"):
        read(tmp_path / "x")


def test_a_file_that_contradicts_itself_is_refused(tmp_path):
    entry = '"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 4]}'
    metadata = '"__metadata__": {"ladder_version": "1", "structure": "null"}'
    (tmp_path / "x").write_bytes(header(f"{{{metadata}, {entry}}}".encode()) + bytes(4))
    with pytest.raises(CheckpointError, match="x is broken"):
        read(tmp_path / "x")
    missing = {"ladder_version": "1", "structure": json.dumps({"tensor": "b"})}
    save_file({"a": torch.ones(1)}, tmp_path / "x", missing)
    with pytest.raises(CheckpointError, match="x is broken"):
        read(tmp_path / "x")


@pytest.mark.parametrize(
    "structure",
    [
        {"tensor": ["a"]},
        {"tensor": 5},
        {"list": 5},
        {"float": ["inf"]},
        {"float": "large"},
        {"dict": [[{"list": []}, 1]]},
        {"dict": [5]},
        {"dict": {"a": 1}},
        {"list": [], "tuple": []},
        {},
    ],
)
def test_a_structure_of_the_wrong_kind_is_refused(tmp_path, structure):
    metadata = {"ladder_version": "1", "structure": json.dumps(structure)}
    save_file({"a": torch.ones(1)}, tmp_path / "x", metadata)
    with pytest.raises(CheckpointError, match="x is broken"):
        read(tmp_path / "x")


@pytest.mark.parametrize("text", ["[" * 200_000, '{"list":[' * 2000 + "]}" * 2000])
def test_a_structure_that_is_too_deep_is_refused(tmp_path, text):
    save_file({"a": torch.ones(1)}, tmp_path / "x", {"ladder_version": "1", "structure": text})
    with pytest.raises(CheckpointError, match="x is broken"):
        read(tmp_path / "x")


def test_metadata_that_is_null_is_none(tmp_path):
    """As the safetensors library has it."""
    (tmp_path / "x").write_bytes(header(b'{"__metadata__": null}'))
    with safe_open(tmp_path / "x", "pt") as file:
        assert file.metadata() is None
    assert read_metadata(tmp_path / "x") == {}
    with pytest.raises(CheckpointError, match="not a checkpoint of this project"):
        read(tmp_path / "x")


def test_a_dict_with_its_entries(tmp_path):
    write(tmp_path / "x", {"a": 1, "b": [2], "c": 3})
    assert read_dict(tmp_path / "x", {"a": int, "b": list}) == {"a": 1, "b": [2], "c": 3}
    for entries in ({"a": list}, {"d": int}):
        with pytest.raises(CheckpointError, match=f"x has no '{next(iter(entries))}' that is a"):
            read_dict(tmp_path / "x", entries)
    write(tmp_path / "x", [1, 2])
    with pytest.raises(CheckpointError, match="x holds no dict, but a list"):
        read_dict(tmp_path / "x", {})


# One process imports torch; each life is a fork of it, which writes without end until it is killed.
LIVES = """
import os, sys, torch
from pathlib import Path
from shared.checkpoint import write
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        step, writes = map(int, line.split())
        while True:
            if writes == 0:
                print(os.getpid(), flush=True)
            step, writes = step + 1, writes - 1
            write(sys.argv[1], {"step": step, "x": torch.full((20000,), float(step))})
    os.waitpid(child, 0)
    print("dead", flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_killed_at_any_moment_leaves_a_whole_file(tmp_path):
    path = tmp_path / "last.safetensors"
    write(path, {"step": 0, "x": torch.zeros(20000)})
    lives = subprocess.Popen(
        [sys.executable, "-c", LIVES, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert lives.stdin is not None
    assert lives.stdout is not None
    chance, step, leftovers = random.Random(0), 0, 0
    try:
        for life in range(40):
            writes = life % 4  # before it says who it is; so much is done even on a slow machine
            print(step, writes, file=lives.stdin, flush=True)
            child = int(lives.stdout.readline())
            time.sleep(chance.uniform(0, 0.01))
            os.kill(child, signal.SIGKILL)
            assert lives.stdout.readline() == "dead\n"
            state = read(path)
            assert state["step"] >= step + writes
            assert torch.equal(state["x"], torch.full((20000,), float(state["step"])))
            step = state["step"]
            leftovers += len(os.listdir(tmp_path)) > 1
    finally:
        lives.stdin.close()
        lives.stdout.close()
        lives.wait()
    assert leftovers, "at least one was killed while it was writing"
    write(path, {})
    assert os.listdir(tmp_path) == [path.name], "what they left is swept"
