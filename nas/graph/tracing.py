"""Tracing a module into a graph: torch.fx with ops as leaves, and shapes found on the meta device."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call
from torch.nn.utils.parametrize import is_parametrized, type_before_parametrizations
from torch.utils.flop_counter import FlopCounterMode

from nas.errors import SpaceError
from nas.graph.arguments import normalize_arguments
from nas.ops import Call, Input, Op, Shape, op_name, op_of_module, op_of_target
from nas.space.modes import evaluating
from nas.user_code import describe_error, place_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TracedNode:
    """One value of a network."""

    kind: Literal["input", "attribute", "call"]
    #: Unique within the graph.
    name: str
    #: Path of the module or parameter; empty for functions, methods and the input.
    path: str
    op: Op | None
    call: Call
    #: Positions of the tensor inputs in the graph, in the order of the call.
    inputs: tuple[int, ...]
    #: Multiply-accumulates, counted by the op, or by torch for a node without op.
    macs: int = 0

    @property
    def op_name(self) -> str:
        """Name of the op; for a node without op, the name of the class or function."""
        if self.op is not None:
            return op_name(self.op)
        target = (
            type_before_parametrizations(self.call.module) if self.call.module is not None else self.call.node.target
        )
        return str(getattr(target, "__name__", target))


@dataclass(frozen=True)
class TracedGraph:
    """All nodes that a network's output depends on, inputs before users."""

    model: nn.Module
    nodes: tuple[TracedNode, ...]
    outputs: tuple[int, ...]
    #: What the network returns in place of one tensor, for example ``"a tuple of 2"``; empty if it is a tensor.
    container: str = ""

    @property
    def uncovered(self) -> list[TracedNode]:
        """Calls that no op covers."""
        return [node for node in self.nodes if node.kind == "call" and node.op is None]

    def tensor(self, index: int) -> Tensor:
        """The parameter or buffer that an attribute node stands for."""
        owner, _, name = self.nodes[index].path.rpartition(".")
        return cast(Tensor, getattr(self.model.get_submodule(owner), name))

    def users(self) -> list[list[int]]:
        """Positions of the users of each node; an output of the network counts as a user at ``len(nodes)``."""
        users: list[list[int]] = [[] for _ in self.nodes]
        for index, node in enumerate(self.nodes):
            for source in node.inputs:
                users[source].append(index)
        for source in self.outputs:
            users[source].append(len(self.nodes))
        return users


def trace(model: nn.Module, input_shape: Shape, *, unused: bool = False) -> TracedGraph:
    """Trace ``model`` in eval mode for an input of ``input_shape``.

    Nothing is computed, so the model can be on the meta device. A part that can't be traced symbolically becomes one
    node without op; this part is as small as possible. All arguments of ``forward`` except the first have their
    defaults.

    Args:
        model: a network with one input.
        input_shape: shape of the input with the batch.
        unused: keep calls that no output depends on.

    Raises:
        SpaceError: the network does not accept such an input, or needs more than one.
    """
    _check_arguments(model)
    with evaluating(model), torch.no_grad():
        graph = _symbolic(model)
        normalize_arguments(graph, model)
        follow_in_place(graph, model)
        with torch.device("meta"):
            return _Shapes(model, input_shape).run(graph, unused=unused)


def _check_arguments(model: nn.Module) -> None:
    signature = inspect.signature(model.forward)
    try:
        signature.bind(object())
    except TypeError as error:
        raise SpaceError(
            f"{type(model).__name__}.forward{signature} can't be called with one input alone: {error}; "
            "give its other arguments defaults"
        ) from error


class _Tracer(fx.Tracer):
    def __init__(self) -> None:
        # Replacing the functions of ``math`` would take longer than tracing a small network.
        super().__init__(autowrap_modules=())  # type: ignore[arg-type]

    def create_args_for_root(self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None) -> Any:
        """Make arguments for one input; every other argument has its default, as in a call with one argument."""
        return root_fn, [self.root, self.create_proxy("placeholder", "input", (), {})]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if is_parametrized(m):
            return op_of_module(m) is not None or type_before_parametrizations(m).__module__.startswith("torch.nn")
        return op_of_module(m) is not None or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception as error:
            # A forward may use its input in any way that a traced value does not support; the module is then opaque.
            logger.debug("%s is not symbolically traceable: %s", type(m).__name__, error)
            return self.create_proxy("call_module", self.path_of_module(m), args, kwargs)


