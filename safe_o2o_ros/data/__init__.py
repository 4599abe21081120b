"""Recorded experience: one append-only store for collecting, recording and fine-tuning.

Episode (episode.py) ──codec.encode──► bytes ──segments.SegmentWriter──► DIR/00000000.seg …
DIR ──segments.SegmentReader──► bytes ──codec.decode──► Episode
store.py joins the two: EpisodeWriter, EpisodeReader, manifest.json
"""

from safe_o2o_ros.data.episode import Episode
from safe_o2o_ros.data.store import EpisodeReader, EpisodeWriter, Manifest, read_manifest

__all__ = ["Episode", "EpisodeReader", "EpisodeWriter", "Manifest", "read_manifest"]
