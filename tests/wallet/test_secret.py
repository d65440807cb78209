"""A secret does not show itself, whatever asks."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle

import pytest
from rich.console import Console
from rich.pretty import Pretty

from wallet.secret import Secret


def test_nothing_prints_it() -> None:
    secret = Secret.of("opensesame")
    out = io.StringIO()
    logging.getLogger("test").addHandler(handler := logging.StreamHandler(out))
    logging.getLogger("test").warning("secret %s %r", secret, secret)
    logging.getLogger("test").removeHandler(handler)
    Console(file=out, width=200).print(Pretty([secret]), secret)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!s:>40}", f"{[secret]}", out.getvalue()]
    for text in shown:
        assert "hidden" in text
        assert "opensesame" not in text


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, hash, vars, list])
def test_nothing_copies_or_spells_it(leak: object) -> None:
    with pytest.raises(TypeError):
        leak(Secret.of("opensesame"))  # type: ignore[operator]


def test_wiping_and_comparing() -> None:
    secret = Secret(b"1234")
    assert secret == Secret(b"1234")
    assert secret != Secret(b"1235")
    assert secret != b"1234"
    assert len(secret) == 4
    secret.wipe()
    assert not secret
    assert secret.reveal() == b""


def test_bytes_that_are_no_text_survive() -> None:
    """An environment variable in another encoding arrives with surrogates."""
    given = b"p\xe4ss".decode("utf-8", "surrogateescape")
    assert Secret.of(given).reveal() == b"p\xe4ss"
    assert Secret.of(given).text() == given
