"""Who sees the web page and who changes something by it, as a client meets it that no browser holds back."""

import http.client
import json
import re
import ssl
import subprocess

import pytest

from support.metrics import get
from support.programs import run
from support.waiting import until
from support.web import Visitor
from test_access import Tokens


@pytest.fixture
def tokens(tmp_path):
    return Tokens(tmp_path)


@pytest.fixture
def guarded(new_server, tokens, tmp_path):
    """A server that asks for tokens, with a token of each kind."""
    tokens.ops = tokens.add("ops", "--role", "admin")
    tokens.reader = tokens.add("reader", "--role", "read")
    tokens.worker = tokens.add("worker", "--role", "work")
    tokens.bound = tokens.add("bound", "--role", "read", "--group", "emails")
    tokens.log = tmp_path / "audit.jsonl"
    return new_server("--tokens-file", tokens.path, "--audit-log", tokens.log)


@pytest.fixture
def visitor(guarded):
    return Visitor(guarded.operator)


class TestOpen:
    """Nobody is asked who it is: then only this machine may look."""

    def test_the_machine_itself_sees_it(self, server):
        answer = Visitor(server.operator).get("/")
        assert answer.status == 200 and "Overview" in answer.text
        assert Visitor(server.operator).get("/cluster").status == 200

    @pytest.mark.parametrize("host", ["silo.example", "192.0.2.7:9090", "127.0.0.1.evil.example", "localhost.evil.example"])
    def test_a_name_that_was_made_to_lead_here_does_not(self, server, host):
        """As a page elsewhere does, whose name leads to 127.0.0.1 when it is asked for again."""
        answer = Visitor(server.operator).get("/", Host=host)
        assert answer.status == 403 and "--tokens-file" in answer.text and "Overview" not in answer.text

    @pytest.mark.parametrize("host", ["localhost:9090", "127.0.0.1", "[::1]:9090", "silo.localhost"])
    def test_names_of_this_machine_do(self, server, host):
        assert Visitor(server.operator).get("/", Host=host).status == 200

    def test_there_is_nothing_to_sign_in_to(self, server):
        answer = Visitor(server.operator).get("/login")
        assert (answer.status, answer.location) == (303, "/")

    def test_health_and_metrics_stay_everybodys(self, server):
        for path in ["/healthz", "/readyz", "/metrics", "/version"]:
            assert Visitor(server.operator).get(path, Host="silo.example").status == 200


