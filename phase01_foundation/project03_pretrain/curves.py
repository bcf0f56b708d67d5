"""Curves of a run as it goes: TensorBoard, and Weights & Biases where that is wanted."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console


class Curves:
    """Writes the numbers and texts of a step to whatever is open; to nothing, where nothing is."""

    def __init__(self, tensorboard: Any = None, wandb: Any = None):
        self.tensorboard, self.wandb = tensorboard, wandb

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """One point of each curve."""
        if self.tensorboard:
            for name, value in values.items():
                self.tensorboard.add_scalar(name, value, step)
        if self.wandb:
            self.wandb.log(dict(values), step=step)

    def text(self, step: int, name: str, text: str) -> None:
        """A text, such as a sample, as it stood at this step."""
        if self.tensorboard:
            self.tensorboard.add_text(name, f"```\n{text}\n```", step)  # a code block keeps its line ends
        if self.wandb:
            self.wandb.log({name: text}, step=step)


@contextmanager
def curves(
    folder: Path,
    name: str,
    settings: Mapping[str, Any],
    tensorboard: bool,
    wandb: bool,
    step: int,
    console: Console,
) -> Iterator[Curves]:
    """Open what is wanted, for a run that goes on from `step`, and close it in the end.

    TensorBoard writes into `folder`/tensorboard, and forgets what an earlier part of the run wrote after `step`. A
    missing TensorBoard is said once, and the run goes on without. Raises ValueError where W&B is wanted and is not
    installed.
    """
    if wandb and not find_spec("wandb"):
        raise ValueError("wandb is wanted and not installed: pip install wandb, or leave it out")
    open_curves = Curves()
    if tensorboard and find_spec("tensorboard"):
        from torch.utils.tensorboard import SummaryWriter  # a second of imports, which only training needs

        open_curves.tensorboard = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
    elif tensorboard:
        console.print(
            "TensorBoard is not installed, so no curves are written: pip install tensorboard", highlight=False
        )
    if wandb:
        import wandb as module  # pyright: ignore[reportMissingImports]

        open_curves.wandb = module.init(
            project="llm-ladder", name=name, config=dict(settings), resume="allow"
        )
    try:
        yield open_curves
    finally:
        if open_curves.tensorboard:
            open_curves.tensorboard.close()
        if open_curves.wandb:
            open_curves.wandb.finish()
