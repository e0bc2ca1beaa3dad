"""Bounds on open connections, in all and from one address, and whom to drop where they are full."""

import ipaddress
import itertools
from typing import Protocol

_IPV6_NETWORK_BITS = 64


class Connection(Protocol):
    """What the table knows of a connection.

    Attributes:
        network: Whose it is, as `get_network` names it.
    """

    network: str

    @property
    def is_waiting(self) -> bool:
        """Whether the server waits for the client, and not the client for its answer."""

    def drop(self) -> None:
        """Close it at once."""


class ConnectionTable:
    """The open connections of a server.

    A new connection is always taken as long as another one waits for its client: that one is
    dropped instead. Clients that connect and then send nothing, or a byte now and then, therefore
    shut out nobody, however many they are.

    Args:
        max_in_all: Most connections.
        max_per_address: Most connections from one network.
    """

    def __init__(self, max_in_all: int, max_per_address: int) -> None:
        self._max_in_all, self._max_per_address = max_in_all, max_per_address
        self._all = _Connections()
        self._by_network: dict[str, _Connections] = {}

    def __len__(self) -> int:
        return len(self._all)

    def admit(self, connection: Connection) -> bool:
        """Add a new connection, and drop others where there are too many now.

        Returns:
            Whether it may be used. If not, the caller is to refuse and close it; it counts until
            `remove`, and is the first to be dropped for the next one.
        """
        same = self._by_network.setdefault(connection.network, _Connections())
        fits = self._make_room(same, self._max_per_address)
        fits = fits and self._make_room(self._all, self._max_in_all)
        # Again, since dropping the last one of a network forgets it.
        same = self._by_network.setdefault(connection.network, same)
        same.new[connection] = self._all.new[connection] = None
        return fits

    def note_answer(self, connection: Connection) -> None:
        """Note that a connection's client was answered now."""
        for group in (self._all, self._by_network.get(connection.network)):
            if group is not None and group.remove(connection):
                group.answered[connection] = None

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed; one that is not in the table is passed over."""
        self._all.remove(connection)
        if same := self._by_network.get(connection.network):
            same.remove(connection)
            if not len(same):
                del self._by_network[connection.network]

    def _make_room(self, connections: "_Connections", most: int) -> bool:
        """Drop what waits until one more is not too many; return whether that succeeded."""
        while len(connections) >= most:
            dropped = connections.first_waiting()
            if dropped is None:
                return False
            self.remove(dropped)
            dropped.drop()
        return True


class _Connections:
    """Connections of one network, or all.

    Attributes:
        new: Those that were never answered, in the order in which they came.
        answered: The others, in the order of their last answers.
    """

    def __init__(self) -> None:
        self.new: dict[Connection, None] = {}
        self.answered: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self.new) + len(self.answered)

    def remove(self, connection: Connection) -> bool:
        """Remove a connection; return whether it was there."""
        kept = len(self)
        self.new.pop(connection, None)
        self.answered.pop(connection, None)
        return len(self) < kept

    def first_waiting(self) -> Connection | None:
        """Return the one to drop first: never answered if there is such, and for longest.

        An idle client that keeps its connection for the next request has shown that it is one.
        """
        every = itertools.chain(self.new, self.answered)
        return next((connection for connection in every if connection.is_waiting), None)


def get_network(host: str) -> str:
    """Return what connections from a host are counted under.

    That is an IPv4 address itself; of IPv6 the network of 64 bits, since a single machine has all
    of its addresses; other names as they are.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), _IPV6_NETWORK_BITS), strict=False))
