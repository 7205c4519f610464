"""What a template does most, done with less ado: reading a member, calling a macro or function, escaping a value.

Jinja2 asks each object first for an attribute, which for the dictionaries that our rows are ends in an exception every
time, and asks each callable in four ways what it wants to be given. The answers are the same here; for whatever is
neither a dictionary nor one of the plain kinds of callables, Jinja2 itself is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any

from jinja2 import Environment, Template
from jinja2.compiler import CodeGenerator, Frame
from jinja2.environment import TemplateModule
from jinja2.runtime import Context, Macro
from markupsafe import Markup, _escape_inner, escape  # type: ignore[attr-defined]

_SURROUNDINGS = ("_loop_vars", "_block_vars")
_OF_DICTIONARIES = frozenset(dir(dict))
_Remembered = type(lru_cache(dir))
_PLAIN = (FunctionType, MethodType, BuiltinMethodType, _Remembered)


class QuickContext(Context):
    def call(self, called: Any, *args: Any, **kwargs: Any) -> Any:
        kind = type(called)
        if kind is Macro:
            return called(self.eval_ctx, *args, **kwargs)
        if kind in _PLAIN and getattr(called, "jinja_pass_arg", None) is None:
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
    """Has templates call :func:`say` for what they put out; the constants were escaped by the compiler.

    No call is told the variables of the loop and the block that it stands in: they are for functions that ask for the
    whole context, and ours do not.
    """

    def signature(self, node: Any, frame: Frame, extra_kwargs: Mapping[str, Any] | None = None) -> None:
        kept = {name: value for name, value in (extra_kwargs or {}).items() if name not in _SURROUNDINGS}
        super().signature(node, frame, kept or None)

    def _output_child_pre(self, node: Any, frame: Any, finalize: Any) -> None:
        if frame.eval_ctx.volatile or not frame.eval_ctx.autoescape or finalize.src is not None:
            super()._output_child_pre(node, frame, finalize)
        else:
            self.write("environment.say(")


class QuickTemplate(Template):
    def _get_default_module(self, ctx: Context | None = None) -> TemplateModule:
        """What another template imports. No template of ours has globals of its own to make it for."""
        return super()._get_default_module()


class QuickEnvironment(Environment):
    context_class = QuickContext
    template_class = QuickTemplate
    code_generator_class = _Generator
    say = staticmethod(say)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict and attribute not in _OF_DICTIONARIES:
            try:
                return obj[attribute]
            except KeyError:
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)
