"""`nexus lab`: simulations of the real engine. They need no network and touch no profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus_tui.cli.output import fields, note
from nexus_tui.cli.session import session_of
from node.api.errors import UsageError

if TYPE_CHECKING:
    from node.lab.scenario import Scenario

_CHART = 48  # characters: what a phone shows beside the name
_TELL_EVERY_S = 30


def network(
    context: typer.Context,
    nodes: Annotated[int, typer.Option("--nodes", min=1, max=2_000, help="How many nodes.")] = 100,
    validators: Annotated[int, typer.Option("--validators", min=1, max=60, help="How many of them validate.")] = 30,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, max=1_440, help="Virtual time.")] = 10,
    attack: Annotated[str, typer.Option("--attack", help="What some do: one of `nexus guide lab`.")] = "none",
    share: Annotated[
        int, typer.Option("--share", min=0, max=100, metavar="PERCENT", help="How many of the validators attack.")
    ] = 30,
    seed: Annotated[int, typer.Option("--seed", min=0, help="One seed, one result.")] = 1,
    payments: Annotated[int, typer.Option("--payments", min=0, max=1_000, help="Payments a second.")] = 5,
    latency_ms: Annotated[int, typer.Option("--latency-ms", min=1, max=60_000, help="Median delay of a hop.")] = 200,
    loss: Annotated[
        float, typer.Option("--loss", min=0, max=90, metavar="PERCENT", help="What is lost of all that is sent.")
    ] = 0,
    skew_ms: Annotated[int, typer.Option("--skew-ms", min=0, max=600_000, help="How wrong clocks are at most.")] = 0,
    crashes: Annotated[int, typer.Option("--crashes", min=0, max=10_000, help="Nodes that crash and come back.")] = 0,
    partition: Annotated[
        list[str] | None,
        typer.Option("--partition", metavar="START-END:PERCENT", help="Part the network, in seconds; repeatable."),
    ] = None,
    quiet: Annotated[str | None, typer.Option("--quiet", metavar="START-END", help="Seconds without payments.")] = None,
    preset: Annotated[str, typer.Option("--preset", help="Whose slots and counts: main, create, minimal.")] = "main",
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", metavar="NAME=NUMBER", help="Change a genesis parameter; repeatable."),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="CLAUSE", help="Switch a clause of the rules off; repeatable."),
    ] = None,
) -> None:
    """Simulate a network of nodes that run the real engine, in virtual time, some of them dishonest."""
    from node.lab.network import Network
    from node.lab.scenario import Cut, Scenario, ScenarioError

    session = session_of(context)
    try:
        scenario = Scenario(
            nodes=nodes,
            validators=validators,
            seconds=round(minutes * 60),
            seed=seed,
            attack=attack,
            share_percent=share,
            preset=preset,
            payments_per_s=payments,
            latency_ms=latency_ms,
            loss_permille=round(loss * 10),
            skew_ms=skew_ms,
            crashes=crashes,
            quiet=_span(quiet),
            cuts=tuple(Cut.parse(text) for text in partition or ()),
            without=tuple(sorted(set(without or ()))),
            changed=tuple(sorted(_parameter(text) for text in parameter or ())),
        )
        simulated = Network(scenario)
    except ScenarioError as error:
        raise UsageError(error.code, str(error), "nexus guide lab") from None
    while simulated.seconds < scenario.seconds:
        simulated.run(min(scenario.seconds, simulated.seconds + _TELL_EVERY_S))
        note(f"{simulated.seconds} of {scenario.seconds} s: {simulated.summary()}")
    report = simulated.report()
    session.done(report, [*_lines(scenario, report), *_charts(report["series"])])
    if not report["safety"]["ok"]:
        raise typer.Exit(1)


def _span(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    start, _, end = text.partition("-")
    if not (start.isascii() and start.isdecimal() and end.isascii() and end.isdecimal() and len(text) < 20):
        raise UsageError("usage", f"{text[:40]!r} is no span of seconds: write START-END, as in 120-300.")
    return int(start), int(end)


def _parameter(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if not (number.isascii() and number.isdecimal() and len(number) < 20):
        raise UsageError("usage", f"{text[:40]!r} is no parameter: write NAME=NUMBER, as in epoch_slots=60.")
    return name, int(number)


def _seconds(spread: dict[str, Any]) -> str:
    if not spread["count"]:
        return "none"
    median, p95 = spread["median"], spread["p95"]
    return f"median {median / 1000:.1f} s, 95 % within {p95 / 1000:.1f} s (of {spread['count']})"


def _lines(scenario: Scenario, report: dict[str, Any]) -> list[str]:
    """The report for people."""
    from nexus_tui.format import size

    dag, moved, safety, flow = report["dag"], report["reorganisations"], report["safety"], report["throughput"]
    final, network = report["finality"], report["bytes"]
    pairs = [
        (
            "Scenario",
            f"{scenario.nodes} nodes, {scenario.validators} validators, {scenario.seconds} s, "
            f"attack {scenario.attack}, seed {scenario.seed}",
        ),
        (
            "Blocks",
            f"{flow['blocks']} ({flow['blocks_per_s']:.2f} a second), "
            f"{flow['payments_accepted']} of {flow['payments']} payments in them",
        ),
        (
            "DAG",
            f"{dag['parallel_mean']:.2f} blocks side by side, {dag['parallel_max']} at the most; "
            f"{dag['blue_percent']:.1f} % blue",
        ),
        ("Payment in a block", _seconds(report["inclusion_ms"])),
        ("Payment final", _seconds(report["finality_ms"])),
        (
            "Final",
            f"checkpoint {final['checkpoint']}, {final['lag_ms'] / 1000:.0f} s before the end; "
            f"longest standstill {final['longest_gap_ms'] / 1000:.0f} s",
        ),
        ("Reorganisations", f"{moved['count']}, deepest {moved['deepest']} blocks"),
        ("Sent", f"{size(network['total'])}, {size(network['per_node_per_s'])} a second and node"),
        ("Carried twice", f"{report['overlap']['percent']:.1f} % of payments, by parallel blocks"),
        (
            "Punished",
            ", ".join(f"validator {item['validator']}, {item['lost_percent']:.0f} %" for item in report["culprits"])
            or "nobody",
        ),
        ("Safety", "holds" if safety["ok"] else "BROKEN: " + "; ".join(safety["faults"])),
    ]
    return fields(pairs)


def _charts(series: list[dict[str, int]]) -> list[str]:
    """How the run went, as lines of bars; nothing where the terminal has no such characters."""
    from itertools import pairwise

    from nexus_tui.terminal import detect

    if not detect().unicode or len(series) < 2:
        return []
    rises = [
        {name: later[name] - before[name] for name in ("blocks", "accepted")} for before, later in pairwise(series)
    ]
    rows = (
        ("blocks", [item["blocks"] for item in rises]),
        ("payments", [item["accepted"] for item in rises]),
        ("tips", [item["tips"] for item in series[1:]]),
        ("to final, s", [item["lag_ms"] // 1000 for item in series[1:]]),
    )
    return ["", *fields((name, f"{_bars(values)}  {min(values)} to {max(values)}") for name, values in rows)]


def _bars(values: list[int]) -> str:
    from io import StringIO

    from rich.console import Console
    from textual.renderables.sparkline import Sparkline

    width = min(_CHART, len(values))
    paper = Console(file=StringIO(), width=width, color_system=None, legacy_windows=False)
    with paper.capture() as drawn:
        paper.print(Sparkline(values, width=width), end="")
    return drawn.get()
