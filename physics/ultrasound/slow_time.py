"""Filters over slow time, the axis of frames: what stands still has few singular vectors, and the strongest."""

import torch
from torch import Tensor


def without_strongest(clip: Tensor, removed: int) -> Tensor:
    """A clip without its strongest components over slow time.

    clip      (frame, axial, lateral) complex or real
    removed   how many singular values of the Casorati matrix (axial·lateral, frame) become 0
    returns   as clip; ValueError where the clip has no more frames than that

        clip = sum over k of  sigma_k u_k v_k^H,   from which k <= removed is taken away   (Demené et al. 2015)

    The right singular vectors come from the small Gram matrix over frames, so memory stays that of the clip.
    """
    if not 0 <= removed < len(clip):
        raise ValueError(
            f"found {len(clip)} frames and {removed} components to remove, expected more frames. Take a longer clip."
        )
    samples = clip.flatten(1)
    _, vectors = torch.linalg.eigh(samples @ samples.mH)
    strongest = vectors[:, len(clip) - removed :]
    return (samples - strongest @ (strongest.mH @ samples)).reshape(clip.shape)
