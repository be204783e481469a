"""Whether a call may go on, and what is remembered of it: the same for every transport."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

from prometheus_client import Counter

from services.kit.errors import (
    PermissionDenied,
    RateLimited,
    SystemUnavailable,
    Unauthenticated,
)
from services.orchestrator.access.audit import AuditEntry, AuditLog
from services.orchestrator.access.exposure import Exposure
from services.orchestrator.access.keys import ApiKeys
from services.orchestrator.access.principal import ANYONE, Principal
from services.orchestrator.access.rate import CallRate
from services.orchestrator.access.tokens import TokenVerifier
from services.orchestrator.access.uploads import UploadAllowance
from services.orchestrator.operations import Operation

REFUSED = Counter("screenalytics_access_refusals", "Calls that were refused, by the problem's code.", ["code"])

_REFUSALS = frozenset({Unauthenticated.code, PermissionDenied.code, RateLimited.code})
_HOW = "send the header Authorization: Bearer, with a key or a token"


@dataclass(frozen=True, slots=True)
class CallSeen:
    """What a transport knows of a call. `operation` None: nothing that the table has."""

    operation: Operation | None
    authorization: str
    remote: str
    request_id: str
    resource_kind: str = ""
    resource_name: str = ""


class Gate:
    """Where access is open, nobody is asked who they are, and everybody may do everything."""

    def __init__(
        self,
        *,
        exposure: Exposure,
        keys: ApiKeys,
        tokens: TokenVerifier | None,
        rate: CallRate,
        uploads: UploadAllowance,
        audit: AuditLog,
    ) -> None:
        self.exposure = exposure
        self.uploads = uploads
        self._keys = keys
        self._tokens = tokens
        self._rate = rate
        self._audit = audit

    async def identify(self, call: CallSeen) -> Principal:
        """Raises `Unauthenticated`, `SystemUnavailable`."""
        is_for_all = call.operation is not None and call.operation.scope is None
        if is_for_all or self.exposure.is_open:
            return ANYONE
        return await self._known(call.authorization)

    def permit(self, call: CallSeen, caller: Principal) -> None:
        """Raises `PermissionDenied`, `RateLimited`.

        What stands in no table is for nobody: a caller who is known hears so from the transport.
        """
        scope = None if call.operation is None else call.operation.scope
        if call.operation is not None and scope is not None and scope not in caller.scopes:
            raise _denied(caller, call.operation)
        wait_s = 0.0 if caller.is_anyone else self._rate.wait_s(caller.name, monotonic())
        if wait_s > 0:
            raise RateLimited("this caller has made too many calls", retry_after_s=wait_s, hint="slow down")

    async def remember(self, call: CallSeen, caller: Principal | None, outcome: str) -> None:
        """Every refusal, and every call that changes something or tried to. Never raises."""
        is_refusal = outcome in _REFUSALS
        if is_refusal:
            REFUSED.labels(outcome).inc()
        if not is_refusal and (call.operation is None or not call.operation.is_change):
            return
        try:
            resource = await self._audit.resource(call.resource_kind, call.resource_name)
        except SystemUnavailable:
            resource = call.resource_kind
        entry = AuditEntry(
            who=_who(caller),
            operation=call.operation.name if call.operation else "",
            resource=resource,
            outcome=outcome,
            request_id=call.request_id,
            remote=call.remote,
        )
        if is_refusal:
            self._audit.note(entry)
            return
        try:
            await self._audit.record([entry])
        except SystemUnavailable:
            self._audit.note(entry)

    async def _known(self, authorization: str) -> Principal:
        kind, _, credential = authorization.partition(" ")
        credential = credential.strip()
        if kind.lower() != "bearer" or not credential:
            raise Unauthenticated("the call names nobody", hint=_HOW)
        if credential.startswith("sk_"):
            return await self._keys.principal(credential)
        if self._tokens is None:
            raise Unauthenticated("the credential is no key of this system", hint=_HOW)
        return await self._tokens.principal(credential)


def _who(caller: Principal | None) -> str:
    return "" if caller is None else caller.name or "anyone"


def _denied(caller: Principal, operation: Operation) -> PermissionDenied:
    has = ", ".join(sorted(caller.scopes)) or "none"
    return PermissionDenied(
        f"{operation.name} needs the scope {operation.scope}, and this caller has {has}",
        hint="ask an admin for a key or a token with that scope",
    )
