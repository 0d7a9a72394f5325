"""The command as a whole: its table, its exit codes, and what it imports."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import zoo
import zoo.cli
from zoo.cli import COMMANDS

# Everything that is imported only when there is work for it.
HEAVY = {"torch", "timm", "safetensors", "PIL", "numpy", "msgspec", "yaml", "rich", "urllib3"}
HEAVY |= {"packaging", "importlib.metadata", "lightning"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_module_keeps_the_contract(name):
    """Every command has its arguments and its run."""
    module = import_module(COMMANDS[name].module)

    assert callable(module.add_arguments)
    assert callable(module.run)


def test_the_table_is_complete():
    """Every module with arguments and a run of its own is in the table."""
    folder = Path(zoo.cli.__file__).parent
    modules = {file: file.read_text(encoding="utf-8") for file in folder.glob("*.py")}
    commands = {
        f"zoo.cli.{file.stem}"
        for file, text in modules.items()
        if "\ndef add_arguments(" in text and "\ndef run(args: " in text
    }

    assert commands == {command.module for command in COMMANDS.values()}


def test_help_lists_every_command(command):
    """`zoo --help` names each command with its summary."""
    done = command("--help")

    assert done.code == 0
    for name, row in COMMANDS.items():
        assert f"{name} " in done.out
        assert row.summary in done.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(command, name):
    """`zoo COMMAND --help` explains every argument that the command takes."""
    done = command(name, "--help")

    assert done.code == 0
    assert done.out.startswith(f"usage: zoo {name}")
    from zoo.cli.arguments import make_parser

    parser = make_parser(f"zoo {name}", COMMANDS[name].summary)
    import_module(COMMANDS[name].module).add_arguments(parser)
    assert [action.dest for action in parser._actions if not action.help] == []


def test_version(command):
    """`zoo --version` says which zoo this is."""
    assert command("--version") == (0, f"zoo {zoo.__version__}\n", "")


def test_no_command_shows_the_help_and_fails(command):
    """`zoo` alone is no request: help on the error output, exit code 2."""
    done = command()

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("usage: zoo COMMAND")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lst"], "There is no command 'lst'. Did you mean 'list'?"),
        (["--verbos"], "There is no option '--verbos'."),
        (
            ["list", "--famly=self"],
            "unrecognized arguments: --famly=self. Did you mean '--family'?",
        ),
        (["list", "--fam=self"], "unrecognized arguments: --fam=self. Did you mean '--family'?"),
        (["show"], "the following arguments are required: WHAT. See `zoo show --help`."),
        (["list", "--ndim", "3"], "argument --ndim: invalid choice: 3"),
    ],
)
def test_wrong_words_are_one_error(command, words, message):
    """Words that no command understands give one message with the near miss, and exit code 2."""
    done = command(*words)

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("zoo: error: ")
    assert message in done.err
    assert done.err.count("\n") == 1


def test_an_error_shows_no_traceback_unless_asked(command, monkeypatch):
    """ZOO_DEBUG=1 shows where an error came from; otherwise there is the message alone."""
    assert "Traceback" not in command("show", "Nothing").err

    monkeypatch.setenv("ZOO_DEBUG", "1")
    done = command("show", "Nothing")

    assert done.code == 2
    assert "Traceback" in done.err
    assert "zoo: error: There is no file and no folder 'Nothing'. Nor is it a ref" in done.err


def test_of_several_processes_the_first_says_what_is_wrong(command, monkeypatch, capsys):
    """The others speak only if torchrun or srun -K, which end them when the first has failed, have not done so in a while."""
    before = []
    monkeypatch.setattr("time.sleep", lambda _seconds: before.append(capsys.readouterr().err))
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert command("show", "Nothing").code == 2
    assert before == []

    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "some")
    done = command("show", "Nothing")
    assert before == [""]
    assert (done.code, done.err.count("zoo: error:")) == (2, 1)

    monkeypatch.setenv("LOCAL_RANK", "0")
    assert "zoo: error:" in command("show", "Nothing").err
    assert len(before) == 1

    monkeypatch.delenv("TORCHELASTIC_RUN_ID")
    monkeypatch.setenv("SLURM_PROCID", "1")
    assert command("show", "Nothing").code == 2
    assert before == ["", ""]


def test_an_interrupt_exits_with_130(command, monkeypatch):
    """Ctrl-C ends the command with one word and exit code 130."""

    def interrupt(_args):
        raise KeyboardInterrupt

    monkeypatch.setattr("zoo.cli.plugins.run", interrupt)

    assert command("plugins") == (130, "", "\nzoo: interrupted\n")


def test_an_error_of_ours_alone_is_caught(command, monkeypatch):
    """A fault in the program itself is not dressed up as a wrong request."""

    def fail(_args):
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("zoo.cli.plugins.run", fail)

    with pytest.raises(ZeroDivisionError, match="a fault"):
        command("plugins")


def test_a_closed_pipe_ends_the_command_quietly(cache):
    """Who reads only the first line, as `head -1` does, gets no complaint."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "zoo", "list", "--components"],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(
    not os.path.exists("/dev/full"), reason="there is no device that is always full"
)
@pytest.mark.parametrize("words", [["--help"], ["list", "--components"], ["plugins", "--json"]])
def test_a_full_disk_is_an_error(words, cache):
    """Output that cannot be written is told, with exit code 2 and no traceback."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "zoo", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 2
    assert done.stderr == "zoo: error: The output cannot be written: No space left on device.\n"


def test_no_output_at_all_is_no_fault(cache):
    """A process that was started with its output closed does its work."""
    line = f"{sys.executable} -m zoo list --components >&-; echo code $? >&2"

    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False)

    assert done.stderr == "code 0\n"


def test_warnings_of_ours_are_one_line_each(process, make_plugin):
    """A broken plug-in is reported once, readably, and the command goes on."""
    make_plugin("zoo_broken", "raise RuntimeError('no \\x1b[31mluck')")

    done = process("list", "--components")

    assert done.code == 0
    assert done.err == (
        "zoo: warning: Plug-in 'zoo_broken' of zoo-broken 1.0 is left out: RuntimeError: no \\x1b[31mluck\n"
    )
    assert "attention/se" in done.out


def test_warnings_of_others_stay_as_they_are(process, make_plugin):
    """What is not ours is shown as Python shows it."""
    make_plugin("zoo_noisy", "import warnings; warnings.warn('by the way', stacklevel=1)")

    done = process("list")

    assert done.code == 0
    assert "zoo_noisy.py:1: UserWarning: by the way" in done.err


@pytest.mark.parametrize(
    "code",
    [
        "import zoo",
        "from zoo.cli import main; main(['--help'])",
        "from zoo.cli import main; main(['list'])",
        "from zoo.cli import main; main(['list', '--components'])",
        "from zoo.cli import main; main(['plugins'])",
    ],
)
def test_a_quick_command_imports_nothing_heavy(code, cache):
    """In a fresh process neither `import zoo` nor a command that only looks things up imports torch & co."""
    run = [
        sys.executable,
        "-c",
        f"{code}\nimport sys; print('\\n'.join(['MODULES', *sys.modules]))",
    ]
    subprocess.run(run, check=True, capture_output=True)  # the first run compiles the index

    done = subprocess.run(run, check=True, capture_output=True, text=True)
    modules = set(done.stdout.partition("MODULES\n")[2].split())

    assert "zoo" in modules
    assert modules & HEAVY == set()


def test_python_m_zoo_is_the_command(process):
    """`python -m zoo` runs the same command, and its exit code is the process's."""
    assert process("--version") == (0, f"zoo {zoo.__version__}\n", "")
    assert process("lst").code == 2
