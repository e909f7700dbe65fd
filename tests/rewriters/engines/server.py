"""A chat server on loopback that can be told to fail in every way a real one does."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


class Server(ThreadingHTTPServer):
    """Answers 'answer to <last user turn>', in JSON where a schema asks for it.

    `faults` holds, for a turn's text, what goes wrong the next times.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.faults: dict[str, list[str]] = {}
        self.always: str | None = None
        """A fault for every request."""
        self.delay = 0.0
        self.asked: Counter[str] = Counter()
        """Requests by text, whatever became of them."""
        self.answered: Counter[str] = Counter()
        """Whole answers with status 200 by text: what a provider charges for."""
        self.bodies: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.now = self.most = 0
        """Requests under way, and the most there ever were."""
        self.over = threading.Event()
        self.lock = threading.Lock()

    def fail(self, texts: Sequence[str], *faults: str) -> None:
        self.faults |= {text: list(faults) for text in texts}

    def next_fault(self, text: str) -> str | None:
        if self.always:
            return self.always
        return self.faults[text].pop(0) if self.faults.get(text) else None

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = body["messages"][-1]["content"]
        text = content if isinstance(content, str) else content[-1]["text"]
        server = self.server
        with server.lock:
            server.bodies.append(body)
            server.keys.add(self.headers["Authorization"])
            server.asked[text] += 1
            server.now += 1
            server.most = max(server.most, server.now)
            fault = server.next_fault(text)
        try:
            if server.delay:
                server.over.wait(server.delay)
            self.reply(text, body, fault)
        finally:
            with server.lock:
                server.now -= 1

    def reply(self, text: str, body: dict[str, Any], fault: str | None) -> None:
        if fault == "silence":
            self.server.over.wait(30)
            self.close_connection = True
        elif fault == "drop":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif fault and fault.isdigit():
            # Some servers repeat the key in their errors.
            told = {"error": {"message": f"{fault}, said to {self.headers['Authorization']}", "code": None}}
            self.send(int(fault), json.dumps(told).encode(), {"Retry-After": "1"} if fault == "429" else {})
        elif fault and fault.startswith("{"):
            status, _, told = fault[1:].partition("}")
            self.send(int(status), told.encode(), {})
        elif fault == "latin-1":
            payload = json.dumps(completion(text, body), ensure_ascii=False).encode()
            self.send(200, payload, {"Content-Type": "application/json; charset=ISO-8859-1"})
        elif fault == "garbage":
            self.send(200, b"<html>it works!</html>", {})
        elif fault == "half":
            payload = json.dumps(completion(text, body)).encode()
            self.send(200, payload[: len(payload) // 2], {"Content-Length": str(len(payload))})
            self.close_connection = True
        else:
            with self.server.lock:
                self.server.answered[text] += 1
            self.send(200, json.dumps(completion(text, body)).encode(), {})

    def send(self, status: int, payload: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (
            {"Content-Type": "application/json", "Content-Length": str(len(payload))} | headers
        ).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def completion(text: str, body: dict[str, Any]) -> dict[str, Any]:
    said = f"answer to {text}"
    if "response_format" in body:
        (key, kind), *_ = body["response_format"]["json_schema"]["schema"]["properties"].items()
        said = json.dumps({key: said if kind["type"] == "string" else [said, "another"]})
    message = {"role": "assistant", "content": said}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice],
            "usage": USAGE}  # fmt: skip


@contextmanager
def running() -> Iterator[Server]:
    """A server that answers until the block is left."""
    with Server() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
