"""The user's plan: one YAML file per study, which is checked completely before anything runs."""

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
from trials.plans.teachers import TeacherSpec
from trials.plans.values import MAX_INTEGER, check_values, listed, short
from trials.store.naming import name_problem

#: Whole numbers that fit the database's 32-bit integers.
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Positive = Annotated[int, Field(ge=1, le=2**31 - 1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse booleans in fields of other types, because pydantic would accept them as the numbers 1 and 0."""
        values = value if isinstance(value, list | tuple) else [value]
        if (
            any(isinstance(item, bool) for item in values)
            and cls.model_fields[str(info.field_name)].annotation is not bool
        ):
            raise ValueError("true and false are not allowed here")
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
    """A registered name or ``module:attribute`` of the user's own, with parameters; a string is a name without any."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    def spec(self) -> dict[str, Any]:
        """Return ``{"name": …, parameters…}``."""
        return self.model_dump()


class Reference(Named):
    """A fixed network to compare with: a space, and the answers to its choices if it has any."""

    choices: dict[str, bool | int | float | str | None] = Field(default_factory=dict)

    def spec(self) -> dict[str, Any]:
        """Return ``{"name": …, parameters…}`` of the space."""
        return self.model_dump(exclude={"choices"})


class Relative(_Strict):
    """A bound that is a multiple of another network's value."""

    #: ``median``: the median of random candidates of the space, measured when the study starts. ``original``: the
    #: unchanged network, if the space holds one.
    relative_to: Literal["median", "original"]
    factor: Annotated[float, Field(gt=0)]


class Bound(_Strict):
    """A hard limit on a metric."""

    max: float | Relative | None = None
    min: float | Relative | None = None

    @model_validator(mode="after")
    def _some(self) -> Bound:
        if self.max is None and self.min is None:
            raise ValueError("a limit needs max or min; give at least one")
        return self


class TargetPlan(_Strict):
    """A place where latency is measured."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    runtime: Named = Named(name="onnxruntime")
    threads: Positive = 1
    batch: Positive = 1
    #: Core that the measuring process is bound to; by default the last core.
    core: Count | None = None
    #: Address of the agent on the device; by default latency is measured on the worker's machine.
    address: str | None = None
    #: Files, relative to the plan: the agent's token, and the certificate to check the agent's identity with.
    token_file: str | None = None
    tls_ca: str | None = None


class JobResources(_Strict):
    """Limits of one job; a job that exceeds one is killed, and its candidate fails."""

    #: Longest time. Default: one hour; for trainings ten times the longest so far but at least half an hour, and one
    #: day for the first.
    max_minutes: Annotated[float, Field(gt=0)] | None = None
    #: Largest memory of the job and all processes it starts; by default 90 % of the machine's or container's memory.
    max_memory_mb: Annotated[float, Field(gt=0)] | None = None


class TrainResources(JobResources):
    """Limits of a training job, and the resources of one training worker."""

    cpus: Annotated[float, Field(gt=0)] = 1
    gpus: Annotated[float, Field(ge=0)] = 0


class Resources(_Strict):
    """Resources and limits of workers and their jobs."""

    train: TrainResources = TrainResources()
    #: Limits of jobs that build, export or measure networks.
    measure: JobResources = JobResources()
    #: The study is interrupted if a cluster has no room for a kind of job for longer than this. By default it waits as
    #: long as a node has the room, though others use it, and five minutes for a node that the cluster does not have.
    wait_minutes: Annotated[float, Field(gt=0)] | None = None


class Budget(_Strict):
    """Limits of a study; it ends when it reaches the first of them."""

    #: Number of candidates, whatever their outcome; duplicates do not count. If ``measurements`` is not 0, only
    #: candidates that were chosen for training count. A training that is not finished, with halving, counts, too.
    trials: Positive = 64
    #: Largest number of candidates that are measured without being trained. If it is 0, every candidate within the
    #: limits is trained. Default: ten times ``trials`` for a strategy that compares measured candidates, else 0.
    measurements: Count | None = None
    wall_minutes: Annotated[float, Field(gt=0)] | None = None
    #: Suggestions, duplicates included; the default is 20 for each candidate that may be trained or measured. After
    #: them the space counts as exhausted.
    suggestions: Positive | None = None

    @model_validator(mode="after")
    def _enough_suggestions(self) -> Budget:
        if self.suggestions is not None and self.suggestions < self.trials:
            raise ValueError(
                f"suggestions is {self.suggestions}, but trials is {self.trials} and every trial takes a suggestion; "
                f"raise suggestions to at least {self.trials}"
            )
        return self


class MeasurePlan(_Strict):
    """Effort and checks of latency measurements."""

    #: A measurement ends when the half width of its 95 % interval is at most this share of the latency.
    precision: Annotated[float, Field(gt=0, lt=1)] = 0.02
    #: Longest time one measurement may take.
    budget_s: Annotated[float, Field(gt=0)] = 6.0
    #: Share of trained candidates that are measured again although their structure did not change.
    audit: Annotated[float, Field(ge=0, le=1)] = 0.1
    #: Whether stored latencies of equal structures are reused.
    cache: bool = True
    #: Number of measurements between two canaries of a target; 0: only one canary at the start, whose result is
    #: recorded but has no consequence.
    canary_every: Count = 20
    #: How much slower than at its calibration a target may be to be measured on, as a share.
    max_drift: Annotated[float, Field(gt=0)] = 0.1


class FaultsPlan(_Strict):
    """Faults after which a study is interrupted."""

    #: The study is interrupted if its place (a disk, a device, a lock) keeps one job from ending for longer than this.
    patience_minutes: Annotated[float, Field(ge=0)] = 10.0
    #: The study stops if its first N candidates fail with the same error at the same place in the code; 0: never.
    first_failures: Annotated[int, Field(ge=0)] = 5
    #: The study stops if any N candidates in a row fail with the same error at the same place in the code; 0: never.
    failures_in_a_row: Annotated[int, Field(ge=0)] = 10


class ConfidencePlan(_Strict):
    """Repeats at the end of a study, for candidates whose membership of the front is uncertain."""

    #: Number of repeated latency measurements, each of one trained candidate on one target.
    remeasure: Count = 0
    #: Number of repeated trainings, each of one candidate with another seed.
    retrain: Count = 0
    #: Smallest number of seconds between two measurements of a candidate on a target.
    revisit_s: Annotated[float, Field(ge=0)] = 60.0


class ArtifactPlan(_Strict):
    """Where artifacts are stored, and which are kept after the study."""

    #: Any URI that fsspec supports; by default a folder beside the database.
    root: str | None = None
    retention: Annotated[str, AfterValidator(_retention)] = "front"


class DistillationPlan(_Strict):
    """Loss of a training with a teacher."""

    #: Temperature of the softened outputs.
    temperature: Annotated[float, Field(gt=0)] = 2.0
    #: Weight of the labels.
    hard_weight: Annotated[float, Field(ge=0)] = 1.0
    #: Weight of the teacher's outputs.
    soft_weight: Annotated[float, Field(ge=0)] = 1.0

    @model_validator(mode="after")
    def _some(self) -> DistillationPlan:
        if not self.hard_weight and not self.soft_weight:
            raise ValueError("hard_weight and soft_weight are both 0; nothing would be trained")
        return self


class FinalTrainingPlan(_Strict):
    """How ``nas train`` trains a network that was chosen; all other keys are parameters of the estimator."""

    model_config = ConfigDict(extra="allow", frozen=True)

    #: Estimator; by default the study's, with its parameters and ten times as many epochs.
    name: str | None = None
    #: Network to learn from: ``dense``, ``trial:N`` or ``timm:MODEL,weights=FILE``.
    teacher: str | None = None
    distillation: DistillationPlan = DistillationPlan()
    #: By default the seed of the study.
    seed: Annotated[int, Field(ge=0, le=MAX_INTEGER)] | None = None
    #: Number of processes that train one network together, through Ray Train.
    workers: Positive = 1

    @field_validator("teacher")
    @classmethod
    def _known_teacher(cls, value: str | None) -> str | None:
        if value is not None:
            TeacherSpec.parse(value)
        return value


class Plan(_Strict):
    """The plan of one study. Every key but ``task`` and ``space`` has a default.

    In Python, a class may be given instead of a name: ``Plan(task="digits", space=MySpace)``, or with parameters
    ``space={"name": MySpace, "width": 8}``. Other processes must be able to import the class, so define it at the top
    level of a file, not in a notebook.

    Raises:
        PlanError: the plan is invalid; the message has one line per problem.
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
    #: Names of studies in the same database, from whose results the strategy starts.
    warm_start: tuple[str, ...] = ()
    #: Choice → an option that is probably good, or option → weight; options without a weight weigh 1.
    priors: dict[str, bool | int | float | str | dict[str, float] | None] = Field(default_factory=dict)
    estimator: Named = Named(name="training")
    final_training: FinalTrainingPlan = FinalTrainingPlan()
    exporter: Named = Named(name="onnx")
    targets: tuple[TargetPlan, ...] = (TargetPlan(name="local"),)
    measure: MeasurePlan = MeasurePlan()
    confidence: ConfidencePlan = ConfidencePlan()
    faults: FaultsPlan = FaultsPlan()
    resources: Resources = Resources()
    #: Candidates that are proposed first: choice → answer; missing answers are random.
    enqueue: tuple[dict[str, bool | int | float | str | None], ...] = ()
    #: Largest number of trainings at the same time; by default as many as fit beside the measuring cores of this
    #: machine, and 1 on a cluster.
    concurrency: Positive | None = None
    #: Weight of the study on a cluster that several studies share: with 2, it may have twice as much as one with 1.
    priority: Annotated[float, Field(gt=0)] = 1.0
    executor: str = Field(default_factory=default_executor)
    budget: Budget = Budget()
    seed: Annotated[int, Field(ge=0, le=MAX_INTEGER)] = 0
    #: Further seeds; the whole study is repeated once with each.
    replicate_seeds: tuple[Annotated[int, Field(ge=0, le=MAX_INTEGER)], ...] = ()
    #: Fixed networks to compare with; each is trained and measured in a study of its own.
    references: tuple[Reference, ...] = ()
    artifacts: ArtifactPlan = ArtifactPlan()
    #: Folders of the user's own code, relative to the plan; the plan's own folder is always included.
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
            raise ValueError(f"targets: names repeat: {', '.join(names)}; give each target a name of its own")
        if len(batches := {target.batch for target in self.targets}) > 1:
            raise ValueError(
                f"targets have different batch sizes: {', '.join(map(str, sorted(batches)))}; a candidate is exported "
                "with one batch size, so run one study for each batch size"
            )
        return self

    def to_json(self) -> dict[str, Any]:
        """Return the plan with all defaults as JSON values, as the database stores it."""
        return self.model_dump(mode="json")


def make_plan(data: Mapping[str, Any]) -> Plan:
    """Check a plan given as a mapping.

    Raises:
        PlanError: the plan is invalid; the message has one line per problem.
    """
    check_values(data)  # reports keys that are not strings, before Python unpacks the keys
    return Plan(**data)


def _explain(item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        key, known = str(item["loc"][-1]), _keys_at(item["loc"][:-1])
        hint = nearest(key, known, f"allowed: {', '.join(known)}")
        return f"{where}: unknown key{hint}"
    if item["type"] == "missing":
        return f"{where}: missing, and it has no default{_misspelled(str(item['loc'][-1]), item['input'])}"
    if item["loc"][:1] == ("limits",) and len(item["loc"]) > 3:  # pydantic reports one problem per kind of bound
        place = ".".join(map(str, item["loc"][:3]))
        return f"{place}: got {short(item['input'])}; write a number, or {{relative_to: median, factor: 1.2}}"
    if item["type"] == "model_type" and item["loc"][0] == "limits":
        value = short(item["input"])
        return f"{where}: got {value}; write {where}.max={value} (in the file: {{max: {value}}}), or min"
    return f"{where or 'plan'}: {item['msg']}, got {short(item['input'])}"


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _misspelled(missing: str, given: Any) -> str:
    """Return a hint if a given key is similar to the missing one, for models that allow extra keys."""
    near = [key for key in given if nearest(key, [missing])] if isinstance(given, Mapping) else []
    return f"; there is {near[0]!r}, did you mean {missing!r}?" if near else ""


def _keys_at(location: Sequence[str | int]) -> list[str]:
    """Return the keys that the models allow at ``location``."""
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
