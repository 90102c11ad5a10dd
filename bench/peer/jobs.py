"""The peer for tasks: RQ. Enqueues for some seconds from two processes, without HTTP, then lets two
workers, which do not fork for each job, work for some seconds; prints JSON. The jobs do nothing, or
write a small file as our folder store does. Redis gives a finished one 500 s to live.

    jobs.py REDIS-SOCKET FOLDER SECONDS"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

import redis
from rq import Queue, SimpleWorker

PROCESSES = 2
DOCUMENT = "<p>" + "x" * 1000 + "</p>"


def nothing() -> None:
    pass


def write(folder: str, name: str) -> None:
    """Whole or not at all."""
    where = os.open(folder, os.O_RDONLY)
    try:
        temporary, final = f"{folder}/.{name}", f"{folder}/{name}"
        with open(temporary, "w", encoding="utf-8") as out:
            out.write(DOCUMENT)
            out.flush()
            os.fsync(out.fileno())
        os.rename(temporary, final)
        os.fsync(where)
    finally:
        os.close(where)


def enqueue(path: str, folder: str, seconds: float, counts: multiprocessing.Queue) -> None:
    queue, count = Queue(connection=redis.Redis(unix_socket_path=path)), 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if folder:
            queue.enqueue("jobs.write", folder, f"{os.getpid()}-{count}.html")
        else:
            queue.enqueue("jobs.nothing")
        count += 1
    counts.put(count)


def work(path: str) -> None:
    connection = redis.Redis(unix_socket_path=path)
    SimpleWorker([Queue(connection=connection)], connection=connection,
                 log_job_description=False).work(logging_level="ERROR")


def start(target, *arguments) -> list[multiprocessing.Process]:
    processes = [multiprocessing.Process(target=target, args=arguments) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    return processes


def enqueued(path: str, folder: str, seconds: float) -> float:
    counts: multiprocessing.Queue = multiprocessing.Queue()
    for process in start(enqueue, path, folder, seconds, counts):
        process.join()
    return sum(counts.get(timeout=5) for _ in range(PROCESSES)) / seconds


def done(path: str, seconds: float) -> float:
    """While there is enough to do."""
    queue = Queue(connection=redis.Redis(unix_socket_path=path))
    workers, waiting = start(work, path), queue.count
    while queue.count > waiting - 100:
        time.sleep(0.01)
    before, began = queue.count, time.monotonic()
    time.sleep(seconds)
    after, took = queue.count, time.monotonic() - began
    for worker in workers:
        worker.kill()
        worker.join()
    assert after > 0, "nothing was left to do"
    queue.empty()
    return (before - after) / took


def main() -> None:
    path, folder, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    Path(folder).mkdir()
    found = {}
    for name, where in (("nothing", ""), ("file", folder)):
        found[name] = {"enqueued": enqueued(path, where, 2 * seconds), "done": done(path, seconds)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
