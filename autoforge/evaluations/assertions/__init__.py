"""The vocabulary of assertions: promptfoo's deterministic types by their own names, and a few of our own.

`registry` lists them, one module per family defines them, `parsing` reads what people write, `filling` puts
variables into values. How the results of a case add up is the business of `autoforge.evaluations.scoring`.
"""

from autoforge.evaluations.assertions.parsing import expand_short, ignored_settings, parse_assertion, parse_assertions
from autoforge.evaluations.assertions.registry import KINDS
from autoforge.evaluations.assertions.unavailable import UNAVAILABLE

__all__ = ["KINDS", "UNAVAILABLE", "expand_short", "ignored_settings", "parse_assertion", "parse_assertions"]
