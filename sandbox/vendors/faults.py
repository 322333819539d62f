"""Faults on demand, and a log of requests, for an emulated API.

Over HTTP: ``/_sandbox/faults`` (GET the list, POST one more, DELETE all) and
``/_sandbox/requests`` (GET the log, DELETE it). A fault is::

    {"match": {"method": "POST", "path_regex": "^/v2/firewalls"},
     "action": "status", "status": 500, "body": {"error": "…"}, "headers": {"Retry-After": "1"},
     "times": 2}

``action`` is ``status`` (answer so, without carrying the request out) or ``lose_answer`` (carry
it out, then close the connection without an answer). Without ``times`` it applies until removed;
without ``method`` or ``path_regex`` (searched in the path with its query) to every request. One
that was used up leaves the list; ``met`` counts, for one in the list, the requests it applied to.
"""

import json
import re
import socket
from collections.abc import Callable, Iterable
from typing import Any, TypedDict

from werkzeug.wrappers import Request, Response

from sandbox.vendors.store import Store

StartResponse = Callable[..., Any]
WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

LOG_LIMIT = 5000
_FIELDS = {"match", "action", "status", "body", "headers", "times"}
_MATCH_FIELDS = {"method", "path_regex"}
_METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}


class AnswerLost(ConnectionError):
    """Raised by a ``lose_answer`` fault where the server offers no connection to close."""


class LoggedRequest(TypedDict):
    """One line of the log; ``status`` is None where the answer was lost."""

    method: str
    path: str
    status: int | None


def json_response(data: Any, status: int = 200) -> Response:
    """``data`` as a JSON answer."""
    return Response(json.dumps(data), status=status, mimetype="application/json")


class Faults:
    """The faults of one emulator, kept in its store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._requests: list[LoggedRequest] = []

    def list(self) -> list[dict[str, Any]]:
        """The faults still in force, oldest first."""
        return self._store.read().get("faults", [])

    def add(self, fault: dict[str, Any]) -> None:
        """Add a fault. Raises ``ValueError``, naming the field, if it isn't of the form above."""
        _check(fault)
        with self._store.transaction() as document:
            document.setdefault("faults", []).append(fault)

    def clear(self) -> None:
        """Remove every fault."""
        with self._store.transaction() as document:
            document["faults"] = []

    def take(self, method: str, path: str) -> dict[str, Any] | None:
        """The first fault that applies to this request, or None; counts it as used."""
        if not self._store.read().get("faults"):
            return None
        with self._store.transaction() as document:
            faults = document.setdefault("faults", [])
            for fault in faults:
                if not _applies(fault.get("match", {}), method, path):
                    continue
                fault["met"] = fault.get("met", 0) + 1
                if fault.get("times") is not None:
                    fault["times"] -= 1
                    if fault["times"] <= 0:
                        document["faults"] = [other for other in faults if other is not fault]
                return dict(fault)
        return None

    def wrap(self, app: WsgiApp) -> WsgiApp:
        """``app`` with faults, request log and the ``/_sandbox`` endpoints of this module."""

        def with_faults(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
            request = Request(environ)
            own = self._own_endpoint(request)
            if own is not None:
                return own(environ, start_response)
            if request.path.startswith("/_sandbox/"):
                return app(environ, start_response)
            path = request.full_path.rstrip("?")
            fault = self.take(request.method, path)
            entry: LoggedRequest = {"method": request.method, "path": path, "status": None}
            self._requests = [*self._requests[-LOG_LIMIT + 1 :], entry]
            if fault and fault["action"] == "status":
                entry["status"] = fault["status"]
                return _fault_response(fault)(environ, start_response)
            response = Response.from_app(app, environ)
            if fault:
                _close_connection(environ)
                raise AnswerLost(f"the answer to {request.method} {path} is lost on demand")
            entry["status"] = response.status_code
            if response.status_code == 204:  # What has no content has no type.
                response.headers.remove("Content-Type")
            return response(environ, start_response)

        return with_faults

    def _own_endpoint(self, request: Request) -> Response | None:
        if request.path == "/_sandbox/requests":
            if request.method == "DELETE":
                self._requests = []
                return Response(status=204)
            return json_response({"requests": self._requests})
        if request.path != "/_sandbox/faults":
            return None
        if request.method == "POST":
            try:
                self.add(json.loads(request.get_data()))
            except ValueError as error:
                return json_response({"error": str(error)}, 400)
            return json_response({"faults": self.list()}, 201)
        if request.method == "DELETE":
            self.clear()
            return Response(status=204)
        return json_response({"faults": self.list()})


def _applies(match: dict[str, str], method: str, path: str) -> bool:
    return match.get("method", method).upper() == method and (
        re.search(match.get("path_regex", ""), path) is not None
    )


def _fault_response(fault: dict[str, Any]) -> Response:
    body = fault.get("body", {"error": "fault on demand", "status": fault["status"]})
    response = (
        Response(body, status=fault["status"], mimetype="text/plain")
        if isinstance(body, str)
        else json_response(body, fault["status"])
    )
    response.headers.update(fault.get("headers", {}))
    return response


def _close_connection(environ: dict[str, Any]) -> None:
    connection = environ.get("werkzeug.socket")
    if isinstance(connection, socket.socket):
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def _check(fault: Any) -> None:
    if not isinstance(fault, dict):
        raise ValueError(f"fault: expected a JSON object, found {fault!r}")
    if unknown := set(fault) - _FIELDS:
        raise ValueError(f"fault: unknown {sorted(unknown)}; allowed: {sorted(_FIELDS)}")
    match = fault.get("match", {})
    if not isinstance(match, dict) or set(match) - _MATCH_FIELDS:
        raise ValueError(f"fault.match: {match!r}; allowed: {sorted(_MATCH_FIELDS)}")
    if "method" in match and str(match["method"]).upper() not in _METHODS:
        raise ValueError(
            f"fault.match.method: {match['method']!r}; allowed: {sorted(_METHODS)}, or none for all"
        )
    try:
        re.compile(match.get("path_regex", ""))
    except re.error as error:
        raise ValueError(f"fault.match.path_regex: {match['path_regex']!r}: {error}") from error
    if fault.get("action") not in ("status", "lose_answer"):
        raise ValueError(f"fault.action: {fault.get('action')!r}; allowed: status, lose_answer")
    if fault["action"] == "status" and not isinstance(fault.get("status"), int):
        raise ValueError(f"fault.status: {fault.get('status')!r}; an HTTP status is needed")
    times = fault.get("times")
    if times is not None and (not isinstance(times, int) or times < 1):
        raise ValueError(f"fault.times: {times!r}; allowed: a number of 1 or more, or null")
