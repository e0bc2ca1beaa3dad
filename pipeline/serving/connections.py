"""Bounds on open connections, in all and from one address, and whom to drop where they are full."""

import ipaddress
import itertools
from typing import Literal, Protocol

Bound = Literal["all", "address"]
"""Which number of connections is too high: of all, or of those from one address."""

_IPV6_NETWORK_BITS = 64


class Connection(Protocol):
    """A connection, as the table of connections uses it.

    Attributes:
        network: Whose it is, as `get_network` names it; empty for one that no bound of an address
            holds for.
    """

    network: str

    @property
    def is_waiting(self) -> bool:
        """Whether the server waits for the client, and not the client for its answer."""

    @property
    def is_active(self) -> bool:
        """Whether it has connected, or sent a part of a request's body, a moment ago."""

    def drop(self, bound: Bound) -> None:
        """Close it at once, since there are too many."""


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

    def admit(self, connection: Connection) -> Bound | None:
        """Add a new connection, and drop others where there are too many now.

        Returns:
            The bound for which it is to be refused and closed by the caller; it counts until
            `remove`, and is dropped for the next one. None: it may be used.
        """
        same = self._by_network.setdefault(connection.network, _Connections())
        exceeded: Bound | None = None
        if connection.network and not self._make_room(same, self._max_per_address, "address"):
            exceeded = "address"
        elif not self._make_room(self._all, self._max_in_all, "all"):
            exceeded = "all"
        # Again, since dropping the last one of a network forgets it.
        same = self._by_network.setdefault(connection.network, same)
        same.new[connection] = self._all.new[connection] = None
        return exceeded

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

    def _make_room(self, connections: "_Connections", most: int, bound: Bound) -> bool:
        """Drop what waits until one more is not too many; return whether that succeeded."""
        while len(connections) >= most:
            dropped = connections.first_waiting()
            if dropped is None:
                return False
            self.remove(dropped)
            dropped.drop(bound)
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
        """Return the one to drop first; None if none waits.

        First come those that were never answered and are not active: clients that send no whole
        request. Then the idle ones, longest first, which lose least; an active one may be in the
        middle of its request, so it comes last.
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

    That is an IPv4 address itself; of IPv6 the network of 64 bits, since a single machine has all
    of its addresses; other names as they are. It is empty for this machine's loopback addresses,
    which have no bound: there are reverse proxies, whose connections are those of many clients.
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
