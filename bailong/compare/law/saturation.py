"""What a dialogue is worth when there are no new ones: the saturation of ATLAS (2510.22037).

    S(D; U) = D                                       for D <= U
              U (1 + (1 - exp(-l (D / U - 1))) / l)   beyond

D dialogues are trained on, U of them differ; l is how fast repetition stops to help. Both parts have slope 1 at D = U.
"""

import numpy as np


def effective(size: np.ndarray, unique: float, rate: float) -> np.ndarray:
    """Dialogues that do as much when none is repeated, for `size` of which `unique` differ."""
    beyond = np.maximum(size / unique - 1.0, 0.0)
    return np.where(size <= unique, size, unique * (1.0 - np.expm1(-rate * beyond) / rate))


def slope(size: np.ndarray, unique: float, rate: float) -> np.ndarray:
    """The derivative of `effective` by the size."""
    return np.exp(-rate * np.maximum(size / unique - 1.0, 0.0))
