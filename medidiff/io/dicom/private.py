"""Private elements that SUV needs, found through their creator."""

from pydicom.dataset import Dataset

from medidiff.io.dicom.fields import value


def private_text(header: Dataset, group: int, creator: str, element: int) -> str:
    """Text of a private element, or "" where the header lacks it.

    group, element    as in (7053,xx00): group 0x7053, element 0x00
    creator           its private creator; where a header names no creator at (group,0010), the block 10 is taken,
                      as some anonymisers keep the element and drop the name

    Elements whose type is unknown (UN) hold bytes and are decoded.
    """
    blocks = [block for block in range(0x10, 0x100) if (group, block) in header]
    own = next((block for block in blocks if _value(header, group, block).strip() == creator), 0x10 if 0x10 not in blocks else 0)
    return _value(header, group, 0x100 * own + element).strip("\0 ") if own else ""


def _value(header: Dataset, group: int, element: int) -> str:
    found = value(header, (group, element))
    content = None if found is None else found.value
    if isinstance(content, bytes):
        content = content.decode("ascii", "replace")
    return "" if content is None else str(content)
