"""Completion of command lines, asked in the shells themselves."""

import os
import pty
import re
import select
import shutil
import socket
import subprocess
import time

import pytest

from support.client import Client
from support.ports import fixed_address
from support.programs import environment, program, run

COMMANDS = {"cluster", "counts", "job", "enqueue", "pause", "resume", "pauses", "tenant", "shard", "query", "profile", "servers"}


def bash(name, line, folder, **extra):
    """What bash would offer at the end of the line."""
    script = """
        source <("$1" completion bash)
        COMP_LINE=$2 COMP_POINT=${#2}
        # As readline breaks words: at blanks, and at = and :.
        read -r -a COMP_WORDS <<< "$(sed -E 's/([=:]+)/ \\1 /g' <<< "$2")"
        [[ $2 == *' ' || $2 == *[=:] ]] && [[ $2 != *[=:] ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        $(complete -p "${1##*/}" | sed -E 's/.*-F ([^ ]+) .*/\\1/')
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    return offered(["bash", "--norc", "-c", script, "bash", program(name), line], folder, extra)


def fish(name, line, folder, **extra):
    script = '$argv[1] completion fish | source; complete -C "$argv[2]" | string replace -r "\\t.*" ""; true'
    return offered(["fish", "--no-config", "-c", script, program(name), line], folder, extra)


def offered(words, folder, extra):
    plain = environment({"PATH": f"{program('silo').parent}:{os.environ['PATH']}", "HOME": str(folder)} | extra)
    ended = subprocess.run(list(map(str, words)), capture_output=True, text=True, env=plain, cwd=folder, timeout=60)
    assert ended.returncode == 0 and ended.stderr == "", ended.stderr
    return set(ended.stdout.split())


SHELLS = [pytest.param(shell, marks=pytest.mark.skipif(not shutil.which(shell.__name__), reason="run scripts/setup test"))
          for shell in (bash, fish)]


@pytest.mark.parametrize("shell", SHELLS)
class TestWords:
    @pytest.mark.parametrize("line, some, none", [
        ("siloctl ", COMMANDS, {"get", "--json"}), ("siloctl jo", {"job"}, {"pause"}),
        ("siloctl job ", {"get", "result", "explain", "import", "cancel", "restart", "expedite", "delete"}, {"job", "--json"}),
        ("siloctl job re", {"result", "restart"}, {"get"}),
        ("siloctl --json -a http://localhost:7450 job g", {"get"}, {"job"}),
        ("siloctl job get x --", {"--attempts", "--payload", "--tenant", "--json", "--help"}, {"--format", "--watch"}),
        ("siloctl job get --attempts --a", {"--address"}, {"--attempts"}),
        ("siloctl enqueue --label a=b --la", {"--label"}, {"--json"}),
        ("siloctl job result x -f ", {"hex", "base64", "msgpack"}, {"--json"}), ("siloctl job result --format b", {"base64"}, {"hex"}),
        ("siloctl counts --watch ", set(), {"seconds"}), ("siloctl completion ", {"bash", "zsh", "fish"}, set()),
        ("siloctl query --", {"--shard", "--param", "--file", "--saved", "--csv", "--jsonl", "--expanded"}, {"--watch"}),
        ("siloctl query --format ", set(), {"hex"}), ("siloctl query --format=", set(), {"hex"}),
        ("siloctl token new --role ", {"admin", "operate", "enqueue", "work", "read"}, {"--json"}),
        ("siloctl query --saved ", {"backlog", "failures", "holders"}, {"--json"}), ("siloctl tenant locate ", set(), {"hash"}),
        ("siloctl nonsense ", set(), {"job"}), ("silo --da", {"--data"}, {"--dev"}),
        ("silo --log-format ", {"text", "json"}, {"--data"}), ("silo --log-format j", {"json"}, {"text"}),
    ])
    def test_what_comes_next(self, shell, tmp_path, line, some, none):
        words = shell(line.split()[0], line, tmp_path)
        assert words >= some and not words & none
        if not some:
            assert words == set()

    def test_values_behind_a_sign(self, shell, tmp_path):
        words = shell("siloctl", "siloctl job result --format=", tmp_path)
        assert {word.removeprefix("--format=") for word in words} == {"hex", "base64", "msgpack"}
        words = shell("siloctl", "siloctl job result --format=m", tmp_path)
        assert {word.removeprefix("--format=") for word in words} == {"msgpack"}

    def test_files_where_a_file_is_wanted(self, shell, tmp_path):
        (tmp_path / "jobs-1.json").touch()
        (tmp_path / "jobs-2.json").touch()
        assert shell("siloctl", "siloctl job import jobs", tmp_path) == {"jobs-1.json", "jobs-2.json"}
        assert shell("siloctl", "siloctl --tls-ca jobs-1", tmp_path) == {"jobs-1.json"}
        assert shell("silo", "silo --tls-cert jobs-2", tmp_path) == {"jobs-2.json"}

    def test_what_only_a_server_knows(self, shell, tmp_path, new_server):
        with Client(new_server("--shards", 2).address) as client:
            client.enqueue("mail")
            client.enqueue("thumbs")
            address, shards = client.cluster().this_grpc_addr, {owner.shard_id for owner in client.shards()}
        assert shell("siloctl", f"siloctl -a {address} shard flush ", tmp_path) == shards
        assert shell("siloctl", f"siloctl -a {address} query SELECT --shard ", tmp_path) == shards
        assert shell("siloctl", f"siloctl pause group -a {address} ", tmp_path) == {"mail", "thumbs"}
        assert shell("siloctl", f"siloctl -a {address} pause group th", tmp_path) == {"thumbs"}
        # Nobody answers, and nothing is said.
        assert shell("siloctl", f"siloctl -a {fixed_address()} pause group ", tmp_path) == set()

    def test_a_server_that_does_not_answer_is_not_waited_for(self, shell, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            begun = time.monotonic()
            assert shell("siloctl", f"siloctl -a 127.0.0.1:{silent.getsockname()[1]} shard flush ", tmp_path) == set()
            assert time.monotonic() - begun < 30

    def test_names_of_servers(self, shell, tmp_path):
        (tmp_path / "silo").mkdir()
        (tmp_path / "silo/siloctl.toml").write_text('[servers.prod]\naddress = "a"\n[servers.test]\naddress = "b"\n')
        assert shell("siloctl", "siloctl pauses -s ", tmp_path, XDG_CONFIG_HOME=str(tmp_path)) == {"prod", "test"}
        (tmp_path / "silo/siloctl.toml").write_text("nonsense")
        assert shell("siloctl", "siloctl pauses -s ", tmp_path, XDG_CONFIG_HOME=str(tmp_path)) == set()


@pytest.mark.skipif(not shutil.which("zsh"), reason="run scripts/setup test")
class TestZsh:
    """Zsh completes only where somebody types."""

    @pytest.fixture
    def zsh(self, tmp_path):
        process, here = pty.fork()
        if process == 0:
            os.chdir(tmp_path)
            os.execve(shutil.which("zsh"), ["zsh", "-f", "-i"], environment({
                "PATH": f"{program('silo').parent}:{os.environ['PATH']}", "TERM": "xterm", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8",
            }))
        os.write(here, b"PS1='READY> '; unsetopt zle_bracketed_paste; autoload -U compinit && compinit -u -D; LISTMAX=0\n")
        os.write(here, b"source <(siloctl completion zsh); source <(silo completion zsh); echo DO''NE\n")
        read(here, "DONE")
        yield lambda typed, pattern: (os.write(here, b"\x15" + typed.encode() + b"\t\t"), read(here, pattern))[1]
        os.close(here)
        os.kill(process, 9)
        os.waitpid(process, 0)

    def test_what_is_unique_is_written_out(self, zsh):
        assert "siloctl job explain" in zsh("siloctl job exp" + "l", r"siloctl job explain ")
        zsh("siloctl -a http://localhost:1 job result x --format=ba", r"--format=base64")
        zsh("silo --log-form", r"--log-format ")

    def test_what_is_not_is_listed_with_its_help(self, zsh):
        text = zsh("siloctl pause ", r"(?s)tenant.*limit|limit.*tenant")
        assert "let no job" in text

    def test_files(self, zsh, tmp_path):
        (tmp_path / "jobs-of-mine.json").touch()
        zsh("siloctl job import jobs", r"jobs-of-mine\.json")


def read(terminal, pattern, patience=30):
    text, end = "", time.monotonic() + patience
    while not re.search(pattern, text):
        ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
        assert ready, f"{pattern} is not in {text!r}"
        text = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]|.\x08", "", text + os.read(terminal, 65536).decode(errors="replace"))
    return text


def test_other_shells_are_refused():
    ended = run("siloctl", "completion", "csh")
    assert ended.returncode == 2 and "there are scripts for bash, zsh and fish, not for csh" in ended.stderr


@pytest.mark.parametrize("name", ["siloctl", "silo"])
@pytest.mark.parametrize("shell, check", [("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"])])
def test_a_script_is_one(name, shell, check, tmp_path):
    if not shutil.which(shell):
        pytest.skip("run scripts/setup test")
    (tmp_path / "script").write_text(run(name, "completion", shell).stdout)
    ended = subprocess.run([*check, tmp_path / "script"], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
