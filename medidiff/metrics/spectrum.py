"""Energy of a field by wave number, and how far a prediction's is from the truth's."""

import numpy as np

FLOOR = 1e-12  # of the largest energy, below which rounding rules


def energy_spectrum(u: np.ndarray) -> np.ndarray:
    """E(k, t), the mean over trajectories and the sum over fields of the energy of every whole wave number.

    u         (b, field, t, x[, y])
    returns   (t, k), k = 0 .. n/2; in 2D summed over shells |k| in [k - 1/2, k + 1/2)

        sum over k of E(k, t) = 1/2 · mean over space of u²   (Parseval; in 2D up to shells beyond n/2)
    """
    axes = tuple(range(3, u.ndim))
    cells = np.prod([u.shape[axis] for axis in axes])
    energy = 0.5 * np.abs(np.fft.fftn(np.asarray(u, dtype=np.float64), axes=axes) / cells) ** 2
    energy = energy.mean(0).sum(0)
    numbers = np.meshgrid(*(np.fft.fftfreq(u.shape[axis], 1 / u.shape[axis]) for axis in axes), indexing="ij")
    shell = np.rint(np.sqrt(sum(np.square(number) for number in numbers))).astype(int).ravel()
    count = min(u.shape[axis] for axis in axes) // 2 + 1
    flat = energy.reshape(len(energy), -1)
    return np.stack([flat[:, shell == k].sum(1) for k in range(count)], 1)


def spectral_distance(predicted: np.ndarray, target: np.ndarray) -> float:
    """Root mean square of log10(E_predicted / E_target) over time and wave number, in decades; 0 is equal.

    predicted, target   (b, field, t, x[, y])

    Wave numbers whose energy is below `FLOOR` of the largest, in the truth, are left out; k = 0 too.
    """
    mine, true = energy_spectrum(predicted)[:, 1:], energy_spectrum(target)[:, 1:]
    kept = true > FLOOR * true.max()
    ratio = np.log10(np.maximum(mine[kept], FLOOR * true.max()) / true[kept])
    return float(np.sqrt(np.square(ratio).mean()))
