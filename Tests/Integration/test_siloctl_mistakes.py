"""What the programs say of mistakes, and that their help tells all that they take."""

import concurrent.futures
import contextlib
import os
import pathlib
import re
import signal
import subprocess

import pytest

from support.ports import fixed_address
from support.programs import ROOT, environment, program, run
from support.waiting import until

ABSENT = "No such file or directory"
FOUNDATION = re.compile("NSCocoa|NSError|Error Domain|CocoaError|UserInfo|Foundation")


class TestFiles:
    """Every option that names a file: it is told with the file and the system's reason."""

    @pytest.mark.parametrize("name, arguments, option", [
        ("silo", ["--auth-token-file", "{}"], "--auth-token-file"),
        ("silo", ["--tls-cert", "{}", "--tls-key", "/etc/hostname"], "--tls-cert"),
        ("silo", ["--tls-cert", "/etc/hostname", "--tls-key", "{}"], "--tls-key"),
        ("silo", ["--tls-client-ca", "{}", "--tls-cert", "/etc/hostname", "--tls-key", "/etc/hostname"], "--tls-client-ca"),
        ("silo", ["--tokens-file", "{}"], "--tokens-file"),
        ("siloctl", ["cluster", "info", "--auth-token-file", "{}"], "--auth-token-file"),
        ("siloctl", ["cluster", "info", "--tls-ca", "{}"], "--tls-ca"),
        ("siloctl", ["job", "import", "{}"], None), ("siloctl", ["token", "check", "{}"], None),
        ("checksum", ["--directory", "{}"], "--directory"),
    ])
    @pytest.mark.parametrize("kind", ["absent", "wrong"])
    def test_it_cannot_be_read(self, tmp_path, name, arguments, option, kind):
        # A folder where a file is wanted, and the other way round.
        place = tmp_path / "place"
        reason = ABSENT
        if kind == "wrong":
            place.touch() if option == "--directory" else place.mkdir()
            reason = "Not a directory" if option == "--directory" else "Is a directory"
        ended = run(name, *(argument.format(place) for argument in arguments))
        place = f"{option}: cannot read {place}" if option else f"cannot read {place}"
        head = "Config error" if name == "silo" else "Error"
        assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", f"{head}: {place}: {reason}\n")

    def test_a_server_names_all_that_it_cannot_use(self, tmp_path):
        options = ["--tls-cert", "--tls-key", "--tls-client-ca", "--tokens-file", "--auth-token-file", "--audit-log", "--log-file"]
        words = [word for option in options for word in (option, tmp_path / "no" / option.strip("-"))]
        ended = run("silo", "--data", "memory:", *words)
        lines = ended.stderr.splitlines()
        assert (ended.returncode, lines[0]) == (1, "Config error: 7 mistakes")
        verbs = ["read"] * 5 + ["write"] * 2
        assert lines[1:] == [
            f"{option}: cannot {verb} {tmp_path}/no/{option.strip('-')}: {ABSENT}" for option, verb in zip(options, verbs)]

    def test_an_argument_that_is_no_text(self):
        for name, words in [("siloctl", ["job", "get", b"a\xffb"]), ("silo", [b"--data=\xff"])]:
            ended = subprocess.run([program(name), *words], capture_output=True, text=True, env=environment())
            assert (ended.returncode, ended.stdout) == (2, "")
            assert ended.stderr.startswith(f"{name}: argument {len(words)} is not in UTF-8")

    @pytest.mark.parametrize("name, arguments", [
        ("silo", ["--listen", "127.0.0.1:0"]), ("silo-bench", ["suite"]), ("silo-bench", ["--mode", "inprocess"]),
    ])
    def test_a_folder_cannot_be_made(self, tmp_path, name, arguments):
        place = tmp_path / "file"
        place.touch()
        ended = run(name, *arguments, "--data", place / "below")
        assert ended.returncode == 1 and not FOUNDATION.search(ended.stderr)
        assert ended.stderr.startswith("Error: ") and f"{place}/below" in ended.stderr and "--data" in ended.stderr
        assert ended.stderr.endswith("Not a directory\n")

    @pytest.mark.parametrize("arguments", [["enqueue", "g", "-"], ["job", "import", "-"]])
    def test_standard_input_cannot_be_read(self, tmp_path, arguments):
        folder = os.open(tmp_path, os.O_RDONLY)
        ended = subprocess.run([program("siloctl"), *arguments], stdin=folder, capture_output=True, text=True, env=environment())
        os.close(folder)
        assert (ended.returncode, ended.stderr) == (1, "Error: cannot read standard input: Is a directory\n")

    def test_a_name_of_a_file_is_no_json(self):
        ended = run("siloctl", "enqueue", "g", "@missing")
        assert ended.returncode == 2
        assert "@ is not expected, at byte 1; for a file, write - and give it on standard input" in ended.stderr

    def test_a_file_without_a_certificate(self, tmp_path):
        path = tmp_path / "ca.pem"
        path.write_text("no certificate")
        ended = run("siloctl", "--tls-ca", path, "cluster", "info")
        assert ended.stderr == f"Error: --tls-ca: {path} holds no certificate in PEM form that can be read\n"


