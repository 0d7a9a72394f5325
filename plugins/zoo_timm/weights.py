"""Pretrained weights of timm architectures: found where timm says they are, read from safetensors only.

A file whose tensor names and shapes are the model's own is read here. Any other one goes through timm's own loader, which
renames tensors of older releases and adapts the first convolution.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo import Offline, WeightsError, offline

_INSIDE = "model.safetensors"


def load(model: Any, architecture: str, source: bool | str, options: dict[str, Any]) -> None:  # noqa: FBT001 - contract of a backbone
    """Give a whole timm model pretrained weights.

    Args:
        model: As `timm.create_model` gave it.
        architecture: Its name, with the tag that says which weights.
        source: True for those that timm names; else a safetensors file, or a folder that holds one.
        options: What the model was built with.

    Raises:
        WeightsError: There are none, they cannot be got, or they are of another model.
        Offline: They are not cached, and the network is switched off.
    """
    name = f"timm/{architecture}"
    path = _published(name, model.pretrained_cfg) if source is True else _given(str(source), name)
    tensors = _read(path, name)
    classifier = model.get_classifier()
    if _fits(model, tensors) or _fits(_with_classes_of(model, classifier, tensors), tensors):
        model.load_state_dict(tensors, assign=True)
        return
    classes = {"num_classes": model.num_classes}  # of a file with others timm drops the classifier
    try:
        other = timm.create_model(
            architecture,
            pretrained=True,
            pretrained_cfg_overlay={"file": str(path), "source": None, **classes},
            **{**options, **classes},
        )
        model.load_state_dict(other.state_dict(), assign=True)
    except Exception as error:
        raise WeightsError(f"{path} does not hold {name}: {_difference(model, tensors)}") from error


def _published(name: str, config: dict[str, Any]) -> Path:
    """Find the file that timm names for an architecture: local, cached, or downloaded by its hub client."""
    if config.get("file"):
        return _given(str(config["file"]), name)
    repository, file = config.get("hf_hub_id"), config.get("hf_hub_filename") or _INSIDE
    if not repository:
        pickled = (
            " but a pickle, which is not opened because it can run code"
            if config.get("url")
            else ""
        )
        raise WeightsError(
            f"timm publishes no weights for {name}{pickled}. Leave 'pretrained' out, or give a "
            'safetensors file: pretrained="/path/to/file.safetensors".'
        )
    return _from_hub(name, repository, file)


def _from_hub(name: str, repository: str, file: str) -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    repository, _, revision = repository.partition("@")
    if offline():  # the client asks the hub other things even where it may only look into its cache
        cached = try_to_load_from_cache(repository, file, revision=revision or None)
        if isinstance(cached, str):
            return Path(cached)
        raise Offline(
            f"The weights of {name} are not cached, and ZOO_OFFLINE forbids the network. Unset it, or give a "
            'file: pretrained="/path/to/file.safetensors".'
        )
    try:
        return Path(hf_hub_download(repository, file, revision=revision or None))
    except LocalEntryNotFoundError as error:  # a kind of the next, but it says that nobody answered
        raise WeightsError(
            f"The weights of {name} are not cached, and {repository} cannot be reached. Try again when it can, or "
            'give a file: pretrained="/path/to/file.safetensors".'
        ) from error
    except EntryNotFoundError as error:
        raise WeightsError(
            f"{repository}, where timm keeps the weights of {name}, has no {file}."
        ) from error
    except Exception as error:
        raise WeightsError(
            f"The weights of {name} could not be got from {repository}, and are not in the local cache "
            f'({type(error).__name__}). With no network, give a file: pretrained="/path/to/{_INSIDE}".'
        ) from error


def _given(source: str, name: str) -> Path:
    path = Path(source).expanduser()
    if path.is_dir():
        path = path / _INSIDE
    if not path.is_file():
        raise WeightsError(f"pretrained: there is no file {str(path)!r} with weights for {name}.")
    return path


def _read(path: Path, name: str) -> dict[str, Tensor]:
    """Read a file, as tensors.

    They are copied out of its mapping: what becomes of the file later must not reach them, and libraries of linear
    algebra add in another order where memory is not aligned, so that the last bits would differ from timm's.
    """
    try:
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except SafetensorError as error:
        with path.open("rb") as file:
            start = file.read(2)
        if start == b"PK" or start[:1] == b"\x80":
            raise WeightsError(
                f"{path} is a pickle, which is not opened because it can run code. Give {name} a safetensors file."
            ) from None
        raise WeightsError(
            f"{path} is no whole safetensors file ({path.stat().st_size} bytes): {error}."
        ) from None


def _fits(model: nn.Module, tensors: dict[str, Tensor]) -> bool:
    own = model.state_dict()
    return own.keys() == tensors.keys() and all(
        own[name].shape == tensor.shape and own[name].dtype == tensor.dtype
        for name, tensor in tensors.items()
    )


def _with_classes_of(model: Any, classifier: Any, tensors: dict[str, Tensor]) -> Any:
    """Give the model a classifier for as many classes as the file's has."""
    path = next((name for name, module in model.named_modules() if module is classifier), "")
    weight = tensors.get(f"{path}.weight")
    width = getattr(classifier, "in_features", getattr(classifier, "in_channels", None))
    if (
        weight is not None
        and weight.ndim in {2, 4}
        and weight.shape[1] == width
        and len(weight) != getattr(classifier, "out_features", len(weight))
    ):
        model.reset_classifier(len(weight))
    return model


def _difference(model: nn.Module, tensors: dict[str, Tensor]) -> str:
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    missing = sorted(own.keys() - tensors.keys())
    extra = sorted(tensors.keys() - own.keys())
    other = sorted(n for n in own.keys() & tensors.keys() if own[n] != tuple(tensors[n].shape))
    parts = []
    if missing:
        parts.append(f"{len(missing)} tensors are missing, first {missing[0]!r}")
    if extra:
        parts.append(f"{len(extra)} are not the model's, first {extra[0]!r}")
    if other:
        n = other[0]
        parts.append(
            f"{len(other)} have another shape, first {n!r}: {tuple(tensors[n].shape)}, not {own[n]}"
        )
    return "; ".join(parts) + "."
