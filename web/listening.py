"""The address to listen on: whether it is free, and the host names of this machine."""

from __future__ import annotations

import contextlib
import errno
import socket

from config import Settings
from errors import StartError


def check_address(settings: Settings, command: str) -> None:
    """Raise StartError, with what to type instead, where HOST and PORT cannot be listened on.

    ``command`` is what started this process.
    """
    host, port = settings.host, settings.port
    other = port + 1 if port < 65535 else port - 1
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except socket.gaierror:
        raise StartError(f"HOST ({host}) is not an address of this machine") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = f"port {port} is in use: stop the program that uses it, or choose another port"
        elif error.errno == errno.EADDRNOTAVAIL:
            raise StartError(f"HOST ({host}) is not an address of this machine") from None
        elif error.errno == errno.EACCES:
            other = 5001
            reason = f"port {port} may not be listened on: choose one above 1023"
        else:
            raise StartError(
                f"{host} port {port} cannot be listened on: {error.strerror}"
            ) from None
        raise StartError(f"{reason}, for instance PORT={other} {command}") from None


def own_names(host: str) -> list[str]:
    """Return the names and addresses of this machine that requests may have in `Host`.

    A page whose name is made to point here after it was loaded (DNS rebinding) sends that name, and
    is refused. `host` is the address that is listened on.
    """
    names = {"localhost", "127.0.0.1", socket.gethostname().lower()}
    if host not in names:
        names |= {host, *_own_addresses()}
    return sorted(names)


def _own_addresses() -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        found |= {str(each[4][0]) for each in socket.getaddrinfo(socket.gethostname(), None)}
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: the system chooses the address that outgoing packets would have.
        probe.connect(("192.0.2.1", 9))
        found.add(probe.getsockname()[0])
    return found
