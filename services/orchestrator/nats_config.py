"""`python -m services.orchestrator.nats_config`: prints what nats-server must know of the roles.

A file to `include` in the server's configuration. Passwords stay out of it: the server reads each from its
environment, and a service is given its own as SCREENALYTICS_NATS__USER and SCREENALYTICS_NATS__PASSWORD.
"""

from __future__ import annotations

import json

from services.kit.bus_permissions import ROLES, permissions


def password_variable(role: str) -> str:
    return f"SCREENALYTICS_NATS_PASSWORD_{role.upper()}"


def config() -> str:
    """In nats-server's own language, in which only an unquoted `$NAME` is read from the environment."""
    users = "\n".join(map(_user, ROLES))
    return f"{_REMARK}\nauthorization {{\n  users = [\n{users}\n  ]\n}}\n"


_REMARK = "# Begin each password with a letter: the server reads a variable as a value of its language."


def _user(role: str) -> str:
    allowed = json.dumps(permissions(role).as_config(), indent=2).replace("\n", "\n      ")
    return (
        f"    {{\n      user: {json.dumps(str(role))}\n      password: ${password_variable(role)}\n"
        f"      permissions: {allowed}\n    }}"
    )


if __name__ == "__main__":
    print(config(), end="")
