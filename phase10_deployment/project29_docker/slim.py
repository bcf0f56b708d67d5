"""Takes out of an environment what only building and testing need: `python -I slim.py /opt/venv`.

It stays with what nobody imports when the server runs, and says what each part gave back.
"""

import shutil
import sys
from pathlib import Path

PARTS = {
    "pip and setuptools": ("pip", "pip-*", "setuptools", "setuptools-*", "_distutils_hack", "distutils-precedence.pth"),
    "torch's headers and tools": ("torch/include", "torch/share", "torch/bin/protoc*"),
    "tests": ("*/tests", "*/*/tests", "*/*/*/tests", "torch/test"),
    "stubs for type checkers": ("**/*.pyi",),
    "static libraries": ("**/*.a", "**/*.lib"),
}  # fmt: skip


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(one.lstat().st_size for one in path.rglob("*") if one.is_file() and not one.is_symlink())


def slim(environment: Path) -> dict[str, int]:
    """Remove the PARTS from an environment; returns the bytes of each."""
    freed = {}
    (packages,) = environment.glob("lib/python*/site-packages")
    for part, patterns in PARTS.items():
        freed[part] = 0
        for path in [path for pattern in patterns for path in packages.glob(pattern)]:
            if path.exists():
                freed[part] += size(path)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    for script in environment.glob("bin/pip*"):
        script.unlink()
    return freed


if __name__ == "__main__":
    for name, freed_bytes in slim(Path(sys.argv[1])).items():
        print(f"{name}: {freed_bytes / 1e6:,.1f} MB")
