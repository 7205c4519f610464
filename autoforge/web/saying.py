"""Texts of templates, translated when a template is compiled and not each time that it is filled in.

A page says some two hundred fixed texts. Looked up one by one, as gettext's Jinja2 extension does it, they take a
fifth of the page's time. Here ``_("Prompts")`` becomes plain text of the compiled template; only what has variables,
or is chosen at run time, is still a call. One environment speaks one language: a second one gets its own.
"""

from __future__ import annotations

from typing import Any

from jinja2 import nodes
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from autoforge.web.filling import QuickEnvironment

_NAMES = ("_", "gettext")


class SpeakingEnvironment(QuickEnvironment):
    """For one language; now the one that the templates are written in."""

    def speak(self) -> None:
        """Gives templates ``_``, ``gettext`` and ``ngettext``; call it in place of ``install_translations``."""
        self.globals.update(_=_text, gettext=_text, ngettext=_number)
        self.newstyle_gettext = True  # variables go into the text here, not by the template

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = _Fixed().visit(super()._parse(source, name, filename))
        return tree


class _Fixed(NodeTransformer):
    """Turns each call that says a fixed text into this text."""

    def visit_Call(self, node: nodes.Call) -> Any:
        node = self.generic_visit(node)  # type: ignore[assignment]
        if isinstance(node.node, nodes.Name) and node.node.name in _NAMES and _is_fixed(node):
            text = nodes.Const(str(_text(node.args[0].value)), lineno=node.lineno)  # type: ignore[attr-defined]
            return nodes.MarkSafe(text, lineno=node.lineno, environment=node.environment)
        return node


def _is_fixed(node: nodes.Call) -> bool:
    one = node.args[0] if len(node.args) == 1 else None
    return isinstance(one, nodes.Const) and isinstance(one.value, str) and not (node.kwargs or node.dyn_kwargs)


def _text(text: str, **variables: Any) -> Markup:
    return Markup(text) % variables


def _number(one: str, many: str, number: int, **variables: Any) -> Markup:
    return Markup(one if number == 1 else many) % {"num": number, **variables}
