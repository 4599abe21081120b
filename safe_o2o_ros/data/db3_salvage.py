"""What can be read of a rosbag2 SQLite file that is cut or damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from safe_o2o_ros.data.mcap_salvage import Channel
from safe_o2o_ros.errors import RecordingError


@dataclass
class Db3Salvage:
    """Reads rows in the order they were written until damage stops it; `losses` grows while it does."""

    path: Path
    losses: list[str] = field(default_factory=list)
    """One sentence for each part that could not be read."""

    def messages(self) -> Iterator[tuple[Channel, int, bytes]]:
        """(channel, receipt in ns, CDR data). Raises RecordingError where not even the topics can be read."""
        self.losses.clear()
        try:
            # Not immutable: what a killed recorder left in its write-ahead log is read too.
            connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)
        except sqlite3.Error as error:
            raise RecordingError(f"{self.path} cannot be opened ({error}): check the path") from error
        with closing(connection):
            # Without it SQLite refuses a file that is shorter than its header says, however much is there.
            connection.execute("PRAGMA writable_schema=ON")
            channels = self._channels(connection)
            try:
                rows = connection.execute(
                    "SELECT topic_id, timestamp, data FROM messages NOT INDEXED ORDER BY id"
                )
                for topic, stamp, data in rows:
                    if topic in channels and isinstance(stamp, int) and isinstance(data, bytes):
                        yield channels[topic], stamp, data
                    else:
                        self.losses.append(f"{self.path.name}: a row is damaged")
            except sqlite3.Error as error:
                self.losses.append(f"{self.path.name} is damaged or cut: reading stopped ({error})")

    def _channels(self, connection: sqlite3.Connection) -> dict[int, Channel]:
        try:
            found = connection.execute("SELECT id, name, type FROM topics").fetchall()
        except sqlite3.Error as error:
            raise RecordingError(
                f"{self.path} is no rosbag2 database, or damaged beyond its topics ({error}): restore it"
            ) from error
        definitions: dict[str, tuple[str, str]] = {}
        try:
            rows = connection.execute(
                "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
            )
            definitions = {str(kind): (str(text), str(encoding)) for kind, encoding, text in rows}
        except sqlite3.Error:
            pass  # older files have no such table
        return {
            key: Channel(str(name), str(kind), *definitions.get(str(kind), ("", "")))
            for key, name, kind in found
        }
