"""Files over a bad link: whatever is lost, doubled, damaged or cut, they arrive whole or not at all."""

import hashlib
import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safe_o2o_ros.errors import TransferError
from safe_o2o_ros.online.chunks import (
    CHUNK_BYTES,
    Chunk,
    Incoming,
    Item,
    Ranges,
    Request,
    catalogue_from_json,
    catalogue_to_json,
    chunk_from_bytes,
    chunk_to_bytes,
    request_from_json,
    request_to_json,
)
from safe_o2o_ros.online.transfer import Receiver, Sender

SHA = "ab" * 32
names = st.from_regex(r"[a-z0-9_][a-z0-9_.-]{0,20}(/[a-z0-9_][a-z0-9_.-]{0,20})?", fullmatch=True)
shas = st.binary(min_size=32, max_size=32).map(bytes.hex)


@given(names, shas, st.integers(0, 2**60), st.binary(max_size=200), st.data())
def test_messages_are_read_back_and_damage_is_seen(name, sha, offset, payload, data):
    chunk = Chunk(name, sha, offset, payload)
    sent = chunk_to_bytes(chunk)
    assert chunk_from_bytes(sent) == chunk
    items = (Item(name, offset, sha),)
    assert catalogue_from_json(catalogue_to_json(items)) == items
    request = Request(name, sha, ((offset, offset + 1), (offset + 5, offset + 9)))
    assert request_from_json(request_to_json(request)) == request
    with pytest.raises(TransferError):
        chunk_from_bytes(sent[: data.draw(st.integers(0, len(sent) - 1))] if payload else b"")
    if payload:
        at = data.draw(st.integers(len(sent) - len(payload), len(sent) - 1))
        with pytest.raises(TransferError):
            chunk_from_bytes(sent[:at] + bytes([sent[at] ^ 1]) + sent[at + 1 :])


@pytest.mark.parametrize(
    "name", ["", ".hidden", "../x", "/etc/passwd", "a/../b", "a/b/c", "a//b", "a/.b", "a\n", "ü"]
)
def test_no_name_leads_out_of_the_folder(name):
    for read, text in (
        (catalogue_from_json, json.dumps({"items": [[name, 1, SHA]]})),
        (request_from_json, json.dumps({"name": name, "sha256": SHA, "ranges": []})),
    ):
        with pytest.raises(TransferError):
            read(text)


@pytest.mark.parametrize(
    "rows", [None, 3, [["a", -1, SHA]], [["a", 1, "ab"]], [["a", True, SHA]], [["a", 1, SHA], ["a", 2, SHA]]]
)
def test_what_is_no_catalogue_is_refused(rows):
    for text in (json.dumps({"items": rows}), json.dumps(rows), "", "{}"):
        with pytest.raises(TransferError):
            catalogue_from_json(text)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12),
    st.integers(0, 60),
    st.integers(0, 60),
)
def test_ranges_are_a_set_of_bytes(spans, first, end):
    ranges, expected = Ranges(), set()
    for a, b in spans:
        ranges.add(a, b)
        expected |= set(range(a, b))
    assert {i for a, b in ranges.spans for i in range(a, b)} == expected
    assert all(a[1] < b[0] for a, b in zip(ranges.spans, ranges.spans[1:], strict=False))
    assert {i for a, b in ranges.missing(first, end) for i in range(a, b)} == set(
        range(first, end)
    ) - expected


