"""Comparison of runs: each figure against SciPy, statsmodels or published examples, then verdicts and edges."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import special, stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

from autoforge.errors import BadInput
from autoforge.evaluations.cases import Outcome
from autoforge.evaluations.comparison import (
    Comparison,
    Scored,
    Verdict,
    compare,
    compare_many,
    holm,
    mean_interval,
)
from autoforge.evaluations.distributions import (
    NORMAL_80,
    NORMAL_97_5,
    _exact_upper,
    _saddlepoint_upper,
    fair_binomial_tail,
    incomplete_beta,
    normal_tail,
    signed_sum_p,
    student_t_quantile,
    student_t_tail,
)
from autoforge.evaluations.paired_rates import PairedCounts, mcnemar, newcombe, smallest_detectable, wilson

counts = st.integers(0, 60)
scores = st.floats(0, 1, allow_nan=False)
millionths = st.integers(-1_000_000, 1_000_000).map(lambda k: k / 1_000_000)


def run(values: list[float], *, prefix: str = "case") -> list[Scored]:
    return [Scored(f"{prefix} {i}", Outcome.PASS if v >= 0.5 else Outcome.FAIL, v) for i, v in enumerate(values)]


def binary_runs(table: PairedCounts) -> tuple[list[Scored], list[Scored]]:
    both, a_only, b_only, neither = table
    a = [1.0] * both + [1.0] * a_only + [0.0] * b_only + [0.0] * neither
    b = [1.0] * both + [0.0] * a_only + [1.0] * b_only + [0.0] * neither
    return run(a), run(b)


# Distributions


@given(st.floats(0.01, 500), st.floats(0.01, 500), st.floats(1e-300, 1))
def test_incomplete_beta_agrees_with_scipy(a: float, b: float, x: float) -> None:
    assert incomplete_beta(a, b, x) == pytest.approx(special.betainc(a, b, x), rel=1e-9, abs=1e-14)


@given(st.integers(0, 5000), st.integers(1, 5000))
def test_fair_binomial_tail_agrees_with_scipy(successes: int, trials: int) -> None:
    assert fair_binomial_tail(successes, trials) == pytest.approx(stats.binom.cdf(successes, trials, 0.5), rel=1e-9)


def test_a_binomial_tail_of_a_million_trials_is_quick_and_right() -> None:
    assert fair_binomial_tail(498_500, 1_000_000) == pytest.approx(stats.binom.cdf(498_500, 1_000_000, 0.5), rel=1e-7)


@given(st.floats(-50, 50), st.floats(0.5, 10_000))
def test_student_t_tail_agrees_with_scipy(t: float, degrees: float) -> None:
    assert student_t_tail(t, degrees) == pytest.approx(stats.t.sf(t, degrees), rel=1e-8, abs=1e-300)


@given(st.floats(0.001, 0.999), st.integers(1, 10_000))
def test_student_t_quantile_agrees_with_scipy(probability: float, degrees: int) -> None:
    reference = stats.t.ppf(probability, degrees)
    assert student_t_quantile(probability, degrees) == pytest.approx(reference, rel=1e-8, abs=1e-9)


def test_normal_figures_agree_with_scipy() -> None:
    assert stats.norm.ppf(0.975) == pytest.approx(NORMAL_97_5, abs=1e-15)
    assert stats.norm.ppf(0.8) == pytest.approx(NORMAL_80, abs=1e-15)
    assert normal_tail(3.5) == pytest.approx(stats.norm.sf(3.5), rel=1e-12)


# The randomisation test


def enumerated_p(differences: list[float]) -> float:
    observed = abs(math.fsum(differences)) - 1e-9
    patterns = list(itertools.product((1, -1), repeat=len(differences)))
    far = sum(abs(math.fsum(s * d for s, d in zip(p, differences, strict=True))) >= observed for p in patterns)
    return far / len(patterns)


@given(st.lists(st.one_of(st.integers(-6, 6).map(lambda k: k / 6), millionths), min_size=1, max_size=9))
def test_randomisation_p_equals_full_enumeration(differences: list[float]) -> None:
    assert signed_sum_p(differences) == pytest.approx(enumerated_p(differences), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_randomisation_p_agrees_with_scipy(seed: int) -> None:
    chance = random.Random(seed)
    differences = [chance.gauss(0.2, 0.5) for _ in range(11)]
    reference = stats.permutation_test(
        (differences, [0.0] * 11), lambda x, y: sum(x) - sum(y), permutation_type="samples", n_resamples=10_000
    )
    assert signed_sum_p(differences) == pytest.approx(reference.pvalue, rel=1e-9)


@settings(max_examples=100)
@given(st.lists(st.integers(1, 40), min_size=15, max_size=40), st.floats(0, 1))
def test_the_saddlepoint_agrees_with_the_exact_count(sizes: list[int], share: float) -> None:
    """The two ways to the same tail, wherever both are affordable, down to the far tail."""
    unit = math.gcd(*sizes)
    sizes = [size // unit for size in sizes]
    observed = sum(sizes) - 2 * round((1 - share) * sum(sizes) / 2)  # sums have the parity of the largest one
    if observed <= 0:
        return
    exact, *beside = (_exact_upper(sizes, observed + step) or 0.0 for step in (0, -2, 2, 4))
    ways = [beside[0] - exact, exact - beside[1], beside[1] - beside[2]]
    # Where many differences have one size and few have others, sums lie in heaps; such are counted (below).
    if exact > 2.0 ** -(len(sizes) - 3) and min(ways) > max(ways) / 2:
        assert _saddlepoint_upper(sizes, observed) == pytest.approx(exact, rel=0.1, abs=0.002)


@pytest.mark.parametrize("others", [[0.01], [0.5, 1 / 3], [0.123456789]])
def test_sums_in_heaps_are_counted(others: list[float]) -> None:
    differences = [1.0] * 60 + [-1.0] * 40 + others
    sizes = [round(abs(one) * 10**9) for one in differences]
    exact = _exact_upper(sizes, round(sum(differences) * 10**9) - len(sizes))
    assert exact is not None
    assert signed_sum_p(differences) == pytest.approx(2 * exact, rel=1e-9)


@pytest.mark.parametrize("ups", [1501, 1550, 1600])
def test_thousands_of_equal_differences_are_binomial(ups: int) -> None:
    found = signed_sum_p([0.5] * ups + [-0.5] * (3000 - ups))
    assert found == pytest.approx(2 * stats.binom.sf(ups - 1, 3000, 0.5), rel=2e-3)


def test_randomisation_p_of_nothing_and_of_balance_is_one() -> None:
    assert signed_sum_p([]) == signed_sum_p([0.0, 0.0]) == signed_sum_p([0.3, -0.3]) == 1.0


def test_a_unanimous_change_has_the_smallest_p_there_is() -> None:
    assert signed_sum_p([0.1 + i / 1000 for i in range(30)]) == pytest.approx(2 * 0.5**30, rel=1e-6)


# Rates


@given(st.integers(0, 200), st.integers(1, 200))
def test_wilson_agrees_with_statsmodels(successes: int, trials: int) -> None:
    successes = min(successes, trials)
    reference = proportion_confint(successes, trials, method="wilson")
    assert wilson(successes, trials) == pytest.approx(reference, abs=1e-12)


@given(counts, counts)
def test_mcnemar_agrees_with_statsmodels(a_only: int, b_only: int) -> None:
    reference = reference_mcnemar([[5, a_only], [b_only, 5]], exact=True).pvalue if a_only + b_only else 1.0
    assert mcnemar(PairedCounts(5, a_only, b_only, 5)) == pytest.approx(reference, rel=1e-9)


def test_newcombe_gives_the_published_interval() -> None:
    """Bentur et al.: 21 children before and after; Fagerland, Lydersen & Laake 2014 print -0.507 to -0.026."""
    interval = newcombe(PairedCounts(both=1, a_only=7, b_only=1, neither=12))
    assert interval.low == pytest.approx(-0.507, abs=5e-4)
    assert interval.high == pytest.approx(-0.026, abs=5e-4)


@given(counts, counts, counts, counts)
def test_newcombe_holds_the_difference_and_mirrors(both: int, a_only: int, b_only: int, neither: int) -> None:
    table = PairedCounts(both, a_only, b_only, neither)
    if not table.pairs:
        return
    found, mirrored = newcombe(table), newcombe(PairedCounts(both, b_only, a_only, neither))
    assert -1 <= found.low <= (b_only - a_only) / table.pairs + 1e-12
    assert found.low == pytest.approx(-mirrored.high, abs=1e-12)


@pytest.mark.parametrize("shares", [(0.5, 0.1, 0.2, 0.2), (0.2, 0.3, 0.1, 0.4), (0.9, 0.05, 0.03, 0.02)])
def test_newcombe_covers_at_least_about_95_percent(shares: tuple[float, float, float, float]) -> None:
    """All outcomes of 20 pairs, each with its multinomial probability."""
    true, covered = shares[2] - shares[1], 0.0
    for both, a_only, b_only in itertools.product(range(21), repeat=3):
        if both + a_only + b_only <= 20:
            table = PairedCounts(both, a_only, b_only, 20 - both - a_only - b_only)
            low, high = newcombe(table)
            covered += stats.multinomial.pmf(table, 20, shares) if low <= true <= high else 0.0
    assert 0.93 <= covered < 1


@pytest.mark.parametrize(("pairs", "changed"), [(40, 8), (200, 50), (1319, 300)])
def test_the_detectable_rate_is_found_with_80_percent_power(pairs: int, changed: int) -> None:
    """Exact power of McNemar's test at that difference: close to 80 %, a little below since the test is discrete."""
    d = smallest_detectable(PairedCounts(pairs - changed, changed, 0, 0))
    assert d is not None
    share = max(changed / pairs, d)
    power = 0.0
    for n in range(pairs + 1):
        critical = stats.binom.ppf(0.025, n, 0.5) - 1 if n else -1
        while critical + 1 <= n / 2 and stats.binom.cdf(critical + 1, n, 0.5) <= 0.025:
            critical += 1
        power += stats.binom.pmf(n, pairs, share) * stats.binom.cdf(critical, n, (share - d) / 2 / share)
    assert 0.65 <= power <= 0.86


