"""Genesis: the file that makes a network (protocol sections 0 and 1). Read from outside, it is checked, not trusted.

Encoding: [rule version, name, preset, prefix, start ms, parameters, allocations, validators]. Its hash begins every
transaction and stands in every header, so no signature is of use on another network. Allocations and stakes come out
of TREASURY; the same choices give the same hash.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast

from node.encoding.address import MAIN_PREFIX, TEST_PREFIX, Address, AddressError
from node.encoding.amounts import SUPPLY, UNITS_PER_NXT, exact_amount
from node.encoding.canonical import EncodingError, Value, decode, encode
from node.encoding.hashing import tagged_hash
from node.encoding.names import NETWORK_NAME_RULE, is_network_name
from node.ledger import bank, pools, staking
from node.ledger.parameters import PRESETS, ParameterError, Parameters
from node.ledger.staking import Validator
from node.ledger.state import State

RULE_VERSION = 2
MIN_STAKE = 1_000 * UNITS_PER_NXT
MAX_VALIDATORS = 60
MAX_ALLOCATIONS = 10_000
MAX_GENESIS = 1 << 20
_LABEL = re.compile(
    r"[^\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]{0,64}"
)
_MAX_TIME_MS = 1 << 48


class GenesisError(ValueError):
    """A genesis that breaks a rule; the message names it."""

    code = "bad_genesis"


@dataclass(frozen=True, slots=True)
class Allocation:
    """Units that an account owns from the start. The label is for people."""

    address: bytes
    units: int
    label: str


@dataclass(frozen=True, slots=True)
class Founder:
    """A validator from the start: its account (raw address), consensus key (33 bytes), stake and reveal commitment."""

    account: bytes
    consensus_key: bytes
    stake: int
    reveal_commitment: bytes


@dataclass(frozen=True, slots=True)
class Genesis:
    """A network's beginning. Making one checks it: GenesisError or ParameterError."""

    name: str
    preset: str
    prefix: str
    start_ms: int
    parameters: Parameters
    allocations: tuple[Allocation, ...]
    validators: tuple[Founder, ...]

    def __post_init__(self) -> None:
        if not is_network_name(self.name):
            raise GenesisError(NETWORK_NAME_RULE)
        if self.preset not in PRESETS:
            raise GenesisError(f"The preset {self.preset!r} is not known; there are {', '.join(PRESETS)}.")
        if self.prefix != (MAIN_PREFIX if self.preset == "main" else TEST_PREFIX):
            raise GenesisError(f"Addresses of the preset {self.preset} cannot begin with {self.prefix!r}.")
        if not 0 < self.start_ms < _MAX_TIME_MS:
            raise GenesisError("The start time is out of range.")
        Parameters.from_value(self.parameters.values())
        self._check_allocations()
        self._check_validators()
        given = sum(item.units for item in self.allocations) + sum(item.stake for item in self.validators)
        if given > self.parameters.treasury:
            raise GenesisError(
                f"The genesis gives away {exact_amount(given)} NXT, "
                f"but TREASURY has {exact_amount(self.parameters.treasury)}."
            )

    def _check_allocations(self) -> None:
        if not 1 <= len(self.allocations) <= MAX_ALLOCATIONS:
            raise GenesisError(f"A genesis funds 1 to {MAX_ALLOCATIONS} accounts; with none, nobody could pay a fee.")
        addresses = [_checked_address(item.address) for item in self.allocations]
        if len(set(addresses)) != len(addresses):
            raise GenesisError("The genesis lists an account twice.")
        for item in self.allocations:
            if type(item.units) is not int or not 0 < item.units <= SUPPLY:
                raise GenesisError(f"The allocation {item.label!r} is not an amount.")
            if not _LABEL.fullmatch(item.label):
                raise GenesisError("A label is at most 64 characters, none of them a control character.")

    def _check_validators(self) -> None:
        if not 1 <= len(self.validators) <= MAX_VALIDATORS:
            raise GenesisError(f"A genesis has 1 to {MAX_VALIDATORS} validators; with none, no block could be made.")
        accounts = [_checked_address(item.account) for item in self.validators]
        keys = [item.consensus_key for item in self.validators]
        if len(set(accounts)) != len(accounts) or len(set(keys)) != len(keys):
            raise GenesisError("The genesis lists a validator or a consensus key twice.")
        for item in self.validators:
            if len(item.consensus_key) != 33 or item.consensus_key[0] not in (2, 3):
                raise GenesisError("A consensus key is a compressed P-256 key of 33 bytes.")
            if len(item.reveal_commitment) != 32:
                raise GenesisError("A reveal commitment has 32 bytes.")
            if type(item.stake) is not int or not MIN_STAKE <= item.stake <= SUPPLY:
                raise GenesisError(f"A validator's stake is at least {exact_amount(MIN_STAKE)} NXT.")

    def encode(self) -> bytes:
        """Canonical bytes: the genesis file."""
        return encode(
            (
                RULE_VERSION,
                self.name,
                self.preset,
                self.prefix,
                self.start_ms,
                self.parameters.values(),
                tuple((item.address, item.units, item.label) for item in self.allocations),
                tuple(
                    (item.account, item.consensus_key, item.stake, item.reveal_commitment) for item in self.validators
                ),
            )
        )

    @property
    def hash(self) -> bytes:
        """The network's identity, and the id of the block before the first."""
        return tagged_hash(b"nexus/genesis", self.encode())

    @classmethod
    def decode(cls, data: bytes) -> Genesis:
        """A genesis from a file. Raises GenesisError or ParameterError, whose text names what is wrong."""
        try:
            value = decode(data, MAX_GENESIS)
        except EncodingError as error:
            raise GenesisError(f"This is no genesis file: {error}") from None
        if type(value) is not tuple or not value or type(value[0]) is not int:
            raise GenesisError("This is no genesis file.")
        if value[0] != RULE_VERSION:
            raise GenesisError(
                f"This genesis has rule version {value[0]}; this program follows version {RULE_VERSION}."
            )
        shape = (int, str, str, str, int, tuple, tuple, tuple)
        if len(value) != len(shape) or any(type(item) is not kind for item, kind in zip(value, shape, strict=False)):
            raise GenesisError("This is no genesis file: its fields are not those of a genesis.")
        _, name, preset, prefix, start_ms, parameters, allocations, founders = value
        return cls(
            name=cast(str, name),
            preset=cast(str, preset),
            prefix=cast(str, prefix),
            start_ms=cast(int, start_ms),
            parameters=Parameters.from_value(parameters),
            allocations=tuple(
                Allocation(*cast("tuple[bytes, int, str]", _row(item, (bytes, int, str))))
                for item in cast("tuple[Value, ...]", allocations)
            ),
            validators=tuple(
                Founder(*cast("tuple[bytes, bytes, int, bytes]", _row(item, (bytes, bytes, int, bytes))))
                for item in cast("tuple[Value, ...]", founders)
            ),
        )


