"""The wallet's file: what goes in comes out, and nothing but what was written is accepted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wallet_world import CHEAP  # type: ignore[import-not-found]

from node.api.errors import Damaged, Locked, NexusError, Refused
from node.encoding.hashing import tagged_hash
from wallet import keystore
from wallet.keystore import FLOOR, KdfCost, decode_file, encode_file, seal, unseal
from wallet.secret import Secret
from wallet.store import WalletStore
from wallet.wallet import Wallet

NOTHING = Secret(b"")


@given(st.binary(min_size=16, max_size=32), st.text(max_size=50), st.text(min_size=1, max_size=50))
@settings(max_examples=30)
def test_seal_and_unseal(entropy: bytes, extra: str, passphrase: str) -> None:
    sealed = seal(Secret(entropy), Secret.of(extra), Secret.of(passphrase), CHEAP)
    assert unseal(sealed, Secret.of(passphrase)) == (Secret(entropy), Secret.of(extra))
    with pytest.raises(Locked):
        unseal(sealed, Secret.of(passphrase + "x"))


def test_the_same_secret_never_looks_the_same() -> None:
    one, two = (seal(Secret(bytes(16)), NOTHING, Secret.of("pw"), CHEAP) for _ in range(2))
    assert one.salt != two.salt
    assert one.box != two.box
    longer = seal(Secret(bytes(32)), Secret.of("extra words"), Secret.of("pw"), CHEAP)
    assert len(longer.box) == len(one.box)  # its size does not tell 12 words from 24, nor the passphrase


@pytest.mark.parametrize("passphrase", ["", "x" * 1025])
def test_no_wallet_without_a_usable_passphrase(store: WalletStore, passphrase: str) -> None:
    with pytest.raises(Refused) as refusal:
        store.create("main", Secret.of(passphrase))
    assert refusal.value.code == "bad_passphrase"
    assert store.list() == ()


@given(data=st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_byte_is_refused(wallet: Wallet, data: st.DataObject) -> None:
    good = wallet.paths.wallet.read_bytes()
    place = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[place] ^= data.draw(st.integers(1, 255))
    path = wallet.paths.folder / "copy.wallet"
    path.write_bytes(bad)
    with pytest.raises(Damaged):
        decode_file(path)
    assert path.read_bytes() == bad


def test_every_truncation_and_growth_is_refused(wallet: Wallet) -> None:
    good = wallet.paths.wallet.read_bytes()
    path = wallet.paths.folder / "copy.wallet"
    for bad in [*(good[:size] for size in range(len(good))), good + b" ", good + good, b"\0" * 4096]:
        path.write_bytes(bad)
        with pytest.raises(Damaged) as damage:
            decode_file(path)
        assert "left as it is" in damage.value.message
        assert path.read_bytes() == bad


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a field of a wallet's file and give it the checksum that belongs to it: what a forger would do."""
    document = json.loads(path.read_bytes())
    del document["checksum"]
    change(document)
    text = json.dumps(document, indent=1).encode() + b"\n"
    document["checksum"] = tagged_hash(b"nexus/wallet", text).hex()
    path.write_bytes(json.dumps(document, indent=1).encode() + b"\n")


