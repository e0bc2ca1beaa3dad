"""Bounds on open connections, in all and from one address, and which connections to drop."""

import ipaddress
import itertools
from typing import Literal, Protocol

Bound = Literal["all", "address"]
"""Which number of connections is too high: of all, or of those from one address."""

_IPV6_NETWORK_BITS = 64


class Connection(Protocol):
    """A connection, as the table of connections uses it.

    Attributes:
        network: Network of the client, as `get_network` names it; empty if it counts only in the
            total.
    """

    network: str

    @property
    def is_waiting(self) -> bool:
        """Whether the server waits for the client (to send, read or close): it may be dropped."""

    @property
    def is_active(self) -> bool:
        """Whether it has connected, or sent a part of a request's body, a moment ago."""

    def drop(self, bound: Bound) -> None:
        """Close the connection at once, since there are too many."""


class ConnectionTable:
    """The open connections of a server.

    If there are too many connections, in all or from one network, a new one is still accepted as
    long as the server waits for the client of another one, which is dropped in its place; if its
    network has too many, one of that network. Clients that connect and then send nothing, or a byte
    now and then, therefore cannot shut out others, however many there are. The new one is refused
    only if none can be dropped for it: all connections wait for their answers, or all of its
    network where that has too many, even if others are idle.

    For use in one thread, such as that of an event loop (not checked).

    Args:
        max_in_all: Largest number of connections.
        max_per_address: Largest number of connections from one network (see `get_network`);
            loopback addresses have no such bound.
    """

    def __init__(self, max_in_all: int, max_per_address: int) -> None:
        self._max_in_all, self._max_per_address = max_in_all, max_per_address
        self._all = _Connections()
        self._by_network: dict[str, _Connections] = {}

    def __len__(self) -> int:
        return len(self._all)

    def admit(self, connection: Connection) -> Bound | None:
        """Add a new connection, and drop others if there are too many now.

        Returns:
            The bound that is exceeded, for which the caller must refuse and close the connection;
            until `remove` it is counted, and it is dropped for the next one. None if it may be
            used.
        """
        neighbours = self._by_network.setdefault(connection.network, _Connections())
        exceeded: Bound | None = None
        if connection.network and not self._make_room(neighbours, self._max_per_address, "address"):
            exceeded = "address"
        elif not self._make_room(self._all, self._max_in_all, "all"):
            exceeded = "all"
        # Again, since dropping the last one of a network forgets it.
        neighbours = self._by_network.setdefault(connection.network, neighbours)
        neighbours.new[connection] = self._all.new[connection] = None
        return exceeded

    def note_answer(self, connection: Connection) -> None:
        """Record that a connection's client was answered now; one not in the table is ignored."""
        for group in (self._all, self._by_network.get(connection.network)):
            if group is not None and group.remove(connection):
                group.answered[connection] = None

    def remove(self, connection: Connection) -> None:
        """Remove a closed connection from the table; do nothing if it is not in it."""
        self._all.remove(connection)
        if neighbours := self._by_network.get(connection.network):
            neighbours.remove(connection)
            if not len(neighbours):
                del self._by_network[connection.network]

    def _make_room(self, connections: "_Connections", limit: int, bound: Bound) -> bool:
        """Drop waiting connections until there is room for one more; return whether there is."""
        while len(connections) >= limit:
            dropped = connections.first_waiting()
            if dropped is None:
                return False
            self.remove(dropped)
            dropped.drop(bound)
        return True


class _Connections:
    """Connections of one network, or all.

    Attributes:
        new: Connections that were never answered, in the order in which they were opened.
        answered: The others, in the order of their last answers.
    """

    def __init__(self) -> None:
        self.new: dict[Connection, None] = {}
        self.answered: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self.new) + len(self.answered)

    def remove(self, connection: Connection) -> bool:
        """Remove a connection; return whether it was there."""
        num_before = len(self)
        self.new.pop(connection, None)
        self.answered.pop(connection, None)
        return len(self) < num_before

    def first_waiting(self) -> Connection | None:
        """Return the one to drop first; None if none waits.

        First come connections that were never answered and are not active: their clients send no
        whole request. Then come idle connections, the longest idle first, which lose least. Active
        ones come last, since they may be in the middle of a request.
        """
        every = itertools.chain(
            (connection for connection in self.new if not connection.is_active),
            (connection for connection in self.answered if not connection.is_active),
            self.new,
            self.answered,
        )
        return next((connection for connection in every if connection.is_waiting), None)


def get_network(host: str) -> str:
    """Return the key by which connections from a host are counted.

    The key is an IPv4 address itself; for IPv6 the network of 64 bits, since a single machine has
    all of its addresses; and other names as they are. It is empty for this machine's loopback
    addresses, which have no bound: there are reverse proxies, whose connections are those of many
    clients.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 6 and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_loopback:
        return ""
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((int(address), _IPV6_NETWORK_BITS), strict=False))
