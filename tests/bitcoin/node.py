"""A real bitcoind on regtest for tests: fetched once, started on free ports, ended by its pid.

``STREAMS_TEST_HOME`` says where the unpacked node is kept (default: the user's cache directory).
Where it cannot be had, the test is skipped by name.
"""

from __future__ import annotations

import fcntl
import functools
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from bitcoinrpc.authproxy import AuthServiceProxy, JSONRPCException

from tests.caching import cache

_START_S = 60
_SCRIPT = Path(__file__).with_name("get-bitcoind.sh")
_CONFIG = """\
regtest=1
server=1
txindex=1
[regtest]
listen=0
rpcbind=127.0.0.1
rpcallowip=127.0.0.1
rpcport={rpc}
fallbackfee=0.0002
corepolicy=1
acceptnonstdtxn=1
rejectparasites=0
rejecttokens=0
permitbaremultisig=1
permitbarepubkey=1
zmqpubrawtx=tcp://127.0.0.1:{zmq}
zmqpubsequence=tcp://127.0.0.1:{zmq}
zmqpubrawtxhwm=100000
zmqpubsequencehwm=100000
"""


class Node:
    """A running node: where it listens, and its RPC."""

    def __init__(self, home: Path, data: Path, rpc_port: int, zmq_port: int) -> None:
        self.data = data
        self.rpc_port = rpc_port
        self.url = f"http://127.0.0.1:{rpc_port}"
        self.cookie = data / "regtest" / ".cookie"
        self.zmq = f"tcp://127.0.0.1:{zmq_port}"
        self.time_s = int(time.time()) + 86_400
        """The node's clock once ``later`` has been called; ahead of all that was mined before."""
        self._mocked = False
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and wait until its RPC answers."""
        command = [str(self._home / "bitcoind"), f"-datadir={self.data}", "-printtoconsole=0"]
        command += [f"-mocktime={self.time_s}"] if self._mocked else []
        self._process = subprocess.Popen(command)
        deadline = time.monotonic() + _START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"bitcoind did not start, see {self.data}/regtest/debug.log")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask the process to stop, and end it by its pid when it does not."""
        if self._process is None:
            return
        with suppress(OSError, JSONRPCException):
            self.call("stop")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End the process at once, as ``kill -9`` does; its last blocks may be lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None

    def revive(self) -> None:
        """Start it, with its wallet, unless it runs."""
        if self._process is None:
            self.start()
            self.call("loadwallet", "test")

    def flush(self) -> None:
        """Let the node write its chain to disk, so that a kill loses nothing older."""
        self.call("gettxoutsetinfo")

    def call(self, method: str, *args: Any) -> Any:
        """One RPC call with positional arguments; amounts come as Decimal."""
        user, password = self.cookie.read_text().split(":")
        url = f"http://{user}:{password}@127.0.0.1:{self.rpc_port}"
        return getattr(AuthServiceProxy(url, timeout=60), method)(*args)

    def later(self, seconds: int = 3600) -> None:
        """Set the node's clock ahead (mock time), so that a test knows every time in it."""
        self.time_s += seconds
        self._mocked = True
        self.call("setmocktime", self.time_s)

    def clock(self) -> int:
        """The node's clock in ms."""
        return self.time_s * 1000

    def mine(self, count: int = 1) -> list[str]:
        """Mine blocks to a new address of the wallet; returns their hashes."""
        hashes: list[str] = self.call("generatetoaddress", count, self.call("getnewaddress"))
        return hashes

    def spend(
        self, coins: list[tuple[str, int]], outputs: dict[str, Any], sequence: int | None = None
    ) -> str:
        """A signed transaction of the wallet that spends exactly these outpoints, as hex."""
        inputs: list[dict[str, Any]] = [{"txid": t, "vout": n} for t, n in coins]
        if sequence is not None:
            inputs = [{**one, "sequence": sequence} for one in inputs]
        raw = self.call("createrawtransaction", inputs, outputs)
        signed: str = self.call("signrawtransactionwithwallet", raw)["hex"]
        return signed

    def _answers(self) -> bool:
        try:
            self.call("getblockcount")
        except (OSError, JSONRPCException, ValueError):
            return False
        return True


@contextmanager
def bitcoind(wallet: bool = True, config: str = "") -> Iterator[Node]:
    """A fresh regtest node; with ``wallet`` it has one wallet and 101 blocks, so one mature coin.

    ``config`` is appended to the node's configuration file.
    """
    home = node_home()
    data = Path(tempfile.mkdtemp(prefix="streams-btc-"))
    rpc, zmq = free_ports(2)
    (data / "bitcoin.conf").write_text(_CONFIG.format(rpc=rpc, zmq=zmq) + config)
    node = Node(home, data, rpc, zmq)
    try:
        node.start()
        if wallet:
            node.call("createwallet", "test")
            node.mine(101)
        yield node
    finally:
        node.stop()
        shutil.rmtree(data, ignore_errors=True)


@functools.cache
def node_home() -> Path:
    """Where the unpacked node is; fetches it the first time, skips the test when that fails."""
    home = cache() / "btcnode"
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / "btcnode.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "bitcoind").exists():
            _fetch(home)
    return home


def _fetch(home: Path) -> None:
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            pytest.skip(f"bitcoind not available: no {tool} on this machine")
    partial = home.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    done = subprocess.run(
        ["sh", str(_SCRIPT), str(partial)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"bitcoind not available: {done.stderr.strip()[-200:]}")
    partial.rename(home)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
