"""Photos on entry: turned upright, made smaller, and without what the camera wrote beside the picture (place, device).

For: JPEG, PNG and WebP; what is kept is what the op names and what travels on a thin line.
May not: touch anything that is no such picture; write to the store; import Pillow before there is a picture to look at.
Manual: docs/operating/attachments.md.  Decision: docs/decisions/0150-photos-quota-and-the-attachment-lane.md.
"""

from __future__ import annotations

import hashlib
import io
import struct
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.attachment import FileToAttach
from edge.errors import AttachmentUnreadable

if TYPE_CHECKING:
    from PIL.Image import Image

LONG_SIDE_MAX = 1600  # pixels: small print on an A4 page that fills the picture stays readable
JPEG_QUALITY = 82  # a phone's photo of 1 MB becomes 120 to 250 kB
JPEG_QUALITY_LOW = 60  # where that is no smaller than what was handed in
MAX_IMAGE_PIXELS = 2**26  # 67 million, 192 MiB unpacked: an old machine survives it; more is a bomb or a plan
FORMATS = ("JPEG", "PNG", "WEBP")
MEDIA = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
ENDINGS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}
PLAIN = frozenset({"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "gamma", "srgb", "progressive",
                   "progression", "adobe", "adobe_transform", "transparency", "interlace", "chromaticity",
                   "icc_profile", "loop", "background", "timestamp", "duration"})  # fmt: skip  # nothing about a person


def is_photo(data: bytes) -> bool:
    """Whether these bytes begin as a picture that is made smaller. The name of a file proves nothing."""
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return webp or data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))


def reduced(file: FileToAttach) -> FileToAttach:
    """The file as it is kept: a picture as JPEG of at most LONG_SIDE_MAX, anything else as it came.

    A picture that cannot be decoded is no picture here and stays as it came: the case goes on. What JPEG does not make
    smaller (line scans) is kept in its own format, without the camera's words in any case.

    Raises:  AttachmentUnreadable above MAX_IMAGE_PIXELS.
    """
    if not is_photo(file.data):
        return file
    made = _smallest(file)
    if made is None:
        return file
    kind, data = made
    return replace(
        file,
        name=Path(file.name).stem + ENDINGS[kind] if MEDIA[kind] != file.media else file.name,
        media=MEDIA[kind],
        data=data,
        sha256=hashlib.sha256(data).digest(),
        reduced_from=len(file.data),
    )


def _smallest(file: FileToAttach) -> tuple[str, bytes] | None:
    """(format, bytes) of what to keep instead, or None to keep the file as it is."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # our own limit below is lower and is held before a pixel is unpacked
    try:
        with Image.open(io.BytesIO(file.data), formats=FORMATS) as picture:
            kind = str(picture.format)
            if picture.width * picture.height > MAX_IMAGE_PIXELS:
                raise _too_many(file.name, picture.width, picture.height)
            bare = set(picture.info) <= PLAIN and not picture.getexif()
            upright = _upright(picture)
        return _encoded(upright, kind, file.data, bare=bare)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error):  # what Pillow raises for broken pictures
        return None


def _upright(picture: Image) -> Image:
    """Turned as the camera says, at most LONG_SIDE_MAX, in grey or RGB; transparent parts become paper white."""
    from PIL import Image, ImageOps

    picture.draft("RGB", (LONG_SIDE_MAX, LONG_SIDE_MAX))  # a JPEG is unpacked at a part of its size, if that is enough
    if picture.mode == "1":
        flat = picture.convert("L")
    elif picture.mode in ("L", "RGB"):
        flat = picture
    elif picture.mode.startswith("I"):  # 16 bits of grey
        flat = picture.point(lambda value: value * (1 / 256)).convert("L")
    elif picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        clear = picture.convert("RGBA")
        flat = Image.new("RGB", clear.size, "white")
        flat.paste(clear, mask=clear.getchannel("A"))
    else:
        flat = picture.convert("RGB")
    turned = ImageOps.exif_transpose(flat if flat is picture else _with_exif(flat, picture))
    turned.thumbnail((LONG_SIDE_MAX, LONG_SIDE_MAX), Image.Resampling.LANCZOS)
    return turned


def _with_exif(flat: Image, picture: Image) -> Image:
    """`flat` with the orientation that `picture` claims; conversion may drop it."""
    turn = picture.getexif().get(0x0112)
    if turn:
        flat.getexif()[0x0112] = turn
    return flat


def _encoded(picture: Image, kind: str, original: bytes, *, bare: bool) -> tuple[str, bytes] | None:
    tried: list[tuple[str, bytes]] = []
    for wanted, quality in (("JPEG", JPEG_QUALITY), (kind, JPEG_QUALITY_LOW)):
        sink = io.BytesIO()
        picture.info.clear()  # no format gets anything to write beside the pixels
        picture.save(sink, wanted, quality=quality, optimize=True, exif=b"")
        tried.append((wanted, sink.getvalue()))
        if len(tried[-1][1]) < len(original):
            return tried[-1]
    return None if bare else min(tried, key=lambda one: len(one[1]))


def _too_many(name: str, width: int, height: int) -> AttachmentUnreadable:
    limit = MAX_IMAGE_PIXELS // 1_000_000
    return AttachmentUnreadable(
        f"The picture {name} has {width} x {height} pixels, at most {limit} million are opened; take or scan it smaller.",
        f"图片 {name} 为 {width}×{height} 像素，超过 {limit} 百万像素上限，请缩小后再上传。",
    )
