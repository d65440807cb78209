"""One run of the command line: the options that every command takes, the configuration, and how results are given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nexus_tui.cli import output

if TYPE_CHECKING:
    from node.profile.config import Config
    from node.profile.paths import ProfilePaths
    from wallet.contacts import Contacts
    from wallet.store import WalletStore


@dataclass(slots=True)
class Session:
    """State of one run. `json`, `profile` and `sets` are filled while arguments are parsed."""

    json: bool = False
    profile: str | None = None
    sets: list[str] = field(default_factory=list)
    _config: Config | None = None

    @property
    def config(self) -> Config:
        """The checked configuration; `nexus init` and the app write its file, with comments, on the first run."""
        if self._config is None:
            from nexus_tui.settings import SECTIONS
            from node.profile.config import load
            from node.profile.paths import config_file

            self._config = load(config_file(), SECTIONS, self.sets)
        return self._config

    @property
    def profile_name(self) -> str:
        """The profile that was asked for, else the configured one. It need not exist."""
        return self.config.text("profile") if self.profile is None else self.profile

    @property
    def paths(self) -> ProfilePaths:
        """The existing profile's paths. Raises ProfileError for an unknown one; nothing is ever created."""
        from node.profile.paths import existing_profile

        return existing_profile(self.profile_name)

    @property
    def prefix(self) -> str:
        """The address prefix of the profile's network."""
        from node.profile.network import address_prefix

        return address_prefix(self.paths)

    def wallets(self) -> WalletStore:
        """The wallets of the profile."""
        from wallet.store import WalletStore

        lock_after = self.config.number("wallet.auto_lock_seconds")
        return WalletStore(self.paths.wallets, self.prefix, auto_lock_seconds=lock_after)

    def contacts(self) -> Contacts:
        """The contacts of the profile."""
        from wallet.contacts import Contacts

        return Contacts(self.paths.contacts, self.prefix)

    def done(self, document: output.Document, lines: str | Iterable[str]) -> None:
        """Give the command's result: the document with `--json`, else the lines."""
        if self.json:
            output.write_json(document)
        else:
            output.write_text(lines)

    def say(self, text: str) -> None:
        """A step on the way to the result: on stdout for people, on stderr when stdout carries a document."""
        if self.json:
            output.note(text)
        else:
            output.write_text(text)


def session_of(context: Any) -> Session:
    """The session of a command's context."""
    session = context.find_root().obj
    assert isinstance(session, Session)
    return session
