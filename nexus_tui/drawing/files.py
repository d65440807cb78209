"""The DAG as files for other programs: DOT for Graphviz (plain text), and SVG by a writer of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from nexus_tui.drawing.lanes import lay_out
from nexus_tui.foreign import sanitize

if TYPE_CHECKING:
    from node.api.records import DagBlockSummary

COLOURS = {
    "Violet": "#7a4fe0",
    "Blue": "#2f6fe0",
    "Green": "#1f9d57",
    "Yellow": "#c9a400",
    "Orange": "#d97a1a",
    "Red": "#d23a4a",
}
_INK, _PAPER, _PLAIN, _THIN = "#22262f", "#fbfaf7", "#6d7079", "#a5a7ad"
_SHORT = 8
_STEP, _LANE, _MARGIN, _RADIUS, _BEND = 92, 64, 44, 12, 60
_LEGEND_WIDTH = 1010


def colour_of(block: DagBlockSummary) -> str:
    """The colour of a block's region on white paper."""
    return COLOURS.get(block.region, _PLAIN)


def dot(blocks: Sequence[DagBlockSummary], final: bytes | None) -> str:
    """A directed graph, children pointing to their parents.

    Hollow: red; ringed, and joined by the thickest lines: the selected chain; double: final.
    """
    chain = {block.id for block in blocks if block.chain}
    known = {block.id for block in blocks}
    lines = [
        "digraph dag {",
        "  rankdir=RL;",
        '  node [shape=circle, fontname="sans-serif", fontsize=10];',
        "  edge [arrowsize=0.6];",
    ]
    for block in blocks:
        region = sanitize(block.region, 20).replace("\\", "").replace('"', "")
        hollow = block.colour == "red"
        ring = ", peripheries=2" if block.id == final else ""
        lines.append(
            f'  "{block.id.hex()}" [label="{block.id.hex()[:_SHORT]}", style={"solid" if hollow else "filled"}, '
            f'fillcolor="{colour_of(block)}", color="{_INK if block.chain else colour_of(block)}", '
            f'fontcolor="{_INK if hollow else _letter(block)}", penwidth={3 if block.chain else 2}{ring}, '
            f'tooltip="{region}, slot {block.slot}"];'
        )
    for block in blocks:
        for parent in dict.fromkeys(block.parents):
            if parent in known:
                selected = parent == block.parents[0]
                on_chain = selected and block.id in chain and parent in chain
                # a heavy weight keeps the selected chain straight
                look = f'penwidth=4, weight=20, color="{_INK}"' if on_chain else f'penwidth=2, color="{_PLAIN}"'
                look = look if selected else f'penwidth=1, color="{_THIN}"'
                lines.append(f'  "{block.id.hex()}" -> "{parent.hex()}" [{look}];')
    return "\n".join([*lines, "}", ""])


