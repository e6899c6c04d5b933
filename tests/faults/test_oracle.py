"""The oracle shares nothing with what it judges, and finds what is lost, doubled and wrong."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import SchemaError
from schemas.wire import Codec
from streams.engine.murmur2 import partition_of as ours
from streams.engine.own_types import OWN, teach
from tests.faults import inputs, job
from tests.faults.inputs import ORDERS, PARTITIONS, VISITS, Record, Shape, arranged, partition_of
from tests.faults.load import headers, poison
from tests.faults.oracle.long import Found, Long, digests, judge_long
from tests.faults.oracle.reading import CARRIES, SCHEMAS, Row, Topics, time_of
from tests.faults.oracle.truth import Truth, truth_of, unlike
from tests.faults.oracle.verdict import (
    Verdict,
    judge_met,
    judge_rows,
    judge_shops,
    judge_state,
    judge_tallies,
)

FOLDER = Path(inputs.__file__).parent
OURS = {"schemas", "joins", "streams", "sinks"}
GRACE_MS = 15_000
SMALL = Shape(seed=3, rate=500, seconds=4.0)


def imported(path: Path) -> set[str]:
    """The modules that a file imports, whole names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, path
            found.add(node.module or "")
    return found


def closure(paths: list[Path]) -> dict[str, set[str]]:
    """What files import, and what the test modules import that they import."""
    found: dict[str, set[str]] = {}
    while paths:
        path = paths.pop()
        if str(path) in found:
            continue
        found[str(path)] = imported(path)
        for name in found[str(path)]:
            if name.split(".")[0] == "tests":
                inner = FOLDER.parents[1].joinpath(*name.split("."))
                inner_file = inner / "__init__.py" if inner.is_dir() else inner.with_suffix(".py")
                paths.append(inner_file)
    return found


def test_the_oracle_and_the_load_import_nothing_of_ours() -> None:
    """Neither directly nor through what they import of the tests."""
    roots = [*(FOLDER / "oracle").glob("*.py"), FOLDER / "load.py", FOLDER / "inputs.py"]
    found = closure(roots)
    assert len(found) >= 6
    assert {} == {
        path: bad
        for path, names in found.items()
        if (bad := {name for name in names if name.split(".")[0] in OURS})
    }


def test_a_file_that_imports_ours_is_found(tmp_path: Path) -> None:
    """The look at the imports can fail."""
    file = tmp_path / "bad.py"
    file.write_text("def f():\n    from streams.engine import task\n")
    assert {"streams.engine"} == imported(file)


def test_the_schema_file_is_that_of_the_job() -> None:
    """Ids and schemas in the file are those that the job writes with."""
    own = {name: one for name, one in OWN.items() if name.startswith("fault.")}
    expected = {name: {"id": o.number, "schema": json.loads(o.schema)} for name, o in own.items()}
    assert expected == json.loads(SCHEMAS.read_text())
    assert job.orders.name == ORDERS


def test_keys_lie_where_kafka_puts_them() -> None:
    """The generator's murmur2 is Kafka's."""
    keys = [f"a{n}" for n in range(500)] + ["", "ü", "abcd"]
    assert [ours(key.encode(), 4) for key in keys] == [partition_of(key) for key in keys]


def rows_of(records: list[Record]) -> list[Row]:
    """Records as they would lie in their topics."""
    ends: dict[tuple[str, int], int] = {}
    rows = []
    for record in records:
        place = (record.topic, partition_of(record.key))
        offset = ends[place] = ends.get(place, -1) + 1
        found = dict(headers(record))
        rows.append(
            Row(
                *place,
                offset,
                record.key,
                record.id,
                record.op,
                time_of(found["ce_time"]),
                record.correction,
                record.due,
                record.value,
                found,
            )
        )
    return sorted(rows, key=lambda row: (row.topic != ORDERS, row.partition, row.offset))


def value_of(topic: str, body: bytes) -> dict[str, Any] | None:
    """What the oracle reads, without a broker."""
    topics = Topics.__new__(Topics)
    topics.learn()
    return topics._value(topic, body)


