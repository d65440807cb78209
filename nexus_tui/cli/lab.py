"""`nexus lab`: simulations of the real engine. They need no network and touch no profile."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexus_tui.cli.output import note
from nexus_tui.cli.session import session_of
from node.api.errors import UsageError

if TYPE_CHECKING:
    from node.lab.scenario import Scenario

_WIDTH = 45  # what a phone shows
_CHART = 26  # of these, for bars
_TELL_EVERY_S = 30
ATTACKS = (
    "none, withhold, equivocate, double-vote, surround, spam, stale-parents, wrong-region, selfish, late-fill, "
    "split-votes, whale, reveals, silent, bodiless, inventories, eclipse"
)
CLAUSES = (
    "vote_depth, exact_successor, rotate_after_final, spectral_quorum, forward_quorum, rear_quorum, twins_red, lateness"
)
SCENES = "exact_successor, rotate_after_final, rear_quorum, forward_quorum, spectral_quorum, epoch_reveals"


def network(
    context: typer.Context,
    nodes: Annotated[int, typer.Option("--nodes", min=1, max=2_000, help="How many nodes.")] = 100,
    validators: Annotated[int, typer.Option("--validators", min=1, max=60, help="How many of them validate.")] = 30,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, max=1_440, help="Virtual time.")] = 10,
    attack: Annotated[str, typer.Option("--attack", metavar="NAME", help=f"What some do: {ATTACKS}.")] = "none",
    share: Annotated[
        int, typer.Option("--share", min=0, max=100, metavar="PERCENT", help="How many of the validators attack.")
    ] = 30,
    seed: Annotated[int, typer.Option("--seed", min=0, help="One seed, one result.")] = 1,
    payments: Annotated[int, typer.Option("--payments", min=0, max=1_000, help="Payments a second.")] = 5,
    latency_ms: Annotated[int, typer.Option("--latency-ms", min=1, max=60_000, help="Median delay of a hop.")] = 200,
    loss: Annotated[
        float,
        typer.Option("--loss", min=0, max=90, metavar="PERCENT", help="Segments lost, and sent again."),
    ] = 0,
    skew_ms: Annotated[int, typer.Option("--skew-ms", min=0, max=600_000, help="How wrong clocks are at most.")] = 0,
    crashes: Annotated[int, typer.Option("--crashes", min=0, max=10_000, help="Nodes that crash and come back.")] = 0,
    kilobits: Annotated[
        int, typer.Option("--kilobits", min=0, max=10_000_000, help="What a node can send in a second; 0: any amount.")
    ] = 0,
    away: Annotated[
        str | None, typer.Option("--away", metavar="START-END", help="Seconds in which one node is off.")
    ] = None,
    partition: Annotated[
        list[str] | None,
        typer.Option("--partition", metavar="START-END:PERCENT", help="Part the network, in seconds; repeatable."),
    ] = None,
    quiet: Annotated[str | None, typer.Option("--quiet", metavar="START-END", help="Seconds without payments.")] = None,
    preset: Annotated[
        str, typer.Option("--preset", metavar="NAME", help="Whose slots and counts: main, create, solo, minimal.")
    ] = "main",
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", metavar="NAME=NUMBER", help="Change a genesis parameter; repeatable."),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="CLAUSE", help=f"Switch a rule off: {CLAUSES}; repeatable."),
    ] = None,
) -> None:
    """Simulate a network of nodes that run the real engine, in virtual time, some of them dishonest."""
    from node.lab.network import Network
    from node.lab.scenario import Cut, Scenario, ScenarioError

    session = session_of(context)
    if not (isfinite(minutes) and isfinite(loss)):
        raise UsageError("usage", "Minutes and percents are numbers.")
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
            kilobits=kilobits,
            crashes=crashes,
            away=_span(away),
            quiet=_span(quiet),
            cuts=tuple(Cut.parse(text) for text in partition or ()),
            without=tuple(sorted(set(without or ()))),
            changed=tuple(sorted(_parameter(text) for text in parameter or ())),
        )
        simulated = Network(scenario)
        scenario = simulated.scenario  # as the attack wants it
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


def clause(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"Which: {SCENES}.")],
) -> None:
    """Show what a rule of finality is for: the same scene with it and without it."""
    session = session_of(context)
    if name not in SCENES.split(", "):
        raise UsageError(
            "unknown_clause",
            f"There is no scene for {name[:40]!r}; there are {SCENES}.",
            "For other rules: nexus lab network --without CLAUSE",
        )
    counted = {"epoch_reveals": _draws, "spectral_quorum": _hashes}
    document = counted[name]() if name in counted else _scene(name)
    pairs = [(how, document[key].pop("text")) for how, key in (("With it", "with"), ("Without", "without"))]
    session.done(document, [*_paragraph(document["about"]), "", *_fields(pairs)])


def _scene(name: str) -> dict[str, Any]:
    from dataclasses import asdict

    from node.lab.scenes import SCENES as scenes

    played = {"with": scenes[name].play(True), "without": scenes[name].play(False)}
    document: dict[str, Any] = {"clause": name, "about": scenes[name].about}
    for key, outcome in played.items():
        one, other = outcome.finals
        text = f"one side holds checkpoint {one} final, the other {other}, "
        if outcome.safe:
            text += "and both are of one history. "
            text += f"Once everybody hears everything, checkpoint {outcome.agreed} is final for all."
        else:
            text += "of two histories. "
            text += f"Evidence names {outcome.offences or 'nobody'}: all were honest, only messages came late."
        document[key] = {**asdict(outcome), "text": text}
    return document


def _draws() -> dict[str, Any]:
    from dataclasses import asdict

    from node.lab.grinding import ABOUT, grind

    document: dict[str, Any] = {"clause": "epoch_reveals", "about": ABOUT}
    for key, once_an_epoch in (("with", True), ("without", False)):
        draws = grind(once_an_epoch)
        text = f"{draws.choices} choices an epoch, {draws.percent:.1f} % of {draws.seats} seats."
        document[key] = {**asdict(draws), "percent": draws.percent, "text": text}
    return document


def _hashes() -> dict[str, Any]:
    from node.lab.forgery import ABOUT, hashes_to_break

    document: dict[str, Any] = {"clause": "spectral_quorum", "about": ABOUT}
    for key, with_regions in (("with", True), ("without", False)):
        least = hashes_to_break(with_regions)
        text = "; ".join(f"{name}: {number} of 6" for name, number in least.items()) + "."
        document[key] = {"hashes_to_break": least, "text": text}
    return document


def _paragraph(text: str) -> list[str]:
    from textwrap import wrap

    return wrap(text, _WIDTH, break_on_hyphens=False)


def _fields(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Named values below each other, broken to the width of a phone."""
    from textwrap import wrap

    listed = list(pairs)
    label = max(len(name) for name, _ in listed) + 2
    lines = []
    for name, value in listed:
        first, *rest = wrap(value, _WIDTH - label, break_on_hyphens=False)
        lines += [name.ljust(label) + first, *(" " * label + line for line in rest)]
    return lines


