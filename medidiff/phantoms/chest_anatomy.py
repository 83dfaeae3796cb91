"""A random chest: which solids it is made of, from the skin inwards, and what each weighs in Hounsfield units."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from scipy.spatial.transform import Rotation

from medidiff.phantoms.shapes import Ball, Bands, Column, Common, Ribs, Rod, Shape, Wave, draw_wave

AIR_HU = -1000.0


@dataclass(frozen=True, eq=False)
class Part:
    """One solid and its attenuation, HU, which replaces what lies below it."""

    shape: Shape
    hu: float
    texture_hu: float = 0.0  # strength of the smooth random variation inside
    back_hu: float = 0.0  # rise from the middle to 100 mm behind it: blood sinks
    soft_mm: float = 0.0  # width of a blurred border
    share: float = 1.0  # how much of what lies below is replaced


@dataclass(frozen=True, eq=False)
class Frame:
    """Measures that the organs of one patient follow."""

    wall: Column  # inner side of the ribs
    flesh: Column  # outer side of the muscle
    side_mm: float  # half width and half depth of the wall
    depth_mm: float
    back_mm: float  # y of the middle
    is_enhanced: bool  # iodine in the blood
    blood_hu: float
    lungs: tuple[Column, Column]  # right (+x), left

    def at(self, x: float, y: float, z: float) -> np.ndarray:
        """A place given in half widths and half depths of the wall, and mm along z."""
        return np.array([x * self.side_mm, self.back_mm + y * self.depth_mm, z])


def draw_parts(generator: Generator) -> tuple[tuple[Part, ...], Frame]:
    """The solids of a random patient, outermost first, and the measures they follow. RAS mm; the field's middle is (0, 0, 0)."""
    side, depth = generator.uniform(100, 128), generator.uniform(68, 92)
    back = generator.uniform(-10, 8)
    x, y = draw_wave(generator.uniform(-6, 6), 2, generator), draw_wave(back, 3, generator)
    wall = Column(x, y, draw_wave(side, 6, generator), draw_wave(depth, 5, generator), lumps=_lumps(0.02, generator))
    is_enhanced = bool(generator.random() < 0.5)
    blood = generator.uniform(120, 320) if is_enhanced else generator.uniform(35, 55)
    lungs = tuple(_lung(sign, x.base, back, side, depth, generator) for sign in (1, -1))
    muscle = generator.uniform(14, 24)
    flesh = _grown(wall, muscle, muscle * generator.uniform(0.8, 1.1), generator)
    frame = Frame(wall, flesh, side, depth, back, is_enhanced, blood, lungs)
    parts = [*_outside(frame, generator), *_inside_lungs(frame, generator), *_middle(frame, generator)]
    parts += [*_belly(frame, generator), *_bones(frame, generator)]
    return tuple(parts), frame


def _lumps(size: float, generator: Generator) -> np.ndarray:
    return np.stack([generator.uniform(-size, size, 3), generator.uniform(0, 2 * np.pi, 3)])


def _turned(largest_rad: float, generator: Generator) -> np.ndarray:
    return Rotation.from_rotvec(generator.uniform(-largest_rad, largest_rad, 3)).as_matrix()


def _lung(sign: int, middle: float, back: float, side: float, depth: float, generator: Generator) -> Column:
    width = side * generator.uniform(0.42, 0.5)
    place = middle + sign * (side - width + generator.uniform(-1, 4))
    return Column(
        draw_wave(place, 3, generator),
        draw_wave(back - generator.uniform(0, 6), 3, generator),
        draw_wave(width, 4, generator),
        draw_wave(depth * generator.uniform(0.86, 0.97), 4, generator),
        turn_rad=sign * generator.uniform(-0.1, 0.3),
        lumps=_lumps(0.05, generator),
        middle_mm=generator.uniform(-45, 35),
        half_mm=generator.uniform(120, 175),
    )


def _outside(frame: Frame, generator: Generator) -> list[Part]:
    """Skin, fat, breasts and muscle, and the fat between the organs."""
    fat_hu, muscle_hu = generator.uniform(-115, -85), generator.uniform(35, 65)
    fat, flesh = generator.uniform(4, 26), frame.flesh
    skin = _grown(flesh, fat, fat * generator.uniform(0.7, 1.2), generator)
    parts = [Part(skin, fat_hu, texture_hu=8)]
    if generator.random() < 0.5:
        radii = np.array([generator.uniform(35, 55), generator.uniform(18, 40), generator.uniform(40, 65)])
        for sign in (-1, 1):
            breast = Ball(frame.at(sign * 0.5, 1.15, generator.uniform(-40, 20)), radii, _turned(0.2, generator))
            parts.append(Part(breast, fat_hu, texture_hu=25))
            parts.append(Part(Ball(breast.centre, 0.55 * radii, breast.axes), 15, texture_hu=30, soft_mm=12, share=0.8))
    return [*parts, Part(flesh, muscle_hu, texture_hu=12), Part(frame.wall, fat_hu + 10, texture_hu=12)]