class TestOptionsTogether:
    @pytest.mark.parametrize("name, arguments, text", [
        ("silo", ["--tls-cert", "absent"], "--tls-key is missing"), ("silo", ["--tls-key", "absent"], "--tls-cert is missing"),
        ("silo", ["--auth-token", "a", "--auth-token-file", "b"], "--auth-token and --auth-token-file exclude each other"),
        ("siloctl", ["pauses", "--auth-token", "a", "--auth-token-file", "b"],
         "--auth-token and --auth-token-file exclude each other"),
    ])
    def test_what_is_wrong_is_named(self, name, arguments, text):
        ended = run(name, *arguments)
        assert ended.returncode == 2 and ended.stderr.startswith(f"{name}: {text}"), ended.stderr

    @pytest.mark.parametrize("name, usage", [
        ("silo", "silo [options]"), ("silo-bench", "silo-bench [options]"), ("silo-simulate", "silo-simulate [options]"),
        ("checksum", "checksum [options]"),
    ])
    def test_an_argument_too_many(self, name, usage):
        ended = run(name, "extra")
        assert ended.returncode == 2
        assert ended.stderr == f"{name}: unexpected argument extra; usage: {usage}\nRun {name} --help to see what it takes.\n"

    def test_the_beginning_of_a_command(self):
        error = run("siloctl", "pause").stderr
        assert error.startswith("siloctl: pause is only the beginning of a command: pause tenant, pause group, pause limit\n")

    @pytest.mark.parametrize("name, arguments, told", [
        ("siloctl", ["jb", "list"], "unknown command jb list; did you mean job?"),
        ("siloctl", ["job", "gte", "x"], "unknown command job gte x; did you mean job get?"),
        ("siloctl", ["cluster", "inof"], "unknown command cluster inof; did you mean cluster info?"),
        ("siloctl", ["health", "--jsno"], "unknown option --jsno; did you mean --json?"),
        ("silo", ["--lisen", "x"], "unknown option --lisen; did you mean --listen?"),
    ])
    def test_the_word_that_was_meant(self, name, arguments, told):
        ended = run(name, *arguments)
        assert ended.returncode == 2 and ended.stderr.startswith(f"{name}: {told}\n"), ended.stderr


class TestOtherKindsOfServers:
    def test_one_without_tls(self, server):
        ended = run("siloctl", "-a", f"https://{server.address}", "cluster", "info")
        assert ended.returncode == 1 and ended.stderr.count("\n") == 1
        assert ended.stderr.startswith("Error: UNAVAILABLE: ") and "does not speak TLS: try http://" in ended.stderr
        assert "start a server" not in ended.stderr

    def test_one_with_tls(self, start_server, tmp_path_factory):
        folder = tmp_path_factory.mktemp("tls")
        subprocess.run([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout",
            "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
        ], cwd=folder, check=True, capture_output=True)
        server = start_server("--tls-cert", folder / "cert.pem", "--tls-key", folder / "key.pem", data="memory:")
        assert "if the server there speaks TLS, try https://" in run("siloctl", "-a", server.address, "cluster", "info").stderr
        stranger = run("siloctl", "-a", f"https://{server.address}", "cluster", "info").stderr
        assert "--tls-ca names the authority" in stranger and stranger.count("\n") == 1
        (folder / "bad.pem").write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
        bad = run("siloctl", "-a", f"https://{server.address}", "--tls-ca", folder / "bad.pem", "cluster", "info").stderr
        assert bad == f"Error: --tls-ca: {folder}/bad.pem holds no certificate in PEM form that can be read\n"


def options_in(text):
    return set(re.findall(r"^ +(?:-\w, )?--([a-z-]+)", text[text.index("\noptions:"):], re.MULTILINE))


