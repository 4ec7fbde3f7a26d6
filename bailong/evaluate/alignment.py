"""How far two languages are one inside a model: what the hidden states of sentences and of their translations share.

A sentence stands by the direction of its state: states are made one long first, for a word here and there has a norm
of fifteen others and would be the centre and the CKA of all. Numbers of a layer, of sources x and targets y [n, d]:

- retrieval@1: the share of sentences whose translation is nearer, by cosine, than every other sentence of that
  language, over both directions; a tie is a failure. `plain` takes the states as they are, `retrieval` without the mean
  of their own language: a model may keep languages apart by one shift, and within it sentences lie alike.
- corrected cosine: the mean cosine of translations minus that of all other pairs, without those means. As they are, all
  states of a model look alike (anisotropy), and around the one mean of both languages they lie on its two sides.
- linear CKA (Kornblith et al., arXiv 1905.00414) with the unbiased estimate of HSIC (Song et al., 2012): the plain one
  is near 1 for unrelated states as soon as d is not small against n. It can fall a little below 0.

Bands draw sentences again. A sentence that is drawn twice must not be its own rival, so no states are drawn but what
each sentence adds to the number: for retrieval its hits among all n candidates, which stay (exact); for the other two,
which are sums over pairs of different sentences, its jackknife value n t - (n - 1) t(without it), whose mean is t. The
centre of the cosines stays where it is. Every layer and number has the same draws. On planted states 84 to 100 % of
the bands held the mean of fresh draws (none at a retrieval of 0 or 1, whose draws are all alike); those of CKA are up
to a half too wide where it is near 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bailong.evaluate import bootstrap
from bailong.evaluate.bootstrap import Resampling

#: without one of them four are left, of which the unbiased HSIC has its first value
FEWEST = 5
#: the numbers of a layer
KINDS = ("retrieval", "plain", "cosine", "cka")


class Layer(NamedTuple):
    """One layer.

    Attributes:
        hits: int [n], 0 to 2: in how many directions a pair was found by `retrieval`.
        forward, backward: the shares found from source to target, and back.
        pairs, others: mean corrected cosine of translations, and of all other pairs.
        values: per kind [n], one a sentence, with the number as their mean; CKA has none where a side is constant.
    """

    hits: np.ndarray
    forward: float
    backward: float
    pairs: float
    others: float
    values: dict[str, np.ndarray | None]


def layer(source: np.ndarray, target: np.ndarray) -> Layer:
    """The numbers of one layer; row i of `target` [n, d] is the translation of row i of `source`, n >= FEWEST."""
    x, y = (unit(side.astype(np.float64)) for side in (source, target))
    cosines = unit(x - x.mean(0)) @ unit(y - y.mean(0)).T
    hits, plain = retrieved(cosines), retrieved(x @ y.T)
    pairs, others, apart = corrected(cosines)
    values = {"retrieval": hits.mean(0), "plain": plain.mean(0), "cosine": apart, "cka": cka(x, y)}
    return Layer(hits.sum(0), float(hits[0].mean()), float(hits[1].mean()), pairs, others, values)


def retrieved(cosines: np.ndarray) -> np.ndarray:
    """Whether each pair is found from source to target, and from target to source: bool [2, n], of cosines [n, n]."""
    own, rivals = np.diagonal(cosines), cosines.copy()
    np.fill_diagonal(rivals, -np.inf)
    return np.stack([own > rivals.max(1), own > rivals.max(0)])


def corrected(cosines: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Mean cosine of translations, of the others, and the jackknife values of their difference [n]."""
    n, own = len(cosines), np.diagonal(cosines)
    whole = cosines.sum() - own.sum()
    without = cosines.sum(0) + cosines.sum(1) - 2 * own  # what the others lose with each sentence
    pairs, others = own.mean(), whole / (n * (n - 1))
    left = (own.sum() - own) / (n - 1) - (whole - without) / ((n - 1) * (n - 2))
    return float(pairs), float(others), n * (pairs - others) - (n - 1) * left


