"""A peer that does less: one stored turn as FastAPI, redis-py and httpx do it well. Lock and history in one
round trip, the pair and the unlocking in another, both as scripts; one client of each kind per
worker, connections kept; a fast JSON; httpx without the layer of cookies, redirects and URLs to parse,
and no more connections to the model than are quick to look through. Against confab it has it easier:
no tenants, no queue of those who wait, no fence, no Idempotency-Key, and the model answers it in
one piece."""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

import httpx
import redis.asyncio as redis
import ujson
from fastapi import FastAPI, HTTPException
from fastapi.responses import UJSONResponse
from pydantic import BaseModel, constr

PROMPT = Path(__file__).resolve().parents[2] / "prompts" / "default.md"
WINDOW = 40
LEASE_MS = 15_000
TTL_MS = 30 * 24 * 3600 * 1000

BEGIN = """
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return false end
return redis.call('LRANGE', KEYS[2], -ARGV[3], -1)
"""
SAVE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
redis.call('DEL', KEYS[1])
return 1
"""

ENQUEUE = """
local turns = redis.call('LLEN', KEYS[1])
if turns == 0 then return false end
redis.call('HSET', KEYS[2], 'session', ARGV[2], 'turns', turns, 'status', 'pending', 'at', ARGV[3])
redis.call('ZADD', 'lean:open', ARGV[3], ARGV[1])
redis.call('XADD', 'lean:tasks', '*', 'task', ARGV[1])
return 1
"""

app = FastAPI(default_response_class=UJSONResponse, openapi_url=None)
store = redis.Redis(unix_socket_path=os.environ["PEER_REDIS"])
begin = store.register_script(BEGIN)
save = store.register_script(SAVE)
add = store.register_script(ENQUEUE)
model = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=16))
upstream = httpx.URL(os.environ["PEER_UPSTREAM"] + "/chat/completions")
json_type = {"Content-Type": "application/json"}
patience = {"timeout": httpx.Timeout(60, connect=5).as_dict()}
system = {"role": "system", "content": PROMPT.read_text().strip()}


class Said(BaseModel):
    session_id: constr(min_length=1, max_length=256)
    user_text: constr(min_length=1, max_length=32768)


class Asked(BaseModel):
    session_id: constr(min_length=1, max_length=256)


@app.on_event("shutdown")
async def close() -> None:
    with suppress(RuntimeError):
        await model.aclose()
        await store.close()


@app.post("/api/v1/chat")
async def chat(said: Said) -> UJSONResponse:
    me, keys = secrets.token_hex(8), [f"lean:{said.session_id}:lock", f"lean:{said.session_id}"]
    history = await begin(keys, [me, LEASE_MS, WINDOW])
    if history is None:
        raise HTTPException(409)
    user = {"role": "user", "content": said.user_text}
    asked = {"model": "bench", "messages": [system, *map(ujson.loads, history), user]}
    reply = await model.handle_async_request(httpx.Request(
        "POST", upstream, content=ujson.dumps(asked), headers=json_type, extensions=patience))
    content = await reply.aread()
    if reply.status_code != 200:
        raise HTTPException(502)
    text = ujson.loads(content)["choices"][0]["message"]["content"]
    answer = {"role": "assistant", "content": text}
    if not await save(keys, [me, ujson.dumps(user), ujson.dumps(answer), TTL_MS]):
        raise HTTPException(503)
    return UJSONResponse({"bot_text": text})


@app.post("/api/v1/write_to_doc")
async def write_to_doc(asked: Asked) -> UJSONResponse:
    task = secrets.token_urlsafe(16)
    if not await add([f"lean:{asked.session_id}", f"lean:task:{task}"],
                     [task, asked.session_id, time.time()]):
        raise HTTPException(404)
    return UJSONResponse({"task_id": task}, 202, {"Location": f"/api/v1/status/{task}"})
