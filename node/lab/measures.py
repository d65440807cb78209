"""What is measured while a simulation runs: payments on their way, reorganisations, finality, what was refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Payment:
    """One payment, as the node saw it where it was submitted. Moments in ms of virtual time; -1: not yet."""

    home: int  # that node
    submitted: int
    included: int = -1
    final: int = -1


@dataclass(slots=True)
class Measures:
    """Everything that happened and is not in the nodes' own memory any more."""

    payments: dict[bytes, Payment] = field(default_factory=dict)
    refused_payments: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)  # blocks, by the rule they broke, at honest nodes
    made: dict[bytes, int] = field(default_factory=dict)  # honest block id → when it was made
    ways: Counter[int] = field(default_factory=Counter)  # ms from making until an honest node took it → how often
    judged: Counter[int] = field(default_factory=Counter)  # things that were asked for and came, by kind
    closed: Counter[str] = field(default_factory=Counter)  # links that a node ended, by why
    banned: Counter[bool] = field(default_factory=Counter)  # by honest nodes: whether they were honest → how often
    returns: list[Return] = field(default_factory=list)
    depths: Counter[int] = field(default_factory=Counter)  # chain blocks taken back at once → how often, honest nodes
    disqualified: Counter[str] = field(default_factory=Counter)
    offences: Counter[str] = field(default_factory=Counter)  # what attackers did, by their own account
    final_at: dict[int, int] = field(default_factory=dict)  # checkpoint number → when the observer held it final
    series: list[Moment] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Moment:
    """What the observer saw at one moment of a run, for the chart."""

    second: int
    blocks: int  # in its DAG so far
    accepted: int  # payments its chain has executed so far
    lag_ms: int  # since the slot of its newest final checkpoint
    tips: int


@dataclass(slots=True)
class Return:
    """A node came back: `lacks` is what the others had by then. -1 as long as it has not got all of that."""

    node: int
    began: int
    lacks: set[bytes]
    lacked: int
    took_ms: int = -1

    def learn(self, block: bytes) -> bool:
        """The node took a block; whether it still lacks something."""
        self.lacks.discard(block)
        return bool(self.lacks)


def quantile(ordered: Sequence[int], percent: int) -> int | None:
    """The smallest value that at least `percent` of them do not exceed; None without any."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else None


def spread(values: Iterable[int]) -> dict[str, int | None]:
    """Count, median, 95th percentile and maximum."""
    ordered = sorted(values)
    return {
        "count": len(ordered),
        "median": quantile(ordered, 50),
        "p95": quantile(ordered, 95),
        "max": ordered[-1] if ordered else None,
    }


def spread_of(counts: Counter[int]) -> dict[str, int | None]:
    """The same of values that are counted."""
    total, seen = counts.total(), 0
    wanted = {"median": 50, "p95": 95, "max": 100}
    found: dict[str, int | None] = dict.fromkeys(wanted)
    for value in sorted(counts):
        seen += counts[value]
        for name, percent in wanted.items():
            if found[name] is None and 100 * seen >= total * percent:
                found[name] = value
    return {"count": total, **found}
