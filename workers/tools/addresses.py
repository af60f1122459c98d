"""Which IP addresses are the public Internet."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address

# RFC 6052: what a DNS64 resolver answers for an IPv4-only host. The address that counts is the embedded one.
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Beside what `is_global` knows, because its answer differs between Python releases: addresses that carry or
# relay to others (6to4, Teredo, local NAT64), benchmarking, documentation, segment routing.
NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4",
        "::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
        "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip

Address = IPv4Address | IPv6Address


def is_public(address: Address) -> bool:
    """Whether anybody on the Internet could reach this address, so that reaching it gives nothing away."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in NAT64:
            return is_public(IPv4Address(address.packed[-4:]))
        if address.scope_id is not None:
            return False
    return (
        address.is_global
        and not address.is_multicast
        and not any(address in network for network in NOT_PUBLIC if network.version == address.version)
    )
