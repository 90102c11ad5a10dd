"""The network as httpcore wants it, made of asyncio's own streams. It would take anyio, which is to
fit other loops as well and costs a quarter of a turn."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import httpcore
from httpcore.backends.base import AsyncNetworkBackend, AsyncNetworkStream


class Stream(AsyncNetworkStream):
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            async with asyncio.timeout(timeout):
                return await self._reader.read(max_bytes)
        except TimeoutError:
            raise httpcore.ReadTimeout from None
        except OSError as why:
            raise httpcore.ReadError(str(why)) from None

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        try:
            self._writer.write(buffer)
            async with asyncio.timeout(timeout):
                await self._writer.drain()
        except TimeoutError:
            raise httpcore.WriteTimeout from None
        except OSError as why:
            raise httpcore.WriteError(str(why)) from None

    async def aclose(self) -> None:
        self._writer.close()

    async def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None,
                        timeout: float | None = None) -> Stream:
        try:
            async with asyncio.timeout(timeout):
                await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        except OSError as why:
            raise httpcore.ConnectError(str(why)) from None
        return self

    def get_extra_info(self, info: str) -> Any:
        """Asked of an idle connection: is there anything to read, and be it the end?"""
        return self._reader.at_eof() if info == "is_readable" else None


class Network(AsyncNetworkBackend):
    async def connect_tcp(self, host: str, port: int, timeout: float | None = None,
                          local_address: str | None = None) -> Stream:
        try:
            async with asyncio.timeout(timeout):
                return Stream(*await asyncio.open_connection(host, port))
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        except OSError as why:
            raise httpcore.ConnectError(str(why)) from None