def _symbolic(model: nn.Module) -> fx.Graph:
    # On the meta device, constants that forward makes have no values; if it looks at them, they are made on the CPU.
    for device in dict.fromkeys((torch.get_default_device(), torch.device("cpu"))):
        if op_of_module(model) is None:
            try:
                with device:
                    return _Tracer().trace(model)
            except Exception as error:
                logger.debug("%s is not symbolically traceable: %s", type(model).__name__, error)
    graph = fx.Graph()
    graph.output(graph.call_module("", (graph.placeholder("input"),)))
    return graph


def follow_in_place(graph: fx.Graph, model: nn.Module) -> None:
    """Make the later users of a tensor that was changed in place use the call that changed it, in ``graph``."""
    order = {node: position for position, node in enumerate(graph.nodes)}
    for node, position in order.items():
        if node.args and isinstance(node.args[0], fx.Node) and _is_in_place(node, model):
            for user in list(node.args[0].users):
                if order[user] > position:
                    user.replace_input_with(node.args[0], node)


def _is_in_place(node: fx.Node, model: nn.Module) -> bool:
    if node.op == "call_module":
        return getattr(model.get_submodule(str(node.target)), "inplace", False) is True
    if node.op == "call_function":
        name = getattr(node.target, "__name__", "")
        operators = getattr(node.target, "__module__", "") == "_operator" and name in _IN_PLACE_OPERATORS
        return node.kwargs.get("inplace", False) is True or operators or name.endswith("_")
    return node.op == "call_method" and str(node.target).endswith("_")


#: torch's messages for asking a tensor on the meta device for its values.
_LOOKED_AT_VALUES = ("meta tensor", "no data", "meta device", "register_meta", "Meta kernel", "Meta tensors")

_IN_PLACE_OPERATORS = ("iadd", "isub", "imul", "itruediv")


