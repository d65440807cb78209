"""The address book of a profile: names for addresses, in clear (0600), readable without unlocking anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from node.api.errors import Damaged, Refused
from node.encoding.address import Address, AddressError
from wallet.files import folder_lock, read_json, write_atomic
from wallet.lookalikes import address_warning, similar_names
from wallet.text import checked_name, is_hidden

FORMAT, VERSION = "nexus-contacts", 1
MAX_CONTACTS, MAX_NOTE = 5_000, 256
_MAX_FILE = 4 << 20
_WHAT = "the contacts of this profile"


@dataclass(frozen=True, slots=True)
class Contact:
    """Someone's name and raw address."""

    name: str
    address: bytes
    note: str = ""


class Contacts:
    """The contacts in the file at `path`; `prefix` reads and writes addresses. Every call reads the file afresh."""

    def __init__(self, path: Path, prefix: str) -> None:
        self.path = path
        self.prefix = prefix

    def list(self) -> tuple[Contact, ...]:
        """All contacts by name. Raises `Damaged` when the file cannot be read; it is left alone."""
        try:
            document = read_json(self.path, _MAX_FILE, _WHAT)
        except Refused:  # none yet
            return ()
        if document.get("format") != FORMAT or document.get("version") != VERSION:
            raise self._damaged("is no list of contacts that this version of Nexus knows")
        items = document.get("contacts")
        if not isinstance(items, list) or len(items) > MAX_CONTACTS:
            raise self._damaged("is damaged")
        try:
            contacts = [_read(item) for item in items]
        except (Refused, KeyError, TypeError, ValueError):
            raise self._damaged("is damaged: an entry is no contact") from None
        return tuple(sorted(contacts, key=lambda contact: contact.name.casefold()))

    def find(self, text: str) -> Contact | None:
        """The contact with this name (capitals do not matter) or this address, or None."""
        wanted = text.strip()
        for contact in self.list():
            if contact.name.casefold() == wanted.casefold() or self.address_text(contact) == wanted.lower():
                return contact
        return None

    def address_text(self, contact: Contact) -> str:
        """The contact's address as people write it."""
        return Address.from_raw(contact.address).text(self.prefix)

    def warnings(self, name: str, address: bytes, known: Iterable[tuple[str, bytes]] = ()) -> tuple[str, ...]:
        """What to tell the owner before this contact is added: names and addresses that it can be mistaken for.

        `known` are further (name, raw address) pairs to compare with: own accounts, senders in the history.
        """
        contacts = [contact for contact in self.list() if contact.name.casefold() != name.casefold()]
        found = []
        if names := similar_names(name, [contact.name for contact in contacts]):
            found.append(f"The name looks like that of {', '.join(f'“{other}”' for other in names)}.")
        pairs = [(contact.name, contact.address) for contact in contacts]
        if warning := address_warning(address, [*pairs, *known], self.prefix):
            found.append(warning)
        return tuple(found)

    def add(self, name: str, address: str, note: str = "") -> Contact:
        """Keep a new contact; ask `warnings` first. Raises `Refused` (bad_name, bad_address, contact_exists …)."""
        contact = Contact(checked_name(name, "A contact's name"), self._address(address), _checked_note(note))

        def change(contacts: tuple[Contact, ...]) -> tuple[Contact, ...]:
            for known in contacts:
                if known.name.casefold() == contact.name.casefold():
                    raise Refused(
                        "contact_exists",
                        f"There is already a contact {known.name!r}; it was left as it is.",
                        hint="Remove it first, or choose another name.",
                    )
                if known.address == contact.address:
                    raise Refused("contact_exists", f"This address is already the contact {known.name!r}.")
            if len(contacts) >= MAX_CONTACTS:
                raise Refused("too_many", f"There can be at most {MAX_CONTACTS} contacts.")
            return (*contacts, contact)

        self._change(change)
        return contact

    def remove(self, name: str) -> Contact:
        """Forget a contact by name or address. Raises `Refused` (unknown_contact)."""
        contact = self.find(name)
        if contact is None:
            raise Refused(
                "unknown_contact", f"There is no contact {name[:64]!r}.", hint="“nexus contact list” shows them."
            )
        self._change(lambda contacts: tuple(known for known in contacts if known != contact))
        return contact

    def _change(self, change: Callable[[tuple[Contact, ...]], tuple[Contact, ...]]) -> None:
        with folder_lock(self.path.parent):
            items = [{"name": c.name, "address": c.address.hex(), "note": c.note} for c in change(self.list())]
            document = {"format": FORMAT, "version": VERSION, "contacts": items}
            write_atomic(self.path, json.dumps(document, indent=1, ensure_ascii=False).encode())

    def _address(self, text: str) -> bytes:
        try:
            return Address.parse(text, self.prefix).raw
        except AddressError as error:
            raise Refused("bad_address", str(error), hint="Copy the whole address again.") from None

    def _damaged(self, reason: str) -> Damaged:
        return Damaged(
            "damaged_contacts",
            f"{self.path} {reason}. It was left as it is.",
            hint="Put back a copy, or move the file away to begin with an empty list.",
        )


def _read(item: dict[str, str]) -> Contact:
    contact = Contact(checked_name(item["name"], "A name"), bytes.fromhex(item["address"]), item["note"])
    Address.from_raw(contact.address)
    _checked_note(contact.note)
    return contact


def _checked_note(note: str) -> str:
    if len(note) > MAX_NOTE or any(is_hidden(character) for character in note):
        raise Refused("bad_note", f"A note has at most {MAX_NOTE} characters on one line, none of them invisible.")
    return note
