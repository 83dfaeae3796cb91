"""Plate heights of an open tubular column: diffusion, the gas-phase term that laminar flow adds, slow exchange."""

from physics.chromatography.peaks import golay_factor


def plate_height_terms(retention, desorption, *, velocity, diffusion, radius):
    """The three contributions to the plate height H = variance of a position per length, Golay's equation.

    retention    any   k, no unit
    desorption   any   kd, 1/s
    velocity     any   u, m/s
    diffusion    any   D of the analyte in the carrier, m^2/s
    radius       any   R, m
    returns      (axial, gas phase, exchange), each m

        2 D/u,    (1 + 6k + 11k^2)/(24 (1 + k)^2) R^2 u/D,    2 k u/((1 + k)^2 kd)      (Golay 1958)
    """
    axial = 2.0 * diffusion / velocity
    gas_phase = 2.0 * golay_factor(retention) * radius**2 * velocity / diffusion
    exchange = 2.0 * retention * velocity / ((1.0 + retention) ** 2 * desorption)
    return axial, gas_phase, exchange


def golay_desorption(retention, *, diffusion, radius):
    """The desorption rate that would broaden as much as radial diffusion in the gas does, 1/s.

    retention   any   k
    diffusion   any   D, m^2/s
    radius      any   R, m

        kd_G = 48 k D/((1 + 6k + 11k^2) R^2)
    """
    return 48.0 * retention * diffusion / ((1.0 + 6.0 * retention + 11.0 * retention**2) * radius**2)


def corrected_desorption(fitted, retention, *, diffusion, radius):
    """Desorption rate of the film alone, after Golay's gas-phase term is taken out of a fitted rate.

    fitted    any   kd of a fit that left the gas-phase term out, 1/s
    returns   any   kd, 1/s, larger than `fitted`

        1/kd = 1/fitted - 1/kd_G

    Raises ValueError where radial diffusion alone would broaden more than the fit found.
    """
    rest = 1.0 / fitted - 1.0 / golay_desorption(retention, diffusion=diffusion, radius=radius)
    if (rest <= 0) if isinstance(rest, float) else bool((rest <= 0).any()):
        raise ValueError(
            "the gas-phase term alone exceeds the fitted broadening: the diffusion coefficient or the inner radius is wrong."
        )
    return 1.0 / rest
