"""The stand-in model must be right before anything is measured against it."""

import gzip
import http.client
import json
import re
import socket

import pytest

from tests.support import model_answer
from tests.support.model import Model
from tests.support.model_answer import Body, EndlessHead, Silence, Wire
from tests.support.model_request import samples
from tests.support.model_stream import End, ErrorForm
from tests.support.sse import BrokenStream, EventReader, read_events


@pytest.fixture
def model():
    with Model() as running:
        yield running
    assert not running.failures


def asking(text="hi", **fields):
    return {"model": "m", "stream": True, "messages": [{"role": "user", "content": text}]} | fields


class Client:
    """One connection to the model."""

    def __init__(self, model):
        self.connection = http.client.HTTPConnection("127.0.0.1", model.port, timeout=10)

    def post(self, fields=None, headers=None, path="/v1/chat/completions"):
        body = fields if isinstance(fields, bytes) else json.dumps(fields or asking()).encode()
        own = {"Authorization": "Bearer sk-test", "Content-Type": "application/json"}
        sent = {name: value for name, value in (own | (headers or {})).items() if value}
        self.connection.request("POST", path, body, sent)
        return self.connection.getresponse()

    def leave(self):
        self.connection.sock.close()
        self.connection.close()


@pytest.fixture
def client(model):
    client = Client(model)
    yield client
    client.connection.close()


def chunks(body):
    return [event.json for event in read_events(body) if event.data != "[DONE]"]


def texts(body, index=0, name="content"):
    return [choice["delta"][name] for chunk in chunks(body) for choice in chunk["choices"]
            if choice["index"] == index and choice["delta"].get(name)]


def finish(body):
    return [choice["finish_reason"] for chunk in chunks(body) for choice in chunk["choices"]
            if choice["finish_reason"]]


def test_it_says_what_it_was_told_and_remembers_what_it_was_asked(model, client):
    model.will_say("Hel", "lo")
    answer = client.post(asking(messages=[{"role": "system", "content": "be nice"},
                                          {"role": "user", "content": "hi"}]))
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    body = answer.read()
    assert texts(body) == ["Hel", "lo"]
    assert finish(body) == ["stop"]
    assert body.endswith(b"data: [DONE]\n\n")
    assert (model.last_asked, model.last_system) == (["hi"], "be nice")
    assert not model.refused and not model.gone and not model.unsaid
    model.wait_for(lambda: model.requests[0].answered)


def test_unscripted_it_echoes_with_usage_on_one_connection(model, client):
    body = client.post(asking("how are you", stream_options={"include_usage": True})).read()
    assert "".join(texts(body)) == "You said: how are you"
    assert chunks(body)[-1]["choices"] == []
    assert chunks(body)[-1]["usage"]["prompt_tokens"] == 3
    whole = json.loads(client.post(asking("and you", stream=False)).read())
    assert whole["choices"][0]["message"]["content"] == "You said: and you"
    assert model.connection_count == 1


@pytest.mark.parametrize("split", range(1, 40))
def test_the_bytes_are_the_same_however_they_are_split(model, client, split):
    model.will_say("na", "ïve ", "🙂", split=split, line_end="\r\n", comments=True)
    body = client.post().read()
    assert texts(body) == ["na", "ïve ", "🙂"]
    assert b"\r\n\r\n" in body and not re.search(rb"[^\r]\n", body)


def test_bytes_that_are_no_http(model, client):
    model.will(Wire(b"abc" * 100))
    with pytest.raises(http.client.BadStatusLine):
        client.post()


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_line_ends_and_odd_forms_are_still_events(model, client, line_end):
    model.will_say("a", None, "", "b", line_end=line_end, space=False, comments=True, role=False,
                   thinking=("hm",), usage_null=True, usage="always", empty_choices_first=True,
                   extra={"obfuscation": "xyz"}, escaped=True)
    body = client.post().read()
    assert texts(body) == ["a", "b"]
    assert chunks(body)[0]["choices"] == []
    assert chunks(body)[2]["usage"] is None and chunks(body)[-1]["usage"]
    assert body.startswith(b":")


