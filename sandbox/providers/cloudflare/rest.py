"""What the emulated Cloudflare provider's resources share (Terraform provider v5).

A created or changed resource's state is what the program asked for, completed with what only the
API knows; what the API makes of a value shows at the next refresh (a rule of Terraform's plugin
framework). The numbers after "Cloudflare" are those of docs/facts/real-providers.md.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sandbox.providers.base.http import HttpClient, HttpError
from sandbox.providers.base.names import camels, snakes
from sandbox.providers.base.operations import Call, PluginError, ReadResult
from sandbox.providers.base.resource import Resource
from sandbox.providers.base.schema import inputs_of, output_names
from sandbox.providers.base.values import Properties


@dataclass(frozen=True)
class Cloudflare:
    """A session: the API."""

    http: HttpClient

    def result(self, call: Call, method: str, path: str, **options: Any) -> Any:
        """The ``result`` in the answer's envelope."""
        return (self.http.json(call, method, path, **options) or {}).get("result")

    def found(self, call: Call, path: str) -> Any:
        """The result of a GET; None for 404."""
        try:
            return self.result(call, "GET", path)
        except HttpError as error:
            if error.status == 404:
                return None
            raise


class RestResource(Resource[Cloudflare]):
    """POST to a collection, GET, PUT and DELETE its members."""

    volatile = True
    scope: tuple[str, ...]
    """The inputs in the collection's path; changing one replaces. The import id has them first."""
    collection: str
    """The collection's path, with the scope's inputs in braces."""
    create_method = "POST"
    update_method = "PUT"
    keeps: frozenset[str] = frozenset()
    """Inputs that the API never gives back."""
    deletes = True
    """Whether destroying sends anything."""

    def create(self, session: Cloudflare, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """POST."""
        body = self.body(inputs)
        made = session.result(call, self.create_method, self.path(inputs), json=body)
        return self.id_of(inputs, made), self.outputs(made, inputs)

    def read(
        self, session: Cloudflare, call: Call, id: str, state: Properties
    ) -> ReadResult | None:
        """GET; a 404 drops it from the state. Import by the scope and the id, with slashes."""
        if not state:
            state, id = self.import_id(id)
        found = self.fetch(session, call, id, state)
        if found is None:
            return None
        kept = {name: state[name] for name in (*self.scope, *self.keeps) if name in state}
        outputs = {**self._known(camels(found)), **kept}
        known = inputs_of(self.sdk).properties
        return ReadResult(id, outputs, {k: v for k, v in outputs.items() if k in known})

    def update(
        self, session: Cloudflare, call: Call, id: str, olds: Properties, news: Properties
    ) -> Properties:
        """PUT of the whole body; a 404 is an error."""
        path = self.member(id, news)
        return self.outputs(
            session.result(call, self.update_method, path, json=self.body(news)), news
        )

    def delete(self, session: Cloudflare, call: Call, id: str, state: Properties) -> None:
        """DELETE; a 404 is an error, again and again until a refresh."""
        if self.deletes:
            session.http.send(call, "DELETE", self.member(id, state))

    def fetch(self, session: Cloudflare, call: Call, id: str, state: Properties) -> Any:
        """The API's object, or None."""
        return session.found(call, self.member(id, state))

    def body(self, inputs: Properties) -> Any:
        """What is sent: all inputs but the scope."""
        return snakes({k: v for k, v in inputs.items() if k not in self.scope})

    def id_of(self, inputs: Properties, made: Any) -> str:
        """The resource's id: the API's, without the scope."""
        return str(made["id"])

    def path(self, values: Properties) -> str:
        """The collection's path."""
        return self.collection.format(**{k: quote(str(values[k]), "") for k in self.scope})

    def member(self, id: str, values: Properties) -> str:
        """The path of one."""
        return f"{self.path(values)}/{quote(id, '')}"

    def import_id(self, id: str) -> tuple[Properties, str]:
        """The scope and the id from an import id."""
        parts = id.split("/", len(self.scope))
        if len(parts) != len(self.scope) + 1:
            form = "/".join([*(f"<{name}>" for name in self.scope), "<id>"])
            raise PluginError(f"import id {id!r}: expected urlencoded segments {form!r}")
        return dict(zip(self.scope, parts[:-1], strict=True)), parts[-1]

    def outputs(self, made: Any, inputs: Properties) -> Properties:
        """The state after create or update."""
        return {**self._known(camels(made)), **inputs}

    def _known(self, values: Any) -> Properties:
        names = output_names(self.sdk)
        return {k: v for k, v in (values or {}).items() if k in names}


def file_hash(path: str) -> str:
    """The SHA-256 of a file, in hexadecimal. Relative paths are the plugin's, not the program's."""
    return hashlib.sha256(read_file(path)).hexdigest()


def read_file(path: str) -> bytes:
    """A file's content. Raises PluginError, naming the file."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise PluginError(f"could not read {path}: {error.strerror}") from error
