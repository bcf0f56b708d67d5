"""Curves of a run as it goes: TensorBoard, and Weights & Biases where that is wanted."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console

from shared.files import write_text


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
    missing TensorBoard is said once, and the run goes on without. W&B knows a run by its id, which is kept in
    `folder`/wandb.id, so that a resumed run draws on; one that begins anew gets a new id.
    """
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

        mark = folder / "wandb.id"
        if step == 0 or not mark.exists():
            write_text(mark, secrets.token_hex(4))
        open_curves.wandb = module.init(
            project="llm-ladder", name=name, id=mark.read_text(), config=dict(settings), resume="allow"
        )
    try:
        yield open_curves
    finally:
        if open_curves.tensorboard:
            open_curves.tensorboard.close()
        if open_curves.wandb:
            open_curves.wandb.finish()