class TestSigningIn:
    def test_every_page_asks_for_it_and_goes_on_there(self, visitor, tokens):
        answer = visitor.get("/?span=24h")
        assert (answer.status, answer.location) == (303, "/login?next=%2F%3Fspan%3D24h")
        assert visitor.get(answer.location).form("/login") == {"next": "/?span=24h"}
        entered = visitor.sign_in(tokens.ops, "/?span=24h")
        assert (entered.status, entered.location) == (303, "/?span=24h")
        page = visitor.get("/?span=24h")
        assert page.status == 200 and "ops" in page.text and "24 h ago" in page.text

    def test_the_cookie_is_no_scripts_and_no_other_sites(self, visitor, tokens):
        [cookie] = visitor.sign_in(tokens.ops).headers.get_all("Set-Cookie")
        assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"} <= set(cookie.split("; "))
        assert tokens.ops not in cookie
        assert re.match(r"silo_session_\d+=[0-9a-f]{64};", cookie)

    def test_a_wrong_token_says_so_and_nothing_else(self, visitor):
        for token in ["", "wrong", "silo_" + "A" * 43, "x" * 4000, "\0<script>"]:
            answer = visitor.sign_in(token)
            assert answer.status == 401 and "not good here" in answer.text and not visitor.cookies
            assert "<script>" not in answer.text

    def test_too_many_tries_wait_and_health_does_not(self, visitor, guarded, tokens):
        answers = [visitor.sign_in("wrong") for _ in range(12)]
        assert [answer.status for answer in answers] == [401] * 10 + [429] * 2
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 7
        assert visitor.get("/healthz").status == 200
        # Another address is not concerned.
        connection = http.client.HTTPConnection(guarded.operator, source_address=("127.0.0.9", 0))
        connection.request(
            "POST", "/login", f"token={tokens.ops}",
            {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://{guarded.operator}"})
        assert connection.getresponse().status == 303

    @pytest.mark.parametrize("following", [
        "//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "x",
    ])
    def test_it_leads_nowhere_else(self, visitor, tokens, following):
        assert visitor.sign_in(tokens.ops, following).location == "/"

    def test_signing_out_ends_it(self, visitor, tokens):
        visitor.sign_in(tokens.ops)
        kept = dict(visitor.cookies)
        assert visitor.post("/logout").location == "/login" and not visitor.cookies
        visitor.cookies = kept
        assert visitor.get("/").location == "/login"

    def test_a_token_that_is_taken_away_ends_it(self, visitor, guarded, tokens):
        visitor.sign_in(tokens.reader)
        assert visitor.get("/").status == 200
        tokens.remove("reader")
        guarded.process.send_signal(1)
        until(lambda: visitor.get("/").status == 303, 30, "the session to end")
        assert visitor.get("/session").status == 401

    def test_a_link_from_another_site_is_followed_with_the_cookie(self, visitor, tokens):
        """A browser keeps it back on the way from there, and sends it from a page of here."""
        visitor.sign_in(tokens.ops)
        kept, visitor.cookies = visitor.cookies, {}
        passage = visitor.get("/?span=24h", **{"Sec-Fetch-Site": "cross-site"})
        assert passage.status == 200 and 'content="0;url=/?span=24h"' in passage.text
        visitor.cookies = kept
        assert visitor.get("/?span=24h", **{"Sec-Fetch-Site": "same-origin"}).status == 200

    def test_who_comes_and_goes_is_in_the_audit_log(self, visitor, tokens):
        visitor.sign_in("wrong")
        visitor.sign_in(tokens.ops)
        visitor.post("/logout")

        def lines():
            return [json.loads(line) for line in tokens.log.read_text().splitlines()]
        until(lambda: any(line["call"] == "SignOut" for line in lines()), 30, "the audit log")
        visits = [line for line in lines() if line["call"].startswith("Sign")]
        seen = [(line.get("who"), line["call"], line["outcome"], line["peer"]) for line in visits]
        assert seen == [
            (None, "SignIn", "UNAUTHENTICATED", "http:127.0.0.1"), ("ops", "SignIn", "OK", "http:127.0.0.1"),
            ("ops", "SignOut", "OK", "http:127.0.0.1"),
        ]
        assert tokens.ops not in tokens.log.read_text() and "wrong" not in tokens.log.read_text()


class TestRoles:
    def test_a_role_or_a_bound_that_does_not_suffice_is_told(self, visitor, tokens):
        for token, name in [(tokens.worker, "worker"), (tokens.bound, "bound")]:
            visitor.sign_in(token)
            answer = visitor.get("/")
            assert answer.status == 403 and f"&#39;{name}&#39;" in answer.text
            assert "All is well" not in answer.text and "jobs-chart" not in answer.text
            assert visitor.get("/live/overview-15m").status == 403

    def test_nobody_hears_a_stream_without_a_session(self, visitor):
        assert visitor.get("/live/overview-15m").status == 401


class TestRequestsFromElsewhere:
    @pytest.mark.parametrize("headers", [
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": None}, {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none", "Origin": None},
    ])
    @pytest.mark.parametrize("path", ["/login", "/logout", "/theme"])
    def test_changes_are_refused(self, visitor, tokens, headers, path):
        visitor.sign_in(tokens.ops)
        answer = visitor.ask("POST", path, {"token": tokens.ops, "theme": "dark"}, headers=headers)
        assert answer.status == 403 and "did not come from a page of this site" in answer.text
        assert not answer.headers.get_all("Set-Cookie")
        assert visitor.get("/").status == 200

    def test_a_body_that_is_no_form_is_told(self, visitor, tokens):
        answer = visitor.ask("POST", "/login", headers={"Content-Type": "application/json"})
        assert answer.status == 422
        answer = visitor.ask("POST", "/login", {"token": "x" * 40_000})
        assert answer.status == 413


class TestHeaders:
    def test_a_browser_is_told_to_run_nothing_else(self, visitor, tokens):
        visitor.sign_in(tokens.ops)
        for path in ["/", "/help", "/login", "/nothing-here", "/search?q=x"]:
            headers = visitor.get(path).headers
            policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
            assert policy["default-src"] == "'none'" and policy["script-src"] == "'self'" and policy["style-src"] == "'self'"
            assert policy["frame-ancestors"] == "'none'" and "unsafe" not in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
            assert headers["Referrer-Policy"] == "same-origin"

    def test_pages_hold_no_scripts_and_no_styles_of_their_own(self, visitor, tokens):
        visitor.sign_in(tokens.ops)
        for path in ["/", "/help", "/search?q=x"]:
            text = visitor.get(path).text
            assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
            assert re.findall(r"<script[^>]*>(.*?)</script>", text) == [""]
            assert not re.search(r"(src|href)=\"(https?:)?//", text)

    def test_files_are_kept_for_ever_and_named_by_what_is_in_them(self, visitor):
        text = visitor.get("/login").text
        paths = re.findall(r'(?:href|src)="(/assets/[^"]+)"', text)
        assert {path.rsplit("/", 1)[1] for path in paths} == {"site.css", "site.js", "icon.svg"}
        for path in paths:
            answer = visitor.get(path)
            assert answer.status == 200 and "immutable" in answer.headers["Cache-Control"] and answer.body
            again = visitor.get(path, **{"If-None-Match": answer.headers["ETag"]})
            assert again.status == 304 and not again.body
        assert visitor.get("/assets/0000000000000000/site.css").status in (303, 404)

    def test_unknown_paths_and_methods(self, visitor, tokens):
        visitor.sign_in(tokens.ops)
        answer = visitor.get("/<script>alert(1)</script>")
        assert answer.status == 404 and "There is no such page" in answer.text and "<script>alert" not in answer.text
        assert visitor.ask("DELETE", "/").status == 405
        assert visitor.ask("POST", "/nothing").status == 404


class TestTLS:
    def test_cookies_are_sent_over_it_alone(self, new_server, tokens, tmp_path):
        token = tokens.add("ops", "--role", "admin")
        cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert, "-days", "2"], check=True, capture_output=True)
        server = new_server("--tokens-file", tokens.path, "--tls-cert", cert, "--tls-key", key)
        context = ssl.create_default_context(cafile=cert)
        visitor = Visitor(server.operator, context)
        [cookie] = visitor.sign_in(token).headers.get_all("Set-Cookie")
        assert cookie.startswith("__Host-silo_session_") and cookie.endswith("; Secure")
        assert visitor.get("/").status == 200


class TestSettings:
    def test_the_page_can_be_left_out(self, new_server, tmp_path):
        config = tmp_path / "silo.toml"
        config.write_text("[webui]\nenabled = false\n")
        server = new_server("--config", config)
        assert get(server.operator, "/")[0] == 404
        assert get(server.operator, "/healthz")[0] == 200

    def test_how_long_a_session_lasts(self, new_server, tokens, tmp_path):
        token = tokens.add("ops", "--role", "admin")
        config = tmp_path / "silo.toml"
        config.write_text('[webui]\nsession_lifetime = "90m"\n')
        server = new_server("--config", config, "--tokens-file", tokens.path)
        [cookie] = Visitor(server.operator).sign_in(token).headers.get_all("Set-Cookie")
        assert "Max-Age=5400" in cookie
        bad = tmp_path / "bad.toml"
        bad.write_text('[webui]\nsession_lifetime = "10s"\n')
        ended = run("silo", "--listen", "127.0.0.1:0", "--config", bad)
        assert ended.returncode != 0 and "webui.session_lifetime" in ended.stderr
