"""The peer, with its libraries used as their documentation tells."""

from app import build

app = build()
