"""No failure shows a secret: not in its text, not in the locals of the wallet's frames, not in a log.

Every operation that has a secret in hand is made to fail, by wrong input and by faults thrown into the libraries
below; then the wallet's frames are printed with their locals, as the crash handler of a careless program does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.pretty import pretty_repr
from wallet_world import CHEAP, WORDS  # type: ignore[import-not-found]

import wallet as package
from wallet import derivation, faucet, keystore, words
from wallet.secret import Secret
from wallet.signing import P256Signer
from wallet.store import WalletStore
from wallet.wallet import Wallet

PASSPHRASE, OTHER, EXTRA = "correct horse battery staple", "tr0ub4dor-and-three", "my bip39 passphrase"
ENTROPY = bytes.fromhex("7f" * 16)
HOME = str(Path(package.__file__).parent)


def needles() -> list[str]:
    seed = words.seed_of(Secret.of(WORDS), Secret.of(EXTRA))
    key = derivation.derive(seed, derivation.account_path(0))
    raw = [ENTROPY, seed.reveal(), key.private.reveal(), key.chain_code.reveal()]
    raw += [derivation.master(seed).private.reveal()]
    found = [PASSPHRASE, OTHER, EXTRA, "winner thank", "'winner', 'thank'", "legal winner"]
    for value in raw:
        found += [value.hex(), repr(value)[2:-1], str(int.from_bytes(value)), repr(bytearray(value))[12:-2]]
    return found


NEEDLES = needles()


def shown(error: BaseException) -> str:
    """The error, its chain, and the locals of every frame of the wallet (and of the test that shows it can see)."""
    parts = [str(error), repr(error), repr(error.args), repr(vars(error))]
    seen: list[BaseException] = []
    chain: BaseException | None = error
    while chain is not None and chain not in seen:
        seen.append(chain)
        parts += [str(chain), repr(chain.args)]
        at = chain.__traceback__
        while at is not None:
            code = at.tb_frame.f_code
            if code.co_filename.startswith(HOME) or code.co_name == "careless":
                parts += [f"{name} = {pretty_repr(value)} {value!r}" for name, value in at.tb_frame.f_locals.items()]
            at = at.tb_next
        chain = chain.__cause__ or chain.__context__
    return "\n".join(parts)


def check(text: str) -> None:
    for needle in NEEDLES:
        assert needle not in text, f"a secret was shown: {needle[:8]}…"


def fails(operation: Callable[[], object]) -> None:
    try:
        operation()
    except BaseException as error:  # noqa: BLE001 (whatever it is, it must not tell)
        check(shown(error))
    else:
        pytest.fail("this was to fail")


@pytest.fixture
def opened(tmp_path: Path) -> Wallet:
    store = WalletStore(tmp_path / "wallets", "tnxt", cost=CHEAP)
    return store.restore("main", Secret.of(PASSPHRASE), Secret.of(WORDS), bip39_passphrase=Secret.of(EXTRA))


def store_of(wallet: Wallet) -> WalletStore:
    return WalletStore(wallet.paths.folder, "tnxt", cost=CHEAP)


INPUT_FAULTS: dict[str, Callable[[Wallet], object]] = {
    "wrong passphrase": lambda w: w.unlock(Secret.of(OTHER)),
    "wrong old passphrase": lambda w: w.change_passphrase(Secret.of(OTHER), Secret.of(PASSPHRASE)),
    "empty new passphrase": lambda w: w.change_passphrase(Secret.of(PASSPHRASE), Secret.of("")),
    "existing wallet": lambda w: store_of(w).restore("main", Secret.of(PASSPHRASE), Secret.of(WORDS)),
    "bad label": lambda w: store_of(w).restore("b", Secret.of(PASSPHRASE), Secret.of(WORDS), label=""),
    "too many words": lambda w: store_of(w).restore("b", Secret.of(PASSPHRASE), Secret.of(WORDS + " zoo")),
    "bad checksum": lambda w: store_of(w).restore("b", Secret.of(PASSPHRASE), Secret.of(WORDS[:-6] + "zoo")),
    "unknown word": lambda w: store_of(w).restore("b", Secret.of(PASSPHRASE), Secret.of(WORDS[:-6] + "zzzzz")),
    "bad message": lambda w: w.signer().sign(b"x"),
    "bad message, bare key": lambda w: P256Signer(derivation.derive(Secret(ENTROPY), ()).private).sign(b"x"),
    "taken label": lambda w: w.add_account("main"),
    "bad child": lambda w: derivation.derive(Secret(ENTROPY), (0, 1 << 40)),
    "no entropy": lambda w: words.words_of(Secret(ENTROPY + b"x")),
}


@pytest.mark.parametrize("name", INPUT_FAULTS)
def test_wrong_input(opened: Wallet, name: str) -> None:
    fails(lambda: INPUT_FAULTS[name](opened))


def boom(*_: object, **__: object) -> object:
    raise RuntimeError("a fault below")


LIBRARY_FAULTS = [
    "hashlib.pbkdf2_hmac",
    "hmac.digest",
    "os.fsync",
    "os.replace",
    "fcntl.flock",
    "json.dumps",
    "mnemonic.Mnemonic.to_mnemonic",
    "mnemonic.Mnemonic.to_entropy",
    "mnemonic.Mnemonic.check",
    "nacl.pwhash.argon2id.kdf",
    "nacl.secret.SecretBox.encrypt",
    "nacl.secret.SecretBox.decrypt",
    "node.encoding.canonical.encode",
    "node.encoding.canonical.decode",
    "cryptography.hazmat.primitives.asymmetric.ec.derive_private_key",
    "cryptography.hazmat.primitives.asymmetric.ec.ECDSA",
    "wallet.signing.min",
]


@pytest.mark.parametrize("fault", LIBRARY_FAULTS)
def test_a_fault_in_a_library(opened: Wallet, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    operations: list[Callable[[], object]] = [
        lambda: store_of(opened).restore(
            "new", Secret.of(PASSPHRASE), Secret.of(WORDS), bip39_passphrase=Secret.of(EXTRA)
        ),
        lambda: opened.unlock(Secret.of(PASSPHRASE)),
        lambda: opened.change_passphrase(Secret.of(PASSPHRASE), Secret.of(OTHER)),
        lambda: opened.add_account("More"),
        lambda: opened.words(),
        lambda: opened.signer().sign(bytes(32)),
        lambda: faucet.create_faucet(opened.paths.folder / "faucet.key"),
        lambda: words.seed_of(Secret.of(WORDS), Secret.of(EXTRA)),
        lambda: keystore.seal(Secret(ENTROPY), Secret.of(EXTRA), Secret.of(PASSPHRASE), CHEAP),
    ]
    monkeypatch.setattr(fault, boom, raising=False)
    failed = 0
    for operation in operations:
        try:
            operation()
        except BaseException as error:  # noqa: BLE001
            failed += 1
            check(shown(error))
    monkeypatch.undo()
    assert failed, "the fault was met by no operation"


def test_objects_do_not_show_it(opened: Wallet) -> None:
    """repr, str and rich's pretty printing of all there is, unlocked."""
    signer = opened.signer()
    signer.sign(bytes(32))
    inside = opened._opened
    assert inside is not None
    things = [opened, signer, inside, inside.seed, inside.entropy, inside.keys, opened.accounts, opened.paths]
    things += [P256Signer(inside.key(0)), derivation.master(inside.seed), opened._contents, opened._throttle]
    things += [vars(opened), vars(signer), store_of(opened), opened.words(), {"words": opened.words()}]
    for thing in things:
        check(f"{thing!r} {thing!s} {pretty_repr(thing)}")


def test_nothing_is_logged(opened: Wallet, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.DEBUG):
        opened.lock()
        opened.unlock(Secret.of(PASSPHRASE))
        opened.signer().sign(bytes(32))
        opened.words()
        fails(lambda: opened.unlock(Secret.of(OTHER)))
    check(caplog.text)
    assert capfd.readouterr() == ("", "")


def test_the_test_can_see() -> None:
    """The needles are found where a secret really is shown."""

    def careless() -> None:
        passphrase = PASSPHRASE
        raise ValueError(len(passphrase))

    try:
        careless()
    except ValueError as error:
        with pytest.raises(AssertionError):
            check(shown(error))
    with pytest.raises(AssertionError):
        check(repr([ENTROPY]))
