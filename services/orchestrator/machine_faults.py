"""What the machine under the orchestrator has refused, in words for a caller: nobody's request is to blame."""

from __future__ import annotations

import errno

from services.kit.errors import InsufficientDisk, ScreenalyticsError, SystemUnavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_PASSING = frozenset({errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EROFS})


def in_our_words(error: OSError) -> ScreenalyticsError | None:
    """None for what no state of a machine explains, as a fault in the code."""
    if error.errno in _FULL:
        return InsufficientDisk("a disk of the orchestrator is full", hint="free space there and try again")
    if error.errno in _PASSING:
        return SystemUnavailable(f"the orchestrator's machine refuses: {error.strerror}")
    return None
