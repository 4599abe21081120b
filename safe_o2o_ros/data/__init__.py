"""Recorded experience: one append-only store for collecting, recording and fine-tuning.

Episode (episode.py) ──codec.encode──► bytes ──segments.SegmentWriter──► DIR/00000000.seg …
DIR ──segments.SegmentReader──► bytes ──codec.decode──► Episode
store.py joins the two: EpisodeWriter, EpisodeReader, manifest.json

Recordings of others come in as tracks, one a topic or column, and are laid on one grid:

bag ──bags.py, bag_recording.py──► tracks.Recording ──alignment.py──► Alignment
tub, folder ──tub.py, csv_folder.py──► rows.py──► tracks.Recording
Recording, Alignment ──recorded_episodes.py──► Episode
                     ──import_report.py, recorded_delay.py──► the report
Episode ──export_bag.py──► bag
"""

from safe_o2o_ros.data.episode import Episode
from safe_o2o_ros.data.store import EpisodeReader, EpisodeWriter, Manifest, read_manifest

__all__ = ["Episode", "EpisodeReader", "EpisodeWriter", "Manifest", "read_manifest"]
