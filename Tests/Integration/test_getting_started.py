"""docs/getting-started.md: what it tells a newcomer to write works in that order, and the job ends."""

import re
import shlex
import signal
import subprocess

from support.programs import PATIENCE, ROOT, environment, program, run
from support.waiting import until


def commands():
    """Those of a newcomer's own machine, each as its words."""
    block = re.search(r"```sh\n(silo .*?)```", (ROOT / "docs/getting-started.md").read_text(), re.DOTALL)[1]
    return [shlex.split(line, comments=True) for line in block.splitlines()]


class TestOnYourOwnMachine:
    def test_each_command_works_and_the_job_ends(self, server):
        answers, worker, id = {}, None, None

        def ctl(*words):
            ended = run("siloctl", *words, "--address", server.address)
            assert (ended.returncode, ended.stderr) == (0, ""), words
            return ended.stdout

        try:
            for name, *words in commands():
                words = [id if word == "ID" else word for word in words]
                if name == "siloctl":
                    answers[tuple(words[:2])] = answer = ctl(*words)
                    id = id or re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer)[0]
                elif name == "mail-worker":
                    worker = subprocess.Popen(
                        [program(name), *words, "--address", server.address], stdout=subprocess.PIPE, text=True, env=environment())
                    until(lambda: "succeeded" in ctl("job", "get", id), PATIENCE, "the job to end")
                else:
                    assert (name, words) == ("silo", []), "the server of this test has no settings but its place"
            assert "no worker" in answers["job", "explain"].lower()
            assert answers["job", "result"].splitlines()[-1] == '{"sentTo":"ann"}'
            worker.send_signal(signal.SIGINT)
            said, _ = worker.communicate(timeout=PATIENCE)
            assert (worker.returncode, said) == (0, "a mail to ann\n")
        finally:
            if worker:
                worker.kill()
                worker.wait()
