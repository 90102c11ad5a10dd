"""Another nginx in front of ours, as a site's own might stand there: nothing is said about
streams, so that what its defaults do is seen."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from tests.support.http import UnixClient
from tests.support.proc import Process, until

_CONF = """
pid {dir}/front.pid;
error_log stderr;
daemon off;
{user}
events {{ }}
http {{
    access_log off;
    client_body_temp_path {dir}/front-body;
    proxy_temp_path {dir}/front-proxy;
    fastcgi_temp_path {dir}/front-fastcgi;
    scgi_temp_path {dir}/front-scgi;
    uwsgi_temp_path {dir}/front-uwsgi;
    server {{
        listen unix:{socket};
        location / {{
            proxy_pass {url};
            {more}
        }}
    }}
}}
"""


class Front(Process):
    """more: lines for its location."""

    def __init__(self, directory: Path, url: str, more: str = "") -> None:
        super().__init__("front", directory / "front.log")
        self.socket = directory / "front.sock"
        self.conf = directory / "front.conf"
        self.client = UnixClient(self.socket)
        user = "user root;" if os.geteuid() == 0 else ""
        self.conf.write_text(_CONF.format(dir=directory, socket=self.socket, url=url, more=more,
                                          user=user))

    def start(self, env: Mapping[str, str]) -> Front:
        self.run("nginx", "-c", self.conf, env=env)
        until(self._listens, "the front listens")
        return self

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0
