"""How far an ensemble of masks is from the masks that several people drew."""

import numpy as np


def squared_energy_distance(members: np.ndarray, raters: np.ndarray) -> float:
    """Generalised energy distance squared between two sets of masks; 0 when both are distributed alike.

    members, raters   (mask, *space) bool

        2 E d(s, y) - E d(s, s') - E d(y, y'),   d = 1 - IoU, IoU of two empty masks = 1     (Kohl et al. 2018, eq. 5)

    Expectations are over all pairs, a mask with itself too, so the distance of a set from itself is 0.
    """
    if not len(members) or not len(raters):
        raise ValueError(f"found {len(members)} members and {len(raters)} raters, expected at least one of each.")
    members, raters = (np.reshape(masks, (len(masks), -1)).astype(np.float32) for masks in (members, raters))
    between, within_members, within_raters = (
        float(_distances(*pair).mean()) for pair in ((members, raters), (members, members), (raters, raters))
    )
    return 2 * between - within_members - within_raters


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    common = (first @ second.T).astype(np.float64)
    either = first.sum(axis=1, dtype=np.float64)[:, None] + second.sum(axis=1, dtype=np.float64) - common
    return 1 - np.divide(common, either, out=np.ones_like(common), where=either > 0)
