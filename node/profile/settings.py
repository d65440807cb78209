"""What can be configured: sections of settings, each with a type, a default, bounds and a comment.

A package describes its section as data; `node.profile.config` reads, checks and writes it. `[node]` is described
here, `[wallet]` and `[app]` by the packages that own them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

SettingValue: TypeAlias = bool | int | str


@dataclass(frozen=True, slots=True)
class Setting:
    """One key. Its type is that of `default`; `minimum` and `maximum` bound a number or a text's length."""

    key: str
    default: SettingValue
    comment: str
    minimum: int = 0
    maximum: int = 1 << 31
    choices: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The type in words."""
        if isinstance(self.default, bool):
            return "true or false"
        if isinstance(self.default, int):
            return f"a whole number from {self.minimum} to {self.maximum}"
        if self.choices:
            return "one of " + ", ".join(repr(choice) for choice in self.choices)
        return "text"

    def check(self, value: object) -> str | None:
        """What is wrong with `value`, or None."""
        wanted = type(self.default)
        if type(value) is not wanted:
            return f"must be {self.kind}, not {_shown(value)}"
        if isinstance(value, int) and not isinstance(value, bool):
            fits = self.minimum <= value <= self.maximum
        elif isinstance(value, str):
            fits = value in self.choices if self.choices else len(value) <= min(self.maximum, 4096)
        else:
            fits = True
        return None if fits else f"must be {self.kind}, not {_shown(value)}"

    def parse(self, text: str) -> SettingValue:
        """The value written as `text` in an environment variable or an option. Raises ValueError with the reason."""
        value: SettingValue = text
        if isinstance(self.default, bool):
            words = {"true": True, "yes": True, "on": True, "1": True}
            words |= {"false": False, "no": False, "off": False, "0": False}
            value = words.get(text.strip().lower(), text)
        elif isinstance(self.default, int):
            digits = text.strip()
            if digits.lstrip("-").isdecimal() and digits.isascii() and len(digits) < 20:
                value = int(digits)
        if wrong := self.check(value):
            raise ValueError(wrong)
        return value


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the configuration; the section named "" is the top level."""

    name: str
    comment: str
    settings: tuple[Setting, ...]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


TOP = Section(
    "",
    "Configuration of Nexus. Every key can also be given as --set section.key=value\n"
    "or as the environment variable NEXUS_SECTION_KEY; those win over this file, in that order.",
    (Setting("profile", "default", "The profile that is used when --profile does not name one."),),
)

NODE = Section(
    "node",
    "The node: what `nexus node run` does, and the node inside the app.",
    (
        Setting(
            "mode",
            "auto",
            "full; archive, which keeps all blocks whole and the whole history; or phone, which makes few links, takes "
            "none, and sleeps between looks where data is metered. auto is phone on Android, else full.",
            choices=("auto", "full", "archive", "phone"),
        ),
        Setting(
            "log_level",
            "info",
            "How much the log says.",
            choices=("debug", "info", "warning", "error"),
        ),
        Setting("log_kilobytes", 1024, "A log file is rotated at this size.", 16, 1_048_576),
        Setting("log_files", 4, "Rotated log files that are kept.", 0, 100),
        Setting("produce", True, "Make blocks when this profile holds a validator key."),
        Setting(
            "check",
            "auto",
            "How the database is checked at start; auto does it after a crash.",
            choices=("auto", "none", "quick", "full"),
        ),
        Setting(
            "accept_long_gap",
            False,
            "Make blocks though the newest is half a year old; only with a clock that is right.",
        ),
        Setting(
            "keep_bodies_hours",
            24,
            "Blocks far below the final ones are kept whole for so many hours; 0 keeps them for ever. What they "
            "executed stays in the history.",
            0,
            1_000_000,
        ),
        Setting(
            "keep_history_days",
            400,
            "The chain's history is kept for so many days, so that the disk stays flat; 0 keeps it for ever. Balances "
            "always stay.",
            0,
            100_000,
        ),
        Setting(
            "keep_megabytes",
            0,
            "The chain may use so many megabytes of disk, give or take a sixteenth; 0 does not bound it. Where that "
            "comes before the hours and days above, the oldest goes earlier: first blocks' bodies, then the history. "
            "After the bound was lowered, the room comes back at the start after the next.",
            0,
            100_000_000,
        ),
        Setting(
            "metrics_port",
            0,
            "Measurements for Prometheus are given at http://127.0.0.1:PORT/metrics (nexus guide daemon); 0 is off.",
            0,
            65_535,
        ),
        Setting(
            "metrics_host",
            "127.0.0.1",
            "Another address to give them at. Whoever reaches it can read them: they name no account and no peer.",
            1,
            253,
        ),
        Setting("numpy", True, "Use NumPy for the state's waves; off saves 16 MB of memory."),
    ),
)

MESH = Section(
    "mesh",
    "Links to other nodes. They are used on networks that others can join; `solo` and the demo have none.",
    (
        Setting("enabled", True, "Link with other nodes."),
        Setting(
            "listen",
            "auto",
            "Where links are taken from outside: any (all addresses of this device), none, or addresses with commas "
            "between them. auto is none on a phone, else any.",
            1,
            400,
        ),
        Setting("port", 7_400, "The port; if it is taken, the next free one is used and kept.", 1, 65_535),
        Setting("outbound", 8, "So many links are made to others; a phone makes 4 at most.", 0, 64),
        Setting("inbound", 64, "So many are taken from others; a phone takes 8 at most.", 0, 1_000),
        Setting(
            "relay",
            True,
            "Join nodes that cannot be called from outside with each other: their data passes here encrypted, at most "
            "32 MB a minute. A node that takes no links from outside never does.",
        ),
        Setting(
            "metered",
            "auto",
            "Whether data costs here: yes, no, or auto, which asks the system where it tells (Termux with termux-api). "
            "A node of mode phone then sleeps between looks.",
            choices=("auto", "yes", "no"),
        ),
        Setting("look_minutes", 15, "A node that sleeps looks at the network so often.", 1, 1_440),
        Setting(
            "day_megabytes",
            0,
            "Links may carry so many megabytes a day; 0 is any number. At four fifths the node becomes sparing, at the "
            "end it sleeps; own payments are sent even then.",
            0,
            1_000_000,
        ),
        Setting(
            "discovery",
            True,
            "Look for nodes in the local network, and let them find this one by a random name and the port.",
        ),
        Setting(
            "proxy",
            "",
            "Open links through this SOCKS5 proxy, socks5://HOST:PORT; Tor's is usually socks5://127.0.0.1:9050. For "
            "links through it alone, set listen to none and discovery to false.",
        ),
    ),
)