class Link:
    """Both ends and what is between them, with a clock of its own."""

    def __init__(self, source, target, seed=0):
        self.source, self.target = source, target
        self.random = random.Random(seed)
        self.sender, self.receiver = Sender(1e6), Receiver(target, 4 * CHUNK_BYTES)
        self.now_s = 0.0
        self.up, self.loss = True, 0.0

    def items(self):
        paths = sorted(p for p in self.source.rglob("*") if p.is_file())
        return {
            Item(
                str(p.relative_to(self.source)), p.stat().st_size, hashlib.sha256(p.read_bytes()).hexdigest()
            ): p
            for p in paths
        }

    def catalogue(self):
        files = self.items()
        self.sender.offer(files)
        if self.up:
            self.receiver.listed(catalogue_from_json(catalogue_to_json(files)))

    def lost(self):
        return not self.up or self.random.random() < self.loss

    def pass_by(self, seconds):
        """Time passes; both ends do what they would."""
        end = self.now_s + seconds
        while self.now_s < end:
            self.now_s += 0.03
            request = self.receiver.request(self.now_s)
            if request is not None and not self.lost():
                self.sender.asked(request_from_json(request_to_json(request)))
            sent = []
            while (chunk := self.sender.next(self.now_s)) is not None:
                sent += [chunk_to_bytes(chunk)] * (1 + (self.random.random() < self.loss))
            self.random.shuffle(sent)
            for data in sent:
                if not self.lost():
                    self.receiver.arrived(chunk_from_bytes(data))
                    self.receiver.heard(self.now_s)

    def restart_receiver(self, gently):
        if gently:
            self.receiver.close()
        self.receiver = Receiver(self.target, 4 * CHUNK_BYTES)

    def restart_sender(self):
        self.sender = Sender(1e6)

    def until_done(self):
        self.up, self.loss = True, 0.0
        for _ in range(100):
            self.catalogue()
            self.pass_by(2.0)
            if not self.receiver.missing:
                return
        raise AssertionError("the transfer never ends")


