"""What a decorated function's signature says: its context, its arguments, its questions, what it returns."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NoReturn, get_args, get_origin

from pydantic import BaseModel
from pydantic.errors import PydanticUserError

from tasks_server.placeholders import placeholders
from workers.arguments import Arguments
from workers.context import TaskContext
from workers.docstring import Docstring
from workers.errors import DeclarationError
from workers.questions import AskFirst, Form
from workers.sync_context import SyncTaskContext

ContextKind = Literal["async", "sync"]
CONTEXT_NAMES = ("ctx", "context")


@dataclass(frozen=True, slots=True)
class Question:
    """A parameter that is asked for before the task exists. optional: declined, it is None."""

    parameter: str
    key: str
    message: str
    form: Form[BaseModel]
    optional: bool


@dataclass(frozen=True, slots=True)
class Signature:
    """arguments is None when the function takes `**arguments` as they come."""

    where: str
    is_async: bool
    context: ContextKind | None
    arguments: Arguments | None
    questions: tuple[Question, ...]
    returns: Any
    docstring: Docstring


def refuse(where: str, message: str) -> NoReturn:
    raise DeclarationError(f"{where}: {message}")


def location(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def read_signature(function: Callable[..., Any], *, open_ended: bool = False) -> Signature:
    """Take a function apart. open_ended: it must take `**arguments`, because its schema is given elsewhere.

    Raises DeclarationError.
    """
    where = location(function)
    hints = _type_hints(function, where)
    parameters = list(inspect.signature(function).parameters.values())
    is_async = inspect.iscoroutinefunction(function)
    context = _context_kind(parameters[0], hints) if parameters else None
    if parameters:
        _refuse_bare_context(where, parameters[0], hints, is_async)
    if context is not None:
        _refuse_wrong_context(where, context, is_async)
        parameters = parameters[1:]
    docstring = Docstring.of(function)
    asked = {p.name: question for p in parameters if (question := _ask_first(hints.get(p.name))) is not None}
    plain = [parameter for parameter in parameters if parameter.name not in asked]
    arguments = _open_arguments(where, plain) if open_ended else _arguments(where, plain, hints, docstring)
    return Signature(
        where=where,
        is_async=is_async,
        context=context,
        arguments=arguments,
        questions=_questions(where, hints, asked, arguments),
        returns=hints.get("return", inspect.Parameter.empty),
        docstring=docstring,
    )


def _type_hints(function: Callable[..., Any], where: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        refuse(
            where, f"an annotation cannot be resolved ({error}); import or define that name at module level"
        )


def _context_kind(parameter: inspect.Parameter, hints: Mapping[str, Any]) -> ContextKind | None:
    annotation = hints.get(parameter.name)
    if annotation is TaskContext:
        return "async"
    return "sync" if annotation is SyncTaskContext else None


def _refuse_bare_context(
    where: str, parameter: inspect.Parameter, hints: Mapping[str, Any], is_async: bool
) -> None:
    if parameter.name in CONTEXT_NAMES and parameter.name not in hints:
        kind = "TaskContext" if is_async else "SyncTaskContext"
        refuse(
            where,
            f"{parameter.name!r} has no annotation; if it is the context, write `{parameter.name}: {kind}`",
        )


def _refuse_wrong_context(where: str, context: ContextKind, is_async: bool) -> None:
    if context == "async" and not is_async:
        refuse(where, "a plain function takes a SyncTaskContext; write that, or make it `async def`")
    if context == "sync" and is_async:
        refuse(where, "an async function takes a TaskContext; write that, or make it a plain `def`")


def _ask_first(annotation: Any) -> tuple[Any, AskFirst] | None:
    if get_origin(annotation) is not Annotated:
        return None
    shape, *extras = get_args(annotation)
    return next(((shape, extra) for extra in extras if isinstance(extra, AskFirst)), None)


def _open_arguments(where: str, parameters: list[inspect.Parameter]) -> None:
    kinds = [parameter.kind for parameter in parameters]
    if kinds != [inspect.Parameter.VAR_KEYWORD]:
        refuse(
            where, "with input_schema= the function takes `**arguments` (after the context) and nothing else"
        )


def _arguments(
    where: str, parameters: list[inspect.Parameter], hints: Mapping[str, Any], docstring: Docstring
) -> Arguments:
    fields: dict[str, tuple[Any, Any]] = {}
    for parameter in parameters:
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            refuse(where, f"*{parameter.name} has no schema; name the parameters, or give input_schema=")
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            refuse(where, f"{parameter.name!r} is positional-only, but arguments come by name; drop the `/`")
        if parameter.name not in hints:
            refuse(
                where,
                f"parameter {parameter.name!r} needs an annotation, for example `{parameter.name}: str`",
            )
        if hints[parameter.name] in (TaskContext, SyncTaskContext):
            refuse(where, f"the context {parameter.name!r} must be the first parameter")
        fields[parameter.name] = (hints[parameter.name], parameter.default)
    try:
        return Arguments(fields, docstring.parameters)
    except PydanticUserError as error:
        refuse(where, f"a parameter's type has no JSON form: {error.message.splitlines()[0]}")


def _questions(
    where: str,
    hints: Mapping[str, Any],
    asked: Mapping[str, tuple[Any, AskFirst]],
    arguments: Arguments | None,
) -> tuple[Question, ...]:
    questions: list[Question] = []
    for parameter, (shape, question) in asked.items():
        model, optional = _without_none(shape)
        try:
            form = Form[BaseModel](model)
        except (ValueError, TypeError) as error:
            refuse(where, f"the question {parameter!r} cannot be asked: {error}")
        for name in placeholders(question.message):
            if arguments is not None and name not in arguments.names:
                refuse(where, f"the question {parameter!r} mentions {{{name}}}, which is not an argument")
        questions.append(Question(parameter, question.key or parameter, question.message, form, optional))
    if len({question.key for question in questions}) < len(questions):
        refuse(where, "two questions have the same key")
    return tuple(questions)


def _without_none(shape: Any) -> tuple[Any, bool]:
    if get_origin(shape) in (typing.Union, types.UnionType):
        options = [option for option in get_args(shape) if option is not type(None)]
        if len(options) == 1:
            return options[0], True
    return shape, False
