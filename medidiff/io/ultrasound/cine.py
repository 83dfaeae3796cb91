"""Clips that any viewer shows: animated GIF, and MP4 where imageio-ffmpeg is installed."""

from pathlib import Path

import numpy as np
from PIL import Image

from medidiff.errors import DataError
from medidiff.io.atomic import atomic_path

STILL_HZ = 10.0  # where a clip does not tell its rate


def write_gif(frames: np.ndarray, path: Path, *, frame_rate_hz: float | None) -> None:
    """Frames (frame, row, column) of 8 bits as an endless GIF of 256 greys; GIF counts time in hundredths of a second."""
    pictures = [Image.fromarray(np.ascontiguousarray(frame, np.uint8), "L") for frame in frames]
    duration = max(20, 10 * round(100 / (frame_rate_hz or STILL_HZ)))
    with atomic_path(path) as temporary:
        pictures[0].save(temporary, format="GIF", save_all=True, append_images=pictures[1:], duration=duration, loop=0)


def write_mp4(frames: np.ndarray, path: Path, *, frame_rate_hz: float | None) -> None:
    """Frames (frame, row, column) of 8 bits as H.264. Raises DataError where imageio-ffmpeg is not installed."""
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise DataError(f"{Path(path).name}: MP4 needs ffmpeg. Run `pip install imageio-ffmpeg`, or ask for a GIF.") from error
    rows, columns = frames.shape[1] // 2 * 2, frames.shape[2] // 2 * 2  # H.264 halves the colour planes
    with atomic_path(path) as temporary:
        rate = frame_rate_hz or STILL_HZ
        output = imageio_ffmpeg.write_frames(str(temporary), (columns, rows), pix_fmt_in="gray", fps=rate, macro_block_size=2)
        output.send(None)
        for frame in frames:
            output.send(np.ascontiguousarray(frame[:rows, :columns], np.uint8).tobytes())
        output.close()
