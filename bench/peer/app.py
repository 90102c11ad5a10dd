"""The peer: confab's chat, write_to_doc and status as FastAPI, redis-py and httpx do them well. The
same checks, headers, errors and log lines; the same lock with its fence, queue and lease, the same
Idempotency-Key, records, index and titles, for it runs the same scripts on the same keys; the same
question, always answered in a stream, which ends when its client leaves.

Of a turn it leaves out what confab, as it is measured, does not do either: keys and their limits,
summaries, further upstreams. It has no other routes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from chat import Chat
from edge import Answers, Asked, Fault, Reply, session_of
from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from model import Model
from starlette.exceptions import HTTPException
from store import Store, load_scripts

TOP = Path(__file__).resolve().parents[2]


def replying(answers: Answers) -> Any:
    async def endpoint(request: Request) -> Response:
        return Reply(request, answers)

    return endpoint


def build(a_store: type[Store] = Store, a_model: type[Model] = Model,
          a_route: type[APIRoute] = APIRoute, endpoint: Any = replying) -> FastAPI:
    """With the parts that it is made of, see stripped.py."""
    store = a_store(os.environ["PEER_REDIS"], load_scripts(TOP / "lib" / "chat" / "lua"))
    model = a_model(os.environ["PEER_UPSTREAM"], os.environ["PEER_KEY"], os.environ["PEER_MODEL"],
                    TOP / "prompts")

    async def chat(asked: Asked) -> None:
        await Chat(asked, store, model).run()

    async def write_to_doc(asked: Asked) -> None:
        body, said = await asked.read_json()
        session = session_of(said.get("session_id"))
        task = await store.accept_task(session, asked.idempotency_key(), body)
        asked.more_headers.append((b"location", b"/api/v1/status/" + task))
        await asked.reply(202, b'{"task_id":"%b"}' % task)

    async def status(asked: Asked) -> None:
        task = asked.path_params["task_id"]
        if not (task.isascii() and task.replace("-", "").replace("_", "").isalnum()
                and len(task) <= 64):
            raise Fault("task_not_found", "no task has such an id")
        await asked.reply(200, b'{"status":"%b"}' % await store.task_status(task.encode()))

    made = FastAPI(openapi_url=None)
    made.router.route_class = a_route
    made.router.redirect_slashes = False
    for path, methods, answers in (("chat", ["POST"], chat),
                                   ("write_to_doc", ["POST"], write_to_doc),
                                   ("status/{task_id}", ["GET", "HEAD"], status)):
        made.add_api_route(f"/api/v1/{path}", endpoint(answers), methods=methods,
                           response_model=None)
    made.add_exception_handler(HTTPException, nothing_there)
    made.on_event("startup")(store.start)
    made.on_event("shutdown")(store.stop)
    made.on_event("shutdown")(model.close)
    return made


async def nothing_there(request: Request, why: HTTPException) -> Response:
    """No route, or none for this method."""
    asked = Asked(request.scope, request.receive, request._send)
    fault = (Fault("method_not_allowed", "see Allow for those it has") if why.status_code == 405
             else Fault("route_not_found", "there is nothing at this address"))
    asked.log(fault.status, fault)
    return Response(fault.problem(asked.id), fault.status, {
        "X-Request-Id": asked.id.decode(), "Cache-Control": "no-store",
        "Content-Type": "application/problem+json", **(why.headers or {})})
