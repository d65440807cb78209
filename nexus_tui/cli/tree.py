"""Which commands there are and in which module each lives; a module is loaded when its command is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

GROUPS: dict[tuple[str, ...], str] = {
    ("node",): "Run and look after the node of a profile.",
    ("node", "snapshot"): "The state at a final checkpoint as one file, to begin from.",
    ("wallet",): "Accounts, payments and everything that needs your keys.",
    ("wallet", "account"): "Accounts inside a wallet.",
    ("contact",): "Names for addresses.",
    ("tx",): "Transactions: look at one, or make one on a machine without a network.",
    ("block",): "Look at the blocks of the selected chain.",
    ("dag",): "The block DAG: draw it, look into it, see how far it is final.",
    ("dag", "evidence"): "Proofs of offences that this node holds.",
    ("mesh",): "Links to other nodes, and invitations.",
    ("lab",): "Simulate networks of the real engine.",
    ("config",): "Read and change settings.",
}

COMMANDS: dict[tuple[str, ...], str] = {
    ("init",): "start:init",
    ("demo",): "demo:demo",
    ("doctor",): "doctor:doctor",
    ("guide",): "guide:guide",
    ("status",): "status:status",
    ("node", "run"): "daemon:run",
    ("node", "start"): "daemon:start",
    ("node", "stop"): "daemon:stop",
    ("node", "logs"): "daemon:logs",
    ("node", "verify"): "upkeep:verify",
    ("node", "backup"): "upkeep:backup",
    ("node", "restore"): "upkeep:restore",
    ("node", "snapshot", "make"): "snapshots:make",
    ("node", "snapshot", "check"): "snapshots:check",
    ("node", "snapshot", "adopt"): "snapshots:adopt",
    ("node", "service"): "upkeep:service",
    ("node", "validator-key"): "upkeep:validator_key",
    ("wallet", "create"): "keys:create",
    ("wallet", "restore"): "keys:restore",
    ("wallet", "list"): "accounts:list_wallets",
    ("wallet", "show"): "accounts:show",
    ("wallet", "balance"): "accounts:balance",
    ("wallet", "address"): "accounts:address",
    ("wallet", "send"): "payments:send",
    ("wallet", "faucet"): "payments:faucet",
    ("wallet", "history"): "history:history",
    ("wallet", "export"): "history:export",
    ("wallet", "sign"): "texts:sign",
    ("wallet", "verify"): "texts:verify",
    ("wallet", "lock"): "keys:lock",
    ("wallet", "backup"): "keys:backup",
    ("wallet", "passphrase"): "keys:passphrase",
    ("wallet", "watch"): "accounts:watch",
    ("wallet", "account", "add"): "accounts:account_add",
    ("wallet", "account", "label"): "accounts:account_label",
    ("contact", "add"): "contacts:add",
    ("contact", "list"): "contacts:list_contacts",
    ("contact", "remove"): "contacts:remove",
    ("tx", "show"): "transactions:show",
    ("tx", "build"): "transactions:build",
    ("tx", "sign"): "transactions:sign",
    ("tx", "submit"): "transactions:submit",
    ("block", "show"): "blocks:show",
    ("block", "list"): "blocks:list_blocks",
    ("dag", "show"): "dag:show",
    ("dag", "block"): "dag:block",
    ("dag", "tips"): "dag:tips",
    ("dag", "finality"): "dag:finality",
    ("dag", "export"): "dag:export",
    ("dag", "evidence", "list"): "evidence:list_evidence",
    ("dag", "evidence", "send"): "evidence:send",
    ("mesh", "peers"): "mesh:peers",
    ("mesh", "map"): "mesh:show_map",
    ("mesh", "invite"): "mesh:invite",
    ("mesh", "join"): "mesh:join",
    ("mesh", "connect"): "mesh:connect",
    ("mesh", "wake"): "mesh:wake",
    ("mesh", "doctor"): "mesh_doctor:doctor",
    ("mesh", "ban"): "mesh:ban",
    ("mesh", "unban"): "mesh:unban",
    ("lab", "network"): "lab:network",
    ("lab", "clause"): "lab:clause",
    ("config", "get"): "configuration:get",
    ("config", "set"): "configuration:set_value",
    ("config", "path"): "configuration:path",
}


def names(path: tuple[str, ...]) -> list[str]:
    """Names of the commands and groups directly under `path`, in the order of the table."""
    depth = len(path)
    return list(dict.fromkeys(full[depth] for full in COMMANDS if full[:depth] == path and len(full) > depth))


def load(path: tuple[str, ...]) -> Any:
    """The command or group at `path`, which must be in the table."""
    from nexus_tui.cli.frame import Group, leaf

    if path in GROUPS:
        return Group(name=path[-1], path=path, help=GROUPS[path], rich_markup_mode=None)
    module, _, function = COMMANDS[path].partition(":")
    return leaf(path[-1], getattr(import_module(f"nexus_tui.cli.{module}"), function))
