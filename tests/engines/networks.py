"""A network of its own for some processes of this machine, which can be cut like a cable."""

import ipaddress
import os
import subprocess
from collections.abc import Sequence

_ADDRESSES = ipaddress.ip_network("198.18.0.0/15")  # for tests of networks, by RFC 2544
_SIZE = 4  # of the network between two interfaces
_NOBODY = "02:00:00:00:00:00"  # the hardware address of no interface: what is sent there is dropped


class Network:
    """A namespace of Linux's network, joined to this machine's by a pair of virtual interfaces.

    Needs the program `ip` and the rights of root; `localhost` is another place inside than outside.

    Attributes:
        outside: Address of this machine on it.
        inside: Address of the processes that are started in it.

    Raises:
        OSError: There is no program `ip`.
        subprocess.CalledProcessError: It may not be made here.
    """

    def __init__(self) -> None:
        name = f"albert{os.getpid()}"
        first = _ADDRESSES[_SIZE * (os.getpid() % (_ADDRESSES.num_addresses // _SIZE))]
        self._name, self._interfaces = name, (f"{name}o", f"{name}i")
        self.outside, self.inside = str(first + 1), str(first + 2)
        _ip("netns", "add", name)
        try:
            outer, inner = self._interfaces
            _ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name)
            _ip("address", "add", f"{self.outside}/30", "dev", outer)
            _ip("-n", name, "address", "add", f"{self.inside}/30", "dev", inner)
            _ip("link", "set", outer, "up")
            _ip("-n", name, "link", "set", inner, "up")
            _ip("-n", name, "link", "set", "lo", "up")
        except subprocess.CalledProcessError:
            self.remove()
            raise

    def command(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs a command inside, as the same process."""
        return ["ip", "netns", "exec", self._name, *command]

    def cut(self) -> None:
        """Let every packet be dropped, both ways; whoever sends one is not told."""
        outer, inner = self._interfaces
        wrong = ("lladdr", _NOBODY, "nud", "permanent")
        _ip("neighbour", "replace", self.inside, "dev", outer, *wrong)
        _ip("-n", self._name, "neighbour", "replace", self.outside, "dev", inner, *wrong)

    def mend(self) -> None:
        """Let packets pass again."""
        outer, inner = self._interfaces
        _ip("neighbour", "delete", self.inside, "dev", outer)
        _ip("-n", self._name, "neighbour", "delete", self.outside, "dev", inner)

    def remove(self) -> None:
        """Remove it with its interfaces; its processes must have ended."""
        _ip("netns", "delete", self._name)


def _ip(*arguments: str) -> None:
    """Call the program `ip`."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