def _seconds(spread: dict[str, Any]) -> str:
    if not spread["count"]:
        return "none"
    return f"{spread['median'] / 1000:.1f} s (median), 95 % within {spread['p95'] / 1000:.1f} s"


def _way(spread: dict[str, Any]) -> str:
    if not spread["count"]:
        return "none was made"
    return f"to half of all nodes {spread['median'] / 1000:.1f} s, to 95 % {spread['p95'] / 1000:.1f} s"


def _links(traffic: dict[str, Any]) -> str:
    """Which links ended, and who was shut out."""
    ended = ", ".join(f"{name} {count}×" for name, count in traffic["links_ended"].items())
    bans = traffic["bans"]
    if not ended:
        return "none ended"
    return f"ended: {ended}; shut out: attackers {bans['of_attackers']}×, honest nodes {bans['of_honest']}×"


def _returns(returns: list[dict[str, int]]) -> str:
    """How long those who were away took to catch up."""
    took = [item["took_ms"] for item in returns if item["took_ms"] >= 0]
    if not returns:
        return ""
    missed = max(item["lacked"] for item in returns)
    text = f"{_count(len(returns), 'node')}, at most {_count(missed, 'block')} behind"
    if took:
        text += f", caught up within {max(took) / 1000:.1f} s"
    late = len(returns) - len(took)
    return text + (f"; {late} not yet" if late else "")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _lines(scenario: Scenario, report: dict[str, Any]) -> list[str]:
    """The report for people."""
    from nexus_tui.format import size

    dag, moved, safety, flow = report["dag"], report["reorganisations"], report["safety"], report["throughput"]
    final, traffic, waited = report["finality"], report["traffic"], report["finality_ms"]
    open_payments = f"; {waited['open']} of {waited['asked']} still open" if waited["open"] else ""
    pairs = [
        (
            "Network",
            f"{_count(scenario.nodes, 'node')}, {_count(scenario.validators, 'validator')}, "
            f"{scenario.seconds} s, seed {scenario.seed}",
        ),
        ("Without", ", ".join(scenario.without)),
        *_attack(scenario, report),
        ("Blocks", f"{flow['blocks']}, {flow['blocks_per_s']:.2f} a second"),
        (
            "DAG",
            f"{dag['parallel_mean']:.2f} blocks side by side, {dag['parallel_max']} at the most; "
            f"{dag['blue_percent']:.1f} % blue",
        ),
        ("Payments", f"{flow['payments_accepted']} of {flow['payments']} in blocks, {flow['payments_final']} final"),
        ("In a block", f"after {_seconds(report['inclusion_ms'])}"),
        ("Final", f"after {_seconds(waited)}{open_payments}"),
        (
            "Checkpoints",
            f"{final['checkpoint']} final, the last {final['lag_ms'] / 1000:.0f} s before the end; "
            f"longest standstill {final['longest_gap_ms'] / 1000:.0f} s",
        ),
        ("Taken back", f"at most {_count(moved['deepest'], 'block')} at once"),
        (
            "Sent",
            f"{size(traffic['bytes_per_node_s'])} a second and node, "
            f"{traffic['messages_per_node_minute']:,.0f} messages a minute and node",
        ),
        ("A block's way", _way(report["propagation_ms"])),
        (
            "Told",
            f"a block {traffic['headers_per_block']:.1f} times to each node, other things "
            f"{traffic['names_per_thing']:.1f} times; {traffic['blocks_again_percent']:.1f} % of blocks given twice",
        ),
        ("Links", _links(traffic)),
        ("Came back", _returns(report["returns"])),
        ("Overlap", f"{report['overlap']['percent']:.1f} % of payments carried by two blocks"),
        ("Punished", _punished(report["culprits"])),
        ("Safety", _safety(safety)),
    ]
    return _fields((name, value) for name, value in pairs if value)


