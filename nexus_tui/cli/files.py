"""Files that a command is told to write: in a folder that exists, never over another file."""

from __future__ import annotations

import os
from pathlib import Path

from nexus_tui.cli.output import foreign
from node.api.errors import Refused


def new_file(path: Path) -> Path:
    """The absolute place of a file to be written. Raises Refused (file_exists, missing_folder)."""
    place = path.absolute()
    if os.path.lexists(place):
        raise Refused(
            "file_exists",
            f"There is already a file {foreign(str(path))}; it was left as it is.",
            hint="Choose another name.",
        )
    if not place.parent.is_dir():
        raise Refused(
            "missing_folder",
            f"There is no folder {foreign(str(place.parent))}.",
            hint="Make it first, or choose another.",
        )
    return place
