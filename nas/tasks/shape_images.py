"""Draws images with one shape each, and with several factors that make the shape hard to recognise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
#: The classes, in order.
SHAPES = ("disk", "square", "triangle", "pentagon", "star", "cross", "ring", "crescent")
#: Version of the images, part of the fingerprint; increase it when the drawing changes.
VERSION = 1
_CHUNK = 512


@dataclass(frozen=True)
class Factors:
    """Factors of difficulty; if all are 0, images show a large upright shape on a plain background."""

    #: Largest rotation, as a share of half a turn.
    rotation: float
    #: Largest reduction of a shape's size, as a share of the largest size.
    scale: float
    #: Similarity of the colours of shape and background; at 1 they may be equal.
    colour: float
    #: Largest number of lines in other colours behind the shape.
    clutter: int
    #: Standard deviation of the pixels' noise, where 1 is the difference of black and white.
    noise: float
    #: Largest width of a bar across the shape, as a share of the shape's radius.
    occlusion: float

    @classmethod
    def of(cls, difficulty: float) -> Factors:
        """All factors for one ``difficulty`` from 0 to 1."""
        return cls(
            rotation=difficulty,
            scale=0.6 * difficulty,
            colour=0.75 * difficulty,
            clutter=round(8 * difficulty),
            noise=0.2 * difficulty,
            occlusion=0.5 * difficulty,
        )


def draw(count: int, size: int, factors: Factors, seed: int) -> tuple[Array, Array, Array]:
    """Draw ``count`` images of ``size`` × ``size`` pixels.

    Returns:
        Images ``(M, H, W, 3)`` uint8; classes ``(M,)`` int64, balanced; masks ``(M, H, W)`` bool of the pixels that
        show the shape.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    classes = random.permutation(np.arange(count) % len(SHAPES))
    images = np.empty((count, size, size, 3), np.uint8)
    masks = np.empty((count, size, size), bool)
    for start in range(0, count, _CHUNK):
        part = slice(start, min(start + _CHUNK, count))
        images[part], masks[part] = _draw_chunk(classes[part], size, factors, random)
    return images, classes.astype(np.int64), masks


def _draw_chunk(classes: Array, size: int, factors: Factors, random: np.random.Generator) -> tuple[Array, Array]:
    """Draw one chunk: images ``(B, H, W, 3)`` uint8 and masks ``(B, H, W)``."""
    count = len(classes)
    y, x = (grid.astype(np.float32) for grid in np.mgrid[:size, :size])
    radius = 0.42 * size * (1 - factors.scale * random.random(count, np.float32))
    centre = size / 2 + (0.5 * size - radius) * random.uniform(-0.8, 0.8, (2, count)).astype(np.float32)
    angle = factors.rotation * np.pi * random.uniform(-1, 1, count).astype(np.float32)
    u, v = _turned(x, y, centre, angle, radius)
    shape = np.clip(_inside(classes, u, v) * _column(radius) + 0.5, 0, 1)
    bar = _bar(u, v, factors.occlusion, random)
    ground, colour = _colours(count, factors.colour, random)
    picture = ground[:, None, None, :] * _light(x, y, size, count, random)[..., None]
    for _ in range(factors.clutter):
        _paint(picture, _line(x, y, size, count, random), random.random((count, 3), np.float32))
    _paint(picture, shape, colour)
    _paint(picture, bar, random.random((count, 3), np.float32))
    picture += factors.noise * random.standard_normal(picture.shape, np.float32)
    images = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    return images, (shape > 0.5) & (bar <= 0.5)


def _column(values: Array) -> Array:
    """Reshape ``(B,)`` to ``(B, 1, 1)``."""
    return values[:, None, None]


def _turned(x: Array, y: Array, centre: Array, angle: Array, radius: Array) -> tuple[Array, Array]:
    """Coordinates ``(B, H, W)`` in which each shape is upright, centred at the origin, and has radius 1."""
    dx, dy = (x - _column(centre[0])) / _column(radius), (y - _column(centre[1])) / _column(radius)
    cos, sin = _column(np.cos(angle)), _column(np.sin(angle))
    return cos * dx + sin * dy, cos * dy - sin * dx


def _paint(picture: Array, cover: Array, colour: Array) -> None:
    """Blend ``colour`` ``(B, 3)`` into ``picture`` ``(B, H, W, 3)`` where ``cover`` ``(B, H, W)`` is 1."""
    picture += cover[..., None] * (colour[:, None, None, :] - picture)


