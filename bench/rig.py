"""Everything that a benchmark needs, in a directory of its own and on loopback: Redis as durable as
in production, the upstream, and in front of them confab and those that it is compared with."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.support import certificates, proc
from tests.support.proc import Process, until
from tests.support.programs import BUILD, FCGI, TOP, Nginx, Pool
from tests.support.redis import Redis

TOOLS = BUILD / "bench"
CHILDREN = 2
PORT = 8090
CERTIFIED_NAME = "model.bench"      # nginx verifies names only, no addresses


class Upstream(Process):
    """The instant model."""

    def __init__(self, directory: Path, name: str = "upstream", *, tls: bool = False) -> None:
        super().__init__(name, directory / f"{name}.log")
        self.host, self.port = private_address(), PORT
        self.url = f"{'https' if tls else 'http'}://{self.host}:{self.port}/v1"
        self.identity = certificates.issue(directory, self.host, CERTIFIED_NAME) if tls else None

    def start(self) -> Upstream:
        files = self.identity[:2] if self.identity else ()
        self.run(TOOLS / "upstream", self.host, str(self.port), *files, env={})
        until(lambda: listens(self.host, self.port), "the upstream listens")
        return self


class NopPool(Process):
    """Children that do nothing, started as ours are."""

    def __init__(self, directory: Path) -> None:
        super().__init__("nop", directory / "nop.log")
        self.socket = directory / "nop.sock"

    def start(self) -> NopPool:
        self.run("spawn-fcgi", "-n", "-s", self.socket, "-M", "0660", "-b", "4096", "--",
                 "/usr/bin/multiwatch", "-f", str(CHILDREN), "--", TOOLS / "nop",
                 env={"PATH": "/usr/bin:/bin"})
        return self


class Front(Nginx):
    """One nginx of production's configuration, or with `site` in place of confab's own."""

    def __init__(self, directory: Path, name: str, site: str | None = None) -> None:
        directory = directory / name
        directory.mkdir()
        super().__init__(directory)
        self.name = name
        self._site = site

    def configure(self, env: dict[str, str], fcgi_socket: Path) -> None:
        if self._site is None:
            super().configure(env, fcgi_socket)
            return
        templates = self.state.parent / "templates"
        templates.mkdir()
        shutil.copy(TOP / "nginx" / "nginx.conf.in", templates)
        (templates / "confab.conf.in").write_text(self._site)
        self.state.mkdir()
        subprocess.run([TOP / "scripts" / "nginx-conf", templates], check=True, env={
            **env, "CONFAB_STATE": str(self.state), "FCGI_SOCKET": str(fcgi_socket),
            "HTTP_LISTEN": self.host, "HTTP_PORT": str(self.port), "CONFAB_FCGI": str(FCGI),
            "NGINX_ERROR_LOG": "stderr"})


class Peer(Process):
    """FastAPI under uvicorn. app: which of bench/peer. This address is the bare one, without an
    nginx in front."""

    def __init__(self, directory: Path, app: str = "plain") -> None:
        super().__init__(f"peer-{app}", directory / f"peer-{app}.log")
        self.app = app
        self.host, self.port = private_address(), PORT

    def start(self, redis: Path, upstream: str, key: str = "sk-bench", model: str = "bench"
              ) -> Peer:
        self.run("/usr/bin/python3", TOP / "bench" / "peer" / "serve.py", f"{self.app}:app",
                 self.host, str(self.port), str(CHILDREN),
                 env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1",
                      "PEER_REDIS": str(redis), "PEER_UPSTREAM": upstream, "PEER_KEY": key,
                      "PEER_MODEL": model})
        for port in range(self.port, self.port + 1 + CHILDREN):
            until(lambda: listens(self.host, port), "the peer listens", 30)
        return self

    def site(self) -> str:
        """confab's own configuration, but that requests go on to the workers over HTTP."""
        site = (TOP / "nginx" / "confab.conf.in").read_text()
        servers = " ".join(f"server {self.host}:{self.port + 1 + i} max_fails=0;"
                           for i in range(CHILDREN))
        site = re.sub(r"upstream confab \{.*?\n\}", f"upstream confab {{ {servers} keepalive 256; }}",
                      site, flags=re.DOTALL)
        site = re.sub(r"fastcgi_(param|keep_conn) .*;", "", site)
        site = site.replace("fastcgi_pass confab;", """proxy_pass http://confab;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Request-Id $confab_request_id;""")
        return site.replace("fastcgi_", "proxy_")


