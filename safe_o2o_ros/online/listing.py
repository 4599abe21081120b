"""What there is to transfer: the store of a robot's experience, and the newest bundle of a learner."""

from __future__ import annotations

from pathlib import Path

from safe_o2o_ros.bundle import sha256
from safe_o2o_ros.data.framing import scan
from safe_o2o_ros.errors import BundleError, StoreError, TransferError
from safe_o2o_ros.manifest import MANIFEST_NAME, read_manifest
from safe_o2o_ros.online.chunks import Digest, Item

_LOOK_BYTES = 1 << 26
"""Read at most in one look: a store of many gigabytes is listed bit by bit."""


class StoreListing:
    """The files of a segment store, each up to the end of its last whole record."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._digests: dict[str, Digest] = {}
        self._seen: dict[str, tuple[int, int]] = {}
        self._items: dict[str, Item] = {}
        self._budget = 0

    def look(self) -> dict[Item, Path]:
        """Items and where they lie, the oldest segment first. Reads only what is new.

        A file that cannot be read now is left out.
        """
        found: dict[Item, Path] = {}
        self._budget = _LOOK_BYTES
        for path in [self._folder / "manifest.json", *sorted(self._folder.glob("*.seg"))]:
            try:
                item = self._look_at(path)
            except (OSError, StoreError, TransferError):
                self._seen.pop(path.name, None)
                self._digests.pop(path.name, None)
                continue
            if item is not None and item.size:
                found[item] = path
        return found

    def _look_at(self, path: Path) -> Item | None:
        stat = path.stat()
        state = (stat.st_size, stat.st_mtime_ns)
        if self._seen.get(path.name) == state:
            return self._items.get(path.name)
        if path.suffix == ".seg":
            end = stat.st_size - scan(path).tail
            digest = self._digests.get(path.name)
            if digest is None or digest.size > end:
                digest = self._digests[path.name] = Digest(path)
            step = min(end, digest.size + self._budget)
            self._budget -= step - digest.size
            item = Item(path.name, end, digest.advance(step))
            if step < end:
                return None
        else:
            item = Item(path.name, stat.st_size, sha256(path))
        self._seen[path.name], self._items[path.name] = state, item
        return item


def newest_bundle(folder: Path) -> dict[Item, Path]:
    """The files of the newest bundle in a folder of bundles, as a set named after version and manifest.

    {} where there is none yet. A directory that is not (yet) a whole bundle is left out.
    """
    bundles = [p for p in folder.glob("*") if not p.name.startswith(".") and (p / MANIFEST_NAME).is_file()]
    for path in sorted(bundles, key=lambda p: (p / MANIFEST_NAME).stat().st_mtime_ns, reverse=True):
        try:
            manifest = read_manifest(path)
            digest = sha256(path / MANIFEST_NAME)
            name = f"{manifest.version}-{digest[:8]}"
            files = {MANIFEST_NAME: digest, **manifest.files}
            return {
                Item(f"{name}/{file}", (path / file).stat().st_size, value): path / file
                for file, value in files.items()
            }
        except (OSError, BundleError):
            continue
    return {}
