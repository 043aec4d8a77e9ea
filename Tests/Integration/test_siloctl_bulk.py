"""siloctl jobs: what is done to many jobs, asked, shown and stopped from the command line."""

import re
import uuid

import pytest

from support.bulk import FAILURE, SUCCESS, ended, enqueue_many, import_many
from support.client import CANCELLED, new_id
from support.programs import run
from support.siloctl import Terminal, as_json, fields, runner


@pytest.fixture
def ctl(server):
    return runner(server.address)


class TestDoing:
    def test_a_dry_run_says_how_many_and_what_it_cost(self, ctl, client):
        group = new_id("g")
        enqueue_many(client, group, 12)
        import_many(client, f"{group}-f", 2, FAILURE)
        where = f"task_group LIKE '{group}%'"
        text = ctl("jobs", "cancel", "--where", where, "--dry-run")
        assert text.splitlines()[0] == "14 jobs match"
        assert re.search(r"Failed +2  refused: job is already in terminal state\n +Waiting +12", text)
        assert re.search(r"Such as \S+, ", text)
        assert re.search(r"To find that out, \d+ rows were read in ", text)
        told = as_json(ctl("jobs", "cancel", "--where", where, "--dry-run", "--json"))
        assert (told["jobs"], len(told["sample"])) == (14, 10)
        assert "0 jobs match" in ctl("jobs", "cancel", "--where", "id = 'nobody'", "--dry-run")

    def refused(self, server, message, *words):
        """Runs to its end what the servers refuse some jobs: the report and its fields."""
        ended = run("siloctl", "-a", server.address, *words)
        assert (ended.returncode, ended.stderr) == (1, f"Error: {message}\n"), ended.stdout
        return ended.stdout, fields(ended.stdout.splitlines())

    def test_all_refused_is_a_failure(self, server, client, ctl):
        group = new_id("g")
        import_many(client, group, 1, SUCCESS)
        where = f"task_group = '{group}'"
        _, told = self.refused(server, "1 of 1 job refused", "jobs", "restart", "--where", where, "--yes")
        assert (told["State"], told["Restarted"], told["Refused"]) == ("done", "0 jobs", "1 job")
        _, told = self.refused(server, "1 of 1 job refused", "jobs", "action", told["Action"], "--watch")
        assert told["Refused"] == "1 job"
        # To look at it is no failure.
        assert fields(ctl("jobs", "action", told["Action"]).splitlines())["Refused"] == "1 job"

    def test_it_is_done_and_told(self, server, ctl, client):
        group = new_id("g")
        enqueue_many(client, group, 5)
        import_many(client, f"{group}-f", 2, FAILURE)
        where = f"task_group LIKE '{group}%'"
        text, told = self.refused(server, "2 of 7 jobs refused", "jobs", "cancel", "--where", where, "--yes")
        assert (told["State"], told["Cancelled"], told["Refused"]) == ("done", "5 jobs", "2 jobs")
        assert ", in " not in told["Began"] + told["Ended"], "both have been"
        assert re.search("(just now|ago), by ", told["Began"]), "it began before it is shown"
        assert re.search(r"^  2  job is already in terminal state  \S+, \S+$", text, re.M)
        again = as_json(ctl("jobs", "restart", "--where", where, "--yes", "--json"))
        assert (again["state"], again["done"], again["refused"]) == ("done", 7, 0)
        shown = as_json(ctl("jobs", "action", again["id"], "--json"))
        assert shown == again
        listed = ctl("jobs", "actions")
        assert again["id"] in listed and told["Action"] in listed
        assert as_json(ctl("jobs", "actions", "--json"))["actions"][0]["id"] == again["id"]

    def test_one_may_go_away_and_stop_it_later(self, ctl, client):
        group = new_id("g")
        enqueue_many(client, group, 5)
        begun = as_json(ctl("jobs", "cancel", "--where", f"task_group = '{group}'", "--yes", "--detach", "--json"))
        shown = ctl("jobs", "action", begun["id"], "--watch")
        assert fields(shown.splitlines())["State"] == "done"
        assert fields(ctl("jobs", "stop", begun["id"]).splitlines())["State"] == "done", "it had ended"

    @pytest.mark.parametrize(("words", "message"), [
        (["jobs", "cancel"], "--where is missing"),
        (["jobs", "cancel", "--where", "id <> ''"], "say that it is meant with --yes, or look with --dry-run"),
    ])
    def test_mistakes(self, ctl, client, words, message):
        client.enqueue("mistakes")
        assert message in ctl(*words, code=2, stdin="")

    def test_a_bad_condition(self, ctl):
        assert "condition: there is no column nope" in ctl("jobs", "cancel", "--where", "nope", "--yes", code=1)
        assert "bulk action not found" in ctl("jobs", "stop", str(uuid.uuid4()), code=1)

    def test_a_terminal_is_asked(self, server, client):
        group = new_id("g")
        enqueue_many(client, group, 1200)
        words = ["-a", server.address, "jobs", "cancel", "--where", f"task_group = '{group}'"]
        for answer, code in (("n\n", 1), ("y\n", 0)):
            terminal = Terminal("siloctl", *words)
            assert "Cancel 1,200 jobs? [y/N] " in terminal.read(until=r"\[y/N\] ")
            terminal.write(answer)
            text = terminal.read()
            assert terminal.end() == code, text
        assert "1,200 jobs" in text
        assert re.search(r"\[[#-]{24}\] \d+ %, [\d,]+ done", text)
        assert client.status(f"{group}-00100") == CANCELLED

    def test_ctrl_c_leaves_it_to_the_servers(self, server, client, ctl):
        # A fast server may be through before it is interrupted.
        for jobs in (60_000, 240_000, 960_000):
            group = new_id("g")
            enqueue_many(client, group, jobs)
            where = f"task_group = '{group}'"
            terminal = Terminal("siloctl", "-a", server.address, "jobs", "cancel", "--where", where, "--yes")
            terminal.read(until=r"\d+ %, ")
            terminal.process.send_signal(2)
            text = terminal.read()
            code = terminal.end()
            if code == 1:
                break
        assert code == 1
        id = re.search(r"It goes on: siloctl jobs action (\S+) --watch shows it, siloctl jobs stop \1 ends it", text)[1]
        assert ended(client, id).done == jobs
