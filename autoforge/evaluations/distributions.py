"""Tails and quantiles of the few distributions that a comparison needs, in plain Python.

NumPy and SciPy would cost the service more memory than everything else in it together, and only a handful of numbers
per comparison is wanted. So: the binomial tail with p = 1/2 (exact integers while they are cheap), Student's t through
the regularised incomplete beta function, and the randomisation distribution of a sum of signed differences. The tests
hold each of them against SciPy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

NORMAL_97_5 = 1.959963984540054
"""The z that a standard normal stays below with probability 0.975: both sides of a 95 % interval."""
NORMAL_80 = 0.8416212335729143
"""The same for 0.8: the power that is usual when a study is planned."""

_EXACT_TRIALS = 2_000
_EXACT_WORK = 400_000
_FINE_GRID = 1e-12
_COARSE_GRID = 1e-4


def normal_tail(z: float) -> float:
    """P(Z >= z) for a standard normal Z."""
    return math.erfc(z / math.sqrt(2)) / 2


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b) for a, b > 0 and 0 <= x <= 1.

    Continued fraction of DLMF 8.17.22 (https://dlmf.nist.gov/8.17.E22), used on the side where it converges fast.
    """
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / (a * _beta_fraction(a, b, x))


def _beta_fraction(a: float, b: float, x: float) -> float:
    """1 + d1/(1 + d2/(1 + ...)) by the modified method of Lentz (Thompson & Barnett 1986, J. Comput. Phys. 64)."""
    tiny = 1e-300
    value, numerator, denominator = 1.0, 1.0, 0.0
    for step in range(1, 20_000):
        half = step // 2
        if step % 2:
            term = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            term = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        denominator = 1 / ((1 + term * denominator) or tiny)
        numerator = (1 + term / numerator) or tiny
        value *= numerator * denominator
        if abs(numerator * denominator - 1) < 1e-16:
            break
    return value


def fair_binomial_tail(successes: int, trials: int) -> float:
    """P(X <= ``successes``) for X ~ Binomial(``trials``, 1/2)."""
    if successes < 0 or successes >= trials:
        return 0.0 if successes < 0 else 1.0
    if trials > _EXACT_TRIALS:
        return incomplete_beta(trials - successes, successes + 1, 0.5)
    total, ways = 1, 1
    for k in range(1, successes + 1):
        ways = ways * (trials - k + 1) // k
        total += ways
    return total / (1 << trials)


def student_t_tail(t: float, degrees: float) -> float:
    """P(T >= t) for Student's t with ``degrees`` > 0 degrees of freedom."""
    # Near t = 0 the tail is 1/2 minus something small; far out, that subtraction would leave no digits.
    if t * t < 1:
        half = 0.5 - incomplete_beta(0.5, degrees / 2, t * t / (degrees + t * t)) / 2
    else:
        half = incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t)) / 2
    return half if t >= 0 else 1 - half


def student_t_quantile(probability: float, degrees: float) -> float:
    """The t with P(T <= t) = ``probability``, for 0 < probability < 1. By bisection: monotone, and never surprised."""
    if probability < 0.5:
        return -student_t_quantile(1 - probability, degrees)
    low, high, tail = 0.0, 1.0, 1 - probability
    while student_t_tail(high, degrees) > tail:
        low, high = high, high * 2
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if student_t_tail(middle, degrees) > tail else (low, middle)
    return (low + high) / 2