@pytest.mark.parametrize(
    ("operations", "memory"),
    [
        (1, 1 << 30),
        (1, (256 << 20) + 1),
        (65, 8192),
        (64, 256 << 20),
        (2**31 - 1, 8192),
        (0, 8192),
        (1, 8191),
        (-1, 8192),
        (2**70, 8192),
        (True, 8192),
        ("1", 8192),
        (None, 8192),
    ],
)
def test_a_hostile_cost_is_refused_before_it_is_paid(
    wallet: Wallet, operations: object, memory: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewritten(wallet.paths.wallet, lambda d: d["kdf"].update(operations=operations, memory=memory))
    monkeypatch.setattr(keystore, "_key", lambda *_: pytest.fail("it was paid"))
    with pytest.raises(Damaged):
        decode_file(wallet.paths.wallet)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["kdf"].update(name="scrypt"),
        lambda d: d["kdf"].update(salt="00" * 15),
        lambda d: d["kdf"].update(salt="00" * 10_000),
        lambda d: d.pop("kdf"),
        lambda d: d.update(secret="zz"),
        lambda d: d.update(secret=""),
        lambda d: d.update(secret="00" * 40),
        lambda d: d.update(secret="00" * 10_000),
        lambda d: d.update(accounts={}),
        lambda d: d.update(accounts=d["accounts"] * 300),
        lambda d: d["accounts"][0].update(kind="other"),
        lambda d: d["accounts"][0].update(address="09" + "00" * 20),
        lambda d: d["accounts"][0].update(public_key="02" + "00" * 32),
        lambda d: d["accounts"][0].update(index=-1),
        lambda d: d["accounts"][0].update(label="x" * 1000),
        lambda d: d.update(more=1),
        lambda d: d.update(version=2),
        lambda d: d.update(format="other-wallet"),
    ],
)
def test_a_forged_field_is_refused(wallet: Wallet, change: Callable[[dict[str, Any]], None]) -> None:
    rewritten(wallet.paths.wallet, change)
    before = wallet.paths.wallet.read_bytes()
    with pytest.raises(Damaged):
        decode_file(wallet.paths.wallet)
    assert wallet.paths.wallet.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "not_readable"),
        (b"{}", "foreign_file"),
        (b"[1, 2]", "not_readable"),
        (b'{"address":"0","crypto":{},"version":3}', "foreign_file"),
        (b'{"format": "nexus-wallet", "version": 2}', "newer_version"),
        (b'{"format": "nexus-wallet", "version": 1.0}', "not_readable"),
        (b"[" * 100_000, "not_readable"),
        (b"\xff\xfe\x00", "not_readable"),
        (b"x" * 300_000, "too_large"),
    ],
)
def test_a_foreign_file_is_named_and_kept(store: WalletStore, passphrase: Secret, content: bytes, code: str) -> None:
    store.folder.mkdir(parents=True)
    path = store.folder / "main.wallet"
    path.write_bytes(content)
    with pytest.raises(Damaged) as damage:
        store.open("main")
    assert damage.value.code == code
    assert str(path) in damage.value.message
    for make in (
        lambda: store.create("main", passphrase),
        lambda: store.restore("main", passphrase, Secret.of("zoo " * 11 + "wrong")),
        lambda: store.restore_file(path, "main"),
    ):
        with pytest.raises(NexusError):
            make()
    assert path.read_bytes() == content
    assert [entry.name for entry in store.folder.iterdir()] == ["main.wallet"]


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling"])
def test_something_that_is_no_file(store: WalletStore, passphrase: Secret, kind: str) -> None:
    import os

    store.folder.mkdir(parents=True)
    path = store.folder / "main.wallet"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(store.folder / "nowhere")
    with pytest.raises(NexusError):
        store.open("main")
    with pytest.raises(Refused):
        store.create("main", passphrase)


def test_writing_is_deterministic_and_read_back(wallet: Wallet) -> None:
    contents = decode_file(wallet.paths.wallet)
    assert encode_file(contents) == wallet.paths.wallet.read_bytes()


def test_the_cost_on_this_device_is_near_half_a_second_and_never_weak() -> None:
    cost = keystore.tuned_cost()
    assert cost.operations >= FLOOR.operations
    assert cost.memory >= FLOOR.memory >= 64 << 20
    start = time.process_time()
    seal(Secret(bytes(16)), NOTHING, Secret.of("pw"), cost)
    took = time.process_time() - start
    assert took < 5 or cost == FLOOR  # only a lower bound of speed is asked: other work may run beside the test


def test_a_slow_device_stays_at_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "perf_counter", iter(range(0, 100, 7)).__next__)
    monkeypatch.setattr(keystore, "_key", lambda *_: Secret(bytes(32)))
    assert keystore.tuned_cost.__wrapped__() == FLOOR


def test_too_little_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import nacl.exceptions
    import nacl.pwhash.argon2id

    def fail(*_: object) -> bytes:
        raise nacl.exceptions.RuntimeError("Unexpected failure in key derivation")

    monkeypatch.setattr(nacl.pwhash.argon2id, "kdf", fail)
    with pytest.raises(Refused, match="64 MiB") as refusal:
        seal(Secret(bytes(16)), NOTHING, Secret.of("pw"), KdfCost(2, 64 << 20))
    assert refusal.value.code == "out_of_memory"