@dataclass
class _Shapes:
    """Runs a graph on the meta device, node by node."""

    model: nn.Module
    input_shape: Shape
    values: dict[fx.Node, Any] = field(default_factory=dict)
    nodes: list[TracedNode] = field(default_factory=list)
    index: dict[fx.Node, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)

    def run(self, graph: fx.Graph, *, unused: bool) -> TracedGraph:
        outputs: tuple[int, ...] = ()
        container = ""
        for node in graph.nodes:
            if node.op == "placeholder":
                self._placeholder(node)
            elif node.op == "get_attr":
                self._attribute(node)
            elif node.op == "output":
                outputs = tuple(self.index[source] for source in node.all_input_nodes if source in self.index)
                container = _container(fx.node.map_arg(node.args[0], self.values.__getitem__))
            else:
                self._call(node)
        graph_of_all = TracedGraph(self.model, tuple(self.nodes), outputs, container)
        return graph_of_all if unused else _reachable(graph_of_all)

    def _placeholder(self, node: fx.Node) -> None:
        value = torch.empty(self.input_shape, device="meta")
        self._add(node, value, TracedNode("input", node.name, "", None, Call(node, None, (), self.input_shape), ()))

    def _attribute(self, node: fx.Node) -> None:
        path = str(node.target)
        owner, _, name = path.rpartition(".")
        value = getattr(self.model.get_submodule(owner), name)
        if not isinstance(value, Tensor):
            self.values[node] = value
            return
        call = Call(node, None, (), tuple(value.shape))
        self._add(node, value.to("meta"), TracedNode("attribute", node.name, path, None, call, ()))

    def _call(self, node: fx.Node) -> None:
        sources = [source for source in node.all_input_nodes if source in self.index]
        module = self.model.get_submodule(str(node.target)) if node.op == "call_module" else None
        op = op_of_module(module) if module is not None else op_of_target(node.target)
        shapes = tuple(_shape(self.values[source]) for source in sources)
        args, kwargs = self._arguments(node, {source: Input(position) for position, source in enumerate(sources)})
        call = Call(node, module, shapes, (), args, kwargs)
        value = self._evaluate(call, op)
        if not _has_tensor(value):
            self.values[node] = value
            return
        call = replace(call, output_shape=_shape(value))
        if op is not None and not op.covers(call):
            op = None
        macs = op.macs(call) if op is not None else self._counted(node, module)
        path = str(node.target) if module is not None else ""
        inputs = tuple(self.index[source] for source in sources)
        self._add(node, value, TracedNode("call", self._name(path or _place(node)), path, op, call, inputs, macs))

    def _name(self, wanted: str) -> str:
        """``wanted``, with a number appended if a module is called again."""
        calls = self.calls[wanted] = self.calls.get(wanted, 0) + 1
        return wanted if calls == 1 else f"{wanted}#{calls}"

    def _add(self, node: fx.Node, value: Any, traced: TracedNode) -> None:
        self.values[node] = value
        self.index[node] = len(self.nodes)
        self.nodes.append(traced)

    def _arguments(self, node: fx.Node, tensors: Mapping[fx.Node, Input]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of the call, with ``tensors`` in place of tensors; all others are values."""

        def stand_in(source: fx.Node) -> Any:
            return tensors[source] if source in tensors else self.values[source]

        return tuple(fx.node.map_arg(node.args, stand_in)), dict(fx.node.map_arg(node.kwargs, stand_in))

    def _evaluate(self, call: Call, op: Op | None) -> Any:
        try:
            shape = op.shape(call) if op is not None and call.input_shapes else None
            if shape is not None:
                return torch.empty(shape, device="meta")
            return self._execute(call.node, call.module)
        except Exception as error:
            raise self._refusal(call, error) from error

    def _refusal(self, call: Call, error: Exception) -> SpaceError:
        name = call.node.target or type(self.model).__name__
        text = describe_error(error)
        place = "" if place_of(error) else self._place_of_failure()
        if any(sign in str(error) for sign in _LOOKED_AT_VALUES):
            return SpaceError(
                f"{name} looks at values that it computes: {text}{place}; a network that ships takes the same steps "
                "for every input: compute both branches and choose with torch.where"
            )
        shapes = ", ".join(map(str, call.input_shapes)) or "its arguments"
        return SpaceError(
            f"{name} does not accept {shapes}: {text}{place}; check the input shape {self.input_shape} and the layers "
            "before it"
        )

    def _place_of_failure(self) -> str:
        """The line of the user's code that fails when the module is called without tracing."""
        try:
            _on_meta(self.model)(torch.empty(self.input_shape))
        except Exception as error:
            return f" ({place})" if (place := place_of(error)) else ""
        return ""

    def _counted(self, node: fx.Node, module: nn.Module | None) -> int:
        with FlopCounterMode(display=False) as counter:
            self._execute(node, module)
        return int(counter.get_total_flops()) // 2

    def _execute(self, node: fx.Node, module: nn.Module | None) -> Any:
        args = fx.node.map_arg(node.args, self.values.__getitem__)
        kwargs = fx.node.map_arg(node.kwargs, self.values.__getitem__)
        if module is not None:
            return _on_meta(module)(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        return cast(Callable[..., Any], node.target)(*args, **kwargs)


def _place(node: fx.Node) -> str:
    """A name for a call of a function: the path of the calling module, then the name of the function."""
    caller = next(reversed(node.meta.get("nn_module_stack", {})), "")
    return f"{caller}.{getattr(node.target, '__name__', node.target)}" if caller else node.name


def _on_meta(module: nn.Module) -> Callable[..., Any]:
    """A copy of ``module`` with its tensors on the meta device."""
    tensors = dict(module.named_parameters()) | dict(module.named_buffers())
    if all(tensor.is_meta for tensor in tensors.values()):
        return module
    on_meta = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors.items()}
    return lambda *args, **kwargs: functional_call(module, on_meta, args, kwargs)


def _reachable(graph: TracedGraph) -> TracedGraph:
    """The graph with only the input and the nodes that the outputs depend on."""
    nodes, needed = graph.nodes, set(graph.outputs)
    for index in range(len(nodes) - 1, -1, -1):
        if index in needed or nodes[index].kind == "input":
            needed.add(index)
            needed.update(nodes[index].inputs)
    kept = sorted(needed)
    position = {old: new for new, old in enumerate(kept)}
    renumbered = [replace(nodes[old], inputs=tuple(position[source] for source in nodes[old].inputs)) for old in kept]
    return replace(graph, nodes=tuple(renumbered), outputs=tuple(position[output] for output in graph.outputs))


def _has_tensor(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_tensor(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_has_tensor(item) for item in value)
    return isinstance(value, Tensor)


def _container(answer: Any) -> str:
    """A description of the returned object if it is not a tensor."""
    if isinstance(answer, Tensor):
        return ""
    if isinstance(answer, Mapping):
        return f"a dict of {', '.join(map(str, answer))}"
    if isinstance(answer, list | tuple):
        return f"a {type(answer).__name__} of {len(answer)}"
    return f"an object of type {type(answer).__name__}"


def _shape(value: Any) -> Shape:
    """Shape of a tensor; empty for several tensors at once."""
    return tuple(value.shape) if isinstance(value, Tensor) else ()
