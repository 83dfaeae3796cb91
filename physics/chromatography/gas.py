"""Carrier gases and vapours in them: viscosity and diffusion as functions of temperature and pressure."""

from dataclasses import dataclass

import numpy as np

ATMOSPHERE = 101300.0
ICE_POINT = 273.15


@dataclass(frozen=True)
class CarrierGas:
    """A carrier gas; viscosity law of Blumberg (2010), diffusion volume of Fuller, Schettler and Giddings (1966)."""

    viscosity_at_ice_point: float  # Pa s
    exponent: float  # xi0
    exponent_slope: float  # xi1
    diffusion_volume: float  # cm^3/mol
    molar_mass: float  # g/mol

    def viscosity(self, temperature):
        """mu(T), Pa s, of any array of kelvins:  mu_st (T/T_st)^(xi0 + xi1 (T - T_st)/T_st),  T_st = 273.15 K."""
        relative = np.asarray(temperature) / ICE_POINT
        return self.viscosity_at_ice_point * relative ** (self.exponent + self.exponent_slope * (relative - 1.0))


CARRIERS = {
    "helium": CarrierGas(18.63e-6, 0.6958, -0.0071, 2.67, 4.0),
    "hydrogen": CarrierGas(8.382e-6, 0.6892, 0.005, 6.12, 2.02),
    "nitrogen": CarrierGas(16.62e-6, 0.7665, -0.0378, 18.5, 28.01),
    "argon": CarrierGas(21.04e-6, 0.8131, -0.0426, 16.2, 39.95),
}


@dataclass(frozen=True)
class Formula:
    """Counts of atoms and rings of one molecule."""

    carbon: int
    hydrogen: int
    oxygen: int = 0
    nitrogen: int = 0
    rings: int = 0

    @property
    def molar_mass(self) -> float:
        """g/mol."""
        return 12.011 * self.carbon + 1.008 * self.hydrogen + 15.999 * self.oxygen + 14.007 * self.nitrogen

    @property
    def diffusion_volume(self) -> float:
        """15.9 C + 2.31 H + 6.11 O + 4.54 N - 18.3 per ring, cm^3/mol (Fuller, Ensley and Giddings 1969)."""
        chain = 15.9 * self.carbon + 2.31 * self.hydrogen + 6.11 * self.oxygen + 4.54 * self.nitrogen
        return chain - 18.3 * self.rings


def diffusion_constant(carrier: CarrierGas, formulas: list[Formula]) -> np.ndarray:
    """C of D = C T^1.75/p for each vapour in the carrier.

    returns   (solute,)   Pa m^2/(s K^1.75)

        C = 101300 · 1e-7 sqrt(1/M + 1/Mg)/(Vg^(1/3) + Va^(1/3))^2      (Fuller, Schettler and Giddings 1966)
    """
    mass = np.array([formula.molar_mass for formula in formulas])
    volume = np.array([formula.diffusion_volume for formula in formulas])
    if np.any(volume <= 0):
        raise ValueError("a molecule has no positive diffusion volume: check its formula.")
    return (
        ATMOSPHERE
        * 1e-7
        * np.sqrt(1.0 / mass + 1.0 / carrier.molar_mass)
        / (np.cbrt(carrier.diffusion_volume) + np.cbrt(volume)) ** 2
    )
