"""Parameters of the nodes at the ends of a transfer, and what is read from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.nodes.parameters import Parameters, Spec

if TYPE_CHECKING:
    from safe_o2o_ros.signature import SigningKey

SENDER_SPECS = (
    Spec("rate", 1.0, "Most that is sent, MB/s: what control needs of the link must stay free.", 0.001, 1e4),
    Spec("signing_key", "", "Private key (PEM) that signs what is sent; empty = unsigned."),
)


def signing_key(parameters: Parameters) -> SigningKey | None:
    """The key that signs, None where none is configured. Raises SignatureKeyError, MissingExtraError."""
    if not parameters["signing_key"]:
        return None
    from safe_o2o_ros.signature import SigningKey

    return SigningKey(Path(parameters["signing_key"]))


def folder(parameters: Parameters, name: str, what: str) -> Path:
    """The directory that a parameter names. Raises UsageError where it names none."""
    if not parameters[name]:
        raise UsageError(f"no directory is named for {what}: set the parameter '{name}'")
    return Path(parameters[name]).absolute()