def signed_sum_p(differences: Sequence[float]) -> float:
    """Two-sided p value of the paired randomisation test for the mean of ``differences`` (Fisher 1935, Pitman 1937).

    Under the null hypothesis each difference is as likely to have the other sign. The share of all 2^n sign patterns
    whose sum is at least as far from zero is counted exactly while there are few distinct sums (few differences, or
    scores on a coarse grid, or most differences of one size); beyond that it is the saddlepoint approximation, in its
    lattice form (Lugannani & Rice 1980; Daniels 1987, Int. Stat. Rev. 55; for sign flips Robinson 1982, J. R. Stat.
    Soc. B 44), whose error is far below what anybody reads from a p value where sums lie close together. Nothing is
    random, so the same data always give the same figure.
    """
    distances = [abs(d) for d in differences if abs(d) > _FINE_GRID]
    if not distances:
        return 1.0
    unit = _common_unit(distances)
    sizes = [round(distance / unit) for distance in distances]
    observed = round(abs(math.fsum(differences)) / unit)
    if unit == _FINE_GRID:
        observed -= len(sizes)  # so that equal sums stay equal, although each difference was rounded
    if observed <= 0:
        return 1.0
    exact = _exact_upper(sizes, observed, _EXACT_WORK)
    return min(1.0, 2 * (_saddlepoint_upper(sizes, observed) if exact is None else exact))


def _common_unit(distances: Sequence[float]) -> float:
    """The coarsest step of which all ``distances`` are multiples (scores such as thirds share one), or a very fine one.

    Euclid's algorithm with a tolerance, since 2/3 - 1/3 is not quite 1/3. The smallest comes first: beside a large one
    it would pass for nothing at all.
    """
    unit = 0.0
    for distance in sorted(distances):
        a, b = max(distance, unit), min(distance, unit)
        while b > _COARSE_GRID / 10:
            rest = math.fmod(a, b)
            a, b = b, min(rest, b - rest)
        unit = a
        if unit < _COARSE_GRID:
            return _FINE_GRID
    exact = all(abs(distance / unit - round(distance / unit)) < 1e-6 for distance in distances)
    return unit if exact else _FINE_GRID


def _exact_upper(sizes: Sequence[int], observed: int, most: float = math.inf) -> float | None:
    """P(sum of randomly signed ``sizes`` >= ``observed``) by counting sign patterns; None when that is too much work.

    ``most`` bounds the distinct sums that are looked at in all; there are never fewer after another size.
    """
    counts, work = {0: 1}, 0
    for done, size in enumerate(sizes):
        work += len(counts)
        if work + len(counts) * (len(sizes) - done - 1) > most:
            return None
        following: dict[int, int] = {}
        for total, ways in counts.items():
            for reached in (total - size, total + size):
                following[reached] = following.get(reached, 0) + ways
        counts = following
    return sum(ways for total, ways in counts.items() if total >= observed) / (1 << len(sizes))


def _saddlepoint_upper(sizes: Sequence[int], observed: int) -> float:
    """The same probability from the cumulant function K(t) = sum of log cosh(size t); sums are two units apart."""
    if observed == sum(sizes):
        return math.ldexp(1.0, -len(sizes))
    scale = math.sqrt(sum(size * size for size in sizes))
    weights, target = [size / scale for size in sizes], (observed - 1) / scale
    t = _saddlepoint(weights, target)
    width = math.sqrt(max(0.0, 2 * (t * target - sum(_log_cosh(w * t) for w in weights))))
    if width < 0.01:
        return normal_tail(target)
    curvature = sum(w * w * (1 - math.tanh(w * t) ** 2) for w in weights)
    u = math.sinh(t / scale) * scale * math.sqrt(curvature)
    return normal_tail(width) + math.exp(-width * width / 2) / math.sqrt(2 * math.pi) * (1 / u - 1 / width)


def _saddlepoint(weights: Sequence[float], target: float) -> float:
    """The t >= 0 with K'(t) = target. K' is concave there, so Newton's steps from the left never overshoot."""
    t = target
    for _ in range(200):
        tanhs = [math.tanh(w * t) for w in weights]
        missing = target - sum(w * h for w, h in zip(weights, tanhs, strict=True))
        step = missing / sum(w * w * (1 - h * h) for w, h in zip(weights, tanhs, strict=True))
        t += step
        if step <= 1e-12 * (1 + t):
            break
    return t


def _log_cosh(x: float) -> float:
    return abs(x) + math.log1p(math.exp(-2 * abs(x))) - math.log(2)
