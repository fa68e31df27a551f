"""The statistics of accuracies: spread over seeds, errors clustered by video, paired differences.

Pure functions, standard library only; fed by tools/sweep_table.py and tools/report. `values` has a
number for each question, `clusters` the question's video: questions about one video are no
independent draws. Compared with SciPy and statsmodels in tests/tools/check_statistics.py.
"""
import math
import random
import statistics
from itertools import compress

RESAMPLES = 10000
LEVEL = 0.95
SEED = 20241002  # of the resampling: the same table every time


def mean_and_spread(values):
    """(mean, standard deviation with n - 1 below; None for a single value)."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def sums_of_clusters(values, clusters):
    """{cluster: (sum of its values, their number)}, in the order of first occurrence."""
    found = {}
    for value, cluster in zip(values, clusters, strict=True):
        total, number = found.get(cluster, (0.0, 0))
        found[cluster] = (total + value, number + 1)
    return found


def clustered_error(values, clusters):
    """The standard error of the mean when draws are clusters, None for a single one:

        sqrt(G / (G - 1) * sum over clusters g of (sum over i in g of (x_i - mean))^2) / n

    Liang and Zeger, "Longitudinal data analysis using generalized linear models", Biometrika 73
    (1986), for the mean as Miller, "Adding error bars to evals", arXiv:2411.00640, section 2.2, has
    it; G / (G - 1) is the usual correction for few clusters (Cameron and Miller, "A practitioner's
    guide to cluster-robust inference", J. Human Resources 50 (2015), section VI.A).
    """
    groups = sums_of_clusters(values, clusters)
    if len(groups) < 2:
        return None
    mean = statistics.fmean(values)
    squares = math.fsum((total - number * mean) ** 2 for total, number in groups.values())
    return math.sqrt(len(groups) / (len(groups) - 1) * squares) / len(values)


def quantile(ordered, share):
    """Linear between the two nearest of sorted values: type 7 of Hyndman and Fan, "Sample quantiles
    in statistical packages", The American Statistician 50 (1996)."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def bootstrap_intervals(columns, clusters, resamples=RESAMPLES, level=LEVEL, seed=SEED):
    """For each column of values, None where a question is none of its, (low, high): the percentile
    interval of its mean over resamples of the clusters, drawn with replacement and as wholes; the
    mean is that of all values drawn. (None, None) for a column of fewer than two clusters.

    A column of differences makes it the paired bootstrap. Efron and Tibshirani, "An introduction
    to the bootstrap" (1993), chapter 13; of whole clusters: Davison and Hinkley, "Bootstrap methods
    and their application" (1997), section 3.8.
    """
    names = list(dict.fromkeys(clusters))
    sums, counts = grouped(columns, clusters, names)
    means = [[] for _ in columns]
    draws = random.Random(seed)
    places = range(len(names))
    for _ in range(resamples):
        drawn = draws.choices(places, k=len(names))
        for found, total, number in zip(means, sums, counts):
            of_drawn = sum(map(number.__getitem__, drawn))
            if of_drawn:
                found.append(sum(map(total.__getitem__, drawn)) / of_drawn)
    out = []
    for found, number in zip(means, counts):
        if sum(map(bool, number)) < 2:
            out.append((None, None))
            continue
        found.sort()
        out.append((quantile(found, (1 - level) / 2), quantile(found, (1 + level) / 2)))
    return out


def sign_flip_p(columns, clusters, resamples=RESAMPLES, seed=SEED):
    """For each column of differences, as above: the two-sided p of their sum under random signs of
    whole clusters, (1 + extreme) / (1 + resamples); None for a column of fewer than two clusters.

    Without a difference between two runs, which of them answered is exchangeable within a video.
    Fisher's randomisation test, drawn as in Phipson and Smyth, "Permutation p-values should never
    be zero", Statistical Applications in Genetics and Molecular Biology 9 (2010).
    """
    names = list(dict.fromkeys(clusters))
    sums, counts = grouped(columns, clusters, names)
    totals = [math.fsum(column) for column in sums]
    extreme = [0] * len(columns)
    draws = random.Random(seed)
    for _ in range(resamples):
        kept = draws.choices((False, True), k=len(names))
        for at, (column, total) in enumerate(zip(sums, totals)):
            flipped = 2 * sum(compress(column, kept)) - total
            extreme[at] += abs(flipped) >= abs(total) - 1e-9
    return [(1 + number) / (1 + resamples) if sum(map(bool, count)) > 1 else None
            for number, count in zip(extreme, counts)]


def grouped(columns, clusters, names):
    """Of each column: the sum and the number of its values by cluster, in the order of names."""
    sums, counts = [], []
    for column in columns:
        pairs = [(value, cluster) for value, cluster in zip(column, clusters, strict=True)
                 if value is not None]
        groups = sums_of_clusters(*zip(*pairs)) if pairs else {}
        sums.append([groups.get(name, (0.0, 0))[0] for name in names])
        counts.append([groups.get(name, (0.0, 0))[1] for name in names])
    return sums, counts
