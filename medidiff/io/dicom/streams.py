"""Binary streams that never reserve more memory than the file behind them can fill."""

import io
import os
import zlib
from pathlib import Path

from medidiff.errors import DataError

HEADER_BYTES = 64 << 20  # far above any real header: 10 000 frames of functional groups take about 20 MB


class ClampedFile(io.BufferedReader):
    """A file whose `read(n)` never reserves more than is left in it.

    budget    bytes that may still be read before it is an error; None lifts the limit
    """

    def __init__(self, path: Path):
        super().__init__(io.FileIO(str(path)))  # pydicom reopens a file by a name that is text
        self.length = os.fstat(self.fileno()).st_size
        self.budget: int | None = HEADER_BYTES

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes, all that is left when negative."""
        if size is None or size < 0 or size > io.DEFAULT_BUFFER_SIZE:
            left = max(0, self.length - self.tell())
            size = left if size is None or size < 0 else min(size, left)
        if self.budget is not None:
            self.budget -= size
            if self.budget < 0:
                raise DataError(f"the header takes more than {HEADER_BYTES >> 20} MB")
        return super().read(size)


class InflatedFile(io.BytesIO):
    """The inflated rest of a deflated file, which grows as it is read and never beyond `limit`.

    file      positioned at the first deflated byte
    limit     largest number of inflated bytes; asking for more is an error
    """

    def __init__(self, file: ClampedFile):
        super().__init__()
        self.limit = HEADER_BYTES
        self._file = file
        self._file.budget = None
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes, inflated now when they are not yet there."""
        wanted = self.limit if size is None or size < 0 else self.tell() + size
        if wanted > self.limit:
            raise DataError(f"deflated data ask for {wanted / 1e6:.0f} MB where {self.limit / 1e6:.0f} MB were to be expected")
        self._fill(wanted)
        return super().read(size)

    def _fill(self, wanted: int) -> None:
        here = self.tell()
        self.seek(0, io.SEEK_END)
        while self.tell() < wanted and not self._inflater.eof:
            chunk = self._inflater.unconsumed_tail or self._file.read(1 << 16)
            if not chunk:
                break
            self.write(self._inflater.decompress(chunk, 1 << 20))
        self.seek(here)
