"""Signatures: made, verified, refused; and what is told of keys that are none."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.bundle import load_bundle, rewritten, sha256, sign_bundle
from safe_o2o_ros.cli.main import main
from safe_o2o_ros.errors import BundleSignatureError, SignatureKeyError
from safe_o2o_ros.manifest import MANIFEST_NAME, read_manifest
from safe_o2o_ros.signature import SigningKey, TrustedKey, signed_bytes, write_keys


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ours", "theirs"):
        write_keys(folder / name)
    return folder


@pytest.fixture
def bundle(tmp_path):
    write_tiny_bundle(tmp_path / "bundle")
    return tmp_path / "bundle"


def test_a_signed_bundle_loads_where_its_key_is_trusted_and_everywhere_else(bundle, keys):
    before = read_manifest(bundle)
    sign_bundle(bundle, SigningKey(keys / "ours"))
    after = load_bundle(bundle, trusted=TrustedKey(keys / "ours.pub")).manifest
    assert load_bundle(bundle).manifest == after
    assert after.signature and len(bytes.fromhex(after.signature)) == 64
    assert after.version == before.version


def test_unsigned_forged_and_changed_are_refused_each_in_its_words(bundle, keys):
    trusted = TrustedKey(keys / "ours.pub")
    with pytest.raises(BundleSignatureError, match="is not signed"):
        load_bundle(bundle, trusted=trusted)
    sign_bundle(bundle, SigningKey(keys / "theirs"))
    with pytest.raises(BundleSignatureError, match="another key has signed it"):
        load_bundle(bundle, trusted=trusted)
    sign_bundle(bundle, SigningKey(keys / "ours"))
    rewritten(bundle, bundle.parent / "other", read_manifest(bundle))
    with pytest.raises(BundleSignatureError, match="is not signed"):
        load_bundle(bundle.parent / "other", trusted=trusted)


@pytest.mark.parametrize("signature", ["zz", "00", "é", 7, ["00"], "00" * 64])
def test_what_is_no_signature_is_refused(signature, bundle, keys):
    path = bundle / MANIFEST_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | {"signature": signature}))
    with pytest.raises(BundleSignatureError):
        load_bundle(bundle, trusted=TrustedKey(keys / "ours.pub"))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), values, max_size=5), st.data())
def test_a_signature_outlives_rewriting_the_json_and_no_change_of_content(manifest, data):
    covered = signed_bytes(manifest)
    spaced = json.loads(json.dumps(dict(reversed(manifest.items())), indent=3))
    assert signed_bytes(spaced | {"signature": "00"}) == signed_bytes(manifest | {"signature": None})
    key = data.draw(st.text(max_size=8).filter(lambda k: k != "signature"))
    value = data.draw(values)
    changed = {k: v for k, v in manifest.items() if k != "signature"} | {key: value}
    same = json.dumps(changed, sort_keys=True) == json.dumps(
        {k: v for k, v in manifest.items() if k != "signature"}, sort_keys=True
    )
    assert (signed_bytes(changed) == covered) is same


def test_keys_are_private_never_replaced_and_named_when_wrong(tmp_path, keys):
    assert (keys / "ours").stat().st_mode & 0o777 == 0o600
    with pytest.raises(SignatureKeyError, match="never replaced"):
        write_keys(keys / "ours")
    with pytest.raises(SignatureKeyError, match="cannot be read"):
        TrustedKey(tmp_path / "nowhere")
    for wrong in (keys / "ours", keys / "ours.pub"):
        with pytest.raises(SignatureKeyError, match="holds no"):
            (TrustedKey if wrong.suffix == "" else SigningKey)(wrong)


def test_the_commands_make_a_key_and_sign_with_it(bundle, tmp_path, capsys):
    assert main(["keygen", str(tmp_path / "key")]) == 0
    assert main(["sign", str(bundle), "--key", str(tmp_path / "key")]) == 0
    load_bundle(bundle, trusted=TrustedKey(tmp_path / "key.pub"))
    (bundle / "policy.onnx").write_bytes(b"damaged")
    before = sha256(bundle / MANIFEST_NAME)
    assert main(["sign", str(bundle), "--key", str(tmp_path / "key")]) == 2
    assert sha256(bundle / MANIFEST_NAME) == before
    assert "policy.onnx does not have the sha256" in capsys.readouterr().err


def test_without_a_key_the_package_is_not_imported(bundle):
    code = (
        "import sys; from safe_o2o_ros.bundle import load_bundle; "
        f"load_bundle({str(bundle)!r}); print('cryptography' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
