"""Exceptions of a plugin as gRPC errors, as a real provider's reach the engine."""

import logging
from typing import Any

import grpc
from google.protobuf import any_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import status_pb2  # google.rpc has it, too: a process takes one of them

from sandbox.providers.base.operations import InitFailed, PluginError
from sandbox.providers.base.values import Properties, conceal, marshal

log = logging.getLogger(__name__)


class reported:
    """Turns exceptions into gRPC errors: PluginError by its message, others with a traceback."""

    def __init__(self, context: Any, secrets: Properties | None = None) -> None:
        self._context = context
        self._secrets = secrets or {}

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or not isinstance(error, Exception):
            return
        if isinstance(error, InitFailed):
            self._add_detail(error)
        elif not isinstance(error, PluginError):
            log.exception("a provider operation broke", exc_info=error)
        message = (
            str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
        )
        self._context.abort(grpc.StatusCode.UNKNOWN, message)

    def _add_detail(self, error: InitFailed) -> None:
        inputs = None if error.inputs is None else marshal(conceal(error.inputs, self._secrets))
        detail = any_pb2.Any()
        detail.Pack(
            pb.ErrorResourceInitFailed(
                id=error.id,
                properties=marshal(conceal(error.properties, self._secrets)),
                reasons=error.reasons,
                inputs=inputs,
            )
        )
        status = status_pb2.Status(
            code=grpc.StatusCode.UNKNOWN.value[0], message=str(error), details=[detail]
        )
        self._context.set_trailing_metadata(
            (("grpc-status-details-bin", status.SerializeToString()),)
        )
