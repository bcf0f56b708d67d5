"""C++ kernels for the CPU: plain C functions, compiled on first use and loaded with ctypes.

    kernels = load(Path(__file__).with_name("kernels.cpp"), "kernels")
    if kernels is not None:  # None: there is no compiler, and the PyTorch path serves
        scale = function(kernels, "scale", None, [ADDRESS, c_int64, c_float])
        scale(tensor.data_ptr(), tensor.numel(), 2.0)

A source is one file that declares its functions `extern "C"`. It needs no header of any framework's, so that
it compiles in about a second.
"""

import atexit
import ctypes
import functools
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from shared.files import data_folder, replacing, shown
from shared.machine import abilities, cpu_name

ADDRESS = ctypes.c_void_p  # takes what Tensor.data_ptr() and ndarray.ctypes.data give
FLAGS = ("-O3", "-shared", "-fPIC", "-std=c++17")
MARCH = "LADDER_MARCH"
"""the variable that names another processor to compile for than this one, as a container's image does"""
LEVELS = {
    "x86-64-v3": {"avx2", "f16c", "fma"},
    "x86-64-v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
}
"""what a processor must be able to do, or it would stop at the first such instruction"""


class CompileError(Exception):
    """A kernel cannot be compiled; the message is the compiler's own, with file and line."""


def load(source: Path | str, name: str, flags: Sequence[str] = ()) -> ctypes.CDLL | None:
    """Compile a C++ file (or C++ text), unless that is done already, and load it.

    `flags` are added to the usual ones, `["-fopenmp"]` for instance. The library stays in data/native/ under
    a hash of source, flags and processor, and one of the compiler. With LADDER_MARCH, as in x86-64-v3, it is for
    all processors of that kind. Where there is no compiler, one that was compiled before is taken, by whichever
    compiler; else this returns None and says once what to install. Raises CompileError when the source does not
    compile or $CXX names no program, FileNotFoundError for a missing file.
    """
    text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
    march = os.environ.get(MARCH) or "native"
    if lacking := sorted(LEVELS.get(march, set()) - set(abilities())):
        _say_once(
            f"native: this processor is no {march} ({', '.join(lacking)}), so slower code does the work"
        )
        return None
    all_flags = [f"-march={march}", *FLAGS, *flags]
    # -march=native makes a library for this processor alone, and a folder can be shared between machines.
    processor = _processor() if march == "native" else march
    start = f"{name}-{_hash(text, *all_flags, processor)}"
    compiler = _compiler()
    if compiler is None:
        if built := sorted((data_folder() / "native").glob(f"{start}-*.so")):
            return ctypes.CDLL(str(built[0]))
        _say_once(f"native: no C++ compiler, so slower code does what {name} would do. {_how_to_install()}")
        return None
    command = [*compiler, *all_flags]
    library = f"{start}-{_hash(*compiler, _version(tuple(compiler)))}.so"
    path = data_folder() / "native" / library
    if not path.is_file():
        path = _writable_folder() / library
    if not path.is_file():
        _compile(command, text, name, source if isinstance(source, Path) else None, path)
    return ctypes.CDLL(str(path))


def function(library: ctypes.CDLL, name: str, result: Any, arguments: Sequence[Any]) -> Callable[..., Any]:
    """A function of a library, with its C types declared: undeclared, ctypes cuts pointers to 32 bits.

    `result` is None for void. Raises AttributeError when the library has no function of that name.
    """
    found = getattr(library, name)
    found.restype = result
    found.argtypes = list(arguments)
    return found


def _compile(command: list[str], text: str, name: str, origin: Path | None, library: Path) -> None:
    """Compile `text` into `library`. Processes that do it at once each replace it by the same whole file."""
    with tempfile.TemporaryDirectory() as folder, replacing(library) as temporary:
        copy = Path(folder) / f"{name}.cpp"
        # The compiler reads what was hashed, and names the file that the user knows.
        with_name = f'#line 1 "{origin.resolve().as_posix()}"\n{text}' if origin else text
        # As bytes, for write_text would turn line ends into those of the system. A folder's name may be no UTF-8.
        copy.write_bytes(with_name.encode("utf-8", "surrogateescape"))
        done, said = _run([*command, str(copy), "-o", str(temporary)])
        if done.returncode != 0:
            raise CompileError(f"{name} does not compile ({shlex.join(command)}):\n{said.strip()}")


def _run(command: list[str]) -> tuple[subprocess.CompletedProcess[bytes], str]:
    """What a program did, and what it wrote. It may write in any encoding: UTF-8 is read, whatever the locale."""
    done = subprocess.run(command, capture_output=True, check=False)
    return done, (done.stdout + done.stderr).decode("utf-8", "replace")


def _compiler() -> list[str] | None:
    """The command of the system's C++ compiler, $CXX first."""
    if chosen := shlex.split(os.environ.get("CXX", "")):
        if shutil.which(chosen[0]) is None:
            raise CompileError(f"CXX is set to {chosen[0]!r}, which is no program that can be found")
        return chosen
    return next(([found] for name in ("c++", "g++", "clang++") if (found := shutil.which(name))), None)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@functools.cache
def _version(compiler: tuple[str, ...]) -> str:
    return _run([*compiler, "--version"])[1]


@functools.cache
def _processor() -> str:
    """The processor and its instruction sets: one name can stand for several in virtual machines."""
    listing = Path("/proc/cpuinfo")
    text = listing.read_text(encoding="utf-8", errors="replace") if listing.is_file() else ""
    flags = re.search(r"^(flags|Features)\s*:.*$", text, re.M)
    return f"{cpu_name()} {flags[0] if flags else ''}"


def _writable_folder() -> Path:
    folder = data_folder() / "native"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as problem:
        why = f"{shown(folder)} cannot be written: {problem.strerror}"
        _say_once(f"native: kernels are compiled anew in every run, as {why}")
        return _folder_of_this_process()


@functools.cache
def _folder_of_this_process() -> Path:
    # Not one to keep: another user could have put a library where we would look for ours.
    folder = Path(tempfile.mkdtemp(prefix="ladder-native-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _how_to_install() -> str:
    if sys.platform == "darwin":
        return "To have it: xcode-select --install"
    return "To have it, install one: sudo apt install g++ (Debian, Ubuntu), sudo dnf install gcc-c++ (Fedora)"


@functools.cache
def _say_once(line: str) -> None:
    print(line, file=sys.stderr)
