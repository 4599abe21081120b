"""Ed25519 signatures of a bundle's manifest, which holds the hash of every other file.

What is signed is the manifest's JSON without the field `signature`, in one canonical form, so that white
space does not matter and everything else does. Keys are PEM files. `cryptography` is imported only
where a key is used.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safe_o2o_ros.errors import BundleSignatureError, MissingExtraError, SignatureKeyError, TransferError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    from safe_o2o_ros.manifest import Manifest

FIELD = "signature"
_CONTEXT = b"safe_o2o_ros bundle manifest\n"
"""Stands before what is signed: a signature for this is one for nothing else."""


def signed_bytes(manifest: dict[str, Any]) -> bytes:
    """What a signature of the manifest, given as parsed JSON, covers."""
    plain = {key: value for key, value in manifest.items() if key != FIELD}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return _CONTEXT + text.encode("ascii")


class TrustedKey:
    """The public key whose signature a bundle must carry."""

    def __init__(self, path: Path) -> None:
        """Read a PEM file. Raises SignatureKeyError, MissingExtraError."""
        self._key = _public_key(path)
        self._path = path

    def verify(self, manifest: dict[str, Any], where: str) -> None:
        """Check the manifest, given as parsed JSON. Raises BundleSignatureError.

        `where`: the bundle, for the message.
        """
        signature = manifest.get(FIELD)
        if not signature:
            raise BundleSignatureError(
                f"bundle '{where}' is not signed, and {self._path} is configured: "
                "sign it with `safe-o2o sign` on the machine that has the key"
            )
        if not self.fits(signature, signed_bytes(manifest)):
            raise BundleSignatureError(
                f"the signature of bundle '{where}' is not by {self._path}: its manifest was changed after "
                "signing, or another key has signed it"
            )

    def fits(self, signature: object, data: bytes) -> bool:
        """Whether `signature` (hex) is this key's for `data`."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(bytes.fromhex(signature), data)  # type: ignore[arg-type]
        except (InvalidSignature, ValueError, TypeError):
            return False
        return True


def check_manifest(key: Path, manifest: Manifest) -> None:
    """Check a manifest that was read before, by the public key in a file.

    Raises BundleSignatureError, SignatureKeyError, MissingExtraError.
    """
    TrustedKey(key).verify(json.loads(manifest.to_json()), manifest.version)


class SigningKey:
    """The private key that signs."""

    def __init__(self, path: Path) -> None:
        """Read a PEM file. Raises SignatureKeyError, MissingExtraError."""
        self._key = _private_key(path)

    def sign(self, manifest: dict[str, Any]) -> str:
        """The signature, hex, of a manifest given as parsed JSON."""
        return self.sign_bytes(signed_bytes(manifest))

    def sign_bytes(self, data: bytes) -> str:
        """The signature, hex."""
        return self._key.sign(data).hex()


_CATALOGUE = b"safe_o2o_ros catalogue\n"


def seal(text: str, key: SigningKey | None) -> str:
    """A text with its signature, as JSON; without one where there is no key."""
    signature = None if key is None else key.sign_bytes(_CATALOGUE + text.encode())
    return json.dumps({"text": text, "signature": signature})


def unseal(message: str, key: TrustedKey | None) -> str:
    """The text of a sealed one. Raises TransferError, and where a key is given BundleSignatureError."""
    try:
        data = json.loads(message)
        text, signature = data["text"], data["signature"]
        if not isinstance(text, str):
            raise TypeError("its text is none")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TransferError(f"not a sealed text ({error!r}): check what publishes it") from error
    if key is not None and not (
        isinstance(signature, str) and key.fits(signature, _CATALOGUE + text.encode())
    ):
        raise BundleSignatureError(
            "a catalogue is not signed by the trusted key: give the other end the key that belongs to it"
        )
    return text


def write_keys(path: Path) -> Path:
    """Make a private key at `path` (mode 0600) and the public one beside it, `path`.pub; returns that.

    Raises SignatureKeyError where either exists or cannot be written, and MissingExtraError.
    """
    _require()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    target = path.with_name(path.name + ".pub")
    for file, data, mode in ((path, private, 0o600), (target, public, 0o644)):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
        except FileExistsError as error:
            raise SignatureKeyError(f"{file} exists: choose another name, a key is never replaced") from error
        except OSError as error:
            raise SignatureKeyError(f"the key cannot be written to {file} ({error.strerror})") from error
    return target


def _public_key(path: Path) -> Ed25519PublicKey:
    _require()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SignatureKeyError(
            f"{path} holds no public key: give the .pub file of `safe-o2o keygen`"
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise SignatureKeyError(f"{path} is no Ed25519 key: make one with `safe-o2o keygen`")
    return key


def _private_key(path: Path) -> Ed25519PrivateKey:
    _require()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SignatureKeyError(
            f"{path} holds no private key: give the file `safe-o2o keygen` made"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureKeyError(f"{path} is no Ed25519 key: make one with `safe-o2o keygen`")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SignatureKeyError(
            f"the key {path} cannot be read ({error.strerror}): check its path"
        ) from error


def _require() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "signatures need the package cryptography: run `pip install 'safe_o2o_ros[sign]'`"
        ) from error
