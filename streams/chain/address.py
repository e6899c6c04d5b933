"""Script to address and back, on every network of Bitcoin.

Base58Check for p2pkh and p2sh, Bech32 for version 0 witness programs (BIP 173), Bech32m for later
ones (BIP 350). Scripts without an address form (p2pk, bare multisig, OP_RETURN) give None.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from streams.chain import base58, bech32
from streams.chain.script import is_p2pkh, is_p2sh, witness_program


class AddressError(ValueError):
    """A text that is no address of the network; the message says why."""


class Network(NamedTuple):
    """How a network writes addresses (Bitcoin Core, ``chainparams.cpp``)."""

    name: str
    p2pkh: int
    p2sh: int
    hrp: str


NETWORKS = {
    network.name: network
    for network in (
        Network("main", 0x00, 0x05, "bc"),
        Network("test", 0x6F, 0xC4, "tb"),
        Network("testnet4", 0x6F, 0xC4, "tb"),
        Network("signet", 0x6F, 0xC4, "tb"),
        Network("regtest", 0x6F, 0xC4, "bcrt"),
    )
}
"""Networks by the name that Bitcoin Core's RPC gives them."""


@lru_cache(maxsize=1 << 17)
def address_of(script: bytes, network: str) -> str | None:
    """The address that pays to ``script``, or None where there is none.

    >>> address_of(bytes.fromhex("0014751e76e8199196d454941c45d1b3a323f1433bd6"), "main")
    'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4'
    """
    form = network_of(network)
    if is_p2pkh(script):
        return base58.encode(bytes([form.p2pkh]) + script[3:23])
    if is_p2sh(script):
        return base58.encode(bytes([form.p2sh]) + script[2:22])
    found = witness_program(script)
    if found is None or (found[0] == 0 and len(found[1]) not in (20, 32)):
        return None
    version, program = found
    constant = bech32.BECH32M if version else bech32.BECH32
    return bech32.encode(form.hrp, [version, *bech32.to_symbols(program)], constant)


def script_of(address: str, network: str) -> bytes:
    """The script that ``address`` pays to. Raises AddressError."""
    form = network_of(network)
    try:
        if address.lower().startswith(form.hrp + "1"):
            return _witness_script(address, form)
        return _base58_script(address, form)
    except ValueError as problem:
        raise AddressError(f"no address of network {network}: {address!r}: {problem}") from problem


def network_of(name: str) -> Network:
    """The network of that name; AddressError names the known ones."""
    if name not in NETWORKS:
        raise AddressError(f"unknown network {name!r}; known: {', '.join(NETWORKS)}")
    return NETWORKS[name]


def _witness_script(address: str, form: Network) -> bytes:
    prefix, symbols, constant = bech32.decode(address)
    if prefix != form.hrp or not symbols:
        raise ValueError(f"prefix {prefix!r} without a witness version")
    version, program = symbols[0], bech32.to_bytes(symbols[1:])
    if constant != (bech32.BECH32M if version else bech32.BECH32):
        raise ValueError(f"witness version {version} with the other version's checksum")
    if version > 16 or not 2 <= len(program) <= 40:
        raise ValueError(f"witness version {version} with a program of {len(program)} bytes")
    if version == 0 and len(program) not in (20, 32):
        raise ValueError(f"version 0 program of {len(program)} bytes, expected 20 or 32")
    return bytes([version + 0x50 if version else 0, len(program)]) + program


def _base58_script(address: str, form: Network) -> bytes:
    payload = base58.decode(address)
    if len(payload) != 21:
        raise ValueError(f"payload of {len(payload)} bytes, expected 21")
    if payload[0] == form.p2pkh:
        return b"\x76\xa9\x14" + payload[1:] + b"\x88\xac"
    if payload[0] == form.p2sh:
        return b"\xa9\x14" + payload[1:] + b"\x87"
    raise ValueError(f"version byte {payload[0]:#04x}")
