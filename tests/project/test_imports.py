"""Import arrows only go down, and the pure rooms stay pure (architecture.md, "The house" and "Sans-I/O core").

Every module of the three packages is parsed, never imported: an import inside a function or under `TYPE_CHECKING`
counts like any other but for two exceptions below, since what a room knows of is what counts, not when it learns of it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest

PACKAGES = ("node", "wallet", "nexus_tui")
ERRORS = ("node.api.errors",)
RECORDS = ("node.api.bounds", "node.api.errors", "node.api.interface", "node.api.records")
LOWER = ("node.encoding", "node.light", "node.ledger")

# Room -> what of the project it may import beside itself. A name covers everything below it; the longest room wins.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "node.encoding": (),
    "node.light": ("node.encoding",),
    "node.ledger": ("node.encoding", "node.light"),
    "node.consensus": LOWER,
    "node.mempool": LOWER,
    "node.mesh.protocol": (*LOWER, *ERRORS),
    "node.gossip": (*LOWER, "node.consensus", "node.mempool", "node.mesh.protocol"),
    "node.mesh": (*LOWER, *ERRORS, "node.mesh.protocol", "node.storage.faults", "node.storage.files"),
    "node.api": LOWER,
    # Its queries are the interface for readers: they need the records and bounds of the interface (not its server), and
    # the formats of what is stored.
    "node.storage": (*LOWER, *RECORDS, "node.consensus.blocks", "node.consensus.slots", "node.profile.paths"),
    "node.profile": (*LOWER, *ERRORS),
    "node.service": (
        *LOWER,
        "node.api",
        "node.consensus",
        "node.gossip",
        "node.mempool",
        "node.mesh",
        "node.profile",
        "node.storage",
    ),
    "node.lab": (*LOWER, "node.consensus", "node.gossip", "node.mempool", "node.mesh.protocol"),
    "node": (),
    "wallet": ("node.api", "node.encoding", "node.ledger.quotes", "node.ledger.types", "node.light"),
    "nexus_tui": ("node.api", "node.encoding", "node.light", "node.profile", "wallet"),
}
# Only the commands may start a node or a simulation, and only when they run: `nexus --version` must not load either.
INSIDE_COMMANDS = ("node.lab", "node.service")
# What the wallet hands to screens and commands, which may name its type in a signature and no more.
NAMED_BY_ALL = ("node.ledger.types",)

PURE = ("node.encoding", "node.light", "node.ledger", "node.consensus", "node.gossip", "node.mempool")
IMPURE_MODULES = {"aiosqlite", "asyncio", "concurrent", "ctypes", "datetime", "decimal", "fcntl", "http", "logging"}
IMPURE_MODULES |= {"multiprocessing", "os", "pathlib", "platform", "random", "secrets", "select", "selectors", "shutil"}
IMPURE_MODULES |= {
    "signal",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "time",
    "urllib",
    "uuid",
}
EXACT_MATH = frozenset({"comb", "factorial", "gcd", "isqrt", "lcm", "perm", "prod"})


class When(Enum):
    """When an import happens: as the module loads, in a function that runs, or never (for the type checker)."""

    LOADING = "loading"
    RUNNING = "running"
    TYPING = "typing"


@dataclass(frozen=True)
class Import:
    """One imported name: `module` imports `target` at `line`."""

    module: str
    target: str
    line: int
    when: When


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(root: Path) -> Iterator[tuple[str, Path, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            yield module_name(path, root), path, ast.parse(path.read_bytes(), filename=str(path))


def imports(module: str, path: Path, tree: ast.Module) -> Iterator[Import]:
    """All imports of `tree` as absolute names; `from a import b` gives `a.b`, for `b` may be a module."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]

    def walk(node: ast.AST, when: When) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node.lineno, when)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            for alias in node.names:
                yield Import(module, base if alias.name == "*" else f"{base}.{alias.name}", node.lineno, when)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            when = When.TYPING
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and when is When.LOADING:
            when = When.RUNNING
        for child in ast.iter_child_nodes(node):
            yield from walk(child, when)

    yield from walk(tree, When.LOADING)


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(room + ".")


def room_of(module: str) -> str:
    return max((room for room in MAY_IMPORT if within(module, room)), key=len)


def fault(found: Import) -> str | None:
    """Why the architecture forbids this import, or None."""
    if not any(within(found.target, package) for package in PACKAGES):
        return None
    room = room_of(found.module)
    if room in PACKAGES and found.target == room:
        return None
    if within(found.target, room) and room_of(found.target) == room:
        return None
    allowed = MAY_IMPORT[room]
    if found.when is When.TYPING and any(within(found.target, named) for named in NAMED_BY_ALL):
        return None
    if any(within(found.target, target) for target in allowed):
        return None
    if within(found.module, "nexus_tui.cli") and any(within(found.target, room) for room in INSIDE_COMMANDS):
        return (
            None
            if found.when is not When.LOADING
            else "import it inside the command's function, so that other commands do not load it"
        )
    return f"{room} may import only itself and: {', '.join(allowed) or 'nothing'}"


