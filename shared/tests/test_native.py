import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from ctypes import c_float, c_int64
from pathlib import Path

import numpy as np
import pytest
import torch

from shared import native
from shared.machine import abilities
from shared.native import ADDRESS, CompileError, function, load

ROOT = Path(__file__).parents[2]
SCALE = """
#include <cstdint>
extern "C" void scale(float* x, int64_t n, float factor) {
    for (int64_t i = 0; i < n; ++i) x[i] *= factor;
}
"""

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="needs a C++ compiler"
)


@pytest.fixture(autouse=True)
def fresh(own_folders, monkeypatch):
    """As in a new process, with no compiler named."""
    monkeypatch.delenv("CXX", raising=False)
    for cached in (native._say_once, native._folder_of_this_process):
        cached.cache_clear()


def loaded(source, flags=()):
    library = load(source, "scale", flags)
    assert library is not None
    return function(library, "scale", None, [ADDRESS, c_int64, c_float])


@needs_compiler
def test_a_kernel_computes_on_tensors_and_arrays():
    scale = loaded(SCALE)
    tensor, array = torch.arange(1000.0), np.arange(1000, dtype=np.float32)
    scale(tensor.data_ptr(), tensor.numel(), 2.5)
    scale(array.ctypes.data, array.size, 2.5)
    assert torch.equal(tensor, 2.5 * torch.arange(1000.0))
    assert np.array_equal(array, 2.5 * np.arange(1000, dtype=np.float32))


@needs_compiler
def test_compiled_once_and_anew_when_anything_changes(own_folders, monkeypatch):
    compiled = []
    original = native._compile
    monkeypatch.setattr(native, "_compile", lambda *a: compiled.append(a) or original(*a))
    loaded(SCALE)
    loaded(SCALE)
    assert len(compiled) == 1
    loaded(SCALE + "// changed\n")
    loaded(SCALE, ["-fno-math-errno"])
    monkeypatch.setattr(native, "_processor", lambda: "another processor")
    loaded(SCALE)
    monkeypatch.setattr(native, "_version", lambda _: "another version")
    loaded(SCALE)
    assert len(compiled) == 5
    assert len(list((own_folders / "data" / "native").iterdir())) == 5


@needs_compiler
def test_a_mistake_is_shown_with_its_file_and_line(own_folders):
    source = own_folders / "kernels.cpp"
    source.write_text(SCALE.replace("++i", "++j"))
    with pytest.raises(CompileError) as error:
        load(source, "scale")
    assert f"{source}:4:" in str(error.value)
    assert "x[i] *= factor" in str(error.value)
    with pytest.raises(CompileError, match=r"scale\.cpp:4:"):
        load(source.read_text(), "scale")
    assert list((own_folders / "data" / "native").iterdir()) == []
    source.write_text(SCALE)
    loaded(source)


@needs_compiler
def test_a_source_is_utf8_whatever_the_locale(own_folders):
    text = 'extern "C" const char* word() { return "é中"; }  // é中\r\n'
    (own_folders / "word.cpp").write_bytes(text.encode())
    (own_folders / "bad.cpp").write_bytes(b"int x = \xc3\xa9\xc3\xa9;\n")
    code = """
import ctypes, locale
from pathlib import Path
from shared.native import CompileError, function, load
assert locale.getpreferredencoding(False) in ("ANSI_X3.4-1968", "US-ASCII"), locale.getpreferredencoding(False)
for source in (Path("word.cpp"), Path("word.cpp").read_bytes().decode()):
    print(ascii(function(load(source, "word"), "word", ctypes.c_char_p, [])().decode()))
try:
    load(Path("bad.cpp"), "bad")
except CompileError as error:
    print("bad.cpp:1" in str(error))
"""
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=own_folders,
        env=os.environ | ascii_only,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["'\\xe9\\u4e2d'", "'\\xe9\\u4e2d'", "True"], done.stderr


