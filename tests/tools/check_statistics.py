"""The statistics of a sweep's table beside public implementations. Used by tests/cli/sweep.sh.

Needs SciPy, NumPy and statsmodels. Exits 1 with the first number that differs.
"""
import sys
from pathlib import Path

import numpy as np
import scipy.stats
import statsmodels.api as sm

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import sweep_statistics as stats  # noqa: E402


def near(what, got, expected, tolerance=1e-12):
    if not abs(got - expected) <= tolerance:
        sys.exit(f"{what}: got {got}, the public implementation {expected}")


def questions(generator, videos, most):
    """Values in 0, 1/3, ..., 1 that depend on their video, which has 1 to `most` questions."""
    values, clusters = [], []
    for video in range(videos):
        ease = generator.beta(1.5, 1.5)
        for _ in range(generator.integers(1, most + 1)):
            values.append(generator.binomial(3, ease) / 3)
            clusters.append(f"v{video}")
    order = generator.permutation(len(values))
    return [values[at] for at in order], [clusters[at] for at in order]


def check_error(values, clusters):
    model = sm.OLS(np.array(values), np.ones(len(values)))
    numbers = np.unique(clusters, return_inverse=True)[1]
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": numbers, "use_correction": True})
    near("the mean", stats.mean_and_spread(values)[0], fit.params[0])
    near("the clustered standard error", stats.clustered_error(values, clusters), fit.bse[0])
    single = stats.clustered_error(values, range(len(values)))
    near("its form without clusters", single, scipy.stats.sem(values))


def check_interval(values, clusters):
    """SciPy resamples the pairs (sum, number) of the clusters."""
    groups = stats.sums_of_clusters(values, clusters)
    sums, numbers = map(np.array, zip(*groups.values()))
    public = scipy.stats.bootstrap(
        (sums, numbers), lambda s, n, axis: s.sum(axis=axis) / n.sum(axis=axis), paired=True,
        vectorized=True, method="percentile", n_resamples=20000, rng=np.random.default_rng(5))
    [(low, high)] = stats.bootstrap_intervals([values], clusters, resamples=20000)
    noise = 0.05 * (public.confidence_interval.high - public.confidence_interval.low)
    near("the interval's lower end", low, public.confidence_interval.low, noise)
    near("the interval's upper end", high, public.confidence_interval.high, noise)


def check_p(differences, clusters):
    sums = [total for total, _ in stats.sums_of_clusters(differences, clusters).values()]
    public = scipy.stats.permutation_test(
        (np.array(sums),), lambda s, axis: s.sum(axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=20000, rng=np.random.default_rng(6))
    [p] = stats.sign_flip_p([differences], clusters, resamples=20000)
    near("the p", p, public.pvalue, 0.015)


def check_exact_p():
    """Few clusters: SciPy goes over all signs."""
    sums = [2.0, 1.0, 3.0, -1.0, 2.0, 1.0]
    public = scipy.stats.permutation_test((np.array(sums),), lambda s: sum(s),
                                          permutation_type="samples", n_resamples=np.inf)
    [p] = stats.sign_flip_p([sums], range(6), resamples=50000)
    near("the p of all signs", p, public.pvalue, 0.01)


def check_parts(values, clusters):
    """A column with gaps is that of its questions alone."""
    gaps = [value if at % 3 else None for at, value in enumerate(values)]
    some = [value for value in gaps if value is not None]
    of_some = [cluster for cluster, value in zip(clusters, gaps) if value is not None]
    [(low, high)] = stats.bootstrap_intervals([gaps], clusters, resamples=5000)
    [(low_alone, high_alone)] = stats.bootstrap_intervals([some], of_some, resamples=5000)
    near("the lower end of a part", low, low_alone, 0.01)
    near("the upper end of a part", high, high_alone, 0.01)


def check_coverage(generator):
    """Nineteen intervals of twenty hold the true mean, give or take."""
    held = 0
    for _ in range(200):
        values, clusters = questions(generator, 60, 4)
        [(low, high)] = stats.bootstrap_intervals([values], clusters, resamples=200)
        held += low <= 0.5 <= high
    if not 176 <= held <= 199:
        sys.exit(f"the true mean is in {held} of 200 intervals of 95 %")


def main():
    generator = np.random.default_rng(7)
    for videos, most in ((40, 6), (100, 4), (300, 1)):
        values, clusters = questions(generator, videos, most)
        check_error(values, clusters)
        check_interval(values, clusters)
        other = [value if generator.random() < 0.6 else 1 - value for value in values]
        check_p([a - b for a, b in zip(values, other)], clusters)
        check_parts(values, clusters)
    check_exact_p()
    check_coverage(generator)
    near("a quantile", stats.quantile([1, 2, 4, 8], 0.4), np.quantile([1, 2, 4, 8], 0.4))
    assert stats.mean_and_spread([0.5]) == (0.5, None)
    near("the standard deviation", stats.mean_and_spread([1, 2, 4])[1], np.std([1, 2, 4], ddof=1))
    assert stats.clustered_error([1, 0], ["a", "a"]) is None
    assert stats.bootstrap_intervals([[1, 0]], ["a", "a"]) == [(None, None)]
    assert stats.sign_flip_p([[1, 0]], ["a", "a"]) == [None]


if __name__ == "__main__":
    main()
