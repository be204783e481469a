"""Whether anybody who can connect may call: only where nobody but this machine can connect, unless said so."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from services.kit.errors import InvalidSettings


class AccessMode(StrEnum):
    AUTO = "auto"  # open where only this machine can connect, else required
    OPEN = "open"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Exposure:
    """`is_open`: nobody is asked who they are. `is_local`: nobody but this machine can connect."""

    is_open: bool
    is_local: bool


def exposure(mode: AccessMode, hosts: Iterable[str], *, allow_anyone_who_can_connect: bool) -> Exposure:
    """Of listeners on `hosts`.

    Raises `InvalidSettings` for open access where others can connect, unless that is what was allowed.
    """
    reachable = [host for host in hosts if not is_loopback(host)]
    if mode is AccessMode.OPEN and reachable and not allow_anyone_who_can_connect:
        raise InvalidSettings(
            f"SCREENALYTICS_ACCESS__MODE is open, and others than this machine can connect to {reachable[0]}",
            hint="set it to required and make a key with: python -m services.orchestrator.bootstrap_key; "
            "or set SCREENALYTICS_ACCESS__ALLOW_ANYONE_WHO_CAN_CONNECT=true",
        )
    is_open = mode is not AccessMode.REQUIRED and (allow_anyone_who_can_connect or not reachable)
    return Exposure(is_open, is_local=not reachable)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_asked_from_here(host_header: str, fetch_site: str) -> bool:
    """Whether a call of an open loopback listener comes from a program of this machine.

    A page of another site must not reach it through the user's browser, by a name that it makes point here
    (DNS rebinding) or by a request across sites. `fetch_site`: the header Sec-Fetch-Site of a changing call.
    """
    name = host_header if host_header.endswith("]") else host_header.rpartition(":")[0] or host_header
    return is_loopback(name) and fetch_site != "cross-site"