def _grown(column: Column, side_mm: float, depth_mm: float, generator: Generator) -> Column:
    """A wider column around the same middle, with ripples of its own."""
    a, b = (replace(wave, base=wave.base + more) for wave, more in ((column.a, side_mm), (column.b, depth_mm)))
    return Column(column.x, column.y, a, b, lumps=_lumps(0.02, generator))


def _still(length_mm: float) -> Wave:
    return Wave(length_mm, np.zeros(3), np.zeros(3))


def _inside_lungs(frame: Frame, generator: Generator) -> list[Part]:
    """Air sacs, patches that hold more or less air, vessels, and fluid behind."""
    lung_hu = generator.uniform(-890, -740)
    parts = []
    for sign, lung in zip((1, -1), frame.lungs):
        inside = Common((lung, frame.wall))
        parts.append(Part(inside, lung_hu, texture_hu=generator.uniform(8, 35), back_hu=generator.uniform(0, 110)))
        for _ in range(generator.poisson(1.5)):
            place = frame.at(sign * generator.uniform(0.35, 0.8), generator.uniform(-0.7, 0.6), generator.uniform(-100, 100))
            patch = Ball(place, generator.uniform(10, 38, 3), _turned(1, generator))
            change = generator.choice([-90.0, 120.0, 250.0, 420.0])
            parts.append(Part(Common((patch, inside)), lung_hu + change, 20, soft_mm=generator.uniform(8, 25), share=0.8))
        hilum = frame.at(sign * 0.3, generator.uniform(-0.15, 0.15), generator.uniform(-15, 35))
        parts += [Part(rod, frame.blood_hu) for rod in _branches(hilum, sign, generator)]
        if generator.random() < 0.12:
            fluid = Ball(frame.at(sign * 0.55, -0.95, -60), generator.uniform([35, 18, 60], [65, 40, 110]), np.eye(3))
            parts.append(Part(Common((fluid, frame.wall)), generator.uniform(0, 25), texture_hu=5))
    return parts


def _branches(hilum: np.ndarray, sign: int, generator: Generator) -> list[Rod]:
    """Vessels that fork three times on their way out; each piece is thinner than the one it leaves."""
    tips = [(hilum, np.array([sign * 0.7, 0.0, 0.0]) + generator.normal(0, 0.7, 3), generator.uniform(5, 8)) for _ in range(5)]
    rods = []
    for _ in range(4):
        grown = []
        for start, direction, radius in tips:
            direction = direction / np.linalg.norm(direction)
            end = start + generator.uniform(16, 34) * direction
            rods.append(Rod(start, end, radius))
            thinner = radius * generator.uniform(0.62, 0.8)
            grown += [(end, direction + generator.normal(0, 0.45, 3), thinner) for _ in range(2)]
        tips = grown
    return rods


def _middle(frame: Frame, generator: Generator) -> list[Part]:
    """Heart and great vessels, airways, gullet and lymph nodes."""
    side, depth, blood = frame.side_mm, frame.depth_mm, frame.blood_hu
    muscle = 50 + 0.35 * (blood - 45)
    low = generator.uniform(-75, -10)
    heart = Ball(
        frame.at(-0.16, 0.22, low), np.array([0.47 * side, 0.5 * depth, generator.uniform(42, 62)]), _turned(0.4, generator)
    )
    parts = [Part(heart, muscle, texture_hu=8)]
    for place in ((-0.3, 0.12), (0.02, 0.3), (-0.05, 0.0)):
        chamber = Ball(frame.at(*place, low + generator.uniform(-12, 14)), generator.uniform(13, 26, 3), _turned(1, generator))
        parts.append(Part(chamber, blood * generator.uniform(0.85, 1.1), soft_mm=3))
    arch, radius = low + generator.uniform(70, 95), generator.uniform(10, 15)
    down, up = frame.at(-0.2, -0.42, arch), frame.at(0.08, 0.28, arch - 5)
    vessels = [(down, down - np.array([0, 0, 400]), radius), (down, up, radius), (up, up - np.array([0, 0, 70]), radius * 1.1)]
    vessels += [(frame.at(0.24, 0.2, low + 30), frame.at(0.22, 0.2, low + 300), generator.uniform(7, 10))]
    trunk = frame.at(-0.1, 0.2, arch - 30)
    vessels += [(trunk, frame.at(sign * 0.32, -0.02, arch - 35), generator.uniform(8, 12)) for sign in (-1, 1)]
    for sign in (-0.9, 0.9, 0.3):
        vessels.append((up + np.array([0, 0, 5]), frame.at(sign * 0.2, 0.1, arch + 200), generator.uniform(4, 7)))
    parts += [Part(Rod(np.array(a), np.array(b), r), blood * generator.uniform(0.9, 1.05)) for a, b, r in vessels]
    gullet = Rod(frame.at(-0.06, -0.33, -300), frame.at(0.0, -0.3, 300), generator.uniform(6, 9))
    parts.append(Part(gullet, generator.uniform(25, 50)))
    for _ in range(generator.poisson(2)):
        node = Ball(
            frame.at(*generator.uniform([-0.25, -0.2], [0.3, 0.4]), generator.uniform(-90, 90)),
            generator.uniform(4, 11, 3),
            np.eye(3),
        )
        parts.append(Part(node, generator.uniform(20, 80)))
    fork, width = frame.at(0.02, -0.08, arch - 28), generator.uniform(7, 10)
    tubes = [(fork, frame.at(0.02, 0.02, arch + 250), width)]
    tubes += [(fork, frame.at(sign * 0.38, -0.14, arch - 28 - generator.uniform(20, 50)), 0.7 * width) for sign in (-1, 1)]
    for a, b, r in tubes:
        parts += [Part(Rod(a, b, r + 2.5), 45), Part(Rod(a, b, r), AIR_HU)]
    return parts