def test_no_compiler_is_said_once(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    assert load(SCALE, "scale") is None
    assert load(SCALE, "scale") is None
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "no C++ compiler, so slower code does what scale would do" in message
    assert "install" in message


def test_what_to_install_on_a_mac(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "xcode-select --install" in native._how_to_install()


def test_a_compiler_of_ones_choice(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler -O1")
    with pytest.raises(CompileError, match="CXX is set to 'no-such-compiler'"):
        load(SCALE, "scale")
    monkeypatch.setenv("CXX", f"{sys.executable} -I")
    assert native._compiler() == [sys.executable, "-I"]


def test_a_missing_source_and_a_missing_function(own_folders):
    with pytest.raises(FileNotFoundError):
        load(own_folders / "none.cpp", "scale")
    with pytest.raises(AttributeError):
        function(ctypes.CDLL(None), "no_such_function_anywhere", None, [])


@needs_compiler
def test_a_folder_that_cannot_be_written(own_folders, capsys):
    (own_folders / "data").write_text("a file where the folder should be")
    loaded(SCALE)
    loaded(SCALE)
    message = capsys.readouterr().err
    assert message.count("kernels are compiled anew in every run") == 1
    folder = native._folder_of_this_process()
    assert folder.is_relative_to(tempfile.gettempdir())
    assert len(list(folder.iterdir())) == 1


@needs_compiler
def test_two_processes_at_once(own_folders):
    (own_folders / "scale.cpp").write_text(SCALE)
    code = (
        "from pathlib import Path; from shared.native import load; "
        f"print(load(Path({str(own_folders / 'scale.cpp')!r}), 'scale').scale is not None)"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ.copy()
        )
        for _ in range(2)
    ]
    assert [process.communicate()[0] for process in both] == ["True\n", "True\n"]
    assert len(list((own_folders / "data" / "native").iterdir())) == 1


def test_processors_without_a_listing(monkeypatch):
    native._processor.cache_clear()
    monkeypatch.setattr(Path, "is_file", lambda _: False)
    try:
        assert native._processor().strip()
    finally:
        native._processor.cache_clear()


@needs_compiler
def test_without_a_compiler_what_was_compiled_before_is_taken(own_folders, monkeypatch, capsys):
    """As in a container's image, which brings kernels and no compiler."""
    loaded(SCALE)
    monkeypatch.setattr(native, "_compiler", lambda: None)
    scale, tensor = loaded(SCALE), torch.ones(3)
    scale(tensor.data_ptr(), 3, 2.0)
    assert torch.equal(tensor, torch.full((3,), 2.0))
    assert capsys.readouterr().err == ""
    assert load(SCALE + "// changed", "scale") is None
    monkeypatch.setattr(native, "_processor", lambda: "another processor")
    assert load(SCALE, "scale") is None


@needs_compiler
@pytest.mark.skipif("avx2" not in abilities() or "fma" not in abilities(), reason="needs an x86-64-v3")
def test_kernels_for_a_kind_of_processor_serve_all_of_it(own_folders, monkeypatch):
    monkeypatch.setenv("LADDER_MARCH", "x86-64-v3")
    loaded(SCALE)
    monkeypatch.setattr(native, "_compiler", lambda: None)
    monkeypatch.setattr(native, "_processor", lambda: "another processor")
    loaded(SCALE)
    monkeypatch.delenv("LADDER_MARCH")
    assert load(SCALE, "scale") is None


def test_a_processor_that_cannot_run_them_does_not(own_folders, monkeypatch, capsys):
    monkeypatch.setenv("LADDER_MARCH", "x86-64-v4")
    monkeypatch.setattr(native, "abilities", lambda: ["avx2", "avx512f"])
    assert load(SCALE, "scale") is None
    assert "x86-64-v4 (avx512bw, avx512cd, avx512dq, avx512vl)" in capsys.readouterr().err
