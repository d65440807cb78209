"""Lists of payments and of accounts: two-line cards on a phone, one line a row where there is room.

Every line is made here, in full, as text: no widget rounds or reads an amount.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from textual import events
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from nexus_tui.format import HIDDEN_AMOUNT, short, when
from nexus_tui.sanitize import sanitize
from node.encoding.amounts import exact_amount, format_amount

if TYPE_CHECKING:
    from nexus_tui.glyphs import Glyphs
    from nexus_tui.live import Line
    from wallet.contacts import Contact
    from wallet.history import HistoryRow

ROW_WIDTH = 64
"""From this width on a payment is one line."""

_STATES = {
    "pending": ("waiting", "$warning"),
    "failed": ("failed", "$error"),
    "expired": ("expired", "$error"),
}


def party(row: HistoryRow) -> str:
    """Who is on the other side: a name if there is one, else the address in short; what it is where nobody is."""
    if not row.counterparties:
        return "evidence of an offence" if row.kind == "evidence" else sanitize(row.kind, 24)
    if row.direction == "self":
        return "between your accounts"
    name, address = row.counterparties[0]
    more = f" +{len(row.counterparties) - 1}" if len(row.counterparties) > 1 else ""
    return (sanitize(name, 64) or short(address)) + more


def signed_amount(row: HistoryRow, glyphs: Glyphs, hidden: bool) -> tuple[str, str]:
    """The amount with its sign in words of the owner, and its style."""
    sign = {"in": "+", "out": "-" if glyphs.ascii else "−"}.get(row.direction, "")
    style = "$success" if row.direction == "in" and row.status in ("done", "pending") else "$foreground"
    if row.status in ("failed", "expired"):
        style = "$muted"
    return (HIDDEN_AMOUNT if hidden else f"{sign}{format_amount(row.amount)}"), style


def payment_lines(row: HistoryRow, width: int, glyphs: Glyphs, now_ms: int, hidden: bool) -> Content:
    """One payment in `width` cells."""
    mark = {"in": glyphs.received, "out": glyphs.sent}.get(row.direction, glyphs.own)
    mark = glyphs.bad if row.status in ("failed", "expired") else mark
    amount, style = signed_amount(row, glyphs, hidden)
    state, state_style = _STATES.get(row.status, ("", ""))
    memo = sanitize(row.memo, 80)
    time = when(row.time_ms, now_ms)
    mark_style = style if row.direction == "in" else "$muted"
    if width >= ROW_WIDTH:
        room = width - 2 - 13 - len(amount) - 1
        name_room = min(max(room // 2, 12), 28)
        memo_room = max(room - name_room - 1, 0)
        tail = f"{state}  {memo}" if state else memo
        return Content.assemble(
            (f"{mark} ", mark_style),
            fit(party(row), name_room),
            " ",
            (fit(tail, memo_room), state_style or "$muted"),
            (fit(time, 12, right=True), "$muted"),
            " ",
            (amount, style),
            " ",
        )
    first = fit(party(row), max(width - 3 - len(amount), 4))
    about = "  ".join(part for part in (state or time, time if state and row.time_ms else "", memo) if part)
    return Content.assemble(
        (f"{mark} ", mark_style),
        first,
        " ",
        (amount, style),
        "\n  ",
        (fit(about, max(width - 2, 4)), state_style or "$muted"),
    )


def account_lines(line: Line, width: int, hidden: bool) -> Content:
    """One account: its name and balance, its address below."""
    balance = "…" if line.view is None else HIDDEN_AMOUNT if hidden else format_amount(line.view.balance)
    label = fit(sanitize(line.account.label, 64), max(width - 1 - len(balance), 4))
    kind = "" if line.account.can_sign else "watched  "
    waiting = ""
    if line.view is not None and not hidden and (line.view.pending_in or line.view.pending_out):
        arriving = line.view.pending_in - line.view.pending_out
        waiting = f"  {'+' if arriving >= 0 else '-'}{format_amount(abs(arriving))} waiting"
    return Content.assemble(
        label,
        " ",
        (balance, "bold"),
        "\n",
        (fit(f"{kind}{short(line.address)}{waiting}", width), "$muted"),
    )


def contact_lines(contact: Contact, address: str, width: int) -> Content:
    """One contact: name, and its address and note below."""
    note = f"  {sanitize(contact.note, 80)}" if contact.note else ""
    return Content.assemble(
        fit(sanitize(contact.name, 64), width), "\n", (fit(f"{short(address)}{note}", width), "$muted")
    )


def full_amount(units: int, hidden: bool = False) -> str:
    """Every unit, with the currency."""
    return HIDDEN_AMOUNT if hidden else f"{exact_amount(units)} NXT"


def fit(value: str, cells: int, right: bool = False) -> str:
    """Exactly `cells` cells, cut with an ellipsis; wide characters counted as two."""
    if cell_len(value) > cells:
        value = set_cell_size(value, max(cells - 1, 0)) + "…"
    spare = " " * (cells - cell_len(value))
    return spare + value if right else value + spare


class CardList(OptionList):
    """A list of entries that are laid out for the width there is. It is drawn again only when an entry changed."""

    # A list without height is told nothing of its width, and without a width it stays empty.
    DEFAULT_CSS = "CardList { min-height: 1; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes, markup=False)
        self._entries: Sequence[tuple[str, Any]] = ()
        self._layout: Any = None
        self._drawn: tuple[Any, ...] = ()

    def fill(self, entries: Sequence[tuple[str, Any]], layout: Any) -> None:
        """Show `entries` (id, value); `layout(value, width)` makes the lines of one."""
        self._entries, self._layout = entries, layout
        self._draw()

    def on_resize(self, event: events.Resize) -> None:
        """Lay out again for the new width, once this layout is done: what is added within one gets no height."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        width = self.scrollable_content_region.width - 2
        if self._layout is None or width < 4:
            return
        prompts = [(key, self._layout(value, width)) for key, value in self._entries]
        drawn = tuple((key, prompt.plain, tuple(prompt.spans)) for key, prompt in prompts)
        if drawn == self._drawn:
            return
        same_keys = [key for key, *_ in drawn] == [key for key, *_ in self._drawn]
        if same_keys:
            for place, (key, prompt) in enumerate(prompts):
                if drawn[place] != self._drawn[place]:
                    self.replace_option_prompt(key, prompt)
        else:
            chosen = self.chosen
            self.clear_options()
            self.add_options([Option(prompt, id=key) for key, prompt in prompts])
            keys = [key for key, _ in prompts]
            if chosen in keys:
                self.highlighted = keys.index(chosen)
            elif keys:
                self.highlighted = 0
        self._drawn = drawn

    def choose(self, key: str) -> None:
        """Put the cursor on an entry, if it is in the list."""
        found = next((place for place, (known, *_) in enumerate(self._drawn) if known == key), None)
        if found is not None and found != self.highlighted:
            self.highlighted = found

    @property
    def chosen(self) -> str | None:
        """Id of the highlighted entry."""
        if self.highlighted is None:
            return None
        return self.get_option_at_index(self.highlighted).id
