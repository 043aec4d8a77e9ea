"""Every address of the port for operators, asked for as every role, about the visitor's own tenant and group and about others'.

The addresses are those of docs/security.md, which a test of the sources keeps to what is served: one that is new needs a line here.
"""

import itertools
import re
import urllib.parse

import pytest

from support.client import Client, concurrency
from support.programs import ROOT
from support.waiting import milliseconds, until
from support.web import Visitor
from test_access import INCLUDED, LEAST, REACH_ALL_GROUPS, ROLES, Tokens

#: What a job of a tenant and of a group has. It is in no request.
MARKS = {"tenant": "secret-of-tenant-{}", "group": "secret-of-group-{}"}
BOTH = ("own", "other")
NOBODY = "00000000-0000-0000-0000-000000000000"


def routes():
    """Method, address and what it needs."""
    text = (ROOT / "docs/security.md").read_text()
    table = text[text.index("<!-- routes:"):text.index("<!-- end of routes -->")]
    return re.findall(r"^\| (GET|POST) \| `([^`]+)` \| ([^|]+) \|$", table, re.M)


#: The fields of a request to each address, by the tenant and the group that it is about, and which of the two it names.
FIELDS = {
    "/metrics": ({}, ""), "/healthz": ({}, ""), "/readyz": ({}, ""), "/version": ({}, ""), "/": ({}, ""), "/cluster": ({}, ""),
    "/groups": ({}, ""), "/group": ({"name": "{group}"}, "group"), "/workers": ({}, ""), "/worker": ({"id": "w"}, ""),
    "/tenants": ({}, ""), "/tenant": ({"name": "{tenant}"}, "tenant"), "/limits": ({"tenant": "{tenant}"}, "tenant"),
    "/limit": ({"key": "key", "tenant": "{tenant}"}, "tenant"),
    "/jobs": ({"tenant": "{tenant}", "group": "{group}"}, "both"), "/job": ({"id": "{job}", "tenant": "{tenant}"}, "tenant"),
    "/actions": ({}, ""), "/action": ({"id": NOBODY}, ""), "/failures": ({"tenant": "{tenant}", "group": "{group}"}, "both"),
    "/schedule": ({"tenant": "{tenant}", "group": "{group}"}, "both"),
    "/sql": ({"q": "SELECT * FROM jobs", "tenant": "{tenant}"}, "tenant"),
    "/sql/export.csv": ({"q": "SELECT * FROM jobs", "tenant": "{tenant}"}, "tenant"),
    "/shards": ({}, ""), "/shards/:id": ({}, ""), "/configuration": ({}, ""), "/audit": ({}, ""), "/help": ({}, ""),
    "/search": ({"q": "{job}", "tenant": "{tenant}"}, ""), "/login": ({}, ""), "/session": ({}, ""), "/logout": ({}, ""),
    "/theme": ({"theme": "dark"}, ""), "/live/:topic": ({}, ""),
    "/do/pause": ({"group": "{group}", "tenant": "{tenant}"}, "both"),
    "/do/resume": ({"group": "{group}", "tenant": "{tenant}"}, "both"),
    "/do/drop-holders": ({"tenant": "{tenant}"}, "tenant"), "/do/drop-tenant": ({"tenant": "{tenant}", "confirm": "{tenant}"}, "tenant"),
    "/do/quiet": ({"worker": "w"}, ""), "/do/unquiet": ({"worker": "w"}, ""),
    "/do/jobs": ({"verb": "cancel", "of": "some", "job": "{shard}:{count}:{tenant}{job}"}, "tenant"),
    "/do/enqueue-again": ({"id": "{job}", "tenant": "{tenant}"}, "tenant"),
    "/do/bulk": ({"verb": "cancel", "of": "all", "tenant": "{tenant}"}, "tenant"), "/do/stop-bulk": ({"id": NOBODY}, ""),
    "/do/flush": ({"shard": "{shard}"}, ""), "/do/compact": ({"shard": "{shard}"}, ""),
}
#: Forms that only ask for a page, with a token that is good for a session.
QUESTIONS = {"/sql", "/sql/export.csv"}
#: What is done there reads what this call does.
READS = {"/do/enqueue-again": "GetJob"}
#: It says of each job what became of it, on the next page.
REPORTS = "/do/jobs"
#: Everything of a tenant goes: last.
LAST = "/do/drop-tenant"


