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
_PLAIN = "#6d7079"
_SHORT = 8
_STEP, _LANE, _MARGIN, _RADIUS = 92, 64, 44, 12


def colour_of(block: DagBlockSummary) -> str:
    """The colour of a block's region on white paper."""
    return COLOURS.get(block.region, _PLAIN)


def dot(blocks: Sequence[DagBlockSummary], final: bytes | None) -> str:
    """A directed graph, children pointing to their parents. Hollow: red; thick: the selected chain; double: final."""
    known = {block.id for block in blocks}
    lines = [
        "digraph dag {",
        "  rankdir=RL;",
        '  node [shape=circle, fontname="sans-serif", fontsize=10];',
    ]
    for block in blocks:
        region = sanitize(block.region, 20).replace("\\", "").replace('"', "")
        style = "filled" if block.colour != "red" else "solid"
        ring = ", peripheries=2" if block.id == final else ""
        width = 3 if block.chain else 1
        lines.append(
            f'  "{block.id.hex()}" [label="{block.id.hex()[:_SHORT]}", style={style}, fillcolor="{colour_of(block)}", '
            f'color="{colour_of(block)}", penwidth={width}{ring}, tooltip="{region}, slot {block.slot}"];'
        )
    for block in blocks:
        for parent in dict.fromkeys(block.parents):
            if parent in known:
                width = 3 if parent == block.parents[0] else 1
                lines.append(f'  "{block.id.hex()}" -> "{parent.hex()}" [penwidth={width}];')
    return "\n".join([*lines, "}", ""])


def svg(blocks: Sequence[DagBlockSummary], final: bytes | None, title: str) -> str:
    """A drawing with time from left to right and the selected chain on one line; hollow circles are red blocks."""
    layout = lay_out(blocks, together=True)
    above = (layout.lanes - 1) // 2
    points = {
        block_id: (
            _MARGIN + node.place * _STEP,
            2 * _MARGIN + (above + ((node.lane + 1) // 2 if node.lane % 2 else -(node.lane // 2))) * _LANE,
        )
        for block_id, node in layout.nodes.items()
    }
    width = 2 * _MARGIN + max((x for x, _ in points.values()), default=0)
    height = 2 * _MARGIN + max((y for _, y in points.values()), default=0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">',
        f"<title>{escape(sanitize(title, 80))}</title>",
        f'<rect width="{width}" height="{height}" fill="#fbfaf7"/>',
    ]
    if final in points:
        x = points[final][0] + _STEP // 2
        parts.append(f'<path d="M{x} 20V{height - 12}" stroke="{_PLAIN}" stroke-dasharray="3 5"/>')
        parts.append(f'<text x="{x - 6}" y="28" text-anchor="end" fill="{_PLAIN}">final</text>')
    for edge in layout.edges:
        (x1, y1), (x2, y2) = points[edge.child], points[edge.parent]
        middle = (x1 + x2) // 2
        thick, ink = (4, "#22262f") if edge.chain else (2, "#6d7079") if edge.selected else (1, "#a5a7ad")
        parts.append(
            f'<path d="M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}" fill="none" stroke="{ink}" '
            f'stroke-width="{thick}"/>'
        )
    for block_id, (x, y) in points.items():
        block = layout.nodes[block_id].block
        ink = colour_of(block)
        words = f"{block_id.hex()}, {sanitize(block.region, 20)}, {sanitize(block.colour, 12)}, slot {block.slot}"
        parts.append(
            f"<g><title>{escape(words)}</title>"
            f'<circle cx="{x}" cy="{y}" r="{_RADIUS}" fill={quoteattr(ink if block.colour != "red" else "#fbfaf7")} '
            f'stroke={quoteattr(ink)} stroke-width="3"/>'
            f'<text x="{x}" y="{y + _RADIUS + 14}" text-anchor="middle" fill="#22262f">{block_id.hex()[:_SHORT]}</text>'
            f'<text x="{x}" y="{y + 4}" text-anchor="middle" fill="{"#ffffff" if block.colour != "red" else ink}" '
            f'font-weight="bold">{escape(sanitize(block.region, 20)[:1])}</text></g>'
        )
    return "\n".join([*parts, "</svg>", ""])
