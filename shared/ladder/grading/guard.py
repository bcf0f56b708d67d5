"""Sees what a submission does besides solving its tasks, while its tests run in the same process.

A hook of Python's audit events, which nothing can take off again, refuses to open what the submission has no business
with: the reference, other submissions, the tests' own files. A seal notes which functions of libraries were replaced.
This holds back plain cheats. What starts another process, or calls C by itself, is held back by a sandbox only.
"""

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FrameType, FunctionType, ModuleType
from typing import Any

INSPECTS = ("gc.get_objects", "gc.get_referrers", "gc.get_referents", "sys._getframe", "sys._current_frames")
CHANGES = ("sys.addaudithook", "sys.settrace", "sys.setprofile")
PROCESSES = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "os.forkpty",
    "ctypes.dlopen",
)
PATHS = {
    "open": 0,
    "os.listdir": 0,
    "os.scandir": 0,
    "os.symlink": 0,
    "os.link": 0,
    "os.rename": 0,
    "os.chdir": 0,
}
"""events whose argument is a path"""
PRIVATE = ("mem", "maps", "environ", "cmdline", "fd", "root", "cwd", "task")  # of a process, in /proc
LENT = (
    "inspect.py",
    "pathlib.py",
    "tokenize.py",
    "linecache.py",
    "codecs.py",
    "io.py",
    "shutil.py",
    "glob.py",
    "os.py",
)
"""modules that do what their caller asks for: the caller counts"""


def watch(
    theirs: str,
    outside: Iterable[str],
    inside: Iterable[str],
    private: Iterable[str],
    report: Callable[..., None],
) -> None:
    """From now on, refuse and report what code in the folder `theirs` is not to do, in this process.

    Nobody opens what lies in the folders `outside`, but for the folders `inside` of them. Code in `theirs` opens none
    of the files `private`, which are the tests and the stubs of its tasks.
    """
    own = _folder(theirs)
    closed, opened = _folders(outside), (*_folders(inside), own)
    secret = {os.path.realpath(path) for path in private}
    busy = False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal busy
        if busy or not (event in PATHS or event in INSPECTS or event in CHANGES or event in PROCESSES):
            return
        busy = True
        try:
            frame = sys._getframe(1)
            if event in PATHS:
                fault = _path_fault(arguments[PATHS[event]], frame)
            elif event in PROCESSES:
                fault = ""
                if _is_theirs(frame, own):
                    report("noted", what=f"it calls {event}")
            else:
                fault = f"it calls {event}" if _is_theirs(frame, own) else ""
            if fault:
                report("refused", what=fault)
        finally:
            busy = False
        if fault:
            raise PermissionError(f"{fault}, which a solution has no need of")

    def _path_fault(path: Any, frame: FrameType) -> str:
        if not isinstance(path, str | bytes | os.PathLike):
            return ""
        name = os.path.abspath(os.fsdecode(path))
        if not f"{name}{os.sep}".startswith((*closed, "/proc/")) and name not in secret:
            return ""
        if name.startswith("/proc/"):
            is_private = any(part in PRIVATE for part in name.split("/")[3:])
            return f"it opens {name}" if is_private and _is_theirs(frame, own) else ""
        if name in secret:
            return (
                f"it opens {os.path.basename(name)} of the tests or the stubs"
                if _is_theirs(frame, own)
                else ""
            )
        return "" if f"{name}{os.sep}".startswith(opened) else f"it opens {name}"

    sys.addaudithook(hook)


def _is_theirs(frame: FrameType | None, own: str) -> bool:
    """Whether the submission asks for this, itself or through a module that does what its caller asks for."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(own):
            return True
        # Code that was made from a text, as by exec, belongs to whoever runs it.
        if not (name.startswith("<") or os.path.basename(name) in LENT or "/pathlib/" in name):
            return False
        frame = frame.f_back
    return False


def _folder(path: str) -> str:
    return os.path.realpath(path).rstrip(os.sep) + os.sep


def _folders(paths: Iterable[str]) -> tuple[str, ...]:
    """As they are named, and as they are without links."""
    return tuple(
        name for path in paths for name in {os.path.abspath(path).rstrip(os.sep) + os.sep, _folder(path)}
    )


class Seal:
    """Which functions and methods the loaded modules have, to see later which of them were replaced."""

    def __init__(self) -> None:
        self.modules = {
            name: module for name, module in sys.modules.items() if isinstance(module, ModuleType)
        }
        self.functions = {name: _callables(vars(module)) for name, module in self.modules.items()}
        self.methods = {
            name: {
                owner: _callables(vars(value))
                for owner, value in functions.items()
                if isinstance(value, type) and value.__module__ == name
            }
            for name, functions in self.functions.items()
        }

    def broken(self, theirs: str) -> list[str]:
        """The names of what was replaced by something from elsewhere, as `builtins.sum`. `theirs` is a folder."""
        own, found = _folder(theirs), []
        for name, module in self.modules.items():
            if sys.modules.get(name) is not module:
                found.append(name)
            found += [f"{name}.{one}" for one in _replaced(self.functions[name], vars(module), name, own)]
            for owner, methods in self.methods[name].items():
                space = vars(self.functions[name][owner])
                found += [f"{name}.{owner}.{one}" for one in _replaced(methods, space, name, own)]
                added = [one for one in space if one not in methods and _is_from(space[one], own)]
                found += [f"{name}.{owner}.{one}" for one in added]
        return found


def _callables(space: Mapping[str, Any]) -> dict[str, Any]:
    wrapped = (staticmethod, classmethod, property)
    # Some names only tell that they are deprecated, to whoever asks.
    with warnings.catch_warnings(action="ignore"):
        found = [pair for pair in list(space.items()) if callable(pair[1]) or isinstance(pair[1], wrapped)]
    return dict(found)


def _replaced(known: Mapping[str, Any], space: Mapping[str, Any], module: str, own: str) -> Iterator[str]:
    for name, value in known.items():
        if (now := space.get(name)) is not value and not _is_at_home(now, module, own):
            yield name


def _is_from(value: Any, own: str) -> bool:
    """Whether a function was written by the submission, or made from a text by whoever."""
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    if isinstance(value, property):
        value = value.fget
    return isinstance(value, FunctionType) and value.__code__.co_filename.startswith((own, "<string>"))


def _is_at_home(value: Any, module: str, own: str) -> bool:
    """Whether a new value comes from the package that it is in: libraries complete themselves as they are used."""
    if value is None or _is_from(value, own):
        return False
    home = type(value).__module__
    with contextlib.suppress(
        Exception
    ):  # some stand for a module, and import it when they are asked anything
        home = value.__module__ or home
    return str(home).partition(".")[0] == module.partition(".")[0]
