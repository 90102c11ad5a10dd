"""A peer that does less, on the same ground: a stored turn with a plain lock, and no more. No
checks, tenants, queue of those who wait, fence, renewal, Idempotency-Key, record, index or title, no
stream, and nobody looks whether the client is still there."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

import ujson
from edge import Asked, Fault, Route, json_text
from fastapi import FastAPI
from model import Answer, Model
from store import Store

PROMPTS = Path(__file__).resolve().parents[2] / "prompts"
LEASE_MS, WINDOW, LIFE_MS = b"15000", b"40", b"2592000000"

SCRIPTS = {
    "begin": """
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return false end
return redis.call('LRANGE', KEYS[2], -ARGV[3], -1)
""",
    "save": """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
redis.call('DEL', KEYS[1])
return 1
""",
    "accept": """
local turns = redis.call('LLEN', KEYS[1])
if turns == 0 then return false end
redis.call('HSET', KEYS[2], 'session', ARGV[2], 'turns', turns, 'status', 'pending', 'at', ARGV[3])
redis.call('ZADD', 'lean:open', ARGV[3], ARGV[1])
redis.call('XADD', 'lean:tasks', '*', 'task', ARGV[1])
return 1
"""}

app = FastAPI(openapi_url=None)
app.router.route_class = Route
store = Store(os.environ["PEER_REDIS"], SCRIPTS)
model = Model(os.environ["PEER_UPSTREAM"], os.environ["PEER_KEY"], os.environ["PEER_MODEL"],
              PROMPTS)
app.on_event("startup")(store.start)
app.on_event("shutdown")(store.stop)
app.on_event("shutdown")(model.close)


def message(role: str, text: str) -> bytes:
    return f'{{"role":"{role}","content":{json_text(text)}}}'.encode()


SYSTEM = message("system", (PROMPTS / "default.md").read_text().strip())


@app.post("/api/v1/chat")
async def chat(asked: Asked) -> None:
    said, me, answer = ujson.loads(await asked.read()), secrets.token_hex(8).encode(), Answer()
    dialog = b"lean:" + said["session_id"].encode()
    keys = dialog + b":lock", dialog
    history = await store.run("begin", keys, me, LEASE_MS, WINDOW)
    if history is None:
        raise Fault("conversation_locked", "another turn is being answered")
    user = message("user", said["user_text"])
    await model.ask(b'{"model":"bench","stream":true,"messages":[%b]}'
                    % b",".join((SYSTEM, *history, user)), answer, None)
    if not await store.run("save", keys, me, user, message("assistant", answer.text), LIFE_MS):
        raise Fault("not_saved", "the lock was lost")
    await asked.reply(200, f'{{"bot_text":{json_text(answer.text)}}}'.encode())


@app.post("/api/v1/write_to_doc")
async def write_to_doc(asked: Asked) -> None:
    session = ujson.loads(await asked.read())["session_id"].encode()
    task = secrets.token_hex(11).encode()
    if not await store.run("accept", (b"lean:" + session, b"lean:task:" + task), task, session,
                           b"%.3f" % time.time()):
        raise Fault("session_not_found", "there is no such session")
    await asked.reply(202, b'{"task_id":"%b"}' % task)
