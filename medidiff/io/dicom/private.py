"""Private elements that SUV needs, found through their creator."""

from pydicom.dataset import Dataset


def private_text(header: Dataset, group: int, creator: str, element: int) -> str:
    """Text of a private element, or "" where the header lacks it.

    group, element    as in (7053,xx00): group 0x7053, element 0x00
    creator           its private creator; where a header names no creator at (group,0010), the block 10 is taken,
                      as some anonymisers keep the element and drop the name

    Elements whose type is unknown (UN) hold bytes and are decoded.
    """
    named = {str(header[group, block].value).strip() for block in range(0x10, 0x100) if (group, block) in header}
    if creator in named:
        try:
            value = header.private_block(group, creator)[element].value
        except KeyError:
            return ""
    elif (group, 0x10) not in header and (group, 0x1000 + element) in header:
        value = header[group, 0x1000 + element].value
    else:
        return ""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return str(value if value is not None else "").strip("\0 ")
