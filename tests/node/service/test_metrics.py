"""Measurements: read by Prometheus's own parser, from a node that works, over a server that nobody can hold up."""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from node.service import metrics, metrics_server
from node.service.exposition import Exposition, Histogram
from node.service.metrics import LAG_BOUNDS, exposition
from node.service.metrics_server import MAX_REQUEST, MAX_VISITORS, MetricsServer
from tests.node.service.service_world import alert, at_rest, confirmed, until
from tests.node.service.test_mesh import LONG, Street, mesh_of
from tests.node.world import key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from node.service.node import Node
    from tests.node.service.service_world import Place

GET = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


def parsed(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Samples by name and labels; every family has its help and a type."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        assert family.type in ("gauge", "counter", "histogram")
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


async def measured(node: Node) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    return parsed(await exposition(node, Histogram(LAG_BOUNDS)))


async def test_what_a_node_does_is_counted(place: Place) -> None:
    async with place.node() as node:
        before = await measured(node)
        assert before["nexus_block_height"][()] == 0
        payment = place.payer().pay(0, key(60).address, 5_000)
        await node.submit(payment.raw)
        await confirmed(node, payment.txid)
        await at_rest(node)
        after = await measured(node)
        status = await node.status()
    assert after["nexus_transactions_executed_total"][()] == 1
    assert after["nexus_blocks_total"][()] == after["nexus_block_height"][()] == status.height
    assert after["nexus_final_height"][()] == status.final_height > 0
    assert after["nexus_finality_lag_blocks"][()] == status.height - status.final_height
    assert after["nexus_finality_lag_seconds"][()] >= 0
    assert after["nexus_mempool_transactions"][()] == 0
    assert after["nexus_database_bytes"][()] > 4_096
    assert after["process_resident_memory_bytes"][()] > 1 << 20
    assert after["process_cpu_seconds_total"][()] >= before["process_cpu_seconds_total"][()] > 0
    ((labels, one),) = after["nexus_build_info"].items()
    assert one == 1
    assert dict(labels)["genesis"] == place.genesis.hash.hex()
    assert "nexus_peers" not in after, "a network of one device has no links"


async def test_links_are_counted_by_direction_and_type(tmp_path: Path) -> None:
    async with Street(tmp_path, validators=2) as street:
        street.meet(1, 0)
        await until(lambda: all(len(mesh_of(node).peers) == 1 for node in street.nodes), LONG)
        payment = street.payer(1).pay(0, key(60).address, 5_000)
        await street.nodes[1].submit(payment.raw)
        await confirmed(street.nodes[1], payment.txid)
        giver, taker = [await measured(node) for node in street.nodes]
        traffic = mesh_of(street.nodes[0]).traffic
        assert traffic.bytes_sent > 0 < traffic.bytes_received
    inbound, outbound = (("direction", "inbound"),), (("direction", "outbound"),)
    assert giver["nexus_peers"] == {inbound: 1, outbound: 0}
    assert taker["nexus_peers"] == {inbound: 0, outbound: 1}
    hello = (("direction", "received"), ("type", "hello"))
    assert giver["nexus_mesh_messages_total"][hello] == 1
    sent, received = ((("direction", way), ("type", "new_block")) for way in ("sent", "received"))
    told = giver["nexus_mesh_messages_total"].get(received, 0) + taker["nexus_mesh_messages_total"].get(received, 0)
    assert told >= 1, "the block with the payment"
    assert giver["nexus_mesh_bytes_total"].keys() == giver["nexus_mesh_messages_total"].keys()
    assert sum(taker["nexus_mesh_messages_total"].get(kind, 0) for kind in (sent, received)) >= told
    assert taker["nexus_known_addresses"][()] == 1


def test_the_guide_names_all_measurements() -> None:
    guide = files("nexus_tui").joinpath("help", "daemon.md").read_text(encoding="utf-8")
    source = Path(metrics.__file__).read_text(encoding="utf-8")
    names = set(re.findall(r'"((?:nexus|process)_[a-z_]+)"', source))
    assert len(names) > 20
    assert [name for name in sorted(names) if f"`{name}" not in guide] == []


def test_strange_words_and_histograms_are_written_as_the_parser_reads_them() -> None:
    found = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        found.observe(value)
    out = Exposition()
    out.gauge("a", 'back\\slash\nand "quotes"', ({"name": 'x"y\\z\n☀'}, 2.5))
    out.histogram("h_seconds", "Times.", found)
    names = parsed(out.text())
    assert names["a"] == {(("name", 'x"y\\z\n☀'),): 2.5}
    assert [names["h_seconds_bucket"][("le", bound),] for bound in ("0.1", "1.0", "+Inf")] == [2, 3, 4]
    assert names["h_seconds_count"][()] == 4
    assert names["h_seconds_sum"][()] == pytest.approx(7.65)
    with pytest.raises(ValueError, match="two of it"):
        out.gauge("a", "again")
    with pytest.raises(ValueError, match="_total"):
        out.counter("b", "no total")


@asynccontextmanager
async def serving(text: str = "x 1\n") -> AsyncIterator[MetricsServer]:
    async def measure(lag: Histogram) -> str:
        if text == "fault":
            raise ZeroDivisionError
        return text

    server = MetricsServer(measure)
    await server.start("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.close()


async def asked(server: MetricsServer, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (GET, 200),
        (b"GET /metrics?a=b HTTP/1.0\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"GET /metrics/../etc HTTP/1.1\r\n\r\n", 404),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 1\r\n\r\n", 405),
        (b"\x00\xff nonsense\r\n\r\n", 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * (2 * MAX_REQUEST) + b"\r\n\r\n", 431),
    ],
)
async def test_only_one_question_is_answered(request_: bytes, status: int) -> None:
    async with serving() as server:
        answer = await asked(server, request_)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert f"Content-Length: {len(body)}".encode() in head
    assert (body == b"x 1\n") == (status == 200)


async def test_a_fault_in_a_measurement_is_said_and_not_shown() -> None:
    async with serving("fault") as server:
        answer = await asked(server, GET)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"ZeroDivision" not in answer


async def test_who_is_slow_is_cut_off_and_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "PATIENCE_S", 1.0)
    async with serving() as server:
        slow = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(MAX_VISITORS)]
        for _, writer in slow:
            writer.write(b"GET /met")
        await until(lambda: len(server._visitors) == MAX_VISITORS)
        with pytest.raises((ConnectionError, AssertionError)):
            assert await asked(server, GET) != b"", "there is no place for more"
        for reader, writer in slow:
            with pytest.raises((ConnectionError, AssertionError)):
                assert await reader.read() != b"", "cut off without a word"
            writer.close()
        await until(lambda: not server._visitors)
        assert (await asked(server, GET)).startswith(b"HTTP/1.1 200 ")


async def test_a_node_is_measured_over_http_and_a_taken_port_does_not_stop_it(place: Place) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with place.node(metrics=("127.0.0.1", port)) as node:
            told: Any = alert(node, "metrics_port")
            assert str(port) in told.message
    async with place.node(metrics=("127.0.0.1", port)) as node:
        assert alert(node, "metrics_port") is None
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    assert b"text/plain; version=0.0.4" in head
    assert parsed(body.decode())["nexus_block_height"][()] == 0