def may(role, bound, call):
    """Whether somebody sees an address at all that needs the role for a call. `bound`: None, "tenant" or "group"."""
    least, reach = LEAST[call]
    return (least is None or least in INCLUDED[role]) and (reach != "all" or bound is None)


class Person:
    """Somebody who has signed in."""

    def __init__(self, server, role, bound, token):
        self.role, self.bound = role, bound
        self.visitor = Visitor(server.operator)
        assert self.visitor.sign_in(token).status == 303

    def form_token(self, *pages):
        """Of a form of one of the pages."""
        found = (re.search(r'name="form"\s+value="([0-9a-f]+)"', page.text) for page in pages)
        return next((match[1] for match in found if match), "none")

    def ask(self, method, path, address, fields, own):
        """`own`: the fields of a request about what is the visitor's, whose form may be sent for others too."""
        def get(fields):
            return self.visitor.get(f"{address}?{urllib.parse.urlencode(fields)}" if fields else address)

        if method == "GET":
            return get(fields)
        pages = [self.visitor.get("/sql")] if path in QUESTIONS else [get(fields), get(own)]
        return self.visitor.post(address, fields | {"form": self.form_token(*pages)})


@pytest.fixture
def tokens(tmp_path):
    return Tokens(tmp_path)


class TestRoles:
    def test_every_address_has_its_line_here(self):
        served = {path for _, path, _ in routes()}
        assert len(served) > 30 and served == set(FIELDS)

    def test_every_role_every_address_own_and_other(self, new_server, tokens):
        bindings = {None: [], "tenant": ["--tenant", "own"], "group": ["--group", "own"]}
        made = {
            (role, bound): tokens.add(f"{role}-{bound}", "--role", role, *flags)
            for role, (bound, flags) in itertools.product(ROLES, bindings.items())
        }
        server = new_server("--shards", 1, "--tenancy", "--tokens-file", tokens.path)
        with Client(server.address, token=made["admin", None]) as client:
            shard = client.shard_of("own")
            marks = {
                (tenant, group): f"{MARKS['tenant'].format(tenant)} {MARKS['group'].format(group)}"
                for tenant, group in itertools.product(BOTH, BOTH)
            }
            for (tenant, group), secret in marks.items():
                client.enqueue(group, secret, id=f"{group}-failed", tenant=tenant, metadata={"mark": secret})
                client.fail(client.take(group), secret, secret)
            for (tenant, group), secret in marks.items():
                marked = {"metadata": {"mark": secret}, "tenant": tenant}
                client.enqueue(group, secret, id=f"{group}-job", limits=[concurrency("key", 5)], **marked)
                client.enqueue(group, secret, id=f"{group}-later", start_at_ms=milliseconds() + 3_000_000, **marked)

        def states(role, bound):
            """Of the jobs that somebody may do nothing to."""
            with Client(server.address, token=made["admin", None]) as client:
                return {
                    (tenant, f"{group}-{kind}"): client.status(f"{group}-{kind}", tenant=tenant)
                    for tenant, group, kind in itertools.product(BOTH, BOTH, ("job", "failed", "later"))
                    if role in ("read", "work", "enqueue") or bound == "tenant" and tenant == "other"
                    or bound == "group" and group == "other"
                }

        wrong = []
        # Those who may least first: what they must not change is seen at the end of each.
        people = sorted(made, key=lambda who: (who[1] is None, ROLES.index(who[0])))
        for role, bound in people:
            person = Person(server, role, bound, made[role, bound])
            before = states(role, bound)
            for method, path, needs in sorted(routes(), key=lambda route: (route[1] == LAST, route[1] == "/logout")):
                if path in ("/login", "/logout", "/live/:topic"):
                    continue
                for tenant, group in itertools.product(BOTH, BOTH):
                    if path == LAST and method == "POST" and role == "admin" and (bound is None or bound == "tenant" and tenant == "own"):
                        continue
                    pattern, names = FIELDS[path]
                    fields, own = ({
                        name: text.format(tenant=whose, group=named, job=f"{named}-job", shard=shard, count=len(whose))
                        for name, text in pattern.items()
                    } for whose, named in ((tenant, group), ("own", "own")))
                    answer = person.ask(method, path, path.replace(":id", shard), fields, own)
                    said = self.judge(method, path, needs, names, role, bound, tenant, group, answer)
                    if said:
                        wrong.append((said, method, path, role, bound, tenant, group, answer.status))
            assert states(role, bound) == before, (role, bound)
        assert wrong == [], "\n".join(map(str, wrong[:60]))
        # Who may drop a tenant can.
        owner = Person(server, "admin", "tenant", made["admin", "tenant"])
        fields = {name: text.format(tenant="own") for name, text in FIELDS[LAST][0].items()}
        assert owner.ask("POST", LAST, LAST, fields, fields).status == 303

    def test_a_stranger_is_let_in_where_nothing_is_needed_and_nowhere_else(self, new_server, tokens):
        tokens.add("ops", "--role", "admin")
        stranger = Visitor(new_server("--shards", 1, "--tokens-file", tokens.path).operator)
        wrong = []
        for method, path, needs in routes():
            address = path.replace(":id", NOBODY).replace(":topic", "overview")
            answer = stranger.get(address) if method == "GET" else stranger.post(address, {"form": "none"})
            must_sign_in = answer.status in (401, 403) or answer.status == 303 and answer.location.startswith("/login")
            # Of these two it is the answer that nobody has signed in.
            answers_so = (method, path) in {("POST", "/login"), ("GET", "/session")}
            if must_sign_in == (needs == "nothing" and not answers_so):
                wrong.append((method, path, needs, answer.status))
        assert wrong == []

    def test_a_search_looks_where_one_may_and_tells_nothing_of_others(self, new_server, tokens):
        made = {bound: tokens.add(bound, "--role", "read", *flags) for bound, flags in [
            ("group", ["--group", "own"]), ("tenant", ["--tenant", "own"]), ("nobody", [])]}
        admin = tokens.add("admin", "--role", "admin")
        server = new_server("--shards", 1, "--tenancy", "--tokens-file", tokens.path)
        with Client(server.address, token=admin) as client:
            for name in BOTH:
                client.enqueue(f"group-of-{name}", 1, id=f"job-of-{name}", tenant=name, limits=[concurrency(f"key-of-{name}", 5)])
                client.enqueue("own", 1, id=f"shared-{name}", tenant=name)
        def found(bound, text):
            visitor = Visitor(server.operator)
            visitor.sign_in(made[bound])
            answer = visitor.get(f"/search?q={urllib.parse.quote(text, safe='')}")
            assert answer.status in (200, 303), (bound, text, answer.text)
            return answer.location if answer.status == 303 else "Nothing is called" not in answer.text
        until(lambda: found("nobody", "group-of-own") == "/group?name=group-of-own", what="the figures")
        assert found("tenant", "job-of-own") == "/job?id=job-of-own&tenant=own"
        assert found("tenant", "own") == "/tenant?name=own"
        assert found("tenant", "key-of-own") == "/limit?key=key-of-own&tenant=own"
        for text in ["group-of-other", "job-of-other", "other/job-of-other", "other", "key-of-other"]:
            assert found("tenant", text) is False, text
        assert found("group", "other/shared-other") == "/job?id=shared-other&tenant=other"
        for text in ["group-of-other", "job-of-other", "own/job-of-own", "own", "key-of-own"]:
            assert found("group", text) is False, text

    @staticmethod
    def judge(method, path, needs, names, role, bound, tenant, group, answer):
        """What is wrong with an answer; nothing: it is as it should be."""
        if answer.status >= 500:
            return "it failed"
        if bound and MARKS[bound].format("other") in answer.text:
            return "it shows what is others'"
        call = re.match(r"the role for (\w+)$", needs)
        if not call:
            return None if answer.status in (200, 204, 303, 404) else "it is everybody's"
        if not may(role, bound, call[1]) or method == "POST" and path in READS and not may(role, bound, READS[path]):
            return None if answer.status == 403 else "the role is not asked for"
        if bound == "group" and call[1] in REACH_ALL_GROUPS:
            # Questions are asked of everybody; who was not shown a form has none to send.
            right = {403, 409} if method == "POST" else {403, 200} if path.startswith("/do/") else {403}
            return None if answer.status in right else "it reaches all groups"
        if bound == "tenant" and tenant == "other" and names in ("tenant", "both"):
            # A question that finds none of their jobs has no form to send.
            right = {403, 409} if path == "/do/bulk" else {403}
            if method == "POST" and path not in QUESTIONS | {REPORTS} and answer.status not in right:
                return "it is done to others"
            return None if answer.status in (403, 404) or path.startswith("/do/") else "it is about others"
        if bound == "group" and group == "other" and names == "both":
            return None if answer.status in (403, 404) or method == "GET" and path.startswith("/do/") else "it is about others"
        if answer.status == 403:
            return "it is refused"
        return None