def content(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def ends(tmp_path_factory):
    def make():
        folder = tmp_path_factory.mktemp("link")
        (folder / "source").mkdir()
        return folder / "source", folder / "target"

    return make


def some_bytes(seed, size):
    return random.Random(seed).randbytes(size)


events = st.lists(
    st.one_of(
        st.tuples(st.just("grow"), st.sampled_from(["a.seg", "b.seg"]), st.integers(0, 5 * CHUNK_BYTES)),
        st.tuples(st.just("change"), st.just("manifest.json"), st.integers(0, 300)),
        st.tuples(st.just("delete"), st.sampled_from(["a.seg", "b.seg"])),
        st.tuples(st.just("catalogue")),
        st.tuples(st.just("pass"), st.floats(0.1, 2.0)),
        st.tuples(st.just("cut"), st.booleans()),
        st.tuples(st.just("loss"), st.sampled_from([0.0, 0.3, 0.9])),
        st.tuples(st.just("receiver"), st.booleans()),
        st.tuples(st.just("sender")),
    ),
    max_size=25,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(events, st.integers(0, 3))
def test_a_store_that_grows_is_equal_at_the_other_end_once_the_link_holds(ends, events, seed):
    source, target = ends()
    link = Link(source, target, seed)
    for counter, (what, *rest) in enumerate(events):
        if what == "grow":
            with (source / rest[0]).open("ab") as file:
                file.write(some_bytes(counter, rest[1]))
        elif what == "change":
            (source / rest[0]).write_bytes(some_bytes(counter, rest[1]))
        elif what == "delete":
            (source / rest[0]).unlink(missing_ok=True)
        elif what == "catalogue":
            link.catalogue()
        elif what == "pass":
            link.pass_by(rest[0])
        elif what == "cut":
            link.up = not rest[0]
        elif what == "loss":
            link.loss = rest[0]
        elif what == "receiver":
            link.restart_receiver(rest[0])
        else:
            link.restart_sender()
        # At any time: nothing but beginnings of what was there, and files under way.
        for name, data in content(target).items():
            if not name.startswith(".") and name.endswith(".seg") and (source / name).exists():
                grown = (source / name).read_bytes()
                assert grown.startswith(data) or not data.startswith(grown[:16]) or len(data) > len(grown)
    link.until_done()
    arrived = content(target)
    assert {n: d for n, d in arrived.items() if n in content(source)} == content(source)
    assert not [n for n in arrived if ".part" in n or ".note" in n]


def test_only_what_is_new_travels_and_what_was_received_before_a_restart_does_not_again(ends):
    source, target = ends()
    (source / "a.seg").write_bytes(some_bytes(1, 100 * CHUNK_BYTES))
    link = Link(source, target)
    link.catalogue()
    link.pass_by(2.5)
    assert 30 * CHUNK_BYTES < link.receiver.received_bytes < 70 * CHUNK_BYTES
    before = link.receiver.received_bytes
    link.restart_receiver(gently=True)
    link.until_done()
    assert before + link.receiver.received_bytes <= 104 * CHUNK_BYTES
    sent = link.sender.sent_bytes
    with (source / "a.seg").open("ab") as file:
        file.write(b"x" * 1000)
    link.until_done()
    assert link.sender.sent_bytes - sent <= 1000
    assert (target / "a.seg").read_bytes() == (source / "a.seg").read_bytes()


def test_a_file_that_is_not_what_it_was_is_fetched_whole(ends):
    source, target = ends()
    (source / "a.seg").write_bytes(some_bytes(1, 3 * CHUNK_BYTES))
    link = Link(source, target)
    link.until_done()
    (source / "a.seg").write_bytes(some_bytes(2, 5 * CHUNK_BYTES))
    link.until_done()
    assert link.receiver.wrong == 1
    assert content(target) == content(source)


def test_bytes_that_are_not_what_was_promised_never_become_a_file(ends):
    source, target = ends()
    (source / "a.seg").write_bytes(some_bytes(1, CHUNK_BYTES))
    link = Link(source, target)
    lie = Item("a.seg", CHUNK_BYTES, SHA)
    link.sender.offer({lie: source / "a.seg"})
    link.receiver.listed([lie])
    link.pass_by(5.0)
    assert link.receiver.wrong > 0
    assert not (target / "a.seg").exists()


def test_a_set_appears_in_one_step_when_all_of_it_is_there(ends):
    source, target = ends()
    (source / "v1").mkdir()
    for name in ("manifest.json", "policy.onnx"):
        (source / "v1" / name).write_bytes(some_bytes(len(name), 20 * CHUNK_BYTES))
    link = Link(source, target)
    link.catalogue()
    link.pass_by(0.8)
    assert not (target / "v1").exists() and list(target.iterdir())
    link.restart_receiver(gently=False)
    link.until_done()
    assert list(link.receiver.complete) == ["v1"]
    assert content(target) == content(source)
    link.restart_receiver(gently=True)
    link.until_done()
    assert link.receiver.received_bytes == 0 and not link.receiver.complete
    # What is listed no more leaves no rest.
    (source / "v2").mkdir()
    (source / "v2" / "manifest.json").write_bytes(some_bytes(3, 50 * CHUNK_BYTES))
    link.catalogue()
    link.pass_by(0.3)
    assert (target / ".v2.incoming").is_dir()
    link.receiver.close()
    (source / "v2" / "manifest.json").unlink()
    link.catalogue()
    assert not (target / ".v2.incoming").exists()


def test_the_rate_is_kept(ends):
    source, _ = ends()
    (source / "a").write_bytes(bytes(1000 * CHUNK_BYTES))
    sender = Sender(10 * CHUNK_BYTES)
    item = Item("a", 1000 * CHUNK_BYTES, SHA)
    sender.offer({item: source / "a"})
    sender.asked(Request("a", SHA, ((0, 1000 * CHUNK_BYTES),)))
    sent = sum(sender.next(0.01 * step) is not None for step in range(1000))
    assert 95 <= sent <= 101
    assert sender.wait_s(0.0) > 0.0
    # After a pause nothing is made up for.
    sender.next(100.0)
    assert sender.next(100.0) is None


def test_what_is_there_of_an_earlier_process_is_not_trusted_blindly(ends):
    _, target = ends()
    data = some_bytes(1, 2 * CHUNK_BYTES)
    item = Item("a", len(data), hashlib.sha256(data).hexdigest())
    first = Incoming(item, target / "a")
    first.write(Chunk("a", item.sha256, 0, data[:CHUNK_BYTES]))
    first.close()
    (target / ".a.part").write_bytes(bytes(CHUNK_BYTES))
    second = Incoming(item, target / "a")
    assert second.missing(1 << 30) == ((CHUNK_BYTES, 2 * CHUNK_BYTES),)
    second.write(Chunk("a", item.sha256, CHUNK_BYTES, data[CHUNK_BYTES:]))
    assert not second.finish()
    assert list(target.iterdir()) == []