def test_poison_is_of_every_kind_and_never_a_value() -> None:
    """Neither of two readers of Avro takes it for one, in whichever topic."""
    made = [poison(f"o{number}") for number in range(200)]
    assert {0, 5} < {len(body) for body in made}
    codec = teach(Codec())
    for topic, type_name in CARRIES.items():
        read = codec.reader(type_name)
        assert [None] * len(made) == [value_of(topic, body) for body in made]
        for body in made:
            with pytest.raises(SchemaError):
                read(body)


def test_poison_of_another_topic_is_a_value_there() -> None:
    """One kind is whole, and only not where it belongs."""
    made = {f"o{number}": poison(f"o{number}") for number in range(200)}
    found = {id: value for id, body in made.items() if (value := value_of("fault.met", body))}
    assert {id: {"order": id, "visit": id, "account": id} for id in found} == found
    assert found


def test_the_same_seed_gives_the_same_input() -> None:
    """Another seed gives another one."""
    shape = Shape(seed=3, rate=500, seconds=4.0, poison=0.1, repeated=0.1, disorder_ms=100)
    assert arranged(shape) == arranged(shape)
    assert arranged(shape) != arranged(shape._replace(seed=4))


def test_an_input_that_lost_or_doubled_a_record_is_not_what_was_written() -> None:
    """Compared key by key, in order."""
    records = arranged(SMALL)
    rows = rows_of(records)
    assert [] == unlike(records, rows)
    assert 1 == len(unlike(records, rows[1:]))
    assert 1 == len(unlike(records, [rows[0], *rows]))


def test_the_truth_of_a_few_records_is_what_one_counts_by_hand() -> None:
    """Two orders of one account, one withdrawn and one too late, a visit near the first."""
    first = inputs.order(inputs.T0, "o1", "a1", "s1", 10)
    second = inputs.order(inputs.T0 + 300, "o2", "a1", "s2", 5)
    value = {"visit": "v1", "account": "a1", "place": "p"}
    visit = Record(inputs.T0, VISITS, "a1", "v1", inputs.T0 + 200, "assert", value)
    far = inputs.order(inputs.T0 + 5000, "o3", "a1", "s1", 7)
    late = inputs.order(inputs.T0 + 2999, "o4", "a1", "s1", 1)
    gone = second._replace(op="retract", correction=True)
    records = [first, second, visit, far, late, gone, first]
    truth = truth_of(rows_of(records), 10_000)
    expected = {"o1": ("a1", "s1", 10, 1, 10), "o3": ("a1", "s1", 7, 3, 22)}
    assert expected == truth.tallies
    assert {("o1", "v1")} == truth.met
    end = inputs.T0 + 1000
    assert {("s1", end): (1, 10), ("s1", end + 5000): (1, 7)} == truth.windows
    assert {"a1": (2, 17)} == truth.state
    assert 2 == len(truth.late)  # the fourth order, and the first once more


# The verdict --------------------------------------------------------------------------------------


class Made:
    """Outputs as a perfect job would have written them, to be spoilt."""

    def __init__(self) -> None:
        rows = rows_of(list(inputs.written(SMALL)))
        self.truth: Truth = truth_of(rows, GRACE_MS)
        t = self.truth
        fields = ("order", "account", "shop", "amount_sat", "n", "sum_sat")
        self.topics: dict[str, list[Row]] = {
            "fault.tallies": [
                row_of(n, dict(zip(fields, (order, *rest), strict=True)))
                for n, (order, rest) in enumerate(t.tallies.items())
            ],
            "fault.met": [
                row_of(n, {"order": o, "visit": v}) for n, (o, v) in enumerate(sorted(t.met))
            ],
            "fault.shop_tallies": self.shop_tallies(),
            "fault.shop_windows": [
                row_of(
                    n, dict(zip(("shop", "window_end_ts", "n", "sum_sat"), (*k, *v), strict=True))
                )
                for n, (k, v) in enumerate(t.windows.items())
            ],
        }
        self.state: dict[tuple[Any, ...], Any] = {
            ("tally", "sum", account): list(sums) for account, sums in t.state.items()
        }
        self.tallies = [(order, *rest) for order, rest in t.tallies.items()]
        self.windows = [(*place, *sums) for place, sums in t.windows.items()]

    def shop_tallies(self) -> list[Row]:
        """The orders of each shop, numbered and summed up."""
        sums: dict[str, tuple[int, int]] = {}
        found = []
        for number, (order, (shop, amount)) in enumerate(self.truth.shops.items()):
            n, total = sums.get(shop, (0, 0))
            sums[shop] = n + 1, total + amount
            value = {"order": order, "shop": shop, "amount_sat": amount}
            value |= {"n": n + 1, "sum_sat": total + amount}
            found.append(row_of(number, value, key=shop))
        return found

    def judge(self) -> Verdict:
        """What the oracle says of it."""
        verdict = Verdict()
        for judge in (judge_tallies, judge_met, judge_shops):
            judge(verdict, self.truth, self.topics.__getitem__)
        judge_state(verdict, self.truth, self.state)
        judge_rows(verdict, self.truth, self.tallies, self.windows)
        return verdict


