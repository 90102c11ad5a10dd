"""The description, the routes and the pages say the same."""

import base64
import hashlib
import json
import re

import pytest

from tests.support.programs import TOP

METHODS = ("get", "post", "put", "patch", "delete")
# On a listener of the operators' own.
INTERNAL = {("GET", "/status"), ("GET", "/metrics")}


@pytest.fixture(scope="module")
def api():
    return json.loads((TOP / "web" / "openapi.json").read_text())


def operations(api):
    return {(method.upper(), path): item[method]
            for path, item in api["paths"].items() for method in METHODS if method in item}


def resolved(api, what):
    while "$ref" in what:
        target = api
        for name in what["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        what = target
    return what


def test_it_is_served_as_it_stands(stack, api):
    assert stack.client.get("/api/v1/openapi.json").json == api


def test_it_names_the_routes_that_there_are(api):
    table = (TOP / "fcgi" / "routes.c").read_text()
    table = table[:table.index("operators_routes")]     # those are nobody else's business
    routes = set(re.findall(r'\{ METHOD_(\w+), +"([^"]+)"', table))
    assert routes - INTERNAL == set(operations(api))


def test_each_route_of_it_answers(stack, api):
    for (method, path), of in operations(api).items():
        body = of.get("requestBody") and {}
        reply = stack.client.call(method, re.sub(r"\{\w+\}", "x", path), body)
        assert reply.status != 405, (method, path)
        assert str(reply.status) in of["responses"], (method, path, reply)
        if reply.status == 404:
            assert json.loads(reply.body)["code"] != "route_not_found", (method, path)


def test_a_broken_escape_is_answered_as_it_says(stack, api):
    for (method, path), of in operations(api).items():
        if "{" not in path:
            continue
        body = of.get("requestBody") and {}
        reply = stack.client.call(method, re.sub(r"\{\w+\}", "%", path), body)
        problem = reply.problem(400, "bad_request")
        assert problem["code"] in resolved(api, of["responses"]["400"])["x-codes"], (method, path)


def test_its_references_lead_somewhere(api):
    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                assert resolved(api, node), node
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)
    walk(api)
    ids = [of["operationId"] for of in operations(api).values()]
    assert len(ids) == len(set(ids))
    for (method, path), of in operations(api).items():
        asked = [resolved(api, p) for p in
                 api["paths"][path].get("parameters", []) + of.get("parameters", [])]
        assert {p["name"] for p in asked if p["in"] == "path"} == set(re.findall(r"\{(\w+)\}", path))


def test_its_codes_are_those_of_the_program(api):
    table = (TOP / "lib" / "base" / "err.h").read_text()
    known = dict((name, int(status)) for status, name in
                 re.findall(r'X\(ERR_\w+, +(\d+), "(\w+)"', table))
    of_nginx = {"too_slow", "pool_busy"}
    told = {code for reply in api["components"]["responses"].values() for code in reply["x-codes"]}
    # These never reach a client of a route described here.
    inside = {"ok", "cancelled", "forbidden"}
    assert {code for code in known if code not in told} <= inside
    assert told - set(known) <= of_nginx


EXAMPLES = [("POST", "/api/v1/chat", "200"), ("POST", "/api/v1/sessions", "201")]


@pytest.mark.parametrize("method, path, status", EXAMPLES)
def test_its_examples_work(stack, api, method, path, status):
    of = operations(api)[method, path]
    body = of["requestBody"]["content"]["application/json"]["example"]
    reply = stack.client.call(method, path, body)
    assert str(reply.status) == status
    shown = resolved(api, of["responses"][status])["content"]["application/json"]["example"]
    assert list(reply.json) == list(shown)


def test_records_have_the_described_fields(stack, api):
    chat = stack.chat()
    chat.say("hi")
    schemas = api["components"]["schemas"]
    session = stack.client.get(f"/api/v1/sessions/{chat.session}").json
    assert set(session) == set(schemas["Session"]["properties"])
    message = stack.client.get(f"/api/v1/sessions/{chat.session}/messages").json["items"][0]
    assert set(message) == set(schemas["Message"]["required"])
    task = chat.write_to_doc().wait()
    assert set(task) == set(schemas["Task"]["properties"])


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_runs_its_own_script_and_asks_nobody_else(stack, path):
    reply = stack.client.get(path, headers={"Accept": "text/html"})
    page, policy = reply.body.decode(), reply.headers["Content-Security-Policy"]
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1 and "<script " not in page
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    assert not re.search(r'(?:src|href)="(?!/|data:)', page)
    assert not re.search(r"\bon\w+=\"|innerHTML|outerHTML|insertAdjacentHTML|document\.write", page)