class TestHelp:
    def commands(self):
        """The names of all commands, and how each is written."""
        table = run("siloctl", "--help").stdout.split("commands:\n")[1].split("\n\n")[0]
        titles = re.findall(r"^  (\S.*?)(?:  .*)?$", table, re.MULTILINE)
        return [(re.sub(r" <.*", "", title), title) for title in titles]

    def test_every_option_that_a_command_takes_is_in_its_help_and_no_other(self):
        source = "\n".join(path.read_text() for path in (ROOT / "Sources/siloctl").glob("*.swift"))
        known = set(re.findall(r'(?:\.init|Usage\.Option)\(\s*"([a-z-]+)",', source)) | {"help", "version"}
        commands = self.commands()
        assert len(commands) >= 18
        helps = {name: options_in(run("siloctl", *name.split(), "--help").stdout) for name, _ in commands}
        known |= set().union(*helps.values())
        address = fixed_address()

        def takes(name, option):
            # One operand too many, so that nothing is done; whether it takes the option is told first.
            words = [*name.split(), "a", "b", "c", f"--{option}", *([] if option in ("json", "attempts") else ["1"])]
            error = run("siloctl", *words, *(["-a", address] if option != "address" else [])).stderr
            return "does not belong to" not in error and "unknown option" not in error

        # Every option where it belongs, and each at three commands where it does not: all would be thousands of processes.
        pairs = [(name, option) for name in helps for option in sorted(helps[name] - {"help", "version"})]
        for turn, option in enumerate(sorted(known - {"help", "version"})):
            others = [name for name in helps if option not in helps[name]]
            pairs += [(others[(turn + step) % len(others)], option) for step in (0, 7, 14)] if others else []
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for (name, option), taken in zip(pairs, pool.map(lambda pair: takes(*pair), pairs)):
                assert taken == (option in helps[name]), f"{name} --{option}"

    def test_no_option_is_in_a_help_twice(self):
        names = [name for name, _ in self.commands()]
        for name in sorted({*names, *(name.split()[0] for name in names)}):
            text = run("siloctl", *name.split(), "--help").stdout
            shown = re.findall(r"^ +(?:-(\w), )?--([a-z-]+)", text[text.index("\noptions:"):], re.MULTILINE)
            options = [long for _, long in shown]
            assert len(options) == len(set(options)), f"{name}: {sorted(options)}"
            # The beginning of several commands shows those of each.
            letters = [letter for letter, _ in shown if letter]
            assert name not in names or len(letters) == len(set(letters)), f"{name}: {letters}"

    @pytest.mark.parametrize("word", ["job", "pause", "resume", "cluster", "tenant"])
    def test_the_help_of_the_beginning_of_commands_has_the_options_of_all(self, word):
        names = [name for name, _ in self.commands() if name.split()[0] == word]
        shown = options_in(run("siloctl", word, "--help").stdout)
        assert names and shown == set().union(*(options_in(run("siloctl", *name.split(), "--help").stdout) for name in names))


class TestTheMainJob:
    def test_it_finds_its_neighbours_when_the_shell_found_it(self, server, tmp_path):
        (tmp_path / "file").write_text("a\n")
        place = program("checksum").parent
        ended = subprocess.run(
            ["checksum", "--address", server.address, "--directory", tmp_path, "--workers", "1", "--fail-percent", "0"],
            cwd=tmp_path, env=environment() | {"PATH": f"{place}:{os.environ['PATH']}"}, capture_output=True, text=True,
            timeout=90,
        )
        assert ended.returncode == 0 and "each accounted for exactly once" in ended.stdout, ended.stderr

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_interrupted_it_leaves_nothing_behind(self, tmp_path, number):
        extra = {"TMPDIR": str(tmp_path)}
        demo = subprocess.Popen(
            # A server of its own, on a port of its own.
            [program("checksum"), "--chaos"], env=environment(extra), stdout=subprocess.DEVNULL,
        )
        # It, a server, and three workers.
        until(lambda: len(processes(of=tmp_path)) == 5, 60, "all to run")
        demo.send_signal(number)
        assert demo.wait(60) == 128 + number
        assert processes(of=tmp_path) == []
        assert not any(path.is_dir() for path in tmp_path.iterdir())


def processes(of):
    """What runs with this folder for temporary files."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"TMPDIR={of}".encode() in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
    return found