def row_of(number: int, value: dict[str, Any], key: str = "", op: str = "assert") -> Row:
    return Row("t", 0, number, key, f"id{number}", op, 0, False, 0, value, {})


def test_what_is_perfect_is_clean() -> None:
    """Nothing lost, doubled or wrong; and something was looked at everywhere."""
    verdict = Made().judge()
    assert verdict.clean, str(verdict)
    assert all(count > 0 for count in verdict.checked.values()), verdict.checked


TOPICS = ("fault.tallies", "fault.met", "fault.shop_windows")


@pytest.mark.parametrize("topic", TOPICS)
def test_a_lost_output_is_found(topic: str) -> None:
    """One record less is one lost."""
    made = Made()
    del made.topics[topic][7]
    assert {"lost": 1} == made.judge().counts


@pytest.mark.parametrize("topic", TOPICS)
def test_a_doubled_output_is_found(topic: str) -> None:
    """The same again, under its id or another one, is one doubled."""
    made = Made()
    rows = made.topics[topic]
    made.topics[topic] = [*rows, rows[7]]
    assert {"doubled": 1} == made.judge().counts
    made.topics[topic] = [*rows, rows[7]._replace(id="other")]
    assert {"doubled": 1} == made.judge().counts


@pytest.mark.parametrize("topic", ["fault.tallies", "fault.shop_windows"])
def test_a_wrong_output_is_found(topic: str) -> None:
    """A sum that is one too high is one wrong."""
    made = Made()
    row = made.topics[topic][7]
    assert row.value is not None
    value = {**row.value, "sum_sat": row.value["sum_sat"] + 1}
    made.topics[topic][7] = row._replace(value=value)
    assert {"wrong": 1} == made.judge().counts


def test_an_output_that_nothing_calls_for_is_found() -> None:
    """A pair that never met is one wrong."""
    made = Made()
    made.topics["fault.met"].append(row_of(10**6, {"order": "o1", "visit": "v-none"}))
    assert {"wrong": 1} == made.judge().counts


def test_a_retract_of_nothing_is_found() -> None:
    """Per id, assert and retract alternate."""
    made = Made()
    row = made.topics["fault.met"][0]
    made.topics["fault.met"].insert(0, row._replace(op="retract", id="never"))
    assert {"doubled": 1} == made.judge().counts


def _lose(made: Made) -> None:
    del made.topics["fault.shop_tallies"][0]


def _twice(made: Made) -> None:
    rows = made.topics["fault.shop_tallies"]
    rows.insert(1, rows[0])


def _swap(made: Made) -> None:
    rows = made.topics["fault.shop_tallies"]
    shop = rows[0].key
    other = next(n for n in range(1, len(rows)) if rows[n].key == shop)
    rows[0], rows[other] = rows[other], rows[0]


@pytest.mark.parametrize("spoil", [_lose, _twice, _swap])
def test_a_state_that_does_not_follow_is_found(spoil: Callable[[Made], None]) -> None:
    """Each output of a shop has to follow from the one before it."""
    made = Made()
    spoil(made)
    assert made.judge().counts["wrong"] >= 1


def test_a_wrong_state_is_found() -> None:
    """In the changelog: a key less, and a sum that is wrong."""
    made = Made()
    keys = list(made.state)
    del made.state[keys[0]]
    made.state[keys[1]] = [1, 2]
    assert {"lost": 1, "wrong": 1} == made.judge().counts


