"""`nexus` without a command: open the app on the profile, or its wizard when there is none yet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from node.api.errors import NoNode, UsageError

if TYPE_CHECKING:
    from nexus_tui.cli.session import Session
    from nexus_tui.household import Household
    from nexus_tui.onboarding import NetworkChoice
    from node.api.interface import NodeApi
    from node.profile.config import Config
    from node.profile.paths import ProfilePaths
    from wallet.contacts import Contacts
    from wallet.secret import Secret
    from wallet.store import WalletStore


def open_app(session: Session, notice: str = "") -> None:
    """Open the app and exit with its status. Raises UsageError where no app can be shown."""
    from nexus_tui.terminal import require_terminal

    if session.json:
        raise UsageError("usage", "The app has no --json; a command does, for example nexus status --json.")
    require_terminal()
    from nexus_tui.factory import run
    from nexus_tui.settings import read_preferences
    from node.profile.config import change, create
    from node.profile.paths import DEFAULT_PROFILE, config_file, list_profiles, make_home, profile_paths

    home = make_home()
    config = session.config
    create(config_file(), config.known)
    preferences = read_preferences(config, lambda name, text: change(config_file(), config.known, name, text))
    # The wizard makes the first profile, also beside the demo's. A profile that somebody named is never made.
    name = session.profile_name
    empty = (
        session.profile is None and not profile_paths(name).exists and (name == DEFAULT_PROFILE or not list_profiles())
    )
    status = run(
        None if empty else household_of(session.paths, config),
        home=home,
        onboarding=_FirstProfile(session.profile_name, config) if empty else None,
        preferences=preferences,
        notice=notice,
    )
    raise typer.Exit(status)


def household_of(paths: ProfilePaths, config: Config) -> Household:
    """What the app needs of a profile."""
    from nexus_tui.household import Household

    def wallets(prefix: str) -> WalletStore:
        from wallet.store import WalletStore

        return WalletStore(paths.wallets, prefix, auto_lock_seconds=config.number("wallet.auto_lock_seconds"))

    def contacts(prefix: str) -> Contacts:
        from wallet.contacts import Contacts

        return Contacts(paths.contacts, prefix)

    attached = False

    @asynccontextmanager
    async def open_node() -> AsyncIterator[NodeApi]:
        """The running node, else one in this process, to which commands can attach meanwhile.

        An app that was attached stays so: while its daemon is started again it must not take the folder from it, and
        where the owner stopped the daemon no node is to run here by itself.
        """
        nonlocal attached
        from nexus_tui.cli.connection import attach, service_settings
        from nexus_tui.cli.logs import start_logging
        from node.service.opening import open_service

        running = await attach(paths)
        if running is not None:
            attached = True
            async with running as api:
                yield api
            return
        if attached:
            raise NoNode(
                "node_gone",
                "The node that this app was attached to does not run any more.",
                "When it is started again (nexus node start), the app goes on by itself. To run it inside the app "
                "instead, leave it and open it again.",
            )
        start_logging(paths.log, config, also_stderr=False)
        async with open_service(paths, service_settings(config)) as service:
            yield service.node

    def opening() -> str:
        from node.service.fetch_progress import in_words, read_progress

        view = read_progress(paths)
        return "" if view is None else in_words(view)

    return Household(paths.name, paths.root, open_node, wallets, contacts, paths.faucet_key, opening=opening)


@dataclass(frozen=True, slots=True)
class _FirstProfile:
    """See `nexus_tui.screens.wizard.Onboarding`."""

    profile: str
    config: Config

    def create(
        self, choice: NetworkChoice, words: Secret, passphrase: Secret, report: Callable[[str], None]
    ) -> Household:
        from nexus_tui.cli.networks import make_network
        from nexus_tui.onboarding import create_profile_and_wallet

        made = create_profile_and_wallet(choice, self.profile, passphrase, make_network, words=words, report=report)
        return household_of(made.paths, self.config)
