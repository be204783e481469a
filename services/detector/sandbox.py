"""What the decoder's process gives up before it touches a byte of a stranger's file."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from services.detector.decode_protocol import MediaLimits

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_MAX_OPEN_FILES = 64
_MAX_WRITTEN_BYTES = 1 << 16  # standard error is a file


def confine(limits: MediaLimits, parent_pid: int) -> None:
    """Limits memory, files and privileges of this process, and binds its life to its parent's."""
    _limit_resources(limits)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # the parent died before the binding
        os._exit(1)


def _limit_resources(limits: MediaLimits) -> None:
    try:
        import resource  # noqa: PLC0415  POSIX only
    except ImportError:
        return
    wanted = {
        resource.RLIMIT_AS: limits.address_space_bytes,
        resource.RLIMIT_CPU: limits.cpu_s,
        resource.RLIMIT_NOFILE: _MAX_OPEN_FILES,
        resource.RLIMIT_FSIZE: _MAX_WRITTEN_BYTES,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in wanted.items():
        _, hard = resource.getrlimit(limit)
        capped = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (capped, capped))