def _attack(scenario: Scenario, report: dict[str, Any]) -> list[tuple[str, str]]:
    """Who attacks, what they did, and what they got of the chain."""
    attackers, found = report["attackers"], report["findings"]
    if scenario.attack == "none":
        return [("Attack", "none")]
    who = f"{len(attackers['validators'])} of {_count(scenario.validators, 'validator')}"
    done = ", ".join(f"{name} {count}×" for name, count in report["offences"].items())
    got = f"{attackers['blocks_percent']:.1f} % of blocks, {attackers['blue_percent']:.1f} % of blue ones"
    pairs = [
        ("Attack", f"{scenario.attack}, by {who} with {attackers['stake_percent']:.0f} % of stake"),
        ("They did", done),
        ("They made", got),
    ]
    if "victim" in found:
        behind = f"{_count(found['behind_blocks_at_most'], 'block')}, "
        behind += _count(found["behind_checkpoints_at_most"], "final checkpoint")
        pairs.append(("Victim", f"node {found['victim']}, at most {behind} behind"))
    if found.get("epochs"):
        pairs.append(("They drew", f"{found['seats_percent']:.1f} % of {found['seats']} seats"))
    return pairs


def _safety(safety: dict[str, Any]) -> str:
    if not safety["ok"]:
        return "BROKEN: " + "; ".join(safety["faults"])
    return f"holds: one final history for {safety['nodes']} honest nodes, {int(safety['energy']):,} units in each"


def _punished(culprits: list[dict[str, Any]]) -> str:
    """Whom evidence cost stake, those who lost alike together."""
    alike: dict[str, list[str]] = {}
    for item in culprits:
        alike.setdefault(f"{item['lost_percent']:.0f} %", []).append(str(item["validator"]))
    return (
        "; ".join(
            f"{'validator' if len(some) == 1 else 'validators'} {', '.join(some)}: {lost} of stake"
            for lost, some in alike.items()
        )
        or "nobody"
    )


def _charts(series: list[dict[str, int]]) -> list[str]:
    """How the run went, as lines of bars; nothing where the terminal has no such characters."""
    from itertools import pairwise

    from nexus_tui.terminal import detect

    if not detect(encoding=sys.stdout.encoding).unicode or len(series) < 2:
        return []
    rises = [
        {name: later[name] - before[name] for name in ("blocks", "accepted")} for before, later in pairwise(series)
    ]
    rows = (
        ("Blocks", [item["blocks"] for item in rises]),
        ("Payments", [item["accepted"] for item in rises]),
        ("Tips", [item["tips"] for item in series[1:]]),
        ("Lag, s", [item["lag_ms"] // 1000 for item in series[1:]]),
    )
    name = max(len(row) for row, _ in rows) + 2
    every = series[1]["second"] - series[0]["second"]
    return [
        "",
        f"Every {every} s, and how far what is final lags:",
        *(f"{row.ljust(name)}{_bars(values)}  {min(values)}–{max(values)}" for row, values in rows),
    ]


def _bars(values: list[int]) -> str:
    from io import StringIO

    from rich.console import Console
    from textual.renderables.sparkline import Sparkline

    width = min(_CHART, len(values))
    paper = Console(file=StringIO(), width=width, color_system=None, legacy_windows=False)
    with paper.capture() as drawn:
        paper.print(Sparkline(values, width=width), end="")
    return drawn.get()
