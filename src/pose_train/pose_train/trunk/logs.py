"""Training curves for TensorBoard, and for Weights & Biases where somebody wants them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pose_train.trunk.task import Told

EVERY = 20
"""Steps between two points of a curve."""


@contextmanager
def open_logs(folder: Path, wandb_project: str, settings: Mapping[str, Any]) -> Iterator[Told]:
    """A function that logs what was measured at a step, into `folder`/tensorboard.

    Raises ValueError where `wandb_project` is given and the package wandb is not installed.
    """
    from torch.utils.tensorboard import SummaryWriter

    wandb = _wandb(wandb_project, folder, settings) if wandb_project else None
    writer = SummaryWriter(str(folder / "tensorboard"))

    def log(step: int, measured: Mapping[str, float]) -> None:
        if "loss" in measured and step % EVERY:
            return
        group = "training" if "loss" in measured else "validation"
        for name, value in measured.items():
            writer.add_scalar(f"{group}/{name}", value, step)
        if wandb:
            wandb.log({f"{group}/{name}": value for name, value in measured.items()}, step=step)

    try:
        yield log
    finally:
        writer.close()
        if wandb:
            wandb.finish()


def _wandb(project: str, folder: Path, settings: Mapping[str, Any]) -> Any:
    try:
        import wandb
    except ImportError:
        raise ValueError(
            "logging to Weights & Biases needs the package wandb: pip install 'pose-pipeline[wandb]', or pip install wandb"
        ) from None
    return wandb.init(project=project, dir=str(folder), config=dict(settings), resume="allow")
