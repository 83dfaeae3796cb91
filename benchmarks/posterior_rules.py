"""What each posterior rule gets wrong: docs/posterior_rules.md, written from the code.

python -m benchmarks.posterior_rules > docs/posterior_rules.md        (about two minutes)
"""

import sys

from medidiff.diffusion.bias import gaussian_cases, gaussian_oracle, gaussian_row, reddiff_rows
from medidiff.diffusion.mixture_bias import mixture_oracle, mixture_table

HEAD = """# What posterior rules get wrong

Written from the code by `python -m benchmarks.posterior_rules`. All rules are one formula with different V and G
(`medidiff/diffusion/posterior.py`):

    D_y = D + G A^T (sy^2 I + A V A^T)^-1 (y - A D)

| rule | V | G | network's gradient | equals the exact E[x0 given u, y] for |
| --- | --- | --- | --- | --- |
| DDS, NA-DDS: `Isotropic` | r^2 I, r^2 = c sigma^2 / (c + sigma^2) | V | no | isotropic Gaussian priors of variance c |
| DiffPIR: `Flat` | sigma^2 / lam I | V | no | a flat prior, lam = 1 |
| DDNM: `Projection` | I, with sy = 0 | I | no | noiseless and isotropic |
| FlowChef: `GradientStep` | 0, with sy = 1 | step I | no | nothing |
| PiGDM: `PiGDM` | r^2 I | sigma^2 J^T | one product | isotropic Gaussian priors |
| TMPD: `RowSums` | diag(A sigma^2 J A^T 1) | sigma^2 J^T | two products | A V A^T diagonal |
| MMPS, full TMPD: `MomentMatching` | sigma^2 J | sigma^2 J^T | one per iteration | every Gaussian prior; not mixtures |
| DPS, literal: `Literal` | 0 | sigma^2 J^T | one product | sigma to 0 only |

J is the Jacobian of the network. A density makes it symmetric and positive; a trained network does neither (asymmetries of
.2 to .5 are usual), so rules that use it measure it, keep it in their `report`, and are for oracles, well-posed operators and
priors whose card shows a nearly symmetric J. The default of every pipeline is `Isotropic`, which uses no gradient.

Say "posterior samples" only where the rows below and held-out coverage both allow it; else say "restoration".
"""

GAUSSIAN = """
## A Gaussian prior

16 dimensions, variances .01 to 2, 8 random measurements, noise .1. Every step is affine there, so mean and covariance are
followed exactly and no number below has a sampling error. From white noise of level 20 down to .005; levels uniform in lambda
at 999 steps, those of Karras otherwise. Bias: of the mean, rms in standard deviations of the posterior. Spread: trace of the
covariance over the posterior's. Distance: 2-Wasserstein over sqrt(tr P). The truth is 0, 1, 0.

| method | sampler | steps | bias | spread | distance |
| --- | --- | ---: | ---: | ---: | ---: |
"""

MIXTURE = """
## A mixture prior

8 dimensions, four components that 4 random measurements hardly tell apart (shares .1, .2, .3, .4 before the measurement and
{shares} after it), noise .3, 200 levels of Karras, 2,000 samples. Distance: sliced 2-Wasserstein over the
posterior's standard deviation, beside the floor that as many true samples leave. Shares: the largest error of a component's
share.

| method | sampler | distance | shares |
| --- | --- | ---: | ---: |
"""

TAIL = """
## Reading

- On the Gaussian fresh noise (eta 1) lowers the bias of every heuristic rule; it costs spread where steps are few.
- Full re-noising (zeta 1) returns about half the posterior's variance at any number of levels.
- No heuristic gets the shares of modes right, with or without fresh noise.
- RED-diff returns one image: no spread at all, and with the weights of the literature not the mean either.
- These priors are exact. A trained one changes the ranking: compare on held-out data before you leave `Isotropic`.
"""


def gaussian_lines() -> list[str]:
    """The rows of the Gaussian table, with progress on stderr."""
    prior, seen = gaussian_oracle()
    rows = []
    for case in gaussian_cases(prior, seen):
        print(f"{case.method}, {case.sampler}, {case.steps} steps", file=sys.stderr)
        rows.append(gaussian_row(case, prior, seen))
    rows = sorted(rows, key=lambda row: row.method) + list(reddiff_rows(prior, seen))
    return [
        f"| {row.method} | {row.sampler} | {row.steps} | {row.bias:.2f} | {row.spread:.2f} | {row.distance:.2f} |" for row in rows
    ]


def mixture_lines() -> list[str]:
    """The rows of the mixture table."""
    print("mixture", file=sys.stderr)
    return [f"| {row.method} | {row.sampler} | {row.distance:.2f} | {row.weights:.2f} |" for row in mixture_table()]


def markdown() -> str:
    """The page."""
    prior, seen = mixture_oracle()
    posterior = prior.posterior(seen.operator.matrix, seen.y[0], seen.noise_std)
    shares = ", ".join(f"{share:.2f}" for share in posterior.weights.tolist())
    gaussian, mixture = "\n".join(gaussian_lines()), "\n".join(mixture_lines())
    return f"{HEAD}{GAUSSIAN}{gaussian}\n{MIXTURE.format(shares=shares)}{mixture}\n{TAIL}"


if __name__ == "__main__":
    print(markdown(), end="")
