import os
import subprocess
import sys

import pytest

from thinktalk.cli.main import COMMANDS


def test_help_lists_every_command(run):
    ran = run("--help")
    assert ran.code == 0
    assert all(name in ran.out for name in COMMANDS)
    assert run().out == ran.out  # a bare `thinktalk` shows the way, too


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run, command):
    ran = run(command, "--help")
    assert ran.code == 0 and "Usage" in ran.out and command in ran.out


def test_help_imports_no_model_library():
    script = (
        "import sys; from thinktalk.cli.main import main; code = main(['--help']); "
        "heavy = {'torch', 'numpy', 'av'} & set(sys.modules); sys.exit(str(heavy) if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sing"], "No such command 'sing'; see thinktalk --help"),
        (["aks"], "Did you mean"),
        (["ask", "hi", "--loud"], "--loud (Possible options: --audio, --model); see thinktalk ask --help"),
        (["ask", "hi", "there"], "see thinktalk ask --help"),
        (["ask", "hi", "--seed", "x"], "Invalid value for '--seed'"),
        (["ask", "hi", "--temperature", "-1"], "--temperature"),
        (["ask", "hi", "--max-tokens", "0"], "--max-tokens"),
        (["say", "hi"], "Missing option '--out'"),
        (["--loud"], "No such option: --loud; see thinktalk --help"),
    ],
)
def test_wrong_usage_is_one_line(run, arguments, words):
    assert words in run(*arguments).complaint


def test_a_bug_is_one_line_and_debug_shows_where(run, omni):
    omni.fails = LookupError("layers.3\nweight")
    ran = run("ask", "hi")
    assert ran.code == 1
    assert ran.err.splitlines()[-1].startswith("thinktalk: LookupError: layers.3 weight (")
    assert "--debug" in ran.err and "Traceback" not in ran.err
    shown = run("--debug", "ask", "hi")
    assert shown.code == 1 and "Traceback" in shown.err and "conftest.py" in shown.err


def test_ctrl_c_is_quiet(run, omni):
    omni.fails = KeyboardInterrupt()
    ran = run("ask", "hi")
    assert ran.code == 130 and ran.err == ""


def test_a_reader_that_leaves_is_no_error(omni, monkeypatch, capfd):
    from thinktalk.cli.main import main

    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as broken:
        monkeypatch.setattr(sys, "stdout", broken)
        assert main(["ask", "hi"]) == 1
    assert capfd.readouterr().err == ""


def test_a_reply_cannot_steer_the_terminal(run, omni, capsys, monkeypatch):
    omni.words = ["plain\ttext\n", "\x1b[2Jwiped\x07"]
    assert run("ask", "hi").out == "plain\ttext\n\x1b[2Jwiped\x07\n"  # a file gets every character
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run("ask", "hi").out == "plain\ttext\n[2Jwiped\n"
