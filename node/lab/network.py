"""A simulated network: nodes of the real engine, the links between them, a load of payments, and attackers."""

from __future__ import annotations

from typing import Any

from node.consensus import duties
from node.consensus.blocks import Block
from node.consensus.engine import Engine
from node.consensus.finality import Target
from node.consensus.slots import SlotClock
from node.consensus.votes import VoteVerdicts
from node.lab.agenda import Agenda
from node.lab.attacks import ATTACKS
from node.lab.links import Latency, Links, regular_graph
from node.lab.load import Load
from node.lab.measures import Measures, Moment, Payment, Return
from node.lab.node import Node
from node.lab.reading import SharedReading
from node.lab.report import report
from node.lab.scenario import START_MS, Scenario, ScenarioError, found
from node.lab.sharing import Executed, share
from node.lab.wires import Link, Wires
from node.ledger.signatures import Verdicts
from node.ledger.types import SignedTransaction, TransactionError
from node.mesh.protocol.effects import Close
from node.mesh.protocol.messages import AnyMessage

_MOMENTS = 60  # of a whole run, for the chart; a second apart at least
_RETRY_MS = 1_000
_REDIAL_MS = (4_000, 8_000)  # who lost a link, or could not reach a peer, tries again within
_DOWN_MS = (20_000, 60_000)  # a node that crashed comes back within