def test_too_few_pairs_detect_nothing() -> None:
    assert smallest_detectable(PairedCounts(5, 0, 0, 0)) is None
    assert smallest_detectable(PairedCounts(6, 0, 0, 0)) == 1.0
    assert smallest_detectable(PairedCounts(600, 0, 0, 0)) == pytest.approx(0.013, abs=1e-3)


# Whole comparisons


@settings(max_examples=50)
@given(st.lists(st.tuples(scores, scores), min_size=2, max_size=60))
def test_scores_get_the_paired_t_interval_of_scipy(pairs: list[tuple[float, float]]) -> None:
    found = compare(run([a for a, _ in pairs]), run([b for _, b in pairs]))
    differences = [b - a for a, b in pairs]
    if found.binary or max(differences) - min(differences) < 1e-6:
        return
    spread = stats.tstd(differences)
    low, high = stats.t.interval(0.95, len(pairs) - 1, sum(differences) / len(pairs), spread / math.sqrt(len(pairs)))
    assert found.interval == pytest.approx((max(-1, low), min(1, high)), abs=1e-9)
    assert found.difference == pytest.approx(sum(differences) / len(pairs), abs=1e-12)


@pytest.mark.parametrize("n", [10, 40, 400])
def test_the_detectable_difference_agrees_with_statsmodels(n: int) -> None:
    chance = random.Random(n)
    a = [chance.uniform(0.2, 0.8) for _ in range(n)]
    b = [min(1.0, max(0.0, x + chance.gauss(0, 0.1))) for x in a]
    found = compare(run(a), run(b))
    spread = stats.tstd([y - x for x, y in zip(a, b, strict=True)])
    reference = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8) * spread
    assert found.smallest_detectable == pytest.approx(reference, rel=0.02)


