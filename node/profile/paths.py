"""Where everything of a profile lives on disk (experience.md, "A script").

`NEXUS_HOME` is the root of all: `config.toml`, `profiles/NAME/`, `logs/`. A profile is one network seen with one set of
wallets. Folders are made with mode 0700; a profile exists when its folder holds a genesis file. It is
built aside and renamed into place, so that an interrupted creation leaves none.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from node.api.errors import Damaged, NexusError, UsageError

DEFAULT_PROFILE = "default"
MAX_SOCKET_PATH = 100
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)


class ProfileError(UsageError):
    """A profile's name or state does not allow what was asked; the message names it."""


@dataclass(frozen=True, slots=True)
class ProfilePaths:
    """The files of one profile; `root` is its folder. Nothing is touched by asking for a path."""

    name: str
    root: Path

    @property
    def genesis(self) -> Path:
        """The network's genesis in its canonical encoding."""
        return self.root / "genesis.nexus"

    @property
    def chain_db(self) -> Path:
        """Blocks, transactions and state; can be fetched again."""
        return self.root / "chain.db"

    @property
    def outbox_db(self) -> Path:
        """What was accepted and is not in a block yet; cannot be fetched again."""
        return self.root / "outbox.db"

    @property
    def validator_key(self) -> Path:
        """The hot consensus key, mode 0600."""
        return self.root / "validator.key"

    @property
    def node_key(self) -> Path:
        """The Ed25519 key that this node is known by, mode 0600."""
        return self.root / "node.key"

    @property
    def peers(self) -> Path:
        """Where other nodes may be reached; can be learned again."""
        return self.root / "peers.nexus"

    @property
    def snapshots(self) -> Path:
        """The folder of snapshots that are kept for newcomers; can be made again."""
        return self.root / "snapshots"

    @property
    def fetching(self) -> Path:
        """The folder of what came so far of a snapshot that is being fetched."""
        return self.root / "fetching"

    @property
    def progress(self) -> Path:
        """How far that is, as long as it lasts."""
        return self.root / "fetching.progress"

    @property
    def beginning(self) -> Path:
        """The checkpoint that the chain shall begin from, as long as it did not."""
        return self.root / "beginning.nexus"

    @property
    def signing_record(self) -> Path:
        """What this validator last signed (protocol section 4)."""
        return self.root / "signing-record"

    @property
    def lock(self) -> Path:
        """Held by the one node that may write here."""
        return self.root / "node.lock"

    @property
    def wallets(self) -> Path:
        """The folder of wallet files."""
        return self.root / "wallets"

    @property
    def contacts(self) -> Path:
        """Names for addresses."""
        return self.root / "contacts.json"

    @property
    def faucet_key(self) -> Path:
        """Key of the genesis account that pays the faucet; only on solo and demo networks, mode 0600."""
        return self.root / "faucet.key"

    @property
    def log(self) -> Path:
        """The node's log file."""
        return self.root.parent.parent / "logs" / f"node-{self.name}.log"

    @property
    def socket_note(self) -> Path:
        """Says where the socket is when its usual path would be too long for the system."""
        return self.root / "node.socket-path"

    @property
    def socket(self) -> Path:
        """The Unix socket of the node: in the folder, or in the runtime folder when that path is over 100 bytes."""
        usual = self.root / "node.sock"
        if len(os.fsencode(usual)) <= MAX_SOCKET_PATH:
            return usual
        try:
            noted = Path(self.socket_note.read_text().strip())
        except (OSError, UnicodeDecodeError):
            return self._runtime_socket()
        return noted if noted.is_absolute() and noted.suffix == ".sock" else self._runtime_socket()

    def _runtime_socket(self) -> Path:
        from hashlib import blake2b

        digest = blake2b(os.fsencode(self.root.absolute()), digest_size=8).hexdigest()
        return _runtime_folder() / f"{digest}.sock"

    def prepare_socket(self) -> Path:
        """Make the folder of the socket, note its place if it is not the usual one, and return its path.

        Raises Damaged when the runtime folder belongs to somebody else: whoever owns it could pose as this node.
        """
        if len(os.fsencode(self.root / "node.sock")) <= MAX_SOCKET_PATH:
            self.socket_note.unlink(missing_ok=True)
            return self.socket
        place = self._runtime_socket()
        make_private_folder(place.parent)
        found = place.parent.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise Damaged(
                "foreign_folder",
                f"The folder for the node's socket, {place.parent}, belongs to another user.",
                hint="Set XDG_RUNTIME_DIR to a folder of your own, or NEXUS_HOME to a shorter path.",
            )
        with os.fdopen(os.open(self.socket_note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as note:
            note.write(f"{place}\n")
        return place

    @property
    def exists(self) -> bool:
        """Whether this profile was made completely."""
        return os.path.isfile(self.genesis)


def _runtime_folder() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isabs(runtime) and len(os.fsencode(runtime)) < 60:
        return Path(runtime) / "nexus"
    # On Termux /tmp does not exist; TMPDIR names its own. The name carries the uid, so users never share it.
    base = os.environ.get("TMPDIR", "/tmp")
    return Path(base if len(os.fsencode(base)) < 60 else "/tmp") / f"nexus-{os.getuid()}"


def home() -> Path:
    """The root of all data: `NEXUS_HOME`, else the platform's folder for user data. Not created here."""
    chosen = os.environ.get("NEXUS_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("nexus", appauthor=False)


def config_file() -> Path:
    """The configuration of this home."""
    return home() / "config.toml"


def folder_error(error: OSError, folder: Path) -> NexusError:
    """What a failed write in `folder` means for a person: read-only, full, or not theirs."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Damaged(
            "disk_full",
            f"The disk of {folder} is full. Nothing that was saved before is lost.",
            hint="Free some space and try again.",
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return Damaged(
            "not_writable",
            f"The folder {folder} cannot be written: {error.strerror}. Nothing was changed.",
            hint="Make it writable for you, or set NEXUS_HOME to a folder of your own.",
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return Damaged(
            "not_a_folder",
            f"A file is where the folder {folder} should be. Nothing was changed.",
            hint="Move that file away, or set NEXUS_HOME to another place.",
        )
    return Damaged("folder_failed", f"The folder {folder} cannot be used: {error.strerror or error}.")


def make_private_folder(folder: Path) -> None:
    """Create `folder`, and those above it that are missing, with mode 0700. Raises NexusError saying why not."""
    try:
        if not folder.is_dir():
            missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
            for parent in reversed(missing):
                parent.mkdir(mode=0o700, exist_ok=True)
            if not missing:
                folder.mkdir(mode=0o700)
    except OSError as error:
        raise folder_error(error, folder) from None


def make_home() -> Path:
    """The root folder, created with its log folder if it was missing."""
    root = home()
    make_private_folder(root)
    make_private_folder(root / "logs")
    return root


def check_name(name: str) -> str:
    """`name` if it can name a profile. Raises ProfileError."""
    if not _NAME.fullmatch(name):
        raise ProfileError(
            "bad_profile_name",
            f"{name[:40]!r} cannot name a profile.",
            hint="Use 1 to 32 of a-z, 0-9, '-' and '_', beginning with a letter or a digit.",
        )
    return name


def profile_paths(name: str) -> ProfilePaths:
    """The paths of a profile, whether it exists or not. Raises ProfileError for an impossible name."""
    return ProfilePaths(check_name(name), home() / "profiles" / name)


def existing_profile(name: str) -> ProfilePaths:
    """The paths of a profile that exists. Raises ProfileError, naming the nearest one, if it does not."""
    paths = profile_paths(name)
    if paths.exists:
        return paths
    present = list_profiles()
    if not present:
        raise ProfileError(
            "no_profile",
            f"There is no profile here yet (looked in {paths.root.parent}).",
            hint="Create one with `nexus init`, or look around with `nexus demo`.",
        )
    import difflib

    nearest = difflib.get_close_matches(name, present, 1)
    hint = f"Did you mean {nearest[0]!r}? " if nearest else ""
    raise ProfileError(
        "unknown_profile",
        f"There is no profile {name!r}.",
        hint=f"{hint}Profiles here: {', '.join(present)}. `nexus init --profile {name}` makes a new one.",
    )


def list_profiles() -> tuple[str, ...]:
    """Names of the complete profiles, sorted. Raises NexusError when the folder cannot be read."""
    folder = home() / "profiles"
    try:
        return tuple(
            sorted(
                entry.name
                for entry in folder.iterdir()
                if _NAME.fullmatch(entry.name) and os.path.isfile(entry / "genesis.nexus")
            )
        )
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise folder_error(error, folder) from None


@contextmanager
def new_profile(name: str) -> Iterator[ProfilePaths]:
    """Build a profile in a folder aside and put it in its place when the block ends well; else nothing is left.

    Yields the paths aside; what is written there is found under `profile_paths(name)` afterwards. Raises ProfileError
    if the name is taken, NexusError if the folder cannot be made.
    """
    import shutil
    import tempfile

    final = profile_paths(name)
    _refuse_taken(final)
    make_home()
    make_private_folder(final.root.parent)
    try:
        aside = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=final.root.parent))  # made with mode 0700
    except OSError as error:
        raise folder_error(error, final.root.parent) from None
    try:
        paths = ProfilePaths(name, aside)
        make_private_folder(paths.wallets)
        yield paths
        _refuse_taken(final)
        os.rename(aside, final.root)
    except OSError as error:
        raise folder_error(error, final.root.parent) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _refuse_taken(paths: ProfilePaths) -> None:
    if paths.exists:
        raise ProfileError(
            "profile_exists",
            f"The profile {paths.name!r} exists already; nothing was changed.",
            hint="Choose another name with --profile NAME, or use the one that is there.",
        )
    if os.path.lexists(paths.root) and not (paths.root.is_dir() and not any(paths.root.iterdir())):
        raise ProfileError(
            "profile_exists",
            f"{paths.root} is in the way: it holds files but no network. It was left as it is.",
            hint="Move it away, or choose another name with --profile NAME.",
        )