class Network:
    """One run. `run` may be called again and again until the scenario's end."""

    def __init__(self, scenario: Scenario) -> None:
        if scenario.attack not in ATTACKS:
            raise ScenarioError(f"There is no attack {scenario.attack[:40]!r}; there are {', '.join(ATTACKS)}.")
        kind = ATTACKS[scenario.attack]
        self.scenario = scenario = kind.adapt(scenario)
        cast = found(scenario, kind.stakes(scenario))
        self.genesis = cast.genesis
        self.slots = SlotClock.of(START_MS, cast.genesis.parameters)
        self.random = scenario.random("network")
        self.agenda = Agenda()
        self.measures = Measures()
        self.evidence: dict[bytes, list[bytes]] = {}  # offender → txids of evidence that is on its way
        # Verdicts on signatures are pure: what one node has checked no other needs to check again.
        self.verdicts = Verdicts()
        self.vote_verdicts = VoteVerdicts()
        self._executed: dict[bytes, Executed] = {}
        self._waves: list[bytes] | None = None  # of the genesis
        self.is_up = [True] * scenario.nodes
        self.links = Links(
            kind.rewire(scenario, regular_graph(scenario.nodes, scenario.degree, scenario.random("graph"))),
            Latency(scenario.latency_ms, scenario.random("latency")),
            scenario.loss_permille,
            scenario.partitions(),
            scenario.random("loss"),
        )
        self.wires = Wires(self.agenda, self.links, scenario.nodes, scenario.kilobits * 125, self._deliver)
        self.reading = SharedReading(cast.genesis.parameters.max_body_bytes)
        self._dialling = scenario.random("dialling")
        self._banned: dict[tuple[int, int], int] = {}  # who lets whom in no more → until when
        self._moment_ms = max(1_000, scenario.seconds * 1_000 // _MOMENTS)
        clocks = scenario.random("clocks")
        self.nodes: list[Node] = []
        for index in range(scenario.nodes):
            validates = index < scenario.validators
            self.nodes.append(
                Node(
                    self,
                    index,
                    cast.operators[index] if validates else None,
                    cast.reporters[index] if validates else None,
                    clocks.randint(-scenario.skew_ms, scenario.skew_ms),
                )
            )
        self._hostile = frozenset(kind.attackers(scenario))
        if not self._hostile and scenario.attack != "none":
            raise ScenarioError(
                f"{scenario.share_percent} % of {scenario.validators} validators is nobody: raise the share of those "
                "who attack, or the number of validators."
            )
        self.attackers = [node for node in self.nodes if node.index in self._hostile]
        self.honest = [node for node in self.nodes if node.index not in self._hostile]
        if not self.honest:
            raise ScenarioError("Somebody must be honest: give the network more nodes, or the attackers less.")
        self.observer = self.honest[-1]
        self.load = Load(scenario, self.genesis.hash, cast.payers, self.agenda, self._pay)
        self._plan()
        self.attack = kind(self)
        self.attack.begin()

    def _plan(self) -> None:
        """Put what is known beforehand on the agenda: slots, crashes, the ends of partitions."""
        for node in self.nodes[: self.scenario.validators]:
            self._await_slot(node, 1)
        for node in self.nodes:
            for peer in self.links.peers[node.index]:
                if node.index < peer:
                    self._connect(node.index, peer)
        others = [node for node in self.nodes if node is not self.observer] or self.nodes
        if self.scenario.away is not None:
            begins, ends = self.scenario.away
            self.agenda.at(begins * 1000, self._crash, others[-1], (ends - begins) * 1000)
        random = self.scenario.random("crashes")
        for _ in range(self.scenario.crashes):
            node = random.choice(others)
            when = random.randrange(self.scenario.seconds * 100, self.scenario.seconds * 800 + 1)
            self.agenda.at(when, self._crash, node, random.randint(*_DOWN_MS))
        self.agenda.at(self._moment_ms, self._look)

    # -- time -----------------------------------------------------------------------------------------------------

    @property
    def time_ms(self) -> int:
        """The true time, as a clock without error shows it."""
        return START_MS + self.agenda.now

    @property
    def seconds(self) -> int:
        """Virtual seconds since the start."""
        return self.agenda.now // 1000

    def moment(self, time_ms: int) -> int:
        """When, on the agenda, a clock without error shows a time."""
        return time_ms - START_MS

    def run(self, until_s: int) -> None:
        """Simulate up to so many seconds from the start."""
        self.agenda.run(until_s * 1000)

    def _await_slot(self, node: Node, slot: int) -> None:
        begins = self.moment(self.slots.begins_ms(slot) - node.skew_ms)
        self.agenda.at(begins, self._slot, node, slot)

    def _slot(self, node: Node, slot: int) -> None:
        if self.is_up[node.index]:
            node.begin_slot(slot)
        self._await_slot(node, slot + 1)

    def _crash(self, node: Node, down_ms: int) -> None:
        if self.is_up[node.index]:
            self.is_up[node.index] = False
            for link in self.wires.of(node.index):
                self.wires.close(link)
                self.agenda.after(self.links.delay(), self._lost, self.nodes[link.beyond(node.index)], link)
            self.agenda.after(down_ms, self._restart, node)

    def _restart(self, node: Node) -> None:
        self.is_up[node.index] = True
        node.boot()
        lacks = {name for name in self.observer.engine.blocks if name not in node.engine.blocks}
        self.measures.returns.append(Return(node.index, self.agenda.now, lacks, len(lacks), -1 if lacks else 0))
        for peer in self.links.peers[node.index]:
            self._dial(node.index, peer)

    # -- links ----------------------------------------------------------------------------------------------------

    def _dial(self, one: int, other: int) -> None:
        """Open a link, some round trips from now; where that cannot be, try again later."""
        self.agenda.after(2 * (self.links.delay() + self.links.delay()), self._connect, one, other)

    def _connect(self, one: int, other: int) -> None:
        if self.wires.link(one, other) is not None or not (self.is_up[one] and self.is_up[other]):
            return  # whoever comes back dials
        now = self.agenda.now
        banned = max(self._banned.get((one, other), 0), self._banned.get((other, one), 0))
        if banned > now or not self.links.open(one, other, now):
            self.agenda.at(max(banned, now + self._dialling.randint(*_REDIAL_MS)), self._dial, one, other)
            return
        link = self.wires.open(one, other)
        dialler, dialled = self.nodes[one].talk, self.nodes[other].talk
        hello, other_hello = dialler.hello(), dialled.hello()
        dialler.connected(link, other_hello, False)
        dialled.connected(link, hello, True)

    def hang_up(self, node: Node, link: Link, closed: Close) -> None:
        """A node ends a link."""
        peer = self.nodes[link.beyond(node.index)]
        self.measures.closed[closed.code] += 1
        if closed.ban_ms:
            self._banned[node.index, peer.index] = self.agenda.now + closed.ban_ms
            if self.is_honest(node):
                self.measures.banned[self.is_honest(peer)] += 1
        if link.is_open:
            self.wires.close(link)
            self.agenda.after(self.links.delay(), self._lost, peer, link)
            self.agenda.after(self._dialling.randint(*_REDIAL_MS), self._dial, node.index, peer.index)

    def _lost(self, node: Node, link: Link) -> None:
        """A node notices that a link is gone."""
        if self.is_up[node.index]:
            node.talk.disconnected(link)

    def _deliver(self, link: Link, receiver: int, message: AnyMessage) -> None:
        node = self.nodes[receiver]
        node.behaviour.hear(node, link, message)

    # -- what nodes make ------------------------------------------------------------------------------------------

    def forge(self, engine: Engine, node: Node, slot: int, transactions: Any) -> Block:
        """A block of a node's validator on the tip of an engine, its own or another."""
        operator = node.operator
        assert operator is not None
        block = duties.make_block(
            engine, node.identity, slot, transactions, operator.reveals.preimage, operator.consensus.sign
        )
        if self.is_honest(node):
            self.measures.made.setdefault(block.id, self.agenda.now)
        return block

    def new_engine(self) -> Engine:
        """An engine at the genesis, that shares verdicts and execution with all others."""
        engine = Engine.begin(
            self.genesis,
            verdicts=self.verdicts,
            vote_verdicts=self.vote_verdicts,
            clauses=self.scenario.clauses,
            numpy=False,
        )
        self._waves = share(engine, self._executed, self._waves)
        return engine

    def submit(self, index: int, transaction: SignedTransaction) -> str:
        """Give a transaction to a node; the code of its refusal, or empty."""
        try:
            self.nodes[index].take_transaction(transaction)
        except TransactionError as error:
            return error.code
        return ""

    def _pay(self, index: int, payment: SignedTransaction) -> None:
        """A payer gives his payment to the node where he lives, or to the next honest one that runs."""
        if not any(self.is_up[node.index] for node in self.honest):
            self.agenda.after(_RETRY_MS, self._pay, index, payment)
            return
        while not self.is_up[index] or index in self._hostile:
            index = (index + 1) % len(self.nodes)
        self.measures.payments[payment.txid] = Payment(index, self.agenda.now)
        self.nodes[index].own[payment.txid] = -1
        if refusal := self.submit(index, payment):
            self.measures.refused_payments[refusal] += 1

    # -- what nodes tell ------------------------------------------------------------------------------------------

    def is_honest(self, node: Node) -> bool:
        """Whether a node follows the rules."""
        return node.index not in self._hostile

    def reached(self, node: Node, block: bytes) -> None:
        """A node took a block."""
        made = self.measures.made.get(block)
        if made is not None and self.is_honest(node):
            self.measures.ways[self.agenda.now - made] += 1
        for back in self.measures.returns:
            if back.node == node.index and back.took_ms < 0 and not back.learn(block):
                back.took_ms = self.agenda.now - back.began

    def refused_block(self, node: Node, code: str) -> None:
        """A node refused a block."""
        if self.is_honest(node):
            self.measures.rejected[code] += 1

    def reorganised(self, node: Node, depth: int) -> None:
        """A node took chain blocks back."""
        if self.is_honest(node):
            self.measures.depths[depth] += 1

    def included(self, txid: bytes) -> None:
        """A payment is on the selected chain of the node where it was submitted."""
        payment = self.measures.payments.get(txid)
        if payment is not None and payment.included < 0:
            payment.included = self.agenda.now

    def finalised(self, node: Node, final: Target, txids: list[bytes]) -> None:
        """A node holds a checkpoint final, and with it own payments."""
        for txid in txids:
            self.measures.payments[txid].final = self.agenda.now
        if node is self.observer:
            self.measures.final_at[final.number] = self.agenda.now

    def _look(self) -> None:
        node = self.observer
        self.measures.series.append(
            Moment(
                self.seconds,
                node.engine.dag.next - 1,
                node.executed,
                self.time_ms - self.slots.begins_ms(node.engine.final.checkpoint.slot),
                len(node.engine.dag.tips()),
            )
        )
        self.agenda.after(self._moment_ms, self._look)

    def summary(self) -> str:
        """Where the observer stands, in few words."""
        engine = self.observer.engine
        return (
            f"{engine.dag.next - 1} blocks, {self.observer.executed} payments, checkpoint {engine.final.number} final"
        )

    def report(self) -> dict[str, Any]:
        """Everything measured, as a document."""
        return report(self)
