"""Texts that are fixed are part of the compiled template; the others are filled in and escaped when it is rendered."""

from __future__ import annotations

import pytest

from autoforge.web.saying import SpeakingEnvironment


def made() -> SpeakingEnvironment:
    speaking = SpeakingEnvironment(autoescape=True, extensions=["jinja2.ext.i18n"])
    speaking.speak()
    return speaking


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ('{{ _("100%% & <b>more</b>") }}', "100% & <b>more</b>"),
        ('{{ _("%(n)s rows", n=value) }}', "&lt;3&gt; rows"),
        ("{{ _(value) }}", "<3>"),
        ("{{ [_('one')] | join }}{{ _('two') | upper }}", "oneTWO"),
        ("{% trans %}fixed{% endtrans %} {% trans value %}not {{ value }}{% endtrans %}", "fixed not &lt;3&gt;"),
        ('{{ ngettext("%(num)s of %(of)s", "%(num)s of all %(of)s", 2, of=value) }}', "2 of all &lt;3&gt;"),
        ('{{ ngettext("%(num)s row", "%(num)s rows", 1) }}', "1 row"),
    ],
)
def test_says_what_gettext_said(template: str, shown: str) -> None:
    assert made().from_string(template).render(value="<3>") == shown


def test_a_fixed_text_is_no_call() -> None:
    compiled = made().compile('{{ _("Prompts") }}', raw=True)
    assert "yield 'Prompts'" in compiled