def svg(blocks: Sequence[DagBlockSummary], final: bytes | None, title: str) -> str:
    """A drawing with time from left to right and the selected chain on one line; hollow circles are red blocks.

    A line runs along its parent's lane, which is kept free for it, and turns to its child at the end: it passes
    through no other block.
    """
    layout = lay_out(blocks, together=True)
    above = (layout.lanes - 1) // 2

    def row(lane: int) -> int:
        return 2 * _MARGIN + (above + ((lane + 1) // 2 if lane % 2 else -(lane // 2))) * _LANE

    points = {each: (_MARGIN + node.place * _STEP, row(node.lane)) for each, node in layout.nodes.items()}
    bottom = 2 * _MARGIN + max(layout.lanes - 1, 0) * _LANE
    width = max(2 * _MARGIN + max((x for x, _ in points.values()), default=0), _LEGEND_WIDTH)
    height = bottom + 2 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">',
        f"<title>{escape(sanitize(title, 80))}</title>",
        f'<rect width="{width}" height="{height}" fill="{_PAPER}"/>',
    ]
    if final in points:
        x = points[final][0] + _STEP // 2
        parts.append(f'<path d="M{x} 20V{bottom + _MARGIN - 8}" stroke="{_PLAIN}" stroke-dasharray="3 5"/>')
        parts.append(f'<text x="{x - 6}" y="28" text-anchor="end" fill="{_PLAIN}">final</text>')
    for edge in sorted(layout.edges, key=lambda edge: (edge.chain, edge.selected)):
        lane = row(layout.late_lanes[edge.parent]) if edge.late else points[edge.parent][1]
        thick, ink = (4, _INK) if edge.chain else (2, _PLAIN) if edge.selected else (1, _THIN)
        parts.append(
            f'<path d="{_line(points[edge.parent], lane, points[edge.child])}" fill="none" stroke="{ink}" '
            f'stroke-width="{thick}"/>'
        )
    parts += [_disc(layout.nodes[each].block, x, y) for each, (x, y) in points.items()]
    return "\n".join([*parts, _legend(bottom + _MARGIN + 20), "</svg>", ""])


def _line(parent: tuple[int, int], lane: int, child: tuple[int, int]) -> str:
    (x, y), (end, to) = parent, child
    path = f"M{x} {y}"
    if lane != y:
        path += f"C{x + _BEND // 2} {y} {x + _BEND // 2} {lane} {x + _BEND} {lane}"
    if lane != to:
        turn = end - _BEND
        path += f"H{turn}C{turn + _BEND // 2} {lane} {turn + _BEND // 2} {to} {end} {to}"
    else:
        path += f"H{end}"
    return path


def _letter(block: DagBlockSummary) -> str:
    """The colour of letters on a filled circle."""
    return _INK if block.region == "Yellow" else "#ffffff"


def _disc(block: DagBlockSummary, x: int, y: int) -> str:
    ink, region, short = colour_of(block), sanitize(block.region, 20), block.id.hex()[:_SHORT]
    red = block.colour == "red"
    words = f"{block.id.hex()}, {region}, {sanitize(block.colour, 12)}, slot {block.slot}"
    under = [short] if block.height is None else [short, f"{block.height:,}"]
    labels = "".join(
        f'<text x="{x}" y="{y + _RADIUS + 14 + 13 * place}" text-anchor="middle" fill="{_PLAIN if place else _INK}" '
        f'stroke="{_PAPER}" stroke-width="3" paint-order="stroke">{line}</text>'
        for place, line in enumerate(under)
    )
    return (
        f"<g><title>{escape(words)}</title>"
        f'<circle cx="{x}" cy="{y}" r="{_RADIUS}" fill={quoteattr(_PAPER if red else ink)} stroke={quoteattr(ink)} '
        f'stroke-width="3"/>{labels}'
        f'<text x="{x}" y="{y + 4}" text-anchor="middle" fill="{ink if red else _letter(block)}" '
        f'font-weight="bold">{escape(region[:1])}</text></g>'
    )


def _legend(y: int) -> str:
    """What the signs mean, on one line below the drawing."""
    x, parts = _MARGIN, [f'<g fill="{_PLAIN}">']
    for name, ink in COLOURS.items():
        parts.append(f'<circle cx="{x}" cy="{y}" r="6" fill="{ink}"/><text x="{x + 12}" y="{y + 4}">{name}</text>')
        x += 72
    hollow = f'<circle cx="{x}" cy="{y}" r="5" fill="{_PAPER}" stroke="{_PLAIN}" stroke-width="3"/>'
    parts.append(f'{hollow}<text x="{x + 12}" y="{y + 4}">red block</text>')
    x += 92
    for thick, ink, name in ((4, _INK, "selected chain"), (2, _PLAIN, "selected parent"), (1, _THIN, "other parent")):
        parts.append(f'<path d="M{x} {y}h28" stroke="{ink}" stroke-width="{thick}"/>')
        parts.append(f'<text x="{x + 36}" y="{y + 4}">{name}</text>')
        x += 146
    return "".join([*parts, "</g>"])
