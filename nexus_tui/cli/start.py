"""`nexus init`: a profile with a network and a wallet, in one step and without a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nexus_tui.cli.asking import PassphraseCommand, PassphraseFd, Yes, choosing, confirm, interactive, read_line
from nexus_tui.cli.asking import words as ask_words
from nexus_tui.cli.keys import ShowWords, WordCount, numbered
from nexus_tui.cli.output import amount, foreign, note, nxt
from nexus_tui.cli.session import session_of
from node.api.errors import Refused, UsageError

if TYPE_CHECKING:
    from nexus_tui.cli.session import Session
    from nexus_tui.onboarding import OnboardingResult
    from node.profile.invitation import Invitation
    from wallet.secret import Secret


def init(
    context: typer.Context,
    network: Annotated[
        str | None,
        typer.Option(
            "--network",
            metavar="solo|create|join",
            help="solo (on this device alone), create (others may join) or join.",
        ),
    ] = None,
    invite: Annotated[str | None, typer.Option("--invite", metavar="URI", help="The invitation, for join.")] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="The network's name, for create.")] = None,
    start_ms: Annotated[
        int | None,
        typer.Option("--start-ms", metavar="MS", help="Unix time in ms at which the network starts; now if not given."),
    ] = None,
    allocation: Annotated[
        list[str] | None,
        typer.Option("--allocation", metavar="ADDRESS=AMOUNT[=LABEL]", help="Pay this account too; repeatable."),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option("--mode", metavar="full|archive|phone", help="What kind of node; phone on Android, else full."),
    ] = None,
    restore: Annotated[bool, typer.Option("--restore", help="Restore the wallet from recovery words.")] = False,
    word_count: WordCount = 12,
    show_words: ShowWords = False,
    passphrase_fd: PassphraseFd = None,
    passphrase_command: PassphraseCommand = None,
    yes: Yes = False,
) -> None:
    """Make a profile: a network, the key of its validator, and a wallet that owns its first account.

    With --yes nothing is asked; the passphrase then comes from --passphrase-fd, --passphrase-command or
    NEXUS_PASSPHRASE. Recovery words are printed only with --show-words.
    """
    from nexus_tui.onboarding import NETWORKS, NetworkChoice, check_name, create_profile_and_wallet
    from node.profile.paths import ProfileError, profile_paths

    session = session_of(context)
    _check_mode(mode)
    network = _chosen(network, yes, NETWORKS)
    invitation = _invitation(invite) if network == "join" else None
    if invite is not None and invitation is None:
        raise UsageError("usage", f"An invitation is for joining; --network {network} makes a network of its own.")
    profile = session.profile_name
    if profile_paths(profile).exists:
        raise ProfileError(
            "profile_exists",
            f"The profile {profile!r} exists already; nothing was changed.",
            hint="Another one: nexus init --profile NAME",
        )
    check_name(name)
    choice = NetworkChoice(network, name, start_ms, tuple(_allocation(text) for text in allocation or ()), invitation)
    said = f"with a network {network!r}" if invitation is None else f"on the network {foreign(_called(invitation))}"
    confirm((f"This makes the profile {profile!r} {said} and a new wallet.",), yes, "nexus init")
    words = ask_words("Recovery words: ") if restore else None
    passphrase = _new_passphrase(passphrase_fd, passphrase_command)
    from nexus_tui.cli.networks import make_network

    made = create_profile_and_wallet(
        choice,
        profile,
        passphrase,
        make_network,
        words=words,
        word_count=word_count,
        report=lambda step: note(f"{step} …"),
    )
    _first_profile(session, profile)
    _keep_mode(session, mode)
    _done(session, made, show_words, restored=restore)


def _chosen(network: str | None, yes: bool, known: tuple[str, ...]) -> str:
    if network is None:
        if yes or not interactive():
            raise UsageError("usage", "Say which network: --network solo, create or join.", "nexus init --help")
        network = read_line("Network (solo, create or join) [solo]: ").strip() or "solo"
    if network not in known:
        raise UsageError("bad_network", f"There is no network {network[:40]!r} to choose: solo, create or join.")
    return network


def _check_mode(mode: str | None) -> None:
    from node.profile.modes import MODES

    if mode is not None and mode not in MODES:
        raise UsageError("bad_mode", f"There is no mode {mode[:40]!r} to choose: {', '.join(MODES)}.")


def _keep_mode(session: Session, mode: str | None) -> None:
    """It is a setting of this home, for all its profiles."""
    from node.profile.config import change
    from node.profile.paths import config_file

    if mode is not None:
        change(config_file(), session.config.known, "node.mode", mode)


def _called(invitation: Invitation) -> str:
    return invitation.name or f"{invitation.genesis.hex()[:12]}…"


def _invitation(invite: str | None) -> Invitation:
    from node.profile.invitation import parse_invitation

    if invite is None:
        raise UsageError("usage", "Joining needs an invitation: --invite URI.", "Ask a member of the network for one.")
    return parse_invitation(invite)


def _allocation(text: str) -> tuple[bytes, int, str]:
    from node.encoding.address import TEST_PREFIX, Address
    from node.encoding.amounts import parse_amount

    address, _, rest = text.partition("=")
    amount_text, _, label = rest.partition("=")
    if not rest:
        raise UsageError("usage", f"--allocation needs ADDRESS=AMOUNT[=LABEL], not {text[:80]!r}.")
    units = parse_amount(amount_text)
    if units <= 0:
        raise Refused("bad_amount", "An allocation pays at least one unit.")
    return Address.parse(address, TEST_PREFIX).raw, units, label


def _new_passphrase(fd: int | None, command: str | None) -> Secret:
    from wallet.keystore import check_passphrase

    passphrase = choosing(fd, command)
    check_passphrase(passphrase)
    return passphrase


def _first_profile(session: Session, profile: str) -> None:
    """Write the commented configuration on the first run; a first profile of another name becomes the usual one."""
    from node.profile.config import change, create
    from node.profile.paths import config_file, list_profiles

    path, config = config_file(), session.config
    create(path, config.known)
    usual = config.text("profile")
    if list_profiles() == (profile,) and usual != profile and config.sources["profile"] in ("default", "file"):
        change(path, config.known, "profile", profile)
        note(f"{profile!r} is now the profile that is used without --profile (see `nexus config path`).")


def _done(session: Session, made: OnboardingResult, show_words: bool, restored: bool) -> None:
    network = made.network
    document: dict[str, object] = {
        "profile": made.paths.name,
        "folder": str(made.paths.root),
        "network": {"name": network.name, "preset": network.preset, "genesis": network.genesis.hex()},
        "wallet": made.wallet,
        "address": made.address,
        "balance": amount(network.owned),
        "stake": amount(network.stake),
        "faucet": amount(network.faucet),
    }
    lines = [
        f"The profile {made.paths.name!r} is ready in {made.paths.root}",
        f"Network   {network.name} (preset {network.preset}), genesis {network.genesis.hex()[:16]}…",
        f"Address   {made.address}",
    ]
    if network.stake:
        lines.append(f"Balance   {nxt(network.owned)}, and {nxt(network.stake)} staked to make blocks")
    if show_words:
        document["words"] = made.words.text()
        lines += ["", "Recovery words, in this order:", *numbered(made.words.text()), ""]
        lines.append("Write them on paper. Whoever has them has your money; without them it cannot be recovered.")
    elif not restored:
        lines.append("Words     not shown; write them down now: nexus wallet backup --show-words")
    if network.preset == "solo":
        lines.append("Next      nexus (the app), nexus wallet send ADDRESS AMOUNT, nexus node start")
    else:
        following = "invite" if network.stake else "peers"
        lines.append(f"Next      nexus (the app), or nexus node start; then nexus mesh {following}")
    session.done(document, lines)
