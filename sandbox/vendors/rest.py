"""What the emulated REST APIs share: routing, JSON bodies and errors."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from sandbox.vendors.faults import StartResponse, json_response

Handler = Callable[..., Response]


class ApiError(Exception):
    """A refusal; ``response`` is the answer in the vendor's form."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.get_data(as_text=True))
        self.response = response


class RestApi:
    """A WSGI app of handlers ``f(request, **path_arguments) -> Response``.

    ``refuse(status, text)`` makes the vendor's answer for an unknown path, a method that a path
    doesn't have, and a body that isn't JSON. ``before(request)`` runs first, and may raise
    ``ApiError`` (keys are checked there).
    """

    def __init__(
        self,
        refuse: Callable[[int, str], ApiError],
        before: Callable[[Request], None],
    ) -> None:
        self._map = Map(strict_slashes=False)
        self._handlers: dict[str, Handler] = {}
        self._refuse = refuse
        self._before = before

    def add(self, method: str, path: str, handler: Handler) -> None:
        """Answer ``method`` (GET, POST …) at ``path`` (werkzeug's rule syntax)."""
        endpoint = f"{method} {path}"
        self._map.add(Rule(path, endpoint=endpoint, methods=[method]))
        self._handlers[endpoint] = handler

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        try:
            self._before(request)
            endpoint, arguments = self._map.bind_to_environ(request.environ).match()
            return self._handlers[endpoint](request, **arguments)
        except ApiError as error:
            return error.response
        except (json.JSONDecodeError, NoObject):
            return self._refuse(400, "Invalid JSON").response
        except HTTPException as error:
            return self._refuse(error.code or 500, error.name).response


class NoObject(ValueError):
    """A body that is JSON and no object."""


def json_body(request: Request) -> dict[str, Any]:
    """The request's JSON object; ``{}`` where there is no body. Raises JSONDecodeError, NoObject,
    which ``RestApi`` answers as the vendor does."""
    data = request.get_data()
    body = json.loads(data) if data else {}
    if not isinstance(body, dict):
        raise NoObject
    return body


def whole_number(request: Request, name: str, default: int) -> int:
    """A number in the query; -1, which no API takes, where it is none."""
    text = request.args.get(name)
    if text is None:
        return default
    return int(text) if text.isdecimal() else -1


def settings_handlers(
    api: RestApi, read: Callable[[], dict[str, Any]], change: Callable[[dict[str, Any]], None]
) -> None:
    """Add ``/_sandbox/settings``: GET them, PUT those that change (a ValueError is a 400)."""

    def get(_: Request) -> Response:
        return json_response(read())

    def put(request: Request) -> Response:
        try:
            change(json_body(request))
        except ValueError as error:
            return json_response({"error": str(error)}, 400)
        return json_response(read())

    api.add("GET", "/_sandbox/settings", get)
    api.add("PUT", "/_sandbox/settings", put)
