"""The first minute: network, wallet, words on paper, passphrase; then Home with a live chain.

The words live in one `Secret` and on this screen alone: they cannot be selected or copied, and leave the screen when
the app is suspended. Nothing is made on disk before the last step.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from nexus_tui.onboarding import NetworkChoice, check_name
from nexus_tui.sanitize import text
from nexus_tui.widgets.fields import Field, SecretField, WordsField
from nexus_tui.widgets.line import Line
from nexus_tui.widgets.rows import KeyBar
from nexus_tui.widgets.spectrum import SpectralLine
from node.api.errors import NexusError

if TYPE_CHECKING:
    from nexus_tui.app import NexusApp
    from nexus_tui.household import Household
    from node.profile.invitation import Invitation
    from wallet.secret import Secret

STEPS = ("network", "wallet", "words", "passphrase")
TITLES = {
    "network": "Which network?",
    "wallet": "Which wallet?",
    "words": "Write these words down",
    "confirm": "Which words were they?",
    "passphrase": "A passphrase for this device",
}
NETWORKS = (
    ("solo", "Solo", "This device alone, with play money at once. The way to look around."),
    ("create", "Create", "A network of your own that others can join."),
    ("join", "Join", "A network that somebody invites you to. Both devices must be online."),
)
WALLETS = (
    ("12", "New, 12 words", "Fresh recovery words, as most wallets have them."),
    ("24", "New, 24 words", "The same with more to write."),
    ("restore", "Restore", "You have recovery words from before."),
)
ASKED = 3


class Onboarding(Protocol):
    """Makes a profile with its network and wallet. Takes seconds: called in a thread, `report` is told each step.

    Raises NexusError; then nothing was made.
    """

    def create(
        self, choice: NetworkChoice, words: Secret, passphrase: Secret, report: Callable[[str], None]
    ) -> Household: ...


class WordGrid(Static):
    """The words, numbered, as many columns as fit. Nothing of it can be selected."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__("", id="word-grid", classes="secret", markup=False)
        self._words: Secret | None = None
        self._hidden = False

    def set_words(self, words: Secret | None) -> None:
        """Show these words, or none."""
        self._words, self._hidden = words, False
        self._draw()

    def get_selection(self, selection: Any) -> None:
        """Nothing to copy: selecting the whole screen leaves the words out."""
        return

    def clear(self) -> None:
        """Hide the words, when the app is suspended."""
        self._words, self._hidden = None, True
        self._draw()

    def on_resize(self, event: events.Resize) -> None:
        """Lay out for another width."""
        self._draw()

    def _draw(self) -> None:
        if self._words is None or not self.size.width:
            self.update("hidden; go back and on again to see the words" if self._hidden else "")
            return
        count = len(self._words.text().split())
        columns = max(min(self.size.width // 14, 4), 1)
        rows = -(-count // columns)
        lines = []
        for row in range(rows):
            parts: list[Any] = []
            for place in range(row, count, rows):
                parts.append((f"{place + 1:>2} ", "$muted"))
                parts.append((f"{self._words.text().split()[place]:<11}", "bold"))
            lines.append(Content.assemble(*parts))
        self.update(Content("\n").join(lines))


class Said(Line):
    """What is wrong. It stands below the fields, on a small screen out of sight: then it comes into sight by itself."""

    def on_resize(self) -> None:
        """Its text has taken its place."""
        if self.shown:
            self.screen.query_one("#body").scroll_end(animate=False)


class WizardScreen(Screen[None]):
    """Opens where there is no profile yet."""

    place = "wizard"
    AUTO_FOCUS = "#networks"
    CSS = """
    WizardScreen #head { dock: top; height: 3; padding: 0 1; }
    WizardScreen.-medium #head, WizardScreen.-wide #head { padding: 0 2; }
    WizardScreen #head Horizontal { height: 1; }
    WizardScreen.-short #head { display: none; }
    WizardScreen #step { width: 1fr; text-align: right; color: $muted; }
    WizardScreen #body { align-horizontal: center; }
    WizardScreen #page { width: 100%; max-width: 66; height: auto; padding: 1 1 1 0; }
    WizardScreen.-short #page { padding: 0; }
    WizardScreen #question { text-style: bold; margin-bottom: 1; }
    WizardScreen.-short #question { margin-bottom: 0; }
    WizardScreen .page { display: none; height: auto; }
    WizardScreen .page.-shown { display: block; }
    WizardScreen OptionList { height: auto; }
    WizardScreen #word-grid { height: auto; width: 1fr; padding: 1 2; background: $surface; }
    WizardScreen.-short #word-grid { padding: 0 1; }
    WizardScreen #said { margin-top: 1; height: auto; }
    WizardScreen Line { height: auto; width: 1fr; }
    WizardScreen .more { height: auto; margin-top: 1; }
    WizardScreen.-short Vertical { margin-top: 0; }
    WizardScreen .page > .muted { margin-bottom: 1; }
    WizardScreen.-short .page > .muted { margin-bottom: 0; }
    WizardScreen .buttons { margin: 0 0 1 0; padding: 0 1; }
    WizardScreen.-medium .buttons, WizardScreen.-wide .buttons { align-horizontal: center; }
    WizardScreen.-short .buttons { margin: 0; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._page = "network"
        self._preset = "solo"
        self._invitation: Invitation | None = None
        self._kind = "12"
        self._words: Secret | None = None
        self._asked: tuple[int, ...] = ()
        self._busy = False

    @property
    def nexus(self) -> NexusApp:
        """The app, by its type."""
        from nexus_tui.app import NexusApp

        app = self.app
        assert isinstance(app, NexusApp)
        return app

    def compose(self) -> ComposeResult:
        """See `Widget.compose`."""
        with Vertical(id="head"):
            with Horizontal():
                yield Static("N E X U S", id="brand", markup=False)
                yield Line("", id="step")
            yield SpectralLine(self.nexus.glyphs, done=0)
        with VerticalScroll(id="body", can_focus=False), Vertical(id="page"):
            yield Line("", id="question")
            with Vertical(id="page-network", classes="page"):
                yield self._options("networks", NETWORKS)
                with Vertical(id="create-fields", classes="more hidden"):
                    yield Line("Name of the network", classes="field-label")
                    yield Field("", "family", id="network-name", limit=32)
                with Vertical(id="join-fields", classes="more hidden"):
                    yield Line("Invitation", classes="field-label")
                    yield Field("", "nexus://join?genesis=…", id="invitation", limit=2048)
            with Vertical(id="page-wallet", classes="page"):
                yield self._options("wallets", WALLETS)
                with Vertical(id="restore-fields", classes="more hidden"):
                    yield Line("Recovery words, in their order", classes="field-label")
                    yield WordsField("twelve or twenty-four words", id="old-words")
            with Vertical(id="page-words", classes="page"):
                yield Line(
                    "On paper, in this order. Whoever has them has the money; no words, no way back to it.",
                    classes="muted",
                )
                yield WordGrid()
            with Vertical(id="page-confirm", classes="page"):
                yield Line("Look at your paper.", classes="muted")
                for place in range(ASKED):
                    yield Line("", id=f"asked-{place}", classes="field-label")
                    yield WordsField("", id=f"answer-{place}")
            with Vertical(id="page-passphrase", classes="page"):
                yield Line(
                    "It is asked before money leaves. It cannot be recovered; the words can always set up anew.",
                    classes="muted",
                )
                yield Line("Passphrase", classes="field-label")
                yield SecretField("", id="passphrase")
                yield Line("The same again", classes="field-label")
                yield SecretField("", id="again")
                yield Line("", id="strength", classes="note")
            yield Said("", id="said")
        with Vertical(id="foot"):
            with Horizontal(classes="buttons"):
                yield Button("Back", id="back")
                yield Button("Next", id="next")
            yield KeyBar()

    @staticmethod
    def _options(name: str, choices: tuple[tuple[str, str, str], ...]) -> OptionList:
        return OptionList(
            *(
                Option(Content.assemble((title, "bold"), "\n", (about, "$muted")), id=key)
                for key, title, about in choices
            ),
            id=name,
            markup=False,
        )

    def on_mount(self) -> None:
        """Begin."""
        self._turn("network")
        if self.nexus.terminal.termux and self.nexus.preferences.mouse:
            self._say("A tap does not raise the keyboard here: use KEYBOARD in the row of extra keys.", "$muted")

    # Pages

    def _turn(self, page: str) -> None:
        self._page = page
        for name in ("network", "wallet", "words", "confirm", "passphrase"):
            self.query_one(f"#page-{name}").set_class(name == page, "-shown")
        number = STEPS.index("words" if page == "confirm" else page) + 1
        self.query_one("#step", Line).show(f"step {number} of {len(STEPS)}")
        self.query_one("#question", Line).show(TITLES[page])
        self.query_one(SpectralLine).progress(number * 100 // len(STEPS))
        self.query_one("#back", Button).disabled = page == "network"
        following = self.query_one("#next", Button)
        following.label = {"words": "Written down", "passphrase": "Begin"}.get(page, "Next")
        following.refresh(layout=True)
        self.query_one("#word-grid", WordGrid).set_words(self._words if page == "words" else None)
        self._say("")
        self.query_one("#body").scroll_home(animate=False)
        first = {
            "network": "#networks",
            "wallet": "#wallets",
            "words": "#next",
            "confirm": "#answer-0",
            "passphrase": "#passphrase",
        }[page]
        self.query_one(first).focus()

    def _say(self, message: str, style: str = "$error") -> None:
        self.query_one("#said", Said).show(text(message, style))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        if event.value and not self._busy:
            self._say("")

    @on(OptionList.OptionHighlighted, "#networks")
    def _network_looked_at(self, event: OptionList.OptionHighlighted) -> None:
        self._preset = event.option.id or "solo"
        self.query_one("#create-fields").set_class(self._preset != "create", "hidden")
        self.query_one("#join-fields").set_class(self._preset != "join", "hidden")
        self._say("")

    @on(OptionList.OptionHighlighted, "#wallets")
    def _wallet_looked_at(self, event: OptionList.OptionHighlighted) -> None:
        self._kind = event.option.id or "12"
        self.query_one("#restore-fields").set_class(self._kind != "restore", "hidden")
        self._say("")

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        fields = {"create": "#network-name", "join": "#invitation", "restore": "#old-words"}
        field = fields.get(event.option.id or "")
        if field is not None:
            self.query_one(field).focus()
        else:
            self._next()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        following = {"answer-0": "#answer-1", "answer-1": "#answer-2", "passphrase": "#again"}.get(event.input.id or "")
        if following is not None:  # by name: Enter pressed twice must not run on to a button
            self.query_one(following).focus()
        else:
            self._next()

    @on(Button.Pressed, "#back")
    def _back(self) -> None:
        before = {"wallet": "network", "words": "wallet", "confirm": "words", "passphrase": "wallet"}
        if self._page in before and not self._busy:
            for field in self.query("WordsField, SecretField").results(Input):
                if field.id != "old-words":
                    field.clear()
            self._turn(before[self._page])

    @on(Button.Pressed, "#next")
    def _next_pressed(self) -> None:
        self._next()

    def _next(self) -> None:
        if self._busy:
            return
        try:
            {
                "network": self._leave_network,
                "wallet": self._leave_wallet,
                "words": self._ask_words,
                "confirm": self._check_words,
                "passphrase": self._begin,
            }[self._page]()
        except NexusError as error:
            self._say(f"{error.message} {error.hint}".strip())

    def _leave_network(self) -> None:
        if self._preset == "join":
            from node.profile.invitation import parse_invitation

            self._invitation = parse_invitation(self.query_one("#invitation", Field).value)
        check_name(self._network_name())
        self._turn("wallet")

    def _network_name(self) -> str | None:
        return (self.query_one("#network-name", Field).value.strip() or None) if self._preset == "create" else None

    def _leave_wallet(self) -> None:
        from wallet import words
        from wallet.secret import Secret

        if self._kind == "restore":
            typed = Secret.of(self.query_one("#old-words", WordsField).value)
            self._words = words.words_of(words.entropy_of(typed))
            self.query_one("#old-words", WordsField).clear()
            self._turn("passphrase")
            return
        if self._words is None or len(self._words.text().split()) != int(self._kind):
            self._words = words.words_of(words.generate(int(self._kind)))
        self._turn("words")

    def _ask_words(self) -> None:
        assert self._words is not None
        count = len(self._words.text().split())
        self._asked = tuple(sorted(secrets.SystemRandom().sample(range(count), ASKED)))
        for place, number in enumerate(self._asked):
            self.query_one(f"#asked-{place}", Line).show(f"Word number {number + 1}")
        self._turn("confirm")

    def _check_words(self) -> None:
        assert self._words is not None
        for place, number in enumerate(self._asked):
            field = self.query_one(f"#answer-{place}", WordsField)
            if field.value.strip().casefold() != self._words.text().split()[number]:
                self._say(f"Word number {number + 1} is another one. Compare with your paper, or go back and look.")
                field.focus()
                return
        for place in range(ASKED):
            self.query_one(f"#answer-{place}", WordsField).clear()
        self._turn("passphrase")

    @on(Input.Changed, "#passphrase")
    def _strength(self, event: Input.Changed) -> None:
        count = len(event.value)
        said = (
            ""
            if not count
            else f"{count} characters"
            + ("; four words that do not belong together are better" if count < 12 else ", good")
        )
        self.query_one("#strength", Line).show(said)

    def _begin(self) -> None:
        from wallet.keystore import check_passphrase
        from wallet.secret import Secret

        first, again = self.query_one("#passphrase", SecretField), self.query_one("#again", SecretField)
        if first.value != again.value:
            self._say("The two passphrases differ. Type them once more.")
            first.clear()
            again.clear()
            first.focus()
            return
        passphrase = Secret.of(first.value)
        check_passphrase(passphrase)
        first.clear()
        again.clear()
        self._busy = True
        for button in self.query(Button):
            button.disabled = True
        self._say("working …", "$muted")
        self.nexus.start(self._make(passphrase), "onboarding")

    async def _make(self, passphrase: Secret) -> None:
        onboarding = self.nexus.onboarding
        assert onboarding is not None
        assert self._words is not None
        invitation = self._invitation if self._preset == "join" else None
        choice = NetworkChoice(self._preset, self._network_name(), invitation=invitation)

        def report(step: str) -> None:
            self.app.call_from_thread(self._say, f"{step} …", "$muted")

        try:
            household = await asyncio.to_thread(onboarding.create, choice, self._words, passphrase, report)
        except NexusError as error:
            self._say(f"{error.message} {error.hint}".strip())
            return
        finally:
            self._busy = False
            passphrase.wipe()
            for button in self.query(Button):
                button.disabled = False
        self._words.wipe()
        self._words = None
        await self.nexus.enter(household)
