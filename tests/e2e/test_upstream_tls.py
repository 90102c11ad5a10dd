"""The model is asked over TLS."""

import ssl

import pytest

from tests.support import certificates, proc
from tests.support.model import Model
from tests.support.stack import Stack

STREAMS = 40


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    return certificates.issue(tmp_path_factory.mktemp("tls"), "127.0.0.1")


@pytest.fixture(scope="module")
def model(identity):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    model = Model(tls=context).start()
    yield model
    model.stop()


@pytest.fixture(scope="module")
def shared(identity, model):
    with Stack(runner=False, children=1, OPENAI_BASE_URL=f"{model.url}/v1", MODEL_RETRIES=0,
               MODEL_CA_FILE=identity.trusted) as stack:
        yield stack


def test_a_model_is_believed_whose_certificate_a_trusted_authority_has_signed(stack, model):
    model.will_say("Hello")
    assert stack.chat().say("hi").bot_text == "Hello"


def test_no_other_model_is_believed(stacks, model):
    stack = stacks(runner=False, children=1, OPENAI_BASE_URL=f"{model.url}/v1", MODEL_RETRIES=0)
    before = len(model.requests)
    assert stack.chat().say("hi").status == 502
    assert len(model.requests) == before


def test_all_connections_share_what_is_known_of_the_authorities(stack, model):
    stack.chat().say("hi")
    [child] = stack.pool.children()
    before = proc.memory(child)
    held = [model.hold() for _ in range(STREAMS)]
    streams = [stack.chat().stream("hi") for _ in held]
    for one in held:
        one.send("Hello")
    for stream in streams:
        stream.next_text()
    grown = proc.memory(child) - before
    for one in held:
        one.finish()
    for stream in streams:
        stream.close()
    # Parsed, they take two million; a connection, with sanitizers, up to half a million.
    assert grown / STREAMS < 1_000_000
