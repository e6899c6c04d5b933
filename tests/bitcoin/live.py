"""The whole source in a test: the command as a process, a node under load, and the judge."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from bitcoinrpc.authproxy import JSONRPCException

from tests.bitcoin.node import Node
from tests.bitcoin.oracle import Fact, Log, Verdict, differs, judge
from tests.kafka.processes import until

ROOT = Path(__file__).parents[2]
COIN = 100_000_000


class Process:
    """One run of the source; what it says goes to a file."""

    def __init__(self, argv: list[str], log: Path, bootstrap: str) -> None:
        self.log = log
        environment = {**os.environ, "STREAMS_BROKER": bootstrap, "PYTHONPATH": str(ROOT)}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                argv, stdout=output, stderr=output, env=environment, cwd=log.parent
            )

    @property
    def text(self) -> str:
        """All that it has said."""
        return self.log.read_text()

    def says(self, words: str) -> None:
        """Wait until it has said these words."""
        until(f"it says {words!r}: {self.text}", lambda: words in self.text or self._ended())
        assert words in self.text, self.text

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it with a signal; returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)

    def clean_up(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _ended(self) -> bool:
        return self.process.poll() is not None


class Live:
    """One source by name, its node, and the judge of what it published since this was made."""

    def __init__(self, bootstrap: str, node: Node, folder: Path) -> None:
        self.bootstrap, self.node, self.folder = bootstrap, node, folder
        self.name = folder.name
        self.log = Log(bootstrap)
        self.above = node.call("getblockcount")
        self.runs: list[Process] = []

    def start(self, *doom: str, zmq: str = "", cookie: Path | None = None) -> Process:
        """Start the command; ``doom``: point and count of its end (``tests.bitcoin.doomed``)."""
        own = ["--rpc", self.node.url, "--cookie", str(cookie or self.node.cookie)]
        own += ["--network", "regtest"]
        own += ["--zmq", zmq or self.node.zmq, "--name", self.name]
        own += ["--from-height", str(self.above + 1)]
        module = ["tests.bitcoin.doomed", *doom] if doom else ["streams", "source", "bitcoin"]
        argv = [sys.executable, "-m", *module, *own]
        run = Process(argv, self.folder / f"source-{len(self.runs)}.log", self.bootstrap)
        self.runs.append(run)
        return run

    def started(self) -> Process:
        """Start the command, and wait until it follows the node."""
        run = self.start()
        self.settle()
        return run

    def settle(self) -> tuple[list[Fact], Verdict]:
        """Wait until what is published equals the node, and check how it came there."""
        until("the source begins", self.log.registered)
        words: list[str] = []

        def equal() -> bool:
            words[:] = differs(judge(self.log.facts()), self.node, self.above)
            return not words

        try:
            until("the log equals the node", equal)
        except AssertionError as error:
            said = self.runs[-1].text[-2000:] if self.runs else ""
            raise AssertionError(f"{error}: {words[:5]}; the source said: {said}") from error
        facts = self.log.facts()
        verdict = judge(facts)
        assert [] == verdict.wrong
        return facts, verdict

    def close(self) -> None:
        """End what still runs."""
        for run in self.runs:
            run.clean_up()


class Cable:
    """A connection to the node's publisher that can be cut and mended; use as a context."""

    def __init__(self, publisher: str) -> None:
        self.port = int(publisher.rsplit(":", 1)[1])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._ends: list[socket.socket] = []
        self._whole = True

    def __enter__(self) -> Cable:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.cut()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def cut(self) -> None:
        """End all connections and let no other one through."""
        self._whole = False
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._ends = []

    def mend(self) -> None:
        """Let connections through again."""
        self._whole = True

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if not self._whole:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self.port))
                self._ends += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


class Load(threading.Thread):
    """Pays, replaces and mines without pause, from a seed, also over a restart of the node."""

    def __init__(self, node: Node, seed: int, pause_s: float = 0.02) -> None:
        super().__init__(name="load", daemon=True)
        self.node, self.random, self.pause_s = node, random.Random(seed), pause_s
        self.stopping = threading.Event()
        self.mined = self.sent = self.replaced = 0
        self.start()

    def run(self) -> None:
        while not self.stopping.wait(self.pause_s):
            with suppress(OSError, JSONRPCException, ValueError):
                self._act()

    def _act(self) -> None:
        what = self.random.random()
        if what < 0.08:
            self.node.mine()
            self.mined += 1
        elif what < 0.2:
            pool = self.node.call("getrawmempool")
            if pool:
                self.node.call("bumpfee", self.random.choice(pool))
                self.replaced += 1
        else:
            amount = self.random.randint(1, 50) / 100
            self.node.call("sendtoaddress", self.node.call("getnewaddress"), amount)
            self.sent += 1

    def finish(self) -> None:
        """Stop."""
        self.stopping.set()
        self.join(30)


def pay(node: Node, fee: int = 2_000) -> str:
    """Spend one coin of its own, to a new address, for a fee in satoshi; returns the txid.

    The oldest coin, since a reorg may make a young one of a coinbase unspendable again.
    """
    coins = [one for one in node.call("listunspent", 1) if one["amount"] > 1]
    coin = max(coins, key=lambda one: one["confirmations"])
    return _send(node, [(coin["txid"], coin["vout"])], int(coin["amount"] * COIN) - fee)


def bump(node: Node, txid: str, more: int) -> str:
    """Replace a payment of ``pay`` by one that leaves so many satoshi less."""
    sent: str = node.call("sendrawtransaction", rival_of(node, txid, more))
    return sent


def rival_of(node: Node, txid: str, more: int) -> str:
    """A transaction, not sent, that spends the same coin and leaves so many satoshi less; hex."""
    tx = node.call("getrawtransaction", txid, 1)
    coins = [(one["txid"], one["vout"]) for one in tx["vin"]]
    left = int(tx["vout"][0]["value"] * COIN) - more
    return node.spend(coins, {node.call("getnewaddress"): f"{left / COIN:.8f}"})


def _send(node: Node, coins: list[tuple[str, int]], left: int) -> str:
    raw = node.spend(coins, {node.call("getnewaddress"): f"{left / COIN:.8f}"})
    sent: str = node.call("sendrawtransaction", raw)
    return sent


def is_end(fact: Fact) -> bool:
    """Whether a mempool fact ends a transaction's stay."""
    return bool(fact.value["kind"] != "added")


def blocks_of(facts: list[Fact], hashes: set[str]) -> list[tuple[str, str]]:
    """What happened to these blocks, in order."""
    blocks = [fact for fact in facts if fact.topic == "bitcoin.blocks"]
    return [(fact.op, fact.value["hash"]) for fact in blocks if fact.value["hash"] in hashes]
