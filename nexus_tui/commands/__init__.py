"""All commands of the app, in the order in which help and palette list them."""

from __future__ import annotations

from nexus_tui.commands.base import EVERYWHERE, Command
from nexus_tui.commands.dag import FindBlock, FollowDag, InspectBlock, ShowFinality, ShowOffences
from nexus_tui.commands.everywhere import (
    GoDag,
    GoHome,
    GoNetwork,
    GoSettings,
    GoWallet,
    Quit,
    ReadProtocol,
    RetryNode,
    SetTheme,
    ShowHelp,
    ShowPalette,
    ToggleAmounts,
    ToggleMouse,
)
from nexus_tui.commands.network import BanPeer, ConnectNode, Invite, ShowMap, UnbanPeer, WakeNode
from nexus_tui.commands.wallet import (
    AddAccount,
    AddContact,
    CopyAddress,
    Export,
    Faucet,
    LabelAccount,
    LoadMore,
    LockWallet,
    Receive,
    RemoveContact,
    Search,
    Send,
    ShowAccounts,
    ShowContacts,
    ShowHistory,
    WatchAddress,
)

COMMANDS: tuple[type[Command], ...] = (
    Send,
    Receive,
    Search,
    ShowAccounts,
    ShowHistory,
    ShowContacts,
    AddAccount,
    LabelAccount,
    WatchAddress,
    AddContact,
    RemoveContact,
    CopyAddress,
    LoadMore,
    Export,
    Faucet,
    LockWallet,
    FollowDag,
    FindBlock,
    InspectBlock,
    ShowFinality,
    ShowOffences,
    ShowMap,
    Invite,
    ConnectNode,
    BanPeer,
    UnbanPeer,
    WakeNode,
    GoHome,
    GoWallet,
    GoDag,
    GoNetwork,
    GoSettings,
    SetTheme,
    ToggleAmounts,
    ToggleMouse,
    RetryNode,
    ShowHelp,
    ReadProtocol,
    ShowPalette,
    Quit,
)
BY_ID = {command.id: command for command in COMMANDS}


def commands_at(place: str) -> tuple[type[Command], ...]:
    """Commands whose key works on the screen called `place`, those of every screen included."""
    return tuple(command for command in COMMANDS if place in command.places or EVERYWHERE in command.places)
