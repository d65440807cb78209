"""`nexus` and `python -m nexus_tui`: hands argv to the command line and exits with its status."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """The console script."""
    argv = sys.argv[1:]
    if argv == ["--version"]:  # the commonest question of scripts needs no parser
        from nexus_tui.cli.output import prepare_streams
        from nexus_tui.cli.version import version

        prepare_streams()
        print(f"nexus {version()}")
        sys.exit(0)
    # Loading modules makes many objects and no garbage: the usual threshold would look for some 200 times.
    gc.set_threshold(20_000, 20, 20)
    from nexus_tui.cli.run import run

    status = run(argv)
    gc.freeze()  # the interpreter's last collections have nothing to find either
    sys.exit(status)


if __name__ == "__main__":
    main()
