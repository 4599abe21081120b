"""A manifest that is not exactly what this software reads is refused, and the field is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.errors import BundleMissingError, BundleSchemaError, BundleVersionError
from safe_o2o_ros.manifest import MANIFEST_NAME, Manifest, View, read_manifest

Json = dict[str, Any]
DELETE = object()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Json]:
    directory = tmp_path_factory.mktemp("manifest") / "bundle"
    manifest = write_tiny_bundle(directory)
    return manifest, json.loads((directory / MANIFEST_NAME).read_text())


@pytest.fixture
def refuse(written: tuple[Manifest, Json], tmp_path: Path) -> Callable[[str, Any], str]:
    """Change one dotted field, and return the sentence with which the manifest is refused."""

    def change(field: str, value: Any) -> str:
        data = json.loads(json.dumps(written[1]))
        *path, last = field.split(".")
        node = data
        for name in path:
            node = node[name]
        if value is DELETE:
            del node[last]
        else:
            node[last] = value
        (tmp_path / MANIFEST_NAME).write_text(json.dumps(data))
        with pytest.raises(BundleSchemaError) as caught:
            read_manifest(tmp_path)
        message = str(caught.value)
        assert "\n" not in message
        return message

    return change


def test_what_is_written_is_read_back_infinite_limits_included(
    written: tuple[Manifest, Json], tmp_path: Path
) -> None:
    manifest, data = written
    assert data["adapter"]["max_accel"] == [None, None]
    (tmp_path / MANIFEST_NAME).write_text(manifest.to_json())
    assert read_manifest(tmp_path) == manifest


VIEW = {"fovy_deg": 60.0, "position": [0.2, 0, 0.3], "xyaxes": [0, -1, 0, 0, 0, 1]}


def test_views_are_optional_and_read_back(written: tuple[Manifest, Json], tmp_path: Path) -> None:
    manifest, data = written
    assert manifest.views == {} and "views" not in data
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(data | {"views": {"front": VIEW}}))
    read = read_manifest(tmp_path)
    assert read.views == {"front": View(60.0, (0.2, 0.0, 0.3), (0.0, -1.0, 0.0, 0.0, 0.0, 1.0))}
    (tmp_path / MANIFEST_NAME).write_text(read.to_json())
    assert read_manifest(tmp_path) == read


@pytest.mark.parametrize(
    ("views", "words"),
    [
        ({"left": VIEW}, "views.left is of a camera that image.cameras lacks"),
        ({"front": VIEW | {"fovy_deg": 180.0}}, "views.front: fovy_deg is 180"),
        ({"front": VIEW | {"position": [0.0, 1.0]}}, "position must be three"),
        ({"front": VIEW | {"xyaxes": [0.0, 1.0]}}, "xyaxes must be six"),
        ({"front": VIEW | {"xyaxes": [0, 1, 0, 0, 2, 0]}}, "not parallel"),
        ({"front": {"fovy_deg": 60.0}}, "lacks the field 'position'"),
        ([], "views must be an object"),
    ],
)
def test_views_no_camera_can_have_are_refused(
    refuse: Callable[[str, Any], str], views: Any, words: str
) -> None:
    assert words in refuse("views", views)


def test_a_directory_without_a_manifest_is_missing(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BundleMissingError, match=r"manifest\.json is missing"):
            read_manifest(directory)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"schema_version": NaN}', b"[1", b"null"])
def test_bytes_that_are_not_json_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / MANIFEST_NAME).write_bytes(content)
    with pytest.raises(BundleSchemaError, match="JSON|schema_version"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("content", ["[]", "3", "{}", '"schema_version"'])
def test_json_that_is_not_a_manifest_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST_NAME).write_text(content)
    with pytest.raises(BundleSchemaError, match="no schema_version"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_schema_version_is_its_own_refusal(
    version: object, written: tuple[Manifest, Json], tmp_path: Path
) -> None:
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(written[1] | {"schema_version": version}))
    with pytest.raises(BundleVersionError, match=f"schema version {version}, this software reads 1"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "field", ["task", "image", "image.cameras", "adapter.brake", "latent.size", "thresholds.risk", "files"]
)
def test_a_missing_field_is_named(field: str, refuse: Callable[[str, Any], str]) -> None:
    assert f"lacks the field '{field.split('.')[-1]}'" in refuse(field, DELETE)


@pytest.mark.parametrize("field", ["colour", "image.colour", "adapter.colour", "thresholds.colour"])
def test_an_unknown_field_is_named(field: str, refuse: Callable[[str, Any], str]) -> None:
    assert "has an unknown field 'colour'" in refuse(field, 1)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("task", 7, "task must be of type str, not int"),
        ("parent", 7, "parent must be of type str, not int"),
        ("period_s", "0.08", "period_s must be of type float, not str"),
        ("period_s", None, "period_s must be of type float, not NoneType"),
        ("action_repeat", 4.0, "action_repeat must be of type int, not float"),
        ("action_repeat", True, "action_repeat must be of type int, not bool"),
        ("image", [64, 64], "image must be an object"),
        ("image.cameras", "front", "image: cameras must be a list"),
        ("image.cameras", [1], "cameras must be of type str, not int"),
        ("adapter.scale", {"x": 1}, "adapter: scale must be a list"),
        ("adapter.scale", ["a", "b"], "scale must be of type float, not str"),
        ("files", [], "files must be an object"),
        ("seeds", {"training": [0, 9]}, "seeds must be a list"),
        ("normalisation", {"return_std": "1"}, "normalisation must be of type float, not str"),
    ],
)
def test_a_mistyped_field_is_named_with_both_types(
    field: str, value: object, words: str, refuse: Callable[[str, Any], str]
) -> None:
    assert words in refuse(field, value)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("image.cameras", [], "image.cameras must be distinct"),
        ("image.cameras", ["front", "front"], "image.cameras must be distinct"),
        ("image.height", 0, "image.height"),
        ("action_repeat", 0, "action_repeat must be positive"),
        ("period_s", 0.0, "period_s must be positive"),
        ("latent.state_size", 0, "latent sizes must be positive"),
        ("expansion.proposals", 3, "proposals must be 1 or 2"),
        ("expansion.temperature", -1.0, "temperature"),
        ("expansion.hold_ticks", -1, "hold_ticks"),
        ("seeds", {"training": [[5]]}, r"seeds.training must be a list of [first, last]"),
        ("seeds", {"training": [[9, 0]]}, r"seeds.training must be a list of [first, last]"),
        ("adapter.saturation", [0.0, 1.0], "adapter.saturation"),
        ("adapter.scale", [None, 1.0], "adapter.scale"),
        ("adapter.top_speed", [1.5], "adapter.action_names and all other lists"),
        ("adapter.time_constant_s", [0.0, 0.1], "brakes by reverse_thrust"),
    ],
)
def test_an_impossible_value_is_named(
    field: str, value: object, words: str, refuse: Callable[[str, Any], str]
) -> None:
    assert words in refuse(field, value)


def test_an_infinite_number_is_refused(refuse: Callable[[str, Any], str], written: Any) -> None:
    # json.dumps writes the constants Infinity and NaN; 1e999 is a number that reads as infinity.
    assert "Infinity is not a JSON number" in refuse("thresholds.risk", float("inf"))
    assert "NaN is not a JSON number" in refuse("period_s", float("nan"))


def test_a_number_too_large_for_a_float_is_refused(written: tuple[Manifest, Json], tmp_path: Path) -> None:
    text = json.dumps(written[1]).replace('"period_s": 0.08', '"period_s": 1e999')
    (tmp_path / MANIFEST_NAME).write_text(text)
    with pytest.raises(BundleSchemaError, match="period_s must be positive"):
        read_manifest(tmp_path)


def test_a_seed_is_used_inside_a_reserved_range_and_at_its_ends(written: tuple[Manifest, Json]) -> None:
    manifest = written[0]  # training: 0..9
    assert [manifest.uses_seed(s) for s in (-1, 0, 9, 10)] == [None, "training", "training", None]