class Rig:
    """A context: all runs inside of it."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="confab-bench-"))
        self.redis = Redis(self.directory)
        self.upstream = Upstream(self.directory)
        self.upstream_tls = Upstream(self.directory, "upstream-tls", tls=True)
        self.pool = Pool(self.directory)
        self.nop_pool = NopPool(self.directory)
        site = (TOP / "bench" / "proxy.conf.in").read_text()
        self.confab = Front(self.directory, "confab")
        self.nop = Front(self.directory, "nop")
        self.proxy = Front(self.directory, "proxy",
                           site.replace("@UPSTREAM@", f"{self.upstream.host}:{PORT}"))
        self.egress = Front(self.directory, "egress", egress_site(self.upstream_tls))
        self.peer_bare = Peer(self.directory)
        self.peer = Front(self.directory, "nginx-peer", self.peer_bare.site())
        self.stripped_bare = Peer(self.directory, "stripped")
        self.stripped = Front(self.directory, "nginx-stripped", self.stripped_bare.site())

    def env(self, **settings: str | int) -> dict[str, str]:
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
            "CONFAB_CONFIG": str(self.directory / "confab.ini"),
            "CONFAB_RUNTIME_DIR": str(self.directory / "run"),
            "CONFAB_PROMPTS_DIR": str(TOP / "prompts"),
            "DOC_FOLDER": str(self.directory / "documents"),
            "REDIS_URL": self.redis.url, "OPENAI_BASE_URL": self.upstream.url,
            "OPENAI_API_KEY": "sk-bench", "OPENAI_MODEL": "bench",
            "FCGI_CHILDREN": str(CHILDREN),
        } | {name: str(value) for name, value in settings.items()}

    def __enter__(self) -> Rig:
        try:
            (self.directory / "confab.ini").touch()
            (self.directory / "run").mkdir()
            self.redis.start()
            self.upstream.start()
            self.upstream_tls.start()
            self.nop_pool.start()
            self.pool.start(self.env())
            for front, fcgi in ((self.confab, self.pool.socket), (self.nop, self.nop_pool.socket),
                                (self.proxy, self.pool.socket), (self.peer, self.pool.socket),
                                (self.stripped, self.pool.socket), (self.egress, self.pool.socket)):
                front.configure(self.env(), fcgi)
                front.start(self.env())
            for peer in (self.peer_bare, self.stripped_bare):
                peer.start(self.redis.socket, self.upstream.url)
            self.wait_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, why: object, *_: object) -> None:
        for process in (self.confab, self.nop, self.proxy, self.peer, self.stripped, self.egress,
                        self.peer_bare, self.stripped_bare, self.pool, self.nop_pool, self.upstream,
                        self.upstream_tls, self.redis):
            with contextlib.suppress(TimeoutError):
                process.stop()
        if why is None:
            shutil.rmtree(self.directory)
        else:
            print(f"what was logged is in {self.directory}")

    def wait_ready(self) -> None:
        until(lambda: get_status(self.confab, "/api/v1/ready") == 200, "confab is ready", 30)

    def restart_pool(self, **settings: str | int) -> None:
        self.pool.stop()
        self.pool.start(self.env(**settings))
        self.wait_ready()

    # Load

    def command(self, target: Any, **options: Any) -> list[str]:
        argv = [str(TOOLS / "load"), "--host", target.host, "--port", str(target.port)]
        for name, value in options.items():
            if value is True:
                argv.append(f"--{name}")
            elif value is not None and value is not False:
                argv += [f"--{name}", str(value)]
        return argv

    def load(self, target: Any, **options: Any) -> dict[str, Any]:
        done = subprocess.run(self.command(target, **options), capture_output=True, text=True,
                              check=True)
        return read_results(done.stdout)

    # Who works how much

    def family(self, process: Process) -> list[int]:
        found = [process.pid]
        for pid in found:
            with contextlib.suppress(FileNotFoundError):
                found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return found

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU so far, by part; "machine": all processes of this machine."""
        parts = {"children": self.pool, "nginx": self.confab, "redis": self.redis,
                 "upstream": self.upstream, "upstream_tls": self.upstream_tls,
                 "egress": self.egress, "proxy": self.proxy, "nop": self.nop_pool,
                 "nginx_nop": self.nop, "peer": self.peer_bare, "nginx_peer": self.peer,
                 "stripped": self.stripped_bare, "nginx_stripped": self.stripped}
        used = {}
        for name, process in parts.items():
            used[name] = sum(proc.busy_seconds(pid) for pid in self.family(process))
        ticks = list(map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]))
        used["machine"] = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
        return used


def egress_site(upstream: Upstream) -> str:
    site = (TOP / "bench" / "egress.conf.in").read_text()
    for word, value in (("@UPSTREAM@", f"{upstream.host}:{upstream.port}"),
                        ("@TRUSTED@", str(upstream.identity.trusted)),
                        ("@NAME@", CERTIFIED_NAME)):
        site = site.replace(word, value)
    return site


def read_results(text: str) -> dict[str, Any]:
    return json.loads(text[text.index("{"):])


def private_address() -> str:
    """One of the loopback network that nobody else is likely to use."""
    return f"127.{random.randrange(128, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"


def listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def get_status(front: Nginx, path: str) -> int:
    with socket.create_connection((front.host, front.port), timeout=5) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
        words = s.makefile("rb").readline().split()
    return int(words[1]) if len(words) > 1 else 0
