"""The data that a run was trained on, as it noted them, where they are now."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from zoo.errors import InvalidValue
from zoo.train.data import KNOWN
from zoo.train.data.request import DataRequest

if TYPE_CHECKING:
    from zoo.train.run_folder import RunFolder


def noted_request(folder: RunFolder) -> DataRequest:
    """The data that a run was started with.

    Raises:
        InvalidValue: It does not say so.
    """
    try:
        return msgspec.convert(folder.read().get("request"), DataRequest)
    except msgspec.ValidationError as error:
        raise InvalidValue(
            f"{folder.path}: run.json does not say which data it was started with ({error}); zoo train did not start it."
        ) from None


def with_noted_data(
    args: Namespace, noted: DataRequest, folder: RunFolder, command: str
) -> Namespace:
    """The arguments of a command, with what they leave out of the data taken from a run.

    Of data with another name than the run's nothing is taken, as they may have other columns.

    Args:
        args: Of the command.
        noted: The data of the run.
        folder: Of the run.
        command: To be typed with the option that says where the data are now.

    Raises:
        InvalidValue: The data are where they were no more.
    """
    data = args.data or noted.what
    if Path(data).resolve().name != Path(noted.what).resolve().name:
        return args
    root = args.root or (noted.root if data in KNOWN else None)
    option, place = ("data", data) if data not in KNOWN else ("root", root)
    if getattr(args, option) is None and place is not None and not Path(place).exists():
        raise InvalidValue(
            f"{folder.path} was started with data at {place}, where nothing is now. Say where they are: "
            f"{command} --{option} PATH"
        )
    columns = {"text": args.text or noted.text, "label": args.label or noted.label}
    return Namespace(**{**vars(args), "data": data, "root": root, **columns})
