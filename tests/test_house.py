"""The arrows of the house: which room may import which. Change an arrow in docs/house.md and here together."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "daemon" / "gardien"

# room -> rooms it may import. Rooms that are one file are named by it.
MAY: dict[str, set[str]] = {
    "words": set(),
    "errors": {"words"},
    "model": {"words", "errors"},
    "rules": {"words", "errors", "model"},
    "adapters": {"words", "errors", "model", "rules"},
    "services": {"words", "errors", "model", "rules"},
    "faces": {"words", "errors", "model", "services"},
    "app": {"words", "errors", "model", "rules", "adapters", "services", "faces"},
    "own_update": {"words", "errors", "model", "rules", "adapters", "services", "app"},
    "__main__": {"app", "faces"},
}
LARGEST = 450  # lines; a module that grows past it wants to be two
# `gardien run`, `gardien check` and `gardien self-update` start at the roots.
EXCEPTIONS = {("faces.cli", "app"), ("faces.local", "app"), ("faces.local", "own_update")}
ONLY = {  # library -> the modules that may import it
    "subprocess": {"adapters.process"},
    "docker": {"adapters.engine"},
    "aiosqlite": {"adapters.database"},
    "argon2": {"services.people"},
}


def modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts): path
        for path in sorted(SOURCE.rglob("*.py"))
        if path.name != "__init__.py" and "shipped" not in path.parts
    }


def imports(path: Path) -> set[str]:
    """Every module named by an import, local and TYPE_CHECKING ones too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative imports hide where they go"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def our_imports() -> dict[str, set[str]]:
    known = modules()
    return {
        name: {each.removeprefix("gardien.") for each in imports(path) if each.startswith("gardien.")} & set(known)
        for name, path in known.items()
    }


def room(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def test_arrows_only_go_where_they_may() -> None:
    wrong = [
        f"{name} imports {other}"
        for name, others in our_imports().items()
        for other in others
        if room(other) != room(name) and room(other) not in MAY[room(name)] and (name, room(other)) not in EXCEPTIONS
    ]
    assert not wrong


def test_no_circles() -> None:
    graph = our_imports()
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a circle: {' -> '.join((*path[path.index(name) :], name))}"
        if name in done:
            return
        for other in graph[name]:
            if (name, room(other)) not in EXCEPTIONS:
                visit(other, (*path, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def test_each_door_has_one_keeper() -> None:
    for name, path in modules().items():
        tops = {each.split(".")[0] for each in imports(path)}
        for library, keepers in ONLY.items():
            assert library not in tops or name in keepers, f"{name} imports {library}, which belongs to {keepers}"


def test_rules_and_model_read_no_clock_and_touch_nothing() -> None:
    forbidden = {"asyncio", "os", "time", "socket", "shutil", "subprocess", "tempfile", "aiohttp", "random", "secrets"}
    for name, path in modules().items():
        if room(name) in ("model", "rules"):
            assert not {each.split(".")[0] for each in imports(path)} & forbidden, name
            assert ".now(" not in path.read_text(), f"{name} reads the clock"


def test_names_say_what_is_inside_and_files_fit_in_a_head() -> None:
    for name, path in modules().items():
        assert not {"utils", "helpers", "common", "const", "manager"} & set(name.split(".")), name
        assert len(path.read_text().splitlines()) <= LARGEST, f"{name} is too long to read in one sitting"
