"""The user's plan: one YAML file a study, checked as a whole before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from nas.errors import PlanError
from nas.registry import nearest
from trials.executors import default_executor
from trials.plans.python_objects import with_import_paths
from trials.plans.retention import RETENTIONS
from trials.plans.values import MAX_INTEGER, check_values, listed, short
from trials.store.naming import name_problem

#: Whole numbers of which the database keeps 32 bits.
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Positive = Annotated[int, Field(ge=1, le=2**31 - 1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse yes and no where a number is asked for: they would count as 1 and 0."""
        values = value if isinstance(value, list | tuple) else [value]
        if (
            any(isinstance(item, bool) for item in values)
            and cls.model_fields[str(info.field_name)].annotation is not bool
        ):
            raise ValueError("true and false are no value here")
        return value


def _study_name(name: str) -> str:
    if problem := name_problem(name):
        raise ValueError(problem)
    return name


def _retention(name: str) -> str:
    if name not in RETENTIONS:
        raise ValueError(f"allowed: {', '.join(RETENTIONS)}")
    return name


class Named(BaseModel):
    """A registered name, or ``module:attribute`` of the user's own, and its parameters; a string is a name alone."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    def spec(self) -> dict[str, Any]:
        """``{"name": …, parameters…}``."""
        return self.model_dump()


class Reference(Named):
    """A fixed network to compare with: a space, and the choices in it if it has any."""

    choices: dict[str, bool | int | float | str | None] = Field(default_factory=dict)

    def spec(self) -> dict[str, Any]:
        """The space's ``{"name": …, parameters…}``."""
        return self.model_dump(exclude={"choices"})


class Relative(_Strict):
    """A bound as a multiple of what another network has."""

    #: ``median``: of random candidates of the space, measured when the study starts. ``original``: the network of a
    #: space that holds one, as it is.
    relative_to: Literal["median", "original"]
    factor: Annotated[float, Field(gt=0)]


class Bound(_Strict):
    """A hard limit on a metric."""

    max: float | Relative | None = None
    min: float | Relative | None = None

    @model_validator(mode="after")
    def _some(self) -> Bound:
        if self.max is None and self.min is None:
            raise ValueError("give max or min")
        return self


