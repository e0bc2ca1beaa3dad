"""Bounds on open connections, in all and from one address, and whom to drop where they are full."""

import ipaddress
from collections.abc import Collection
from typing import Protocol

_IPV6_NETWORK_BITS = 64


class Connection(Protocol):
    """What the table knows of a connection.

    Attributes:
        network: Whose it is, as `get_network` names it.
        was_answered: Whether a request on it was answered before.
    """

    network: str
    was_answered: bool

    @property
    def waits_since(self) -> float | None:
        """Time since when the server has waited for the client; None while it is answered."""

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
        self._by_network: dict[str, set[Connection]] = {}
        self._connections: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._connections)

    def admit(self, connection: Connection) -> bool:
        """Add a new connection, and drop others where there are too many now.

        Returns:
            Whether it may be used. If not, the caller is to refuse and close it; it counts until
            `remove`, and is the first to be dropped for the next one.
        """
        self._connections.add(connection)
        same = self._by_network.setdefault(connection.network, set())
        same.add(connection)
        return self._drop_surplus(same, self._max_per_address, connection) and self._drop_surplus(
            self._connections, self._max_in_all, connection
        )

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed; one that is not in the table is passed over."""
        self._connections.discard(connection)
        same = self._by_network.get(connection.network, set())
        same.discard(connection)
        if not same:
            self._by_network.pop(connection.network, None)

    def _drop_surplus(
        self, connections: Collection[Connection], most: int, new: Connection
    ) -> bool:
        """Drop what waits until no more than `most` are left; return whether that succeeded.

        Those that were never answered go first, among them those that wait longest: an idle client
        that keeps its connection for the next request has shown that it is one.
        """
        while len(connections) > most:
            waiting = [
                (other.was_answered, other.waits_since, id(other), other)
                for other in connections
                if other is not new and other.waits_since is not None
            ]
            if not waiting:
                return False
            dropped = min(waiting)[-1]
            self.remove(dropped)
            dropped.drop()
        return True


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
