"""Addresses: Bitcoin Core's vectors, real prevouts, and round trips."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.chain import base58
from streams.chain.address import NETWORKS, AddressError, address_of, script_of
from streams.chain.script import script_type
from tests.bitcoin.data import read_json


def test_core_valid_addresses_encode_and_decode() -> None:
    """Each valid address vector of Core gives its script, and its script the address."""
    vectors = read_json("vectors", "core-key_io_valid.json")
    rows = [row for row in vectors if not row[2]["isPrivkey"]]
    assert len(rows) == 54
    for address, script, about in rows:
        network = about["chain"]
        assert script_of(address, network) == bytes.fromhex(script)
        assert address_of(bytes.fromhex(script), network) == address


def test_core_case_flip_vectors_hold() -> None:
    """Where Core says that upper case is valid too, it decodes to the same script."""
    flips = [row for row in read_json("vectors", "core-key_io_valid.json")
             if row[2].get("tryCaseFlip")]  # fmt: skip
    assert len(flips) > 0
    for address, script, about in flips:
        network = about["chain"]
        assert script_of(address.swapcase(), network) == bytes.fromhex(script)


def test_core_invalid_addresses_are_refused_on_every_network() -> None:
    """Each invalid vector of Core raises AddressError whatever the network."""
    for (text,) in read_json("vectors", "core-key_io_invalid.json"):
        for network in NETWORKS:
            with pytest.raises(AddressError):
                script_of(text, network)


def test_core_base58_vectors_hold() -> None:
    """Base58 without checksum agrees with Core in both directions."""
    for data, text in read_json("vectors", "core-base58_encode_decode.json"):
        assert base58.encode_raw(bytes.fromhex(data)) == text
        assert base58.decode_raw(text) == bytes.fromhex(data)


def test_every_prevout_of_the_taproot_era_block_round_trips() -> None:
    """Each address of the 7,972 prevouts of block 866342 decodes to the script it came from."""
    rows = read_json("prevouts", "866342.json.xz")
    scripts = [bytes.fromhex(row[1]) for row in rows]
    found = [(script, address_of(script, "main")) for script in scripts]
    named = [(script, address) for script, address in found if address is not None]
    assert (len(found), len(named)) == (7972, 7972)
    assert [script_of(address, "main") for _, address in named] == [s for s, _ in named]


def test_addresses_agree_with_mempool_space() -> None:
    """Outputs and prevouts of recorded mempool.space answers have the addresses it gave them."""
    seen = 0
    for name in ("random", "rbfs", "replaced"):
        for tx in read_json("mempool", f"transactions-{name}.json"):
            outputs = tx["vout"] + [i["prevout"] for i in tx["vin"] if i.get("prevout")]
            for output in outputs:
                script = bytes.fromhex(output["scriptpubkey"])
                assert address_of(script, "main") == output.get("scriptpubkey_address")
                seen += 1
    assert seen > 30


@pytest.mark.parametrize(
    ("script", "address", "kind"),
    [
        ("51024e73", "bc1pfeessrawgf", "p2a"),
        ("6a0548656c6c6f", None, "op_return"),
        ("21" + "02" * 33 + "ac", None, "p2pk"),
        ("5121" + "02" * 33 + "51ae", None, "multisig"),
        ("0003aabbcc", None, "other"),
        ("", None, "other"),
    ],
)
def test_script_has_its_type_and_address(script: str, address: str | None, kind: str) -> None:
    """Pay to anchor has an address; bare and unspendable scripts have none."""
    data = bytes.fromhex(script)
    assert (address_of(data, "main"), script_type(data)) == (address, kind)


@given(
    st.sampled_from(sorted(NETWORKS)),
    st.one_of(
        st.binary(min_size=20, max_size=20).map(lambda h: b"\x76\xa9\x14" + h + b"\x88\xac"),
        st.binary(min_size=20, max_size=20).map(lambda h: b"\xa9\x14" + h + b"\x87"),
        st.binary(min_size=32, max_size=32).map(lambda h: b"\0\x20" + h),
        st.tuples(st.integers(0x51, 0x60), st.binary(min_size=2, max_size=40)).map(
            lambda p: bytes([p[0], len(p[1])]) + p[1]
        ),
    ),
)
def test_address_round_trips(network: str, script: bytes) -> None:
    """Script to address to script is the identity, for every form and network."""
    address = address_of(script, network)
    assert address is not None
    assert script_of(address, network) == script


@given(st.text(max_size=100))
def test_random_text_is_refused_by_a_typed_error(text: str) -> None:
    """Whatever the text, the only error is AddressError."""
    try:
        script_of(text, "main")
    except AddressError:
        return


def test_address_of_another_network_is_refused() -> None:
    """A main network address is no test network address, and an unknown network is named."""
    address = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
    with pytest.raises(AddressError, match="no address of network test"):
        script_of(address, "test")
    with pytest.raises(AddressError, match="known: main, test, testnet4, signet, regtest"):
        script_of(address, "litecoin")
