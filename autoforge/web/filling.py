"""What a template does most, done with less ado: reading a member, calling a macro or function, escaping a value.

Jinja2 asks each object first for an attribute, which for the dictionaries that our rows are ends in an exception every
time, and asks each callable in four ways what it wants to be given. The answers are the same here; for whatever is
neither a dictionary nor one of the plain kinds of callables, Jinja2 itself is asked.
"""

from __future__ import annotations

from functools import lru_cache
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any

from jinja2 import Environment
from jinja2.compiler import CodeGenerator
from jinja2.runtime import Context, Macro
from jinja2.utils import _PassArg
from markupsafe import Markup, _escape_inner, escape  # type: ignore[attr-defined]

_OF_DICTIONARIES = frozenset(dir(dict))
_Remembered = type(lru_cache(dir))
_PLAIN = (FunctionType, MethodType, BuiltinMethodType, _Remembered)


class QuickContext(Context):
    def call(self, called: Any, *args: Any, **kwargs: Any) -> Any:
        kind = type(called)
        if kind is Macro:
            kwargs.pop("_block_vars", None)
            kwargs.pop("_loop_vars", None)
            return called(self.eval_ctx, *args, **kwargs)
        if kind in _PLAIN and _PassArg.from_obj(called) is None:
            kwargs.pop("_block_vars", None)
            kwargs.pop("_loop_vars", None)
            return called(*args, **kwargs)
        return super().call(called, *args, **kwargs)


def say(value: Any) -> str:
    """``escape(value)`` as part of a longer text, which it becomes at once: it need not be marked as escaped."""
    kind = type(value)
    if kind is Markup:
        return value  # type: ignore[no-any-return]
    if kind is str:
        return _escape_inner(value)
    return str(value) if kind is int else escape(value)


class _Generator(CodeGenerator):
    """Has templates call :func:`say` for what they put out; the constants were escaped by the compiler."""

    def _output_child_pre(self, node: Any, frame: Any, finalize: Any) -> None:
        if frame.eval_ctx.volatile or not frame.eval_ctx.autoescape or finalize.src is not None:
            super()._output_child_pre(node, frame, finalize)
        else:
            self.write("environment.say(")


class QuickEnvironment(Environment):
    context_class = QuickContext
    code_generator_class = _Generator
    say = staticmethod(say)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict and attribute not in _OF_DICTIONARIES:
            try:
                return obj[attribute]
            except KeyError:
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)