def _row(value: Value, shape: tuple[type, ...]) -> tuple[Value, ...]:
    if type(value) is not tuple or len(value) != len(shape):
        raise GenesisError("This is no genesis file: a row has a wrong number of fields.")
    if any(type(item) is not kind for item, kind in zip(value, shape, strict=True)):
        raise GenesisError("This is no genesis file: a field has a wrong type.")
    return value


def _checked_address(raw: bytes) -> bytes:
    try:
        Address.from_raw(raw)
    except AddressError as error:
        raise GenesisError(f"The genesis names an account that is none: {error}") from None
    return raw


def make_genesis(
    preset: str,
    start_ms: int,
    allocations: tuple[Allocation, ...],
    validators: tuple[Founder, ...],
    name: str | None = None,
) -> Genesis:
    """A genesis of a preset. `start_ms` is Unix time; slots count from there."""
    if preset not in PRESETS:
        raise GenesisError(f"The preset {preset!r} is not known; there are {', '.join(PRESETS)}.")
    return Genesis(
        name=name or preset,
        preset=preset,
        prefix=MAIN_PREFIX if preset == "main" else TEST_PREFIX,
        start_ms=start_ms,
        parameters=PRESETS[preset],
        allocations=allocations,
        validators=validators,
    )


def initial_state(genesis: Genesis) -> State:
    """The state before the first block: its total is the supply."""
    state = State()
    parameters = genesis.parameters
    for item in genesis.allocations:
        bank.credit(state, item.address, item.units)
    for founder in genesis.validators:
        staking.register(
            state,
            Validator(founder.account, founder.stake, founder.consensus_key, founder.reveal_commitment, 0),
        )
    given = sum(item.units for item in genesis.allocations) + sum(item.stake for item in genesis.validators)
    pools.add(state, pools.TREASURY, parameters.treasury - given)
    pools.add(state, pools.VALIDATOR_POOL, parameters.validator_pool)
    pools.add(state, pools.ECOSYSTEM_FUND, parameters.ecosystem_fund)
    state.settle()
    return state


__all__ = [
    "RULE_VERSION",
    "Allocation",
    "Founder",
    "Genesis",
    "GenesisError",
    "ParameterError",
    "initial_state",
    "make_genesis",
]