@given(counts, counts, counts, counts)
def test_binary_runs_are_treated_as_rates(both: int, a_only: int, b_only: int, neither: int) -> None:
    table = PairedCounts(both, a_only, b_only, neither)
    found = compare(*binary_runs(table))
    if not table.pairs:
        assert found.p_value is None
        return
    assert found.binary
    assert found.interval == newcombe(table)
    assert found.p_value == mcnemar(table)
    assert found.difference == pytest.approx((b_only - a_only) / table.pairs)
    assert (found.regressions, found.improvements) == (a_only, b_only)


@given(st.lists(st.tuples(scores, scores), max_size=30))
@example([(0.0, 1.0), (0.0, 2.0**-23)])
def test_swapping_the_runs_turns_the_comparison_round(pairs: list[tuple[float, float]]) -> None:
    a, b = run([x for x, _ in pairs]), run([y for _, y in pairs])
    there, back = compare(a, b), compare(b, a)
    turned = {
        Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER, Verdict.CANNOT_TELL: Verdict.CANNOT_TELL
    }  # fmt: skip
    assert back.verdict is turned[there.verdict]
    assert back.p_value == there.p_value or back.p_value == pytest.approx(there.p_value, rel=1e-9)


def verdict(table: PairedCounts) -> Verdict:
    return compare(*binary_runs(table)).verdict


def test_verdicts() -> None:
    assert verdict(PairedCounts(20, 1, 14, 5)) is Verdict.BETTER
    assert verdict(PairedCounts(20, 14, 1, 5)) is Verdict.WORSE
    assert verdict(PairedCounts(20, 3, 6, 11)) is Verdict.CANNOT_TELL
    assert verdict(PairedCounts(30, 0, 5, 5)) is Verdict.CANNOT_TELL  # p = 0.0625: five changed cases are too few
    assert verdict(PairedCounts(30, 0, 6, 4)) is Verdict.BETTER


