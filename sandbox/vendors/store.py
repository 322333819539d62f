"""A JSON document on disk: the state of one emulator."""

import json
import marshal
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Document = dict[str, Any]


class StoreError(Exception):
    """The file on disk is not the JSON document that it should be."""


class Store:
    """A JSON object kept in one file, safe to use from several threads of one process.

    ``path`` is made, with its folders, at the first write. The file is replaced by rename, so
    that a crash leaves either the old or the new document, and is readable by its owner alone
    (it holds keys). Raises ``StoreError`` when the file isn't a JSON object.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._open = False
        self._document = self._load()
        self._kept = _frozen(self._document)

    def read(self) -> Document:
        """A deep copy of the document: changing it changes nothing here."""
        with self._lock:
            return marshal.loads(_frozen(self._document) if self._open else self._kept)

    @contextmanager
    def transaction(self) -> Iterator[Document]:
        """The document, to be changed in place; written when the block ends.

        A block that raises leaves memory and disk as they were. A transaction inside another
        one is part of it. Others wait, so the block must not wait for anything slow.
        """
        with self._lock:
            if self._open:
                yield self._document
                return
            self._open = True
            try:
                yield self._document
                if (now := _frozen(self._document)) != self._kept:
                    self._write()
                    self._kept = now
            except BaseException:
                self._document = marshal.loads(self._kept)
                raise
            finally:
                self._open = False

    def _load(self) -> Document:
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise StoreError(
                f"{self.path}: not JSON ({error}); run `fleet sandbox reset`, or remove it"
            ) from error
        if not isinstance(document, dict):
            raise StoreError(
                f"{self.path}: expected a JSON object, found {type(document).__name__}; "
                "run `fleet sandbox reset`, or remove it"
            )
        return document

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(self._document, file, indent=1)
            os.replace(temporary, self.path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def _frozen(document: Document) -> bytes:
    # What is JSON is copied so in a tenth of `deepcopy`'s time, several times in each request.
    # Version 2 has no references, which would differ for what is equal.
    return marshal.dumps(document, 2)