def cka(x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Jackknife values [n] of unbiased linear CKA, their mean made to be the CKA of all (it has a bias of 1 / n).

    None where a side is constant, or is so without one of its sentences.
    """
    k, m = (_similar(side) for side in (x, y))
    xy, xx, yy = hsic(k, m), hsic(k, k), hsic(m, m)
    products = xx * yy
    if not (xx > 0).all() or not (yy > 0).all():
        return None
    every = xy / np.sqrt(products)
    n, found = len(x), every[0]
    values = n * found - (n - 1) * every[1:]
    return values + (found - values.mean())


def hsic(k: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Unbiased HSIC of two similarities [n, n] with an empty diagonal: of all sentences, then without each: [1 + n].

    Without a sentence its row and column go out of every sum, so all n come from sums of rows.
    """
    n, product = len(k), (k * m).sum(1)
    rows, others = k.sum(1), m.sum(1)
    both = rows @ others
    sizes = np.array([n, *[n - 1] * n], dtype=float)
    traces = np.array([product.sum(), *(product.sum() - 2 * product)])
    totals = np.array([rows.sum(), *(rows.sum() - 2 * rows)]) * np.array([others.sum(), *(others.sum() - 2 * others)])
    crossed = np.array([both, *(both - rows * others - k @ others - m @ rows + product)])
    found = traces + totals / ((sizes - 1) * (sizes - 2)) - 2 * crossed / (sizes - 2)
    return found / (sizes * (sizes - 3))


def unit(x: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays, and is like nothing."""
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(lengths > 0, lengths, 1)


def plane(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Both sides on their two common principal components: [2, n, 2], and the share of the variance on each.

    Of each component the farthest point lies on its positive side.
    """
    from scipy.linalg import eigh

    both = unit(np.concatenate([source, target]).astype(np.float64))
    both -= both.mean(0)
    inner = both @ both.T
    last = len(inner) - 1
    variances, vectors = eigh(inner, subset_by_index=(last - 1, last))
    points = vectors[:, ::-1] * np.sqrt(np.clip(variances[::-1], 0, None))
    points *= np.sign(points[np.abs(points).argmax(0), [0, 1]])
    whole = float(np.trace(inner)) or 1.0
    return points.reshape(2, len(source), 2), [float(max(value, 0) / whole) for value in variances[::-1]]


def middle(layers: int) -> range:
    """The middle third of the layers 1 to `layers`, which the embeddings are none of."""
    return range(layers // 3 + 1, -(-2 * layers // 3) + 1)


def summary(found: Sequence[Layer], resampling: Resampling, label: str) -> dict[str, Any]:
    """Every layer with its bands, the best one, and the mean over the middle third.

    Args:
        found: the embeddings and the layers.
        label: of the draws; one for all models, so that their bands move together.
    """
    inner = middle(len(found) - 1)
    columns: dict[tuple[str, int], np.ndarray] = {}
    for kind in KINDS:
        for at, of in enumerate(found):
            if (values := of.values[kind]) is not None:
                columns[kind, at] = values
        if all((kind, at) in columns for at in inner):
            columns[kind, -1] = np.mean([columns[kind, at] for at in inner], axis=0)
    values = np.stack(list(columns.values()), axis=1)
    drawn = bootstrap.sums(values, resampling.resamples, bootstrap.generator(resampling.seed, label)) / len(values)
    bands = {of: bootstrap.interval(values[:, at], drawn[:, at]).row() for at, of in enumerate(columns)}
    layers = [
        {"layer": at}
        | {kind: bands.get((kind, at)) for kind in KINDS}
        | {name: getattr(of, name) for name in ("forward", "backward", "pairs", "others")}
        for at, of in enumerate(found)
    ]
    best = max(range(len(found)), key=lambda at: int(found[at].hits.sum()))  # of several the first
    return {
        "layers": layers,
        "best": {"layer": best, "retrieval": bands["retrieval", best]},
        "middle": {"layers": [inner[0], inner[-1]]} | {kind: bands.get((kind, -1)) for kind in KINDS},
        "found": ["".join(map(str, of.hits)) for of in found],
    }


def differences(measured: Mapping[str, Mapping[str, Any]], resampling: Resampling) -> dict[str, Any]:
    """First minus second in the retrieval of the middle third, by benchmark, where both read the same sentences.

    Args:
        measured: what is measured of each of the two models, by name.
    """
    (first, second), pairs = measured.values(), {}
    for name in first.keys() & second.keys():
        both = first[name], second[name]
        if all("found" in one for one in both) and both[0]["facts"]["items"] == both[1]["facts"]["items"]:
            pairs[name] = list(zip(*map(_per_sentence, both), strict=True))
    return {name: resampling.difference([pairs[name]], *measured, name) for name in sorted(pairs)}


def _per_sentence(one: Mapping[str, Any]) -> list[float]:
    """The share of directions and middle layers in which each pair was found."""
    low, high = one["middle"]["layers"]
    hits = np.array([[int(sign) for sign in row] for row in one["found"][low : high + 1]])
    return (hits.mean(0) / 2).tolist()


def _similar(x: np.ndarray) -> np.ndarray:
    """Inner products of centred rows, without those of a row with itself."""
    x = x - x.mean(0)
    found = x @ x.T
    np.fill_diagonal(found, 0)
    return found