def _colours(count: int, closeness: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Colours ``(B, 3)`` of backgrounds and shapes, whose distance decreases with ``closeness``."""
    ground = random.uniform(0.1, 0.9, (count, 3)).astype(np.float32)
    direction = np.abs(random.standard_normal((count, 3), np.float32)) * np.where(ground > 0.5, -1, 1)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    least = 0.8 * (1 - closeness)
    distance = random.uniform(least, least + 0.15, (count, 1)).astype(np.float32)
    return ground, np.clip(ground + direction * distance, 0, 1)


def _light(x: Array, y: Array, size: int, count: int, random: np.random.Generator) -> Array:
    """Brightness ``(B, H, W)``, which varies across each image."""
    slope = random.uniform(-0.3, 0.3, (2, count)).astype(np.float32) / size
    light: Array = 1 + _column(slope[0]) * (x - size / 2) + _column(slope[1]) * (y - size / 2)
    return light


def _line(x: Array, y: Array, size: int, count: int, random: np.random.Generator) -> Array:
    """Cover ``(B, H, W)`` of a short line, one or two pixels wide; half of the images get no line."""
    start = random.uniform(0, size, (2, count)).astype(np.float32)
    angle = random.uniform(0, 2 * np.pi, count).astype(np.float32)
    length = random.uniform(0.15, 0.5, count).astype(np.float32) * size
    dx, dy = x - _column(start[0]), y - _column(start[1])
    cos, sin = _column(np.cos(angle)), _column(np.sin(angle))
    along = np.clip(cos * dx + sin * dy, 0, _column(length))
    distance = np.hypot(dx - along * cos, dy - along * sin)
    width = random.uniform(0.5, 1.2, count).astype(np.float32)
    drawn = random.random(count) < 0.5
    cover: Array = np.clip(_column(width) - distance + 0.5, 0, 1) * _column(drawn.astype(np.float32))
    return cover


def _bar(u: Array, v: Array, width: float, random: np.random.Generator) -> Array:
    """Cover ``(B, H, W)`` of a bar across the shape; its width is at most ``width`` times the shape's radius."""
    count = len(u)
    angle = _column(random.uniform(0, np.pi, count).astype(np.float32))
    offset = _column(random.uniform(-0.6, 0.6, count).astype(np.float32))
    half = _column(random.uniform(0, width / 2, count).astype(np.float32))
    distance = np.abs(np.cos(angle) * u + np.sin(angle) * v - offset)
    cover: Array = (distance < half).astype(np.float32)
    return cover


def _inside(classes: Array, u: Array, v: Array) -> Array:
    """Distance of each pixel from the edge of its shape ``(B, H, W)``, in radii; negative outside of the shape."""
    found = np.empty_like(u)
    for number, name in enumerate(SHAPES):
        chosen = classes == number
        if chosen.any():
            found[chosen] = _FIELDS[name](u[chosen], v[chosen])
    return found


def _polygon(corners: int) -> Callable[[Array, Array], Array]:
    def field(u: Array, v: Array) -> Array:
        sector = 2 * np.pi / corners
        turn = np.mod(np.arctan2(u, -v), sector) - sector / 2
        return np.asarray(np.cos(sector / 2) - np.hypot(u, v) * np.cos(turn), np.float32)

    return field


def _star(u: Array, v: Array) -> Array:
    """Field of a star with five tips at radius 1 and notches at 0.45: the distance to the line from tip to notch."""
    sector = 2 * np.pi / 5
    turn = np.abs(np.mod(np.arctan2(u, -v) + sector / 2, sector) - sector / 2)
    radius = np.hypot(u, v)
    notch = 0.45 * np.exp(1j * sector / 2)
    edge = notch - 1
    along, across = radius * np.cos(turn) - 1, radius * np.sin(turn)
    return np.asarray((edge.imag * along - edge.real * across) / abs(edge) * -1, np.float32)


def _cross(u: Array, v: Array) -> Array:
    a, b = np.abs(u), np.abs(v)
    inside: Array = np.maximum(np.minimum(0.32 - a, 0.95 - b), np.minimum(0.95 - a, 0.32 - b))
    return inside


def _crescent(u: Array, v: Array) -> Array:
    inside: Array = np.minimum(1 - np.hypot(u, v), np.hypot(u - 0.5, v) - 0.75)
    return inside


_FIELDS: dict[str, Callable[[Array, Array], Array]] = {
    "disk": lambda u, v: 0.9 - np.hypot(u, v),
    "square": lambda u, v: 0.8 - np.maximum(np.abs(u), np.abs(v)),
    "triangle": _polygon(3),
    "pentagon": _polygon(5),
    "star": _star,
    "cross": _cross,
    "ring": lambda u, v: np.minimum(0.95 - np.hypot(u, v), np.hypot(u, v) - 0.5),
    "crescent": _crescent,
}
