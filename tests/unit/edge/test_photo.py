"""Photos on entry: upright, small, without the place where they were taken; originals where somebody asks for them."""

from __future__ import annotations

import hashlib
import io
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from conflict.ledger.files import read_file as stored_file
from edge.attachment import file_of
from edge.errors import AttachmentUnreadable
from edge.main import Node
from edge.photo import LONG_SIDE_MAX, MAX_IMAGE_PIXELS, reduced
from edge.service import Application
from edge.staff import Actor
from edge.sync.intake import Intake
from hub.item_notes import NoteProblem, parse_note
from tests.unit.edge.county import GOOD_ID, ITEMS, County

CHIEF = Actor("chief", "chief")
ORIENTATION, MAKER, GPS = 0x0112, 0x010F, 0x8825


def photo(width: int = 2400, height: int = 1200, *, kind: str = "JPEG", turn: int = 6, mode: str = "RGB") -> bytes:
    """A picture as a phone makes it: noisy, red in its upper left corner, with place, maker and orientation."""
    rng = random.Random(1)
    small = Image.frombytes("RGB", (150, 75), rng.randbytes(150 * 75 * 3))
    picture = small.resize((width, height), Image.Resampling.BICUBIC)
    picture.paste((250, 0, 0), (0, 0, width // 4, height // 4))
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKER] = turn, "Huawei P40 secret maker"
    exif.get_ifd(GPS).update({1: "N", 2: (30.0, 5.0, 7.0), 3: "E", 4: (115.0, 1.0, 2.0)})
    sink = io.BytesIO()
    picture.convert(mode).save(sink, kind, exif=exif.tobytes(), quality=95)
    return sink.getvalue()


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_small_upright_and_without_place(kind: str) -> None:
    data = photo(kind=kind)
    assert b"secret maker" in data
    made = reduced(file_of(f"身份证.{kind.lower()}", data))
    picture = opened(made.data)
    assert (picture.format, picture.size) == ("JPEG", (LONG_SIDE_MAX // 2, LONG_SIDE_MAX))  # a quarter turn
    red, green, _blue = picture.getpixel((picture.width - 20, 20))  # the upper left corner is now the upper right
    assert red > 200 and green < 60
    assert not picture.getexif() and b"Exif" not in made.data and b"secret maker" not in made.data
    assert len(made.data) < len(data) and made.reduced_from == len(data)
    assert made.sha256 == hashlib.sha256(made.data).digest() and made.media == "image/jpeg"
    assert made.name == ("身份证.jpeg" if kind == "JPEG" else "身份证.jpg")


def test_small_photo_keeps_its_size_and_loses_its_place() -> None:
    made = reduced(file_of("a.jpg", photo(400, 200, turn=1)))
    assert opened(made.data).size == (400, 200) and b"secret maker" not in made.data


def test_never_larger_than_it_was() -> None:
    sink = io.BytesIO()
    Image.new("1", (900, 1200), 1).save(sink, "PNG", optimize=True)  # an empty page, scanned in black and white
    page = file_of("scan.png", sink.getvalue())
    assert reduced(page) == page
    once = reduced(file_of("a.jpg", photo()))
    twice = reduced(once)
    assert len(twice.data) <= len(once.data)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK", "I;16"])
def test_every_kind_of_pixels(mode: str) -> None:
    sink = io.BytesIO()
    if mode == "I;16":
        Image.frombytes("I;16", (60, 40), random.Random(2).randbytes(4800)).save(sink, "PNG")
    else:
        base = Image.frombytes("RGB", (1800, 90), random.Random(2).randbytes(1800 * 90 * 3))
        base.convert(mode).save(sink, "JPEG" if mode == "CMYK" else "PNG")
    made = reduced(file_of("x.bin", sink.getvalue()))
    assert max(opened(made.data).size) <= LONG_SIDE_MAX and len(made.data) <= len(sink.getvalue())


def test_transparent_becomes_paper_white() -> None:
    sink = io.BytesIO()
    clear = Image.frombytes("RGBA", (300, 300), random.Random(3).randbytes(360_000))
    clear.paste((0, 0, 0, 0), (0, 0, 300, 300 // 2))
    clear.save(sink, "PNG")
    assert min(opened(reduced(file_of("s.png", sink.getvalue())).data).getpixel((150, 40))) > 240


def test_bombs_are_refused_before_a_pixel_is_unpacked() -> None:
    def part(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    side = int(MAX_IMAGE_PIXELS**0.5) + 1
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"")) + part(b"IEND", b"")
    with pytest.raises(AttachmentUnreadable) as caught:
        reduced(file_of("bomb.png", bomb))
    assert "bomb.png" in caught.value.text and "像素" in caught.value.text_zh


@pytest.mark.parametrize("data", [b"%PDF-1.7 scan", b"\xff\xd8\xff\xe0 no picture", b"\x89PNG\r\n\x1a\n", b"x" * 50])
def test_what_is_no_picture_stays_as_it_is(data: bytes) -> None:
    file = file_of("a.jpg", data)
    assert reduced(file) == file


def attach_to_new_case(node: Node, tmp_path: Path, **more: Any) -> tuple[dict[str, Any], bytes]:
    path = tmp_path / "照片.jpg"
    path.write_bytes(photo())
    saved = node.service.accept(CHIEF, Application("JF-1", "张三", GOOD_ID, attachments=[path], **more))
    material = node.service.show(saved.case)["materials"][0]
    with node.store.read() as tx:
        return material, stored_file(tx, bytes.fromhex(material["sha256"])) or b""


def test_the_op_names_what_is_kept(village: Node, tmp_path: Path) -> None:
    material, data = attach_to_new_case(village, tmp_path)
    assert len(data) == material["size"] < len(photo()) and b"secret maker" not in data
    case = village.service.list_cases()[0]["case"]
    village.service.attach(CHIEF, case, tmp_path / "照片.jpg", material="原图", original=True)
    named = {one["material"]: one["size"] for one in village.service.show(case)["materials"]}
    assert named == {"照片": len(data), "原图": len(photo())}


def test_original_where_the_worker_or_the_item_asks(village: Node, county: County, tmp_path: Path) -> None:
    assert attach_to_new_case(village, tmp_path, original=True)[1] == photo()
    items = [{"version": 1, "department": "民政局", **item, "keep_original": True} for item in ITEMS]
    Intake(village.store, village.keys, village.reference, village.clock).document(
        county.document("catalogue", 2, {"items": items})
    )
    assert attach_to_new_case(village, tmp_path)[1] == photo()


def test_the_note_column() -> None:
    assert parse_note("original=yes;现场照片")["keep_original"] is True
    with pytest.raises(NoteProblem):
        parse_note("original=1")
