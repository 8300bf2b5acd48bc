"""Every command and every program that the documentation shows is run, as a reader would run it.

Fences of `sh`, `bash` and `python` are run in what looks like the top of a clone, each by itself, those of
one page in order and in one folder. Not run, only looked at: what sets a clone up (make, git clone, pip), and
fences with a line `# needs released weights`. Output, and what is not to be run, goes into other fences.
Fences that ask a server at the usual address are run with one, which is at another. A fence that names a file is
what that file is; where it needs a client that is not installed here, `make test-clients` alone runs it.
"""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.serving import serving

ROOT = Path(__file__).parents[2]
PAGES = [
    path
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md")))
    if path.exists()
]
UNAVAILABLE = "# needs released weights"
SERVER = "127.0.0.1:8000"  # where a reader's would be
SNIPPETS = ROOT / "tests/clients/snippets"
SECONDS = 240


@dataclass(frozen=True)
class Fence:
    page: Path
    line: int
    language: str
    file: str  # that it shows, or nothing
    code: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def fences(page: Path) -> list[Fence]:
    """The fenced blocks of a page."""
    text = page.read_text()
    pattern = r"^```(?P<language>\w*) ?(?P<file>[^\n]*)\n(?P<code>.*?)^```$"
    return [
        Fence(page, text.count("\n", 0, match.start()) + 1, *match.group("language", "file", "code"))
        for match in re.finditer(pattern, text, re.M | re.S)
    ]


def runnable(page: Path) -> list[Fence]:
    """Those that a reader can run."""
    return [fence for fence in fences(page) if fence.language in ("sh", "bash", "python")]


def is_installed(code: str) -> bool:
    """Whether all is here that a Python program imports."""
    roots = re.findall(r"^(?:import|from) (\w+)", code, re.M)
    return all(importlib.util.find_spec(root) for root in roots)


def commands(code: str) -> list[str]:
    """The lines of a shell fence, those continued with a backslash joined."""
    lines = code.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def is_setup(command: str) -> bool:
    return bool(re.match(r"(make|git clone|cd|(python3? -m )?pip install)\b", command))


def check_setup(command: str) -> None:
    """A command that is not run must still name what exists: a target of the Makefile, an extra."""
    words = shlex.split(command, comments=True)
    if words[0] == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
        asked = {word for word in words[1:] if "=" not in word and word[0] != "-"}
        assert asked <= targets, f"`{command}`: the Makefile has no {', '.join(asked - targets)}"
    if "install" in words:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        extras = {
            extra
            for word in words
            for extra in re.findall(r"[\w-]+", "".join(re.findall(r"\[(.*?)\]", word)))
        }
        assert extras <= project["optional-dependencies"].keys(), (
            f"`{command}`: no such extra in pyproject.toml"
        )


def run(command: list[str], folder: Path) -> None:
    """Run as a reader would: this environment's programs first, nobody at the keyboard."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"exit code {done.returncode}:\n{done.stdout}"


@pytest.fixture(scope="session")
def clones(tmp_path_factory) -> dict[Path, Path]:
    """For each page a folder that looks like the top of a clone, but keeps what commands write to itself."""
    folders = {page: tmp_path_factory.mktemp(page.stem) for page in PAGES}
    for folder in folders.values():
        for entry in ROOT.iterdir():
            if entry.name[0] != ".":
                (folder / entry.name).symlink_to(entry)
    return folders


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a server with nano."""
    with serving() as served:
        yield served.url


@pytest.mark.parametrize("fence", [fence for page in PAGES for fence in runnable(page)], ids=str)
def test_what_a_page_shows_works(fence: Fence, clones, request):
    code = fence.code
    if SERVER in code:
        code = code.replace(SERVER, request.getfixturevalue("server").split("://")[1])
    if fence.language == "python":
        compile(code, str(fence), "exec")
        if fence.file and not is_installed(code):
            pytest.skip("make test-clients runs it")
        script = [sys.executable, "-c", code]
    else:
        for command in filter(is_setup, commands(code)):
            check_setup(command)
        to_run = [command for command in commands(code) if not is_setup(command)]
        script = ["bash", "-euo", "pipefail", "-xc", "\n".join(to_run)]
        if not to_run:
            return
    if UNAVAILABLE in fence.code:
        pytest.skip("needs the released weights")
    run(script, clones[fence.page])


def test_each_client_is_shown_as_it_is_tested():
    shown = {fence.file: fence.code for page in PAGES for fence in fences(page) if fence.file}
    assert shown == {str(path.relative_to(ROOT)): path.read_text() for path in SNIPPETS.iterdir()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_exists(page):
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    local = [target for target in targets if "://" not in target]
    assert not [target for target in local if not (page.parent / target).exists()]


def test_there_is_a_readme_that_shows_how_to_begin():
    readme = ROOT / "README.md"
    assert readme.exists()
    assert "make talk" in [
        re.sub(r"\s*#.*", "", c) for fence in runnable(readme) for c in commands(fence.code)
    ]
