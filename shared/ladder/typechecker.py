"""How tests check types and shapes: beartype, where an int will do for a float (PEP 484), and jaxtyping."""

from functools import cache
from pathlib import Path

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

check = beartype(conf=BeartypeConf(is_pep484_tower=True))


@cache
def check_shapes(root: Path) -> None:
    """From now on, modules of the house at `root` are imported so that each call checks shapes and types."""
    # tinyworld has no tensors, and pyright reads it: checked at every call, it would take ten times as long to write.
    written = ("tinyworld", "tinyworld_tuning")
    sources = [path for path in root.glob("shared/**/*.py") if path.parent.name not in written]
    sources += root.glob("phase??_*/**/*.py")
    modules = [
        ".".join(path.relative_to(root).with_suffix("").parts)
        for path in sources
        # Not the tests: their modules belong to pytest, which makes a failing assert show its values. Nor a package:
        # its name stands for all that is in it.
        # And not the plugin: pytest must see that its hooks are generators, which the wrappers hide.
        if not path.name.startswith(("test_", "conftest", "__", "pytest_plugin"))
    ]
    if modules:
        install_import_hook(modules, f"{__name__}.check")