def test_refusals_lengths_and_interleaved_choices(model, client):
    model.will_say("I can", "not", refusal=True)
    body = client.post().read()
    assert (texts(body), texts(body, name="refusal")) == ([], ["I can", "not"])
    model.will_say("a", "b", finish="length")
    assert finish(client.post().read()) == ["length"]
    model.will_say("a", "b")
    body = client.post(asking(n=3)).read()
    assert [texts(body, index) for index in range(3)] == [["a", "b"]] * 3


@pytest.mark.parametrize("end, finishes, done", [
    (End.DONE, True, True), (End.NO_DONE, True, False), (End.NO_FINISH, False, False),
    (End.DONE_WITHOUT_FINISH, False, True), (End.ERROR, False, False),
    (End.ERROR_DONE, False, True)])
def test_regular_ends(model, client, end, finishes, done):
    model.will_say("a", end=end)
    body = client.post().read()
    assert bool(re.search(rb'"finish_reason":"stop"', body)) == finishes
    assert (b"[DONE]" in body) == done
    assert (b"server_error" in body) == (end in (End.ERROR, End.ERROR_DONE))
    assert client.post().read() and model.connection_count == 1


@pytest.mark.parametrize("end, stream", [
    (End.CUT, True), (End.CUT_BEFORE_DONE, True), (End.CUT_IN_RECORD, True), (End.CUT, False)])
def test_cuts(model, client, end, stream):
    model.will_say("abc", end=end)
    with pytest.raises(http.client.IncompleteRead) as cut:
        client.post(asking(stream=stream)).read()
    assert (b'"finish_reason":"stop"' in cut.value.partial) == (end is End.CUT_BEFORE_DONE)
    assert not model.gone


@pytest.mark.parametrize("stream", [True, False])
def test_a_reset_is_a_reset(model, client, stream):
    model.will_say("abc", end=End.RESET)
    with pytest.raises(ConnectionResetError):
        client.post(asking(stream=stream)).read()


@pytest.mark.parametrize("form, line", [
    (ErrorForm.OBJECT, b'data: {"error":{"message"'), (ErrorForm.STRING, b'data: {"error":"The'),
    (ErrorForm.EVENT, b'event: error\ndata: {"error":{'), (ErrorForm.LINE, b'error: {"message"')])
def test_forms_of_errors(model, client, form, line):
    model.will_say("a", end=End.ERROR, error_form=form)
    assert b"\n\n" + line in client.post().read()


@pytest.mark.parametrize("answer", [Silence(), model_answer.Say(end=End.STALL),
                                    Body(b"data: {", end=End.STALL), Wire(b"HT", end=End.STALL),
                                    model_answer.Say(pieces=("a", "b"), delay=60),
                                    model_answer.Say(first_delay=60)])
def test_it_sees_at_once_that_the_client_left(model, client, answer):
    model.will(answer)
    client.connection.request("POST", "/v1/chat/completions", json.dumps(asking()), {
        "Authorization": "Bearer sk-test", "Content-Type": "application/json"})
    asked = model.wait_asked()
    assert asked.gone_at is None
    client.leave()
    model.wait_for(lambda: model.gone and not model.in_flight)
    assert model.gone == [asked.gone_at] and not asked.answered


def test_endless_headers_end_when_the_client_has_enough(model, client):
    model.will(EndlessHead())
    with pytest.raises(http.client.HTTPException):
        client.post()
    client.leave()
    model.wait_for(lambda: model.gone)


def test_a_held_answer_is_sent_piece_by_piece(model, client):
    held = model.hold()
    held.send("one")
    answer = client.post()
    reader = EventReader()
    while "one" not in "".join(event.data for event in reader.events):
        reader.feed(answer.readline())
    held.comment("still here")
    held.send("two", b"\xff")
    while not reader.comments:
        reader.feed(answer.readline())
    assert held.wait_asked().user_text == "hi" and not held.asked.answered
    model.release()
    rest = answer.read()
    assert b"two" in rest and b'"content":"\xff"' in rest and rest.endswith(b"data: [DONE]\n\n")


