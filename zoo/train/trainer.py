"""Lightning's trainer: how it is set up, and what is said where it does not come to its end."""

from __future__ import annotations

import errno
import signal
from typing import TYPE_CHECKING, Any

from zoo.errors import InvalidValue, ZooError, counted, first_line, is_out_of_memory
from zoo.train.processes import Processes
from zoo.train.recipe import Recipe
from zoo.train.run_folder import RunFolder

if TYPE_CHECKING:
    import torch

_KINDS = ("cpu", "cuda", "mps")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Interrupted(ZooError):
    """A training was stopped by Ctrl-C or a scheduler; the message says what is kept.

    Args:
        message: For people.
        number: Of the signal that stopped it.
    """

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.number = number


def trainer_devices(
    device: torch.device | None, processes: Processes, *, shared: bool = False
) -> dict[str, Any]:
    """What Lightning's trainer is to be told of devices and processes.

    Args:
        device: Where to compute; None for one GPU in each process, if there are any. Without a number it is the
            first of its kind, and of several processes each has one of its own.
        processes: That train together.
        shared: Share the model out over them, instead of a copy in each.

    Raises:
        InvalidValue: Lightning cannot train there, or there are not as many devices as processes.
    """
    if device is not None and device.type not in _KINDS:
        raise InvalidValue(
            f"Lightning trains on {', '.join(_KINDS)}, and not on {device.type}; choose another device."
        )
    accelerator = "auto" if device is None else device.type
    number = None if device is None or device.type == "cpu" else device.index
    if processes.size == 1:
        return {"accelerator": accelerator, "devices": 1 if number is None else [number]}
    _check_enough(device, processes)
    return {
        "accelerator": accelerator,
        "devices": processes.local_size,
        "num_nodes": processes.size // processes.local_size,
        "strategy": _sharing(processes) if shared else "ddp",
        "use_distributed_sampler": False,  # ours deal the batches out themselves
    }


def _check_enough(device: torch.device | None, processes: Processes) -> None:
    """See that each process of this machine has a device of its own."""
    import torch

    if device is not None and device.type == "cpu":
        return
    if device is not None and device.index is not None:
        raise InvalidValue(
            f"Each of {processes.size} processes computes on a device of its own, and {device} is one. Leave its number out."
        )
    count = torch.cuda.device_count()
    wanted = device is not None or count > 0
    if wanted and count < processes.local_size:
        raise InvalidValue(
            f"{processes.local_size} processes were started on this machine, and this one sees {counted(count, 'GPU')}. "
            "Start as many as there are; let each see all of them (of SLURM ask for --gpus-per-node, not for "
            "--gpus-per-task); or train with --device cpu."
        )


def _sharing(processes: Processes) -> Any:
    from zoo.train.sharding import SharingStrategy

    return SharingStrategy(
        data_parallel_size=processes.size,
        tensor_parallel_size=1,
        save_distributed_checkpoint=False,
    )


def make_trainer(
    recipe: Recipe,
    folder: RunFolder,
    callbacks: list[Any],
    devices: dict[str, Any],
    *,
    progress: bool,
    tensorboard: bool,
) -> Any:
    """Lightning's trainer for a recipe; `devices` as `trainer_devices` gives them."""
    from lightning.pytorch import Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

    from zoo.train.checkpoints import WholeCheckpoints

    latest = ModelCheckpoint(
        dirpath=folder.path,
        filename=folder.checkpoint.stem,
        monitor=None,
        save_top_k=1,
        enable_version_counter=False,
        save_on_train_epoch_end=True,  # after validation and what we take down of it
    )
    sitting = f"sitting_{folder.sittings + 1}"
    loggers: list[Any] = [CSVLogger(folder.logs, name="", version=sitting)]
    if tensorboard:
        loggers.append(TensorBoardLogger(folder.logs, name="", version=sitting))
    return Trainer(
        max_epochs=recipe.epochs,
        **devices,
        precision="bf16-mixed" if recipe.precision == "bf16" else "32-true",
        gradient_clip_val=recipe.gradient_clip,
        logger=loggers,
        callbacks=[*callbacks, latest],
        plugins=[WholeCheckpoints()],
        enable_progress_bar=progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def run_trainer(
    trainer: Any,
    task: Any,
    train: Any,
    validation: Any,
    folder: RunFolder,
    *,
    resume: bool,
    go_on: str,
) -> None:
    """Let Lightning run the loop; where it does not come to its end, say what is kept, and the command to go on."""
    from zoo.train.interruption import Stopped
    from zoo.train.task import NotFinite

    checkpoint = str(folder.checkpoint) if resume and folder.checkpoint.exists() else None
    try:
        trainer.fit(task, train, validation, ckpt_path=checkpoint, weights_only=True)
    except Stopped as stop:
        raise Interrupted(
            f"Stopped {stop}. All of it is kept. Go on with: {go_on}", stop.number
        ) from None
    except (KeyboardInterrupt, SystemExit):
        kept = "Nothing was trained yet. Start again as before."
        if folder.checkpoint.exists():
            kept = (
                f"{counted(trainer.current_epoch, 'complete epoch')} {_are(trainer)} kept. "
                f"Go on with: {go_on}"
            )
        raise Interrupted(f"Stopped at once. {kept}") from None
    except (InvalidValue, OSError, MemoryError, RuntimeError) as error:
        told = _told(error, folder, go_on)
        if told is None:
            raise
        raise ZooError(told) from error
    except NotFinite as error:
        kept = "No epoch was complete, so that no weights are kept."
        if trainer.current_epoch:
            before = counted(trainer.current_epoch, "epoch")
            kept = f"The {before} before {_are(trainer)} kept in {folder.path}."
        raise NotFinite(
            f"{error} Training stops. {kept} Try a lower learning rate, gradient_clip, or precision '32'."
        ) from None


def _told(error: Exception, folder: RunFolder, go_on: str) -> str | None:
    """What is said of an error of the disk or the memory; None of any other."""
    if is_out_of_memory(error):
        return (
            f"There is not enough memory ({first_line(error):.160}). What was saved before is whole. Free some, or start "
            f"another run with a smaller --batch-size; this one goes on with: {go_on}"
        )
    failed = error if isinstance(error, OSError) else error.__cause__
    if not isinstance(error, InvalidValue | OSError) or not isinstance(failed, OSError):
        return None
    if not folder.path.is_dir():
        return (
            f"{folder.path} is gone, deleted or moved while it was trained into; what it held is all there is of "
            "this run."
        )
    mend = "Make room" if failed.errno in _NO_ROOM else "Mend that"
    return f"{first_line(error)} What was saved before is whole. {mend}, and go on with: {go_on}"


def _are(trainer: Any) -> str:
    """The verb to the epochs that are complete."""
    return "is" if trainer.current_epoch == 1 else "are"
