"""Measurements as text for Prometheus: the exposition format, version 0.0.4.

Source: "Exposition formats", prometheus.io; names follow its "Metric and label naming".
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_NAME = re.compile("[a-zA-Z_:][a-zA-Z0-9_:]*")

Number = int | float


class Exposition:
    """Collects families of samples, each with its help; `text` is all of them."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._names: set[str] = set()

    def gauge(self, name: str, about: str, *samples: tuple[Mapping[str, str], Number]) -> None:
        """A value that rises and falls."""
        self._family(name, "gauge", about)
        self._samples(name, samples)

    def counter(self, name: str, about: str, *samples: tuple[Mapping[str, str], Number]) -> None:
        """A value that only rises while the node runs; its name ends in `_total`."""
        if not name.endswith("_total"):
            raise ValueError(f"a counter's name ends in _total, not {name}")
        self._family(name, "counter", about)
        self._samples(name, samples)

    def histogram(self, name: str, about: str, found: Histogram) -> None:
        """How often a value was in which range."""
        self._family(name, "histogram", about)
        below = 0
        for bound, count in zip((*found.bounds, float("inf")), found.counts, strict=True):
            below += count
            self._lines.append(f"{name}_bucket{_labels({'le': _number(bound)})} {below}")
        self._lines.append(f"{name}_sum {_number(found.total)}")
        self._lines.append(f"{name}_count {below}")

    def text(self) -> str:
        """The whole document."""
        return "\n".join(self._lines) + "\n"

    def _family(self, name: str, kind: str, about: str) -> None:
        if not _NAME.fullmatch(name) or name in self._names:
            raise ValueError(f"{name} is no name of a measurement, or there are two of it")
        self._names.add(name)
        escaped = about.replace("\\", "\\\\").replace("\n", "\\n")
        self._lines += [f"# HELP {name} {escaped}", f"# TYPE {name} {kind}"]

    def _samples(self, name: str, samples: Iterable[tuple[Mapping[str, str], Number]]) -> None:
        self._lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]


class Histogram:
    """Counts values by range; `bounds` are the ranges' upper ends, ascending."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: Number) -> str:
    return "+Inf" if value == float("inf") else repr(value)