def test_a_client_that_leaves_a_held_answer_is_noticed(model, client):
    held = model.hold()
    held.start()
    client.post()
    client.leave()
    assert held.wait_gone() == model.gone[0]


def test_answers_can_be_for_one_request_only(model, client):
    model.will_say("for b", when=lambda asked: asked.user_text == "b")
    model.will_say("for any")
    assert texts(client.post(asking("a")).read()) == ["for any"]
    assert texts(client.post(asking("b")).read()) == ["for b"]


@pytest.mark.parametrize("sample_id", samples())
def test_every_recorded_error_is_given(model, client, sample_id):
    sample = samples()[sample_id]
    model.will_fail(sample_id, {"Retry-After": "7", "x-should-retry": "false"})
    answer = client.post()
    assert answer.status == sample["status"]
    assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == ("7", "false")
    body = answer.read().decode()
    assert (body if isinstance(sample["body"], str) else json.loads(body)) == sample["body"]


@pytest.mark.parametrize("name, choices", [("openai-text-usage", 1), ("openai-refusal", 1),
                                           ("openai-length", 1), ("openai-n3", 3)])
def test_recorded_streams_are_played(model, client, name, choices):
    model.will_play(name, split=13)
    assert len(finish(client.post().read())) == choices


def test_pages_garbage_compression_and_huge_tokens(model, client):
    for status in (502, 200):
        model.will(model_answer.html(status))
        answer = client.post()
        assert answer.status == status and answer.read().startswith(b"<html>")
    model.will(Body(b"\0\xff garbage", content_type="application/octet-stream"))
    assert client.post().read() == b"\0\xff garbage"
    model.will_say("packed", gzip=True)
    packed = client.post()
    assert packed.headers["Content-Encoding"] == "gzip"
    assert texts(gzip.decompress(packed.read())) == ["packed"]
    model.will_say("x" * (1 << 20))
    assert len(texts(client.post().read())[0]) == 1 << 20


@pytest.mark.parametrize("fields, param", [
    ({"unheard_of": 1}, "unheard_of"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": "x", "id": 1}]}, "messages[0].id"),
    ({"temperature": 3}, "temperature"), ({"temperature": True}, "temperature"),
    ({"stream": "yes"}, "stream"), ({"n": 0}, "n"), ({"max_tokens": 1.5}, "max_tokens"),
    ({"stream": False, "stream_options": {"include_usage": True}}, "stream_options"),
    ({"stream_options": {"usage": True}}, "stream_options.usage"),
    ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens"),
    ({"safety_identifier": "x" * 65}, "safety_identifier"), ({"model": ""}, "model")])
def test_requests_that_break_the_contract_are_refused(model, client, fields, param):
    model.will_say("not for this one")
    answer = client.post(asking() | fields)
    assert answer.status == 400
    assert json.loads(answer.read())["error"]["param"] == param
    assert len(model.refused) == 1 and not model.requests and model.unsaid == 1


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b'{"model":"m","model":"m"}', json.dumps(asking()).encode() + b"x",
    json.dumps(asking("@")).encode().replace(b"@", b"\xff"), b"\xef\xbb\xbf{}",
    json.dumps(asking("@")).encode().replace(b"@", b"\\ud800"),
    json.dumps(asking(temperature=float("nan"))).encode()])
def test_bodies_that_are_not_json_are_refused(model, client, body):
    assert client.post(body).status == 400


@pytest.mark.parametrize("headers, status", [
    ({"Authorization": None}, 401), ({"Authorization": "Bearer wrong"}, 401),
    ({"Authorization": "sk-test"}, 401), ({"Content-Type": None}, 415),
    ({"Content-Type": "text/plain"}, 415),
    ({"Content-Type": "application/json; charset=utf-8"}, 200)])
def test_headers_are_looked_at(model, client, headers, status):
    assert client.post(headers=headers).status == status


def test_paths_and_methods(model, client):
    assert client.post(path="/chat/completions").status == 404
    assert Client(model).post(path="/v1/chat/completions?x=1").status == 404
    assert Client(model).post(path="/v1/models").status == 405
    with Model(models=("one",)) as strict:
        assert Client(strict).post().status == 404
        assert Client(strict).post(asking(model="one")).status == 200


