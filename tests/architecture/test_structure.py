"""What keeps the house readable: where code may live, how long it may be, and what it may not hold."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import thinktalk

ROOT = Path(__file__).parents[2]
PACKAGE = sorted((ROOT / "thinktalk").rglob("*.py"))
LIBRARY = [*PACKAGE, *sorted((ROOT / "recipes").rglob("*.py"))]

MOST_LINES = 400
MOST_TRACKED_BYTES = 24 * 2**20
GRAB_BAGS = {"utils", "util", "helpers", "helper", "common", "misc"}

# Imports inside functions, each with its reason. A cycle is none: move what both sides need below them.
LATE_IMPORTS = {
    ("thinktalk/eval/judges.py", "moonshine_voice"): "only the extra `eval` brings it",
    ("thinktalk/eval/judges.py", "faster_whisper"): "only the extra `eval` brings it",
    ("thinktalk/checkpoint/locate.py", "huggingface_hub"): "only the extra `hub` brings it",
    ("thinktalk/train/target_codes.py", "transformers"): "only who uses a Mimi needs it",
    ("thinktalk/bench/peer.py", "transformers"): "only the extra `bench` brings it",
    ("thinktalk/cli/bench.py", "thinktalk.bench.plots"): "brings in matplotlib, of the extra `bench`",
    ("thinktalk/cli/main.py", "thinktalk.contracts"): "brings in torch, too slow for `thinktalk --help`",
    ("thinktalk/train/display.py", "torch.utils.tensorboard"): "only the extra `train` brings tensorboard",
    ("thinktalk/train/loop.py", "thinktalk.parallel"): "brings in FSDP, which one process does without",
    (
        "thinktalk/train/optim.py",
        "thinktalk.train.spread_muon",
    ): "brings in FSDP, which one process does without",
    ("thinktalk/train/saving.py", "thinktalk.parallel"): "brings in FSDP, which one process does without",
    ("thinktalk/synthesis/engines.py", "hibari"): "only the extra `train` brings it",
    ("thinktalk/train/imitation.py", "pyworld"): "only the extra `train` brings it",
}
# What an extra brings, and the room that is of no use without it and so may import it at the top.
EXTRA_ROOMS = {
    "jiwer": ("thinktalk/eval/",),
    "matplotlib": ("thinktalk/eval/", "thinktalk/bench/plots.py"),
    "scipy": ("thinktalk/synthesis/", "thinktalk/train/"),
    "fastapi": ("thinktalk/server/",),
    "httpx2": ("thinktalk/server/",),
    "opentelemetry": ("thinktalk/server/",),
    "prometheus_client": ("thinktalk/server/",),
    "pydantic": ("thinktalk/server/",),
    "starlette": ("thinktalk/server/",),
    "uvicorn": ("thinktalk/server/",),
}
IMPORT_NAMES = {"pillow": "PIL"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git clone")
    return [path for path in (ROOT / line for line in listed.stdout.split("\0") if line) if path.is_file()]


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or "."]
    return []


def late_imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in (inner for function in functions for inner in ast.walk(function)):
        yield from ((node.lineno, module) for module in imported(node))  # type: ignore[attr-defined]


def is_allowed_late(path: str, module: str) -> bool:
    return any(path == where and f"{module}.".startswith(f"{what}.") for where, what in LATE_IMPORTS)


def test_no_module_is_a_grab_bag():
    bags = [name(path) for path in LIBRARY if GRAB_BAGS & {path.stem, path.parent.name}]
    assert not bags, "a module is named after what it is about, not after who uses it"


@pytest.mark.parametrize("path", LIBRARY, ids=name)
def test_a_file_is_short_enough_to_be_read(path):
    lines = len(path.read_text().splitlines())
    assert lines <= MOST_LINES, f"{name(path)} has {lines} lines: it is two files"


def test_imports_stand_at_the_top():
    late = [
        f"{name(path)}:{line} imports {module}"
        for path in LIBRARY
        for line, module in late_imports(ast.parse(path.read_text()))
        if not is_allowed_late(name(path), module)
    ]
    assert not late, "an import inside a function needs a reason in LATE_IMPORTS"


def test_every_late_import_that_is_allowed_exists():
    found = {(name(path), m) for path in LIBRARY for _, m in late_imports(ast.parse(path.read_text()))}
    unused = [
        (p, m) for p, m in LATE_IMPORTS if not any(p == q and f"{n}.".startswith(f"{m}.") for q, n in found)
    ]
    assert not unused


def test_what_the_package_imports_is_what_it_declares():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[\s<>=!\[;]", line)[0] for line in project["dependencies"]}
    known = {"thinktalk", *sys.stdlib_module_names, *(IMPORT_NAMES.get(need, need) for need in needed)}
    undeclared = [
        f"{name(path)} imports {module}"
        for path in PACKAGE
        for node in ast.walk(ast.parse(path.read_text()))
        for module in imported(node)
        if (top := module.partition(".")[0]) not in known
        and not is_allowed_late(name(path), module)
        and not name(path).startswith(EXTRA_ROOMS.get(top, ("?",)))
    ]
    assert not undeclared, "a dependency of the package belongs into pyproject.toml"


def undocumented(path: Path) -> Iterator[str]:
    """What has no docstring: modules, public classes and functions, and the methods of what `thinktalk` offers.

    A class of nothing but typed fields is a record, and is documented by its names.
    """
    tree = ast.parse(path.read_text())
    if not ast.get_docstring(tree) and tree.body:
        yield "the module itself"
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name[0] == "_":
            continue
        is_record = isinstance(node, ast.ClassDef) and all(isinstance(n, ast.AnnAssign) for n in node.body)
        if not ast.get_docstring(node) and not is_record:
            yield node.name
        if isinstance(node, ast.ClassDef) and node.name in thinktalk.__all__:
            methods = [n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
            yield from (
                f"{node.name}.{m.name}" for m in methods if m.name[0] != "_" and not ast.get_docstring(m)
            )


@pytest.mark.parametrize("path", PACKAGE, ids=name)
def test_public_names_are_documented(path):
    missing = list(undocumented(path))
    assert not missing, f"{name(path)}: no docstring says what these are for"


def test_no_path_of_one_machine_is_tracked():
    machine = re.compile(rb"(?<![\w./:~-])/(?:work|opt|root|home/[a-z]+)/")
    found = [
        f"{name(path)}: {match.group().decode()}"
        for path in tracked_files()
        if path.suffix not in {".safetensors", ".wav"} and path != Path(__file__)
        for match in [machine.search(path.read_bytes())]
        if match
    ]
    assert not found


def test_a_clone_stays_small():
    sizes = {name(path): path.stat().st_size for path in tracked_files()}
    largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:5]
    assert sum(sizes.values()) < MOST_TRACKED_BYTES, f"the largest: {largest}"


def test_imports_run_downward():
    lint_imports = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run(
        [lint_imports, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
