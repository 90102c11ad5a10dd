"""A peer's workers: serve.py APP HOST PORT COUNT. Each is a uvicorn that listens at PORT itself,
where the kernel spreads connections evenly over them (those of `uvicorn --workers` race for each,
and one may get all), and at PORT + 1, PORT + 2 and so on alone, for an nginx that spreads
requests. SIGTERM ends them."""

from __future__ import annotations

import multiprocessing
import signal
import socket
import sys

import uvicorn


def listener(host: str, port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((host, port))
    return made


def work(app: str, host: str, shared: int, own: int) -> None:
    config = uvicorn.Config(app, loop="uvloop", http="httptools", access_log=False,
                            log_level="warning", backlog=4096, proxy_headers=False,
                            server_header=False, date_header=False)
    uvicorn.Server(config).run(sockets=[listener(host, shared), listener(host, own)])


def main() -> None:
    app, host, port, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    workers = [multiprocessing.Process(target=work, args=(app, host, port, port + 1 + i))
               for i in range(count)]
    for worker in workers:
        worker.start()
    signal.signal(signal.SIGTERM, lambda *_: [worker.terminate() for worker in workers])
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    main()
