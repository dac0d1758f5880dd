"""Unusual and hostile plans: each gives one message quickly, before anything is spent."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from nas.errors import PlanError
from trials.plans.loading import load_plan
from trials.plans.plan import make_plan
from trials.plans.runtimes import parse_runtime
from trials.plans.text import parse

HEAD = "task: {name: digits}\nspace: {name: plain_convnet}\n"
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
)
PLANS: list[tuple[str | bytes, str]] = [
    (HEAD + f"objectives: {'[' * 10_000}{']' * 10_000}", "nested deeper than 40 levels"),
    (HEAD + f"objectives: {'{a: ' * 10_000}1{'}' * 10_000}", "nested deeper than 40 levels"),
    (HEAD + "\n".join(" " * level + "- " for level in range(500)), "not YAML"),
    (BOMB + HEAD, "more than 50000 values"),
    (HEAD + "a: &a [*a]", "the alias 'a' is inside its own anchor"),
    (HEAD + "a: &a {b: {c: *a}}", "the alias 'a' is inside its own anchor"),
    (HEAD + "<<: &a {<<: *a}", "the alias 'a' is inside its own anchor"),
    (HEAD + "seed: 1\nseed: 2", "line 4, column 1: the key 'seed' repeats"),
    ("task: {name: digits, name: shapes}\nspace: {name: plain_convnet}", "the key 'name' repeats"),
    (HEAD + "budget:\n\ttrials: 4", "line 4, column 1.*cannot start any token"),
    ((HEAD + "seed: 1").encode("utf-16"), "is not UTF-8"),
    (HEAD.encode() + b"name: \xff\xfe", "is not UTF-8"),
    (HEAD + "name: a\0b", "character 0 is|is not YAML"),
    (HEAD + r'executor: "a\0b"', "executor: .*can't be stored"),
    (HEAD + r'executor: "\ud800"', "executor: .*can't be stored"),
    (HEAD + "#" * (1 << 20), "larger than 1 MiB"),
    (HEAD + "seed: 9223372036854775808", "seed: 9223372036854775808 is out of range"),
    (HEAD + f"seed: {'9' * 5000}", "not YAML"),
    (HEAD + "seed: -1", "seed: .*greater than or equal to 0"),
    (HEAD + "seed: true", "true and false are not allowed"),
    (HEAD + "replicate_seeds: [1, true]", "true and false are not allowed"),
    (HEAD + "budget: {trials: 99999999999999999999}", "budget.trials: 99999999999999999999 is out of range"),
    (HEAD + "budget: {trials: 2147483648}", "budget.trials: .*less than or equal to 2147483647"),
    (HEAD + "budget: {trials: true}", "true and false"),
    (HEAD + "budget: {trials: -4}", "budget.trials"),
    (HEAD + "budget: {trials: .inf}", "budget.trials: inf is not a finite number"),
    (HEAD + "budget: {wall_minutes: -1}", "budget.wall_minutes"),
    (HEAD + "budget: {wall_minutes: .nan}", "budget.wall_minutes: nan is not a finite number"),
    (HEAD + "limits: {latency_ms: {max: .nan}}", "limits.latency_ms.max: nan is not a finite number"),
    (HEAD + "limits: {latency_ms: {max: true}}", "true and false"),
    (HEAD + "limits: {latency_ms: {max: 2020-01-01}}", "is a date"),
    (HEAD + "limits: {1: {max: 2}}", "the key 1 is not text"),
    (HEAD + "limits: {2020-13-45: {max: 2}}", "not YAML: month"),
    (HEAD + "? [a, b]\n: c", "not YAML"),
    (HEAD + "measure: {precision: -0.1}", "measure.precision"),
    (HEAD + "measure: {precision: true}", "true and false"),
    (HEAD + "targets: [{name: a, threads: true}]", "true and false"),
    (HEAD + "targets: [{name: a, core: -1}]", "core"),
    (HEAD + "strategy: {name: random, x: !!binary aGk=}", "strategy.x: .*is a bytes"),
    (HEAD + "strategy: {name: random, x: !!set {a, b}}", "strategy.x: .*is a set"),
    (HEAD + "strategy: {name: random, x: !!python/object:os.system {}}", "could not determine a constructor"),
    ("task: {name: digits, image_size: 99999999999999999999}\nspace: {name: plain_convnet}", "task.image_size"),
    ("", "holds a NoneType"),
    ("- a", "holds a list"),
    ("--- a\n--- b", "not YAML"),
]


@pytest.mark.parametrize(("text", "message"), PLANS, ids=[message for _, message in PLANS])
def test_a_plan_that_can_not_be_is_refused_in_one_message(text: str | bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PlanError, match=message) as caught:
        load_plan(path)
    assert len(str(caught.value)) < 1000 + len(str(path))


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + HEAD.encode().replace(b"\n", b"\r\n"))
    assert load_plan(path).task.name == "digits"


def test_aliases_and_merged_keys_are_read() -> None:
    found = parse("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: [*a, *a]", "the plan")
    assert found["b"] == {"x": 1, "y": 3}
    assert found["c"] == [{"x": 1, "y": 2}] * 2


OVERRIDES = (
    *("a..b=1", "=x", "x", "", ".=1", "a.=1", ".a=1", "seed=[", "seed={", "seed=*a", "targets.²=1", "targets.-1=1"),
    *(f"{'a.' * 5000}b=1", f"seed={'[' * 5000}", "targets.99999999999999999999.threads=1", "seed.x=1", "seed=1e999"),
    *("seed=99999999999999999999", "limits.latency_ms.max=.inf", "budget.trials=null", "name=a/b"),
)


@pytest.mark.parametrize("override", OVERRIDES, ids=[override[:20] for override in OVERRIDES])
def test_overrides_that_can_not_be_are_refused(override: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(HEAD + "seed: 3\ntargets: [{name: local}]\n")
    with pytest.raises(PlanError) as caught:
        load_plan(path, [override])
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("path", ["/dev/null/plan.yaml", "n" * 300, "a\0b", "/dev/zero"])
def test_paths_that_can_not_be_plans_are_refused(path: str) -> None:
    with pytest.raises(PlanError):
        load_plan(Path(path))


ODD = (math.nan, -math.inf, 2**63, 10**5000, object(), {1: 2}, b"x", {"a": ["\ud800"]})


@pytest.mark.parametrize("value", ODD, ids=[str(index) for index in range(len(ODD))])
def test_plans_made_in_python_are_checked_alike(value: Any) -> None:
    with pytest.raises(PlanError, match=r"the plan has problems:\n  strategy.x"):
        make_plan({"task": {"name": "digits"}, "space": {"name": "x"}, "strategy": {"name": "random", "x": value}})


RUNTIMES = ("torch,compile=[", "torch,a=*b", "torch,=1", "torch,compile", "torch,x=9999999999999999999")


@pytest.mark.parametrize("text", RUNTIMES)
def test_runtimes_on_the_command_line_are_read_alike(text: str) -> None:
    with pytest.raises(PlanError):
        parse_runtime(text)


@pytest.mark.parametrize("wrong", [{f"key{number}": 1 for number in range(23)}, {"task": [float("nan")] * 23}])
def test_many_problems_are_cut_and_counted(wrong: dict[str, object]) -> None:
    with pytest.raises(PlanError) as caught:
        make_plan({"task": "digits", "space": "small_cnn", **wrong})
    lines = str(caught.value).splitlines()
    assert (len(lines), lines[-1]) == (22, "  and 3 more")
