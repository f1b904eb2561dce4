"""Every call that a public method of DataJoint takes is taken by ours, argument by argument; exceptions have a reason."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

import dj_panel
from dj_panel.core import gc, staged, structure
from dj_panel.core.expression import QueryExpression
from dj_panel.core.settings import Settings, setting_names
from tests.peer import Config, datajoint

# DataJoint's class or function, and ours.
PAIRS: dict[str, tuple[Any, Any]] = {
    **{
        name: (getattr(datajoint, name), getattr(dj_panel, name))
        for name in datajoint.__all__
        if callable(getattr(datajoint, name))
    },
    **{
        f"{module}.{name}": (each, getattr(getattr(dj_panel, module), name, None))
        for module in ("deploy", "migrate")
        for name, each in vars(getattr(datajoint, module)).items()
        if inspect.isfunction(each) and each.__module__ == f"datajoint.{module}" and not name.startswith("_")
    },
    "QueryExpression": (datajoint.expression.QueryExpression, QueryExpression),
    "Heading": (datajoint.heading.Heading, structure.Heading),
    "Attribute": (datajoint.heading.Attribute, structure.Attribute),
    "config": (Config, Settings),
    "StagedInsert": (datajoint.staged_insert.StagedInsert, staged.StagedInsert),
    "GarbageCollector": (datajoint.gc.GarbageCollector, gc.GarbageCollector),
}

MISSING = object()
SPECIAL = {
    "__add__", "__and__", "__bool__", "__call__", "__contains__", "__delitem__", "__enter__", "__eq__", "__exit__",
    "__getitem__", "__init__", "__iter__", "__len__", "__matmul__", "__mul__", "__neg__", "__repr__", "__reversed__",
    "__setitem__", "__sub__", "__xor__",
}  # fmt: skip

_SQL = "how DataJoint puts its SQL together; here a query is a value, which `render` turns into SQL"
_TYPES = "DataJoint keeps the database's type beside the definition's; here `type` is the definition's, `sql_type` the other"
_MADE = "made by the library alone"
PYDANTIC = "how pydantic is told to check settings"
_GARBAGE = "a step of `scan` and `collect`"

# A member of any class, or "Class.member" → why it is missing here, or takes other arguments.
EXCEPTIONS = {
    "adapter": "DataJoint's name for what differs between servers; here `connection.dialect`, which is internal",
    "declare": "a class is declared by its schema",
    "declaration_context": "what is known where a class is written is kept inside",
    "tier_regexp": "tiers are told by `structure.Tier`",
    "Table.alter": "only a class with a definition can be altered",
    "Job.alter": "a queue has no definition of its own",
    "AndList.append": "it is a list, whose items have no name",
    "Heading.__init__": _MADE,
    "ValidationResult.__init__": _MADE,
    "set_query_cache": "results are never cached, so every answer is fresh",
    "purge_query_cache": "results are never cached, so every answer is fresh",
    "merge": "the rendering of one limit over another",
    **dict.fromkeys(
        ["from_clause", "get_select_fields", "make_subquery", "original_heading", "restriction_attributes",
         "sorting_clauses", "support", "where_clause", "as_sql", "Heading.join", "make_subquery_heading",
         "new_attributes", "select", "set_primary_key", "attribute_expression", "original_name", "sql", "sql_comment"],
        _SQL,
    ),
    **dict.fromkeys(["original_type", "todict", "unsupported", "table_status"], _TYPES),
    "lineage_available": "lineage comes from the foreign keys, and is always there",
    **dict.fromkeys(["hash_objects", "schema_objects", "is_hash_object", "is_schema_object"], _GARBAGE),
    **dict.fromkeys(
        ["delete_schema_path", "hash_references", "list_hash_paths", "list_schema_paths", "schema_references"],
        _GARBAGE,
    ),
    **dict.fromkeys(["convert_path", "model_config", "model_post_init", "set_logger_level"], PYDANTIC),
}  # fmt: skip


def members(theirs: type[Any]) -> dict[str, Any]:
    """Return what DataJoint itself defines in a class and those it inherits from."""
    found: dict[str, Any] = {}
    for cls in reversed(theirs.__mro__):
        if cls.__module__.startswith("datajoint"):
            found.update(vars(cls))
    return {name: member for name, member in found.items() if not name.startswith("_") or name in SPECIAL}


def function_of(member: Any) -> Callable[..., Any] | None:
    if isinstance(member, (classmethod, staticmethod)):
        member = member.__func__
    return member if callable(member) and not inspect.isclass(member) else None


def has(ours: type[Any], name: str) -> bool:
    """Tell whether instances have an attribute that the class itself has not."""
    if any(name in vars(cls).get("__annotations__", ()) for cls in ours.__mro__):
        return True
    return re.search(rf"self\.{name}\b.*=[^=]", inspect.getsource(ours)) is not None


def difference(theirs: Callable[..., Any], ours: Callable[..., Any]) -> str:
    """Say in what a call that the one takes would be refused or misread by the other; nothing if in nothing."""
    expected = list(inspect.signature(theirs).parameters.values())
    found = list(inspect.signature(ours).parameters.values())
    named = {p.name: p for p in found}
    kinds = {p.kind for p in found}
    for position, parameter in enumerate(expected):
        if parameter.name in ("self", "cls", "mcs"):
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            if parameter.kind not in kinds:
                return f"*{parameter.name} is missing"
            continue
        mine = named.get(parameter.name)
        if mine is None:
            if parameter.kind is parameter.KEYWORD_ONLY and parameter.VAR_KEYWORD in kinds:
                continue
            return f"{parameter.name} is missing"
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and found.index(mine) != position:
            return f"{parameter.name} stands at another place"
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and mine.kind is not mine.POSITIONAL_OR_KEYWORD:
            return f"{parameter.name} can be passed in one way only"
        if parameter.default is not parameter.empty and mine.default is mine.empty:
            return f"{parameter.name} must be given"
        if parameter.default is not parameter.empty and mine.default != parameter.default:
            return f"{parameter.name} has another default"
    names = {p.name for p in expected}
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    extra = [p for p in found if p.name not in {*names, "self", "cls"} and p.kind not in variable]
    return "".join(f"{p.name} must be given" for p in extra if p.default is p.empty)


def differences(name: str) -> dict[str, str]:
    theirs, ours = PAIRS[name]
    if not inspect.isclass(theirs):
        found = difference(theirs, ours)
        return {name: found} if found else {}
    result = {}
    for member_name, member in members(theirs).items():
        mine = inspect.getattr_static(ours, member_name, MISSING)
        if mine is MISSING:
            if not has(ours, member_name):
                result[f"{name}.{member_name}"] = "is missing"
            continue
        function = function_of(member)
        if function is not None and (member_name == "__init__" or not member_name.startswith("_")):
            my_function = function_of(mine)
            found = "is no method" if my_function is None else difference(function, my_function)
            if found:
                result[f"{name}.{member_name}"] = found
    return result


@pytest.mark.parametrize("name", PAIRS)
def test_every_call_that_datajoint_takes_is_taken(name: str) -> None:
    found = differences(name)
    excused = {place for place in found if place in EXCEPTIONS or place.rpartition(".")[2] in EXCEPTIONS}
    assert {place: found[place] for place in found if place not in excused} == {}


def test_every_exception_is_one() -> None:
    found = {place for name in PAIRS for place in differences(name)}
    found |= {place.rpartition(".")[2] for place in found}
    assert set(EXCEPTIONS) - found == set()


def settings_of_datajoint() -> list[str]:
    """Return the dotted names of DataJoint's settings."""
    names = []
    for name, field in Config.model_fields.items():
        group = getattr(field.annotation, "model_fields", None)
        names += [f"{name}.{each}" for each in group] if group and name != "stores" else [name]
    return names


def test_every_setting_of_datajoint_is_one() -> None:
    assert set(settings_of_datajoint()) - set(setting_names()) == set()
