"""Which user a server that refuses root runs as.

PostgreSQL will not run as root. Adding a system user or opening up the parents of the data directory would
change the machine, so root first tries a user namespace in which it is called nobody, then the real user
nobody. Where nobody cannot reach the binaries or the data (below /root, say) it is given CAP_DAC_OVERRIDE,
which leaves it less than the namespace would: there the server owns all that root owns.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from services.kit.errors import SystemUnavailable

_NOBODY_UID = 65534
_PROBE_TIMEOUT_S = 10.0
_PROBE = 'cd "$1" && : > written && exec "$2" --version'


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """`argv_prefix` goes before the server's argv; its files belong to `uid` as seen from outside."""

    argv_prefix: tuple[str, ...]
    uid: int

    def own(self, path: Path) -> None:
        """Give the tree to the server, if another identity made it."""
        if path.stat().st_uid == self.uid:
            return
        for folder, _, files in os.walk(path):
            for entry in (folder, *(os.path.join(folder, name) for name in files)):  # noqa: PTH118
                os.chown(entry, self.uid, -1, follow_symlinks=False)


USER_NAMESPACE = ServerIdentity(
    ("unshare", "--user", f"--map-user={_NOBODY_UID}", f"--map-group={_NOBODY_UID}", "--"), uid=0
)
# setpriv changes the user, which makes the kernel forget the parent death signal, so it must set it again.
_AS_NOBODY = (
    *("setpriv", f"--reuid={_NOBODY_UID}", f"--regid={_NOBODY_UID}", "--clear-groups"),
    *("--no-new-privs", "--pdeathsig=INT"),
)
NOBODY = ServerIdentity((*_AS_NOBODY, "--inh-caps=-all", "--"), uid=_NOBODY_UID)
NOBODY_ACROSS_CLOSED_PARENTS = ServerIdentity(
    (*_AS_NOBODY, "--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override", "--"), uid=_NOBODY_UID
)
FOR_ROOT = (USER_NAMESPACE, NOBODY, NOBODY_ACROSS_CLOSED_PARENTS)


def server_identity(home: Path, executable: Path) -> ServerIdentity:
    """The first identity that can write below `home` and run `executable`. Raises `SystemUnavailable`."""
    uid = os.geteuid()
    if uid != 0 and _has_account(uid):
        return ServerIdentity((), uid)
    # A container may run as a uid without an account, which PostgreSQL refuses as well.
    candidates = FOR_ROOT if uid == 0 else (replace(USER_NAMESPACE, uid=uid),)
    for identity in candidates:
        if can_serve(identity, home, executable):
            return identity
    raise SystemUnavailable(
        f"{executable.name} does not run as user {uid}, and no other identity on this machine reaches {home}",
        hint="run as an ordinary user with an account, or allow user namespaces",
    )


def can_serve(identity: ServerIdentity, home: Path, executable: Path) -> bool:
    with tempfile.TemporaryDirectory(dir=home, prefix="probe-") as folder:
        os.chown(folder, identity.uid, -1)
        argv = (*identity.argv_prefix, "sh", "-c", _PROBE, "sh", folder, str(executable))
        try:
            probe = subprocess.run(argv, capture_output=True, timeout=_PROBE_TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return False
        return probe.returncode == 0


def _has_account(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