class TargetPlan(_Strict):
    """A place latency is measured."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    runtime: Named = Named(name="onnxruntime")
    threads: Positive = 1
    batch: Positive = 1
    #: Core the measuring process is bound to; by default the last one.
    core: Count | None = None
    #: Of the agent on the device; by default the machine that a worker runs on is measured.
    address: str | None = None
    #: Files, relative to the plan: the agent's token, and the certificate it proves itself by.
    token_file: str | None = None
    tls_ca: str | None = None


class JobResources(_Strict):
    """What one job may take before it is ended and its candidate fails."""

    #: By default an hour; of trainings ten times the longest one so far, half an hour at least, a day for the first.
    max_minutes: Annotated[float, Field(gt=0)] | None = None
    #: Of the job and all processes that it starts; by default 90 % of its machine's or container's memory.
    max_memory_mb: Annotated[float, Field(gt=0)] | None = None


class TrainResources(JobResources):
    """What one training worker takes."""

    cpus: Annotated[float, Field(gt=0)] = 1
    gpus: Annotated[float, Field(ge=0)] = 0


class Resources(_Strict):
    """What workers take."""

    train: TrainResources = TrainResources()
    #: Of jobs that measure, or build and export what is measured.
    measure: JobResources = JobResources()
    #: How long a cluster may offer no place for a kind of job before the study is interrupted.
    wait_minutes: Annotated[float, Field(gt=0)] = 5.0


class Budget(_Strict):
    """When a study ends: at whichever comes first."""

    #: Complete + infeasible + failed candidates; duplicates never count.
    trials: Positive = 64
    wall_minutes: Annotated[float, Field(gt=0)] | None = None
    #: Suggestions, repeats included; the default is 20 × trials. Beyond it the space counts as exhausted.
    suggestions: Positive | None = None


class MeasurePlan(_Strict):
    """How carefully latency is measured."""

    #: Half width of the 95 % interval, relative, at which a measurement is good enough.
    precision: Annotated[float, Field(gt=0, lt=1)] = 0.02
    #: Longest time one measurement may take.
    budget_s: Annotated[float, Field(gt=0)] = 6.0
    #: Share of trained candidates measured again although their structure did not change.
    audit: Annotated[float, Field(ge=0, le=1)] = 0.1
    #: Whether a structure that the database knows is answered from there.
    cache: bool = True
    #: Measurements from one canary of a target to the next; 0: one at the start, which decides nothing.
    canary_every: Count = 20
    #: Relative drift of the canary beyond which a target is not measured on.
    max_drift: Annotated[float, Field(gt=0)] = 0.1


class FaultsPlan(_Strict):
    """When a study gives up."""

    #: How long the place (a disk, a device, a lock) may keep one job from its end before the study is interrupted.
    patience_minutes: Annotated[float, Field(ge=0)] = 10.0
    #: The study stops if so many candidates, its first ones, fail with the same error at the same place; 0: never.
    first_failures: Annotated[int, Field(ge=0)] = 5
    #: The same for so many in a row, whenever that is; 0: never.
    failures_in_a_row: Annotated[int, Field(ge=0)] = 10


class ConfidencePlan(_Strict):
    """What is spent at the end of a study on candidates that may or may not be on the front."""

    #: Measurements of a trained candidate's latency again, on one target each.
    remeasure: Count = 0
    #: Trainings of a candidate with another seed.
    retrain: Count = 0
    #: Seconds from one measurement of a candidate on a target to the next.
    revisit_s: Annotated[float, Field(ge=0)] = 60.0


class ArtifactPlan(_Strict):
    """Where files are kept, and which."""

    #: Any URI fsspec knows; by default a folder beside the database.
    root: str | None = None
    retention: Annotated[str, AfterValidator(_retention)] = "front"


class Plan(_Strict):
    """One study. Every key but ``task`` and ``space`` has a default.

    In Python, a class may stand where a plan has a name: ``Plan(task="digits", space=MySpace)``, or with parameters
    ``space={"name": MySpace, "width": 8}``. It must be importable by other processes: defined at the top level of a
    file, not in a notebook.

    Raises:
        PlanError: every problem, a line each.
    """

    version: Literal[1] = 1
    name: Annotated[str, AfterValidator(_study_name)] = "study"
    task: Named
    space: Named
    policies: tuple[Named, ...] = ()
    #: Metric (``latency_ms``, ``latency_ms@target``, a metric of the task …) → direction. By default the task's
    #: first metric and the latency of the first target.
    objectives: dict[str, Literal["maximize", "minimize"]] = Field(default_factory=dict)
    limits: dict[str, Bound] = Field(default_factory=dict)
    strategy: Named = Named(name="pareto_bo")
    estimator: Named = Named(name="training")
    exporter: Named = Named(name="onnx")
    targets: tuple[TargetPlan, ...] = (TargetPlan(name="local"),)
    measure: MeasurePlan = MeasurePlan()
    confidence: ConfidencePlan = ConfidencePlan()
    faults: FaultsPlan = FaultsPlan()
    resources: Resources = Resources()
    #: Training workers at a time; by default as many as fit beside the measuring core.
    concurrency: Positive | None = None
    executor: str = Field(default_factory=default_executor)
    budget: Budget = Budget()
    seed: Annotated[int, Field(ge=0, le=MAX_INTEGER)] = 0
    #: Further seeds: the study is repeated once with each.
    replicate_seeds: tuple[Annotated[int, Field(ge=0, le=MAX_INTEGER)], ...] = ()
    #: Fixed networks, each trained and measured in a study of its own beside this one.
    references: tuple[Reference, ...] = ()
    artifacts: ArtifactPlan = ArtifactPlan()
    #: Folders of the user's own code, relative to the plan; the plan's own folder always counts.
    code: tuple[str, ...] = ()

    def __init__(self, **data: Any) -> None:
        data = with_import_paths(data)
        check_values(data)
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise PlanError(listed(list(dict.fromkeys(map(_explain, error.errors()))))) from None

    @field_validator("targets", mode="before")
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        """Let a string stand for a target that is stored under this name."""
        return [{"name": item} if isinstance(item, str) else item for item in value] if _is_list(value) else value

    @model_validator(mode="after")
    def _distinct_targets(self) -> Plan:
        names = [target.name for target in self.targets]
        if not names:
            raise ValueError("targets: give at least one, or leave the key out for this machine")
        if len(set(names)) != len(names):
            raise ValueError(f"targets: names repeat: {', '.join(names)}")
        if len(batches := {target.batch for target in self.targets}) > 1:
            raise ValueError(
                f"targets: batch {', '.join(map(str, sorted(batches)))}; a candidate ships as one file of one batch, "
                "so targets share it: run a study for each batch"
            )
        return self

    def to_json(self) -> dict[str, Any]:
        """The resolved plan, as stored with the study."""
        return self.model_dump(mode="json")


def make_plan(data: Mapping[str, Any]) -> Plan:
    """Check a plan given as a mapping.

    Raises:
        PlanError: every problem, a line each.
    """
    check_values(data)  # before Python unpacks the keys: it says which are no text
    return Plan(**data)


def _explain(item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        key, known = str(item["loc"][-1]), _keys_at(item["loc"][:-1])
        hint = nearest(key, known, f"allowed: {', '.join(known)}")
        return f"{where}: unknown key{hint}"
    if item["type"] == "missing":
        return f"{where}: missing, and has no default{_misspelled(str(item['loc'][-1]), item['input'])}"
    if item["loc"][:1] == ("limits",) and len(item["loc"]) > 3:  # of each kind of bound that it could have been
        place = ".".join(map(str, item["loc"][:3]))
        return f"{place}: got {short(item['input'])}; write a number, or {{relative_to: median, factor: 1.2}}"
    if item["type"] == "model_type" and item["loc"][0] == "limits":
        value = short(item["input"])
        return f"{where}: got {value}; write {where}.max={value} (in the file: {{max: {value}}}), or min"
    return f"{where or 'plan'}: {item['msg']}, got {short(item['input'])}"


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _misspelled(missing: str, given: Any) -> str:
    """The given key that is nearest to a missing one, where the model takes any keys."""
    near = [key for key in given if nearest(key, [missing])] if isinstance(given, Mapping) else []
    return f"; there is {near[0]!r}, did you mean {missing!r}?" if near else ""


def _keys_at(location: Sequence[str | int]) -> list[str]:
    """Keys allowed where ``location`` points, read off the models."""
    model: Any = Plan
    for part in location:
        field = getattr(model, "model_fields", {}).get(part) if isinstance(part, str) else None
        if field is not None:
            model = _model_in(field.annotation) or model
    return list(getattr(model, "model_fields", {}))


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [_model_in(argument) for argument in getattr(annotation, "__args__", ())]
    return next((model for model in found if model is not None), None)