def _belly(frame: Frame, generator: Generator) -> list[Part]:
    """What pushes the lungs up from below: liver on the right, stomach and spleen on the left."""
    top = generator.uniform(-150, -20)
    enhanced = 60.0 if frame.is_enhanced else 0.0
    side, depth = frame.side_mm, frame.depth_mm
    liver = Ball(frame.at(0.38, 0.05, top - 90), np.array([0.66 * side, 0.88 * depth, 100]), _turned(0.25, generator))
    spleen = Ball(frame.at(-0.62, -0.35, top - 75), generator.uniform([30, 34, 50], [44, 50, 70]), _turned(0.4, generator))
    stomach = Ball(frame.at(-0.45, 0.3, top - 70), generator.uniform([34, 34, 48], [52, 50, 64]), _turned(0.4, generator))
    gas = Ball(stomach.centre + np.array([0, 8, 6]), 0.6 * stomach.radii, stomach.axes)
    parts = [
        Part(liver, generator.uniform(40, 65) + enhanced, texture_hu=10),
        Part(spleen, generator.uniform(40, 55) + enhanced, 6),
    ]
    parts += [Part(stomach, generator.uniform(15, 45), texture_hu=15)]
    if generator.random() < 0.6:
        parts.append(Part(gas, AIR_HU + 30))
    return [Part(Common((part.shape, frame.wall)), part.hu, part.texture_hu) for part in parts]


def _bones(frame: Frame, generator: Generator) -> list[Part]:
    """Ribs, breastbone, shoulder blades and the spine with its discs and canal."""
    wall, dense = frame.wall, generator.uniform(380, 800)
    ribs = Ribs(
        wall,
        generator.uniform(26, 36),
        generator.uniform(0, 36),
        generator.uniform(25, 80),
        (generator.uniform(4, 5.5), generator.uniform(5, 8)),
    )
    inner = Ribs(wall, ribs.period_mm, ribs.offset_mm, ribs.drop_mm, (ribs.half_mm[0], 0.5 * ribs.half_mm[1]))
    parts = [Part(ribs, 0.75 * dense), Part(inner, 0.4 * dense, share=0.6)]
    x, y = frame.wall.x, frame.back_mm
    front = Column(x, _still(y + frame.depth_mm + 5), _still(generator.uniform(14, 22)), _still(generator.uniform(5, 8)))
    parts.append(Part(front, generator.uniform(150, 350), texture_hu=30))
    if generator.random() < 0.6:
        height, turn = generator.uniform(40, 110), generator.uniform(0.3, 0.9)
        for sign in (-1, 1):
            place = (_still(sign * 0.78 * frame.side_mm), _still(y - 0.86 * frame.depth_mm))
            blade = Column(
                *place, _still(generator.uniform(26, 38)), _still(3.5), turn_rad=sign * turn, middle_mm=height, half_mm=70
            )
            parts.append(Part(blade, 0.8 * dense))
    return parts + _spine(frame, dense, generator)


def _spine(frame: Frame, dense: float, generator: Generator) -> list[Part]:
    bend = draw_wave(0, 4, generator)
    x = Wave(frame.wall.x.base, bend.amplitudes, bend.phases)
    y0 = frame.back_mm - generator.uniform(0.68, 0.78) * frame.depth_mm
    at = lambda dy, a, b: Column(x, draw_wave(y0 + dy, 0.5, generator), _still(a), _still(b))
    width = generator.uniform(15, 20)
    period, offset = generator.uniform(20, 27), generator.uniform(0, 27)
    bodies, arches = Bands(period, offset, 0.36 * period), Bands(period, offset - 0.3 * period, 0.3 * period)
    column, marrow = at(0, width, 0.85 * width), at(0, width - 3.5, 0.85 * width - 3.5)
    behind = -0.85 * width - 7
    return [
        Part(column, generator.uniform(70, 110)),
        Part(Common((column, bodies)), 0.8 * dense),
        Part(Common((marrow, bodies)), generator.uniform(120, 260), texture_hu=40),
        Part(at(behind, 13, 12), 0.6 * dense),
        Part(Common((at(behind - 4, 2.0 * width, 5.0), arches, frame.flesh)), 0.6 * dense),
        Part(Common((at(behind - 22, 4.0, 16.0), arches, frame.flesh)), 0.7 * dense),
        Part(at(behind, 9.0, 8.0), generator.uniform(10, 40)),
    ]