def test_rows_of_the_sink_are_compared_too() -> None:
    """A row less, one twice, and one that is wrong."""
    made = Made()
    _, second, *rest = made.tallies
    made.tallies = [(*second[:-1], -1), *rest, rest[0]]
    assert {"lost": 1, "wrong": 1, "doubled": 1} == made.judge().counts


class Aside:
    """A record that was put aside."""

    def __init__(self, sign: str, topic: str, partition: int, offset: int) -> None:
        place = {"topic": topic, "partition": str(partition), "offset": str(offset)}
        self._headers = [(f"{sign}.{name}", text.encode()) for name, text in place.items()]

    def headers(self) -> list[tuple[str, bytes]]:
        """As librdkafka gives them."""
        return self._headers


def test_what_is_put_aside_is_compared() -> None:
    """A dead letter that is missing, and one that is there twice."""
    verdict = Verdict()
    letters = [Aside("dl", "t", 0, 1), Aside("dl", "t", 0, 1)]
    verdict.aside("dead_letters", {("t", 0, 1), ("t", 0, 2)}, letters)
    assert {"lost": 1, "doubled": 1} == verdict.counts


# The long form ------------------------------------------------------------------------------------


class Shelf:
    """Topics in memory, by name."""

    def __init__(self, made: Made) -> None:
        self.rows = {name: list(rows) for name, rows in made.topics.items()}
        for row in rows_of(list(inputs.written(SMALL))):
            self.rows.setdefault(row.topic, []).append(row)

    def each(self, topic: str, partition: int) -> list[Row]:
        """The rows of a partition."""
        return [row for row in self.rows[topic] if row.partition == partition]

    def values(self, topic: str, partition: int) -> list[tuple[int, Any]]:
        """Offsets and values."""
        return [(row.offset, row.value) for row in self.each(topic, partition)]


def judged_long(shelf: Any, made: Made) -> Verdict:
    """What the long form says of topics that two read, each two partitions."""
    truths, found, verdict = (Long(), Long()), (Found(), Found()), Verdict()
    for number in range(2):
        truths[number].read(shelf, range(number, PARTITIONS, 2))
        found[number].read(shelf, range(number, PARTITIONS, 2))
    truth = truths[0].joined(truths[1])
    assert [] == truth.unlike(digests(SMALL))
    judge_long(verdict, truth, found[0].joined(found[1]), made.windows)
    judge_state(verdict, truth.rest, made.state)
    return verdict


def test_the_long_form_finds_the_same() -> None:
    """Perfect is clean; a lost, a doubled and a wrong output are found."""
    made = Made()
    shelf = Shelf(made)
    assert judged_long(shelf, made).clean
    tallies = shelf.rows["fault.tallies"]
    shelf.rows["fault.tallies"] = tallies[1:]
    assert {"lost": 1} == judged_long(shelf, made).counts
    shelf.rows["fault.tallies"] = [*tallies, tallies[0]]
    assert {"doubled": 1} == judged_long(shelf, made).counts
    shelf.rows["fault.tallies"] = [*tallies[1:], tallies[1]]
    assert {"wrong": 1} == judged_long(shelf, made).counts


def test_the_long_form_looks_at_state_and_rows() -> None:
    """A lost entry of the state, and a row that is doubled."""
    made = Made()
    del made.state[next(iter(made.state))]
    made.windows.append(made.windows[0])
    assert {"lost": 1, "doubled": 1} == judged_long(Shelf(made), made).counts


def test_the_long_form_wants_nothing_put_aside() -> None:
    """A dead letter is one that nothing calls for."""
    verdict = Verdict()
    verdict.aside("dead_letters", Long().rest.dead, [Aside("dl", "t", 0, 1)])
    assert {"wrong": 1} == verdict.counts


def test_the_long_form_sees_an_input_that_lacks_a_record() -> None:
    """And one whose order is another."""
    shelf, truth = Shelf(Made()), Long()
    shelf.rows[ORDERS] = shelf.rows[ORDERS][1:]
    truth.read(shelf)  # type: ignore[arg-type]
    assert 1 == len(truth.unlike(digests(SMALL)))