def test_imports_only_go_down(root: Path) -> None:
    faults = [
        f"{path.relative_to(root)}:{found.line}: {found.module} imports {found.target}: {why}"
        for module, path, tree in modules(root)
        for found in imports(module, path, tree)
        if (why := fault(found))
    ]
    assert not faults, "imports against the arrows of the architecture:\n  " + "\n  ".join(faults)


def test_every_room_is_known(root: Path) -> None:
    rooms = {f"node.{path.name}" for path in (root / "node").iterdir() if (path / "__init__.py").is_file()}
    assert rooms <= set(MAY_IMPORT), f"rooms without arrows: {sorted(rooms - set(MAY_IMPORT))}"


@pytest.mark.parametrize(
    ("module", "target", "when", "allowed"),
    [
        ("node.light.waves", "node.encoding.canonical", When.LOADING, True),
        ("node.encoding.canonical", "node.light.waves", When.LOADING, False),
        ("node.ledger.bank", "node.storage.chain", When.RUNNING, False),
        ("node.storage.chain", "node.api.errors.Damaged", When.LOADING, True),
        ("node.storage.chain", "node.api.server", When.LOADING, False),
        ("node.storage.chain", "node.consensus.chain", When.LOADING, False),
        ("node.service.run", "wallet.store", When.RUNNING, False),
        ("node.mesh.protocol.sync", "node.mesh.transport", When.LOADING, False),
        ("node.mesh.transport", "node.mesh.protocol.sync", When.LOADING, True),
        ("wallet.payments", "node.ledger.types.Transaction", When.LOADING, True),
        ("wallet.payments", "node.ledger.state", When.LOADING, False),
        ("wallet.payments", "nexus_tui.app", When.LOADING, False),
        ("nexus_tui.app", "node.service.open_service", When.RUNNING, False),
        ("nexus_tui.cli.run", "node.service.open_service", When.RUNNING, True),
        ("nexus_tui.cli.run", "node.service.open_service", When.LOADING, False),
        ("nexus_tui.cli.run", "node.storage.chain", When.RUNNING, False),
        ("nexus_tui.cli.run", "node.ledger.types.Transaction", When.TYPING, True),
        ("nexus_tui.cli.run", "node.ledger.types.Transaction", When.RUNNING, False),
        ("wallet.payments", "node.service.node", When.TYPING, False),
        ("nexus_tui.cli.run", "typer", When.LOADING, True),
    ],
)
def test_the_arrows_themselves(module: str, target: str, when: When, allowed: bool) -> None:
    assert (fault(Import(module, target, 1, when)) is None) == allowed


def impurities(module: str, path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Places where a pure room would reach for the machine or for inexact numbers."""
    for found in imports(module, path, tree):
        top, _, rest = found.target.partition(".")
        if top in IMPURE_MODULES:
            yield found.line, f"imports {top}: time, randomness and storage come in as arguments"
        if top == "math" and rest and rest not in EXACT_MATH:
            yield found.line, f"imports math.{rest}: only exact functions of math give the same on every machine"
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=float() | complex()):
                yield node.lineno, f"has the float {node.value!r}"
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield node.lineno, "divides with /, which gives a float: use // on whole units"
            case ast.Name(id="float" | "complex" | "round" as name):
                yield node.lineno, f"uses {name}"
            case ast.Attribute(value=ast.Name(id="math"), attr=attr) if attr not in EXACT_MATH:
                yield node.lineno, f"uses math.{attr}, which is a float or inexact"
            case ast.Attribute(value=ast.Name(id="threading"), attr=attr) if attr != "local":
                yield node.lineno, f"uses threading.{attr}: only a store for each thread is without effect on results"
            case ast.Attribute(attr=attr) if attr.startswith(("float", "complex", "true_divide")):
                yield node.lineno, f"uses .{attr}"
            case ast.Call(func=ast.Name(id="open" | "print" | "input" | "eval" | "exec" as name)):
                yield node.lineno, f"calls {name}()"
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                yield node.lineno, "is asynchronous: these rooms are plain calls"
            case _:
                pass


def test_pure_rooms_have_no_clock_no_files_and_no_floats(root: Path) -> None:
    faults = [
        f"{path.relative_to(root)}:{line}: {what}"
        for module, path, tree in modules(root)
        if any(within(module, room) for room in PURE)
        for line, what in impurities(module, path, tree)
    ]
    assert not faults, "the rules must give the same on every machine:\n  " + "\n  ".join(faults)


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from os import path",
        "def f():\n    import random",
        "x = 0.5",
        "x = 1 / 2",
        "x /= 2",
        "x = float('1')",
        "import math\nx = math.sqrt(2)",
        "from math import log2",
        "x = numpy.float64",
        "import threading\nthreading.Thread()",
        "open('x')",
        "async def f(): pass",
    ],
)
def test_impurities_are_seen(source: str) -> None:
    assert list(impurities("node.ledger.x", Path("node/ledger/x.py"), ast.parse(source)))


def test_exact_code_is_pure() -> None:
    source = "import math\nfrom hashlib import blake2b\nx = math.isqrt(9) // 2 + 10**14\nx //= 3\n"
    assert not list(impurities("node.ledger.x", Path("node/ledger/x.py"), ast.parse(source)))