@pytest.mark.parametrize("flavor, fields, status", [
    ("openai", {"max_tokens": 9}, 200), ("openai", {"max_completion_tokens": 9}, 200),
    ("new", {"max_tokens": 9}, 400), ("new", {"max_completion_tokens": 9}, 200),
    ("new", {"temperature": 0.2}, 400), ("new", {"temperature": 1}, 200),
    ("mistral", {"max_tokens": 9}, 200), ("mistral", {"max_completion_tokens": 9}, 422),
    ("mistral", {"stream_options": {"include_usage": True}}, 422), ("mistral", {"user": "u"}, 422),
    ("mistral", {"messages": [{"role": "developer", "content": "x"}]}, 422)])
def test_flavors_know_their_fields(flavor, fields, status):
    with Model(flavor=flavor) as model:
        answer = Client(model).post(asking() | fields)
        assert answer.status == status
        if status == 422 and "messages" not in fields:
            assert b"extra_forbidden" in answer.read()


def test_azure_wants_its_own_header_and_path():
    path = "/openai/deployments/d1/chat/completions"
    with Model(flavor="azure") as model:
        assert Client(model).post(path=path + "?api-version=1").status == 401
        assert Client(model).post(path=path, headers={"api-key": "sk-test"}).status == 404
        path += "?api-version=1"
        body = Client(model).post(path=path, headers={"api-key": "sk-test"}).read()
    assert chunks(body)[0]["choices"] == []


def test_mistral_sends_usage_unasked_in_the_last_chunk():
    with Model(flavor="mistral") as model:
        last = chunks(Client(model).post().read())[-1]
    assert last["usage"] and last["choices"][0]["finish_reason"] == "stop"


def test_it_can_go_away_and_come_back_under_the_same_url():
    model = Model().start()
    model.stop()
    with pytest.raises(ConnectionRefusedError):
        Client(model).post()
    with model:
        assert Client(model).post().status == 200


def test_kept_connections_can_be_dropped_and_are_closed_on_request(model, client):
    client.post().read()
    model.wait_for(lambda: model.requests[0].answered and not model.in_flight)
    model.drop_idle()
    model.wait_for(lambda: not model.open_connections)
    with pytest.raises(ConnectionError):
        client.post()
    assert Client(model).post(headers={"Connection": "close"}).read()
    model.will_say("bye", headers={"Connection": "close"})
    assert Client(model).post().read()
    model.wait_for(lambda: not model.open_connections)


def test_a_body_may_wait_for_continue(model):
    body = json.dumps(asking()).encode()
    head = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-test\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
            b"Expect: 100-continue\r\n\r\n")
    with socket.create_connection(("127.0.0.1", model.port)) as peer:
        peer.sendall(head)
        assert peer.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        assert peer.recv(12) == b"HTTP/1.1 200"


def test_broken_http_is_refused(model):
    with socket.create_connection(("127.0.0.1", model.port)) as peer:
        peer.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 1\r\n\r\nx")
        assert peer.recv(100).startswith(b"HTTP/1.1 400 ")
    assert model.bad_requests == ["no Host header"]


@pytest.mark.parametrize("body", [b"data: x\n", b"data: x", b"event: a\n\n", b"dat: x\n\n",
                                  b"data: \xff\n\n", b"id: 1\nid: 2\ndata: x\n\n", b"data: \xc3"])
def test_the_reader_of_events_is_strict(body):
    with pytest.raises(BrokenStream):
        read_events(body)


@pytest.mark.parametrize("size", range(1, 12))
def test_the_reader_of_events_reads_pieces_of_any_size(size):
    body = "id: 1\r\nevent: a\r\ndata: é\r\ndata:  b\r\n\r\n: hi\rdata: x\r\r\ndata: y\n\n".encode()
    reader = EventReader()
    for at in range(0, len(body), size):
        reader.feed(body[at:at + size])
    events = reader.close()
    assert [(e.id, e.event, e.data) for e in events] == [
        ("1", "a", "é\n b"), (None, None, "x"), (None, None, "y")]
    assert [comment.text for comment in reader.comments] == ["hi"]
