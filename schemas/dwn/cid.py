"""Content ids (CIDv1, sha2-256, base32): of plain data by dag-cbor, of bytes by UnixFS chunks.

Sources: IPLD DAG-CBOR, IPLD DAG-PB, UnixFS v1. A DWN names descriptors and messages by the first
and record data by the second, as ipfs-unixfs-importer lays it out: chunks of 256 KiB, raw leaves,
one leaf standing for itself, a balanced tree of width 174.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, NamedTuple

import libipld

from schemas.dwn.encoding import plain
from schemas.dwn.errors import DwnInvalid

CHUNK_BYTES = 262_144
TREE_WIDTH = 174
_RAW, _DAG_PB, _DAG_CBOR = 0x55, 0x70, 0x71
_MAX_CID_TEXT = 100
_UNIXFS_FILE = b"\x08\x02"


def cid_of(value: Any) -> str:
    """CID of plain data (JSON data model): CIDv1, dag-cbor; raises DwnInvalid when it is not plain.

    >>> cid_of({"hello": "world"})
    'bafyreidykglsfhoixmivffc5uwhcgshx4j465xwqntbmu43nb2dzqwfvae'
    """
    return cid_of_plain(plain(value))


def cid_of_plain(value: Any) -> str:
    """``cid_of`` for a value that ``plain`` has already returned."""
    try:
        block = libipld.encode_dag_cbor(value)
    except (ValueError, RecursionError) as error:
        raise DwnInvalid("shape", f"no dag-cbor form: {error}") from None
    return _text(_cid(_DAG_CBOR, block))


def data_cid(data: bytes) -> str:
    """CID of record data (UnixFS).

    >>> data_cid(b"hello world")
    'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'
    """
    nodes = [_leaf(chunk) for chunk in _chunks(data)]
    while len(nodes) > 1:
        nodes = [_parent(nodes[i : i + TREE_WIDTH]) for i in range(0, len(nodes), TREE_WIDTH)]
    return _text(nodes[0].cid)


def check_cid(text: object) -> str:
    """Return ``text`` when it is a CIDv1 in base32; raises DwnInvalid otherwise."""
    if not isinstance(text, str) or len(text) > _MAX_CID_TEXT or not text.startswith("b"):
        raise DwnInvalid("shape", "not a CIDv1 in base32")
    try:
        libipld.decode_cid(text)
    except ValueError as error:
        raise DwnInvalid("shape", f"not a CID: {error}") from None
    return text


class _Node(NamedTuple):
    cid: bytes
    file_bytes: int
    dag_bytes: int


def _chunks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data) or 1, CHUNK_BYTES):
        yield data[start : start + CHUNK_BYTES]


def _leaf(chunk: bytes) -> _Node:
    return _Node(_cid(_RAW, chunk), len(chunk), len(chunk))


def _parent(children: list[_Node]) -> _Node:
    file_bytes = sum(child.file_bytes for child in children)
    links = b"".join(_field(2, _link(child)) for child in children)
    sizes = b"".join(b"\x20" + _varint(child.file_bytes) for child in children)
    unixfs = _UNIXFS_FILE + b"\x18" + _varint(file_bytes) + sizes
    block = links + _field(1, unixfs)
    dag_bytes = len(block) + sum(child.dag_bytes for child in children)
    return _Node(_cid(_DAG_PB, block), file_bytes, dag_bytes)


def _link(child: _Node) -> bytes:
    return _field(1, child.cid) + _field(2, b"") + b"\x18" + _varint(child.dag_bytes)


def _field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >> 7:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _cid(codec: int, block: bytes) -> bytes:
    return bytes([1, codec, 0x12, 32]) + sha256(block).digest()


def _text(cid: bytes) -> str:
    return "b" + base64.b32encode(cid).decode().lower().rstrip("=")