def test_no_shared_case_says_nothing() -> None:
    found = compare(run([1.0, 0.0], prefix="left"), run([1.0], prefix="right"))
    assert (found.shared, found.compared) == (0, 0)
    assert (found.mean_a, found.difference, found.interval, found.p_value) == (None, None, None, None)
    assert found.only_in_a == ("left 0", "left 1")
    assert found.only_in_b == ("right 0",)
    assert found.verdict is Verdict.CANNOT_TELL


def test_one_case_has_no_interval_of_its_score_but_one_of_its_rate() -> None:
    scored = compare(run([0.25]), run([0.75]))
    assert (scored.difference, scored.interval, scored.p_value) == (0.5, None, 1.0)
    rated = compare(run([0.0]), run([1.0]))
    assert rated.interval is not None
    assert rated.verdict is Verdict.CANNOT_TELL


def test_equal_runs_cannot_tell() -> None:
    for values in ([0.3, 0.9, 0.5] * 20, [1.0] * 60, [0.0] * 60):
        found = compare(run(values), run(values))
        assert (found.difference, found.p_value, found.verdict) == (0, 1.0, Verdict.CANNOT_TELL)


def test_the_same_change_everywhere_has_no_spread() -> None:
    found = compare(run([0.1 * i for i in range(8)]), run([0.1 * i + 0.1 for i in range(8)]))
    assert found.interval == pytest.approx((0.1, 0.1))
    assert found.smallest_detectable is None
    assert found.verdict is Verdict.BETTER


def test_errors_are_left_out_and_named() -> None:
    a, b = run([1.0, 1.0, 0.0, 1.0]), run([1.0, 0.0, 1.0, 0.0])
    a[0] = a[0]._replace(outcome=Outcome.ERROR, score=0.0)
    b[3] = b[3]._replace(outcome=Outcome.ERROR, score=0.0)
    found = compare(a, b)
    assert found.errors == ("case 0", "case 3")
    assert (found.shared, found.compared) == (4, 2)
    assert found.difference == 0


def test_worst_regressions_come_first() -> None:
    found = compare(run([0.5, 1.0, 0.4, 0.9]), run([0.5, 0.1, 1.0, 0.6]))
    assert [row.case for row in found.rows] == ["case 1", "case 3", "case 0", "case 2"]


@pytest.mark.parametrize("score", [-0.1, 1.5, math.nan, math.inf])
def test_scores_outside_the_scale_are_refused(score: float) -> None:
    with pytest.raises(BadInput, match="not a number from 0 to 1"):
        compare(run([score]), run([1.0]))


def test_a_case_that_comes_twice_is_refused() -> None:
    with pytest.raises(BadInput, match="comes twice"):
        compare(run([1.0]) * 2, run([1.0]))


# Many runs


@settings(max_examples=10)  # statsmodels takes up to 0.4 s for each
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_agrees_with_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]), abs=1e-12)


def test_what_is_a_finding_alone_may_be_chance_among_many() -> None:
    better = binary_runs(PairedCounts(20, 2, 11, 7))  # p = 0.022
    baseline = better[0]
    others = {f"model {i}": baseline for i in range(4)} | {"lucky": better[1]}
    found = compare_many(baseline, others)
    alone: Comparison = compare(*better)
    assert alone.verdict is Verdict.BETTER
    assert alone.note is None
    assert found["lucky"].verdict is Verdict.CANNOT_TELL
    assert found["lucky"].p_uncorrected == alone.p_value
    assert found["lucky"].p_value == pytest.approx(5 * (alone.p_value or 0))
    assert "5 comparisons" in (found["lucky"].note or "")


def test_runs_without_shared_cases_are_not_counted_as_comparisons() -> None:
    a, b = binary_runs(PairedCounts(20, 1, 14, 5))
    found = compare_many(a, {"b": b, "stranger": run([1.0], prefix="other")})
    assert found["b"].note is None
    assert found["stranger"].p_value is None


# One run


@given(st.lists(scores, min_size=2, max_size=50))
def test_mean_interval_agrees_with_scipy(values: list[float]) -> None:
    if set(values) <= {0, 1} or max(values) - min(values) < 1e-6:
        return
    low, high = stats.t.interval(0.95, len(values) - 1, sum(values) / len(values), stats.sem(values))
    assert mean_interval(values) == pytest.approx((max(0, low), min(1, high)), abs=1e-9)


def test_mean_interval_of_few_scores() -> None:
    assert mean_interval([]) is None
    assert mean_interval([0.4]) is None
    assert mean_interval([1, 0, 1, 1]) == wilson(3, 4)
    assert mean_interval([0.5] * 10) == (0.5, 0.5)
