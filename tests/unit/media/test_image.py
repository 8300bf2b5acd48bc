import io
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFilter

from thinktalk.contracts import UserError
from thinktalk.media.image import load_image, resize, smart_resize

RAMP = np.stack(np.broadcast_arrays(*np.ogrid[0:240:4, 0:240:3], 77), axis=2).astype(np.uint8)  # [60, 80, 3]


def refusal(source, *words: str) -> None:
    with pytest.raises(UserError) as caught:
        load_image(source)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm", "jpg", "webp", "gif"])
def test_formats(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(RAMP).save(path)
    pixels = load_image(path)
    assert pixels.dtype == np.uint8 and pixels.shape == (60, 80, 3)
    exact = suffix in ("png", "bmp", "tiff", "ppm")
    difference = np.abs(pixels.astype(int) - RAMP)
    assert difference.max() == 0 if exact else difference.mean() < 6
    np.testing.assert_array_equal(load_image(path.read_bytes()), pixels)
    with path.open("rb") as file:
        np.testing.assert_array_equal(load_image(file), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    turned = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 1, 7: 1, 8: 3}[
        orientation
    ]  # quarter turns to the left, stored
    stored = np.rot90(RAMP, turned)
    if orientation in (2, 4):
        stored = stored[:, ::-1]
    if orientation == 5:
        stored = RAMP.transpose(1, 0, 2)
    if orientation == 7:
        stored = RAMP.transpose(1, 0, 2)[::-1, ::-1]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), RAMP)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"not a header", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\0\x09"])
def test_broken_exif_does_not_spoil_the_picture(tmp_path, exif):
    Image.fromarray(RAMP).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + exif, quality=95)
    assert load_image(tmp_path / "a.jpg").shape == (60, 80, 3)


def test_transparency_shows_white(tmp_path):
    alpha = np.zeros((60, 80, 1), np.uint8)
    alpha[:, 40:] = 255
    alpha[:, 20:40] = 128
    Image.fromarray(np.concatenate([RAMP, alpha], axis=2)).save(tmp_path / "a.png")
    pixels = load_image(tmp_path / "a.png").astype(int)
    assert (pixels[:, :20] == 255).all()
    assert np.abs(pixels[:, 20:40] - (RAMP[:, 20:40] * 128.0 + 255 * 127.0) / 255).max() <= 1
    np.testing.assert_array_equal(pixels[:, 40:], RAMP[:, 40:])


def test_modes(tmp_path):
    grey = RAMP[:, :, 1]
    cases = {
        "1": Image.fromarray(grey > 100),
        "L": Image.fromarray(grey),
        "LA": Image.fromarray(np.stack([grey, np.full_like(grey, 255)], axis=2), "LA"),
        "I;16": Image.fromarray(grey.astype(np.uint16) * 257),
        "P": Image.fromarray(grey).convert("P"),
    }
    for mode, image in cases.items():
        assert image.mode == mode
        image.save(tmp_path / "a.png")
        expected = (grey > 100) * 255 if mode == "1" else grey
        np.testing.assert_array_equal(load_image(tmp_path / "a.png"), np.stack([expected] * 3, axis=2))


def test_transparent_palette(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.save(tmp_path / "a.png", transparency=0)
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), [[[255, 255, 255], [0, 255, 0]]])


def test_print_colours(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    assert np.abs(load_image(tmp_path / "a.jpg")[4, 4].astype(int) - [255, 0, 0]).max() < 8


def test_first_picture_of_an_animation(tmp_path):
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    red.save(tmp_path / "a.gif", save_all=True, append_images=[blue])
    np.testing.assert_array_equal(load_image(tmp_path / "a.gif")[0, 0], [255, 0, 0])


# --------------------------------------------------------------------------- refusals


def test_no_picture(tmp_path):
    refusal(tmp_path / "gone.png", "gone.png", "no such file")
    refusal(tmp_path, str(tmp_path), "folder")
    for name, content in {
        "a.png": b"",
        "b.png": b"this is not a picture " * 50,
        "c.png": np.random.default_rng(0).bytes(5_000),
        "d.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",  # PIL would hand it to a program
    }.items():
        (tmp_path / name).write_bytes(content)
        refusal(tmp_path / name, name, "not a picture" if content else "empty")
    refusal(b"GIF89a", "the given bytes", "not a picture")


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tiff"])
@pytest.mark.parametrize("part", [0.01, 0.5, 0.9])
def test_cut_short(tmp_path, cut, suffix, part):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / f"a.{suffix}")
    refusal(cut(tmp_path / f"a.{suffix}", part), f"cut-a.{suffix}")


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header promises a size, over a little compressed data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(10_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(60_000, 60_000), (10_000, 9_000), (14_000, 14_000), (2**31 - 1, 9)])
def test_bombs_are_refused_unopened(tmp_path, size):
    (tmp_path / "a.png").write_bytes(png_of_size(*size))
    started = time.monotonic()
    tracemalloc.start()
    refusal(tmp_path / "a.png", "a.png", "too large")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1e6 and time.monotonic() - started < 1.0


def test_ribbons(tmp_path):
    Image.new("RGB", (2_001, 10)).save(tmp_path / "a.png")
    refusal(tmp_path / "a.png", "a.png", "too narrow", "2001 x 10")
    Image.new("RGB", (10, 2_000)).save(tmp_path / "b.png")
    assert load_image(tmp_path / "b.png").shape == (2_000, 10, 3)


# --------------------------------------------------------------------------- sizes


def test_resize_smooths_what_it_shrinks():
    checks = np.indices((256, 256)).sum(axis=0) % 2 * 255
    shrunk = resize(np.repeat(checks[:, :, None], 3, axis=2).astype(np.uint8), 32, 64)
    assert shrunk.shape == (32, 64, 3) and shrunk.dtype == np.uint8
    assert np.abs(shrunk.astype(int) - 127).max() <= 8  # without smoothing: stripes of 0 and 255
    assert resize(RAMP, 60, 80) is RAMP


def test_resize_keeps_the_picture_in_place():
    smooth = Image.fromarray(RAMP).filter(ImageFilter.GaussianBlur(3))
    grown = resize(np.asarray(smooth), 120, 160).astype(int)
    expected = np.asarray(smooth).astype(int).repeat(2, axis=0).repeat(2, axis=1)
    assert np.abs(grown - expected).max() <= 4


@pytest.mark.parametrize(
    ("size", "limits", "expected"),
    [
        ((480, 640), (3_136, 12_845_056), (480, 640)),
        ((500, 651), (3_136, 12_845_056), (512, 640)),
        ((16, 16), (3_136, 12_845_056), (64, 64)),  # grown: 56 rounded up
        ((4_000, 6_000), (3_136, 12_845_056), (2_912, 4_384)),  # shrunk: rounded down
        ((20, 2_000), (1_024, 8_192), (32, 896)),  # never less than one block
        ((100, 100), (1_024, 4_096), (64, 64)),
    ],
)
def test_smart_resize(size, limits, expected):
    assert smart_resize(*size, *limits) == expected


def test_smart_resize_keeps_its_promises():
    rng = np.random.default_rng(0)
    for _ in range(300):
        height, width = rng.integers(20, 3_000, 2)
        if max(height, width) > 10 * min(height, width):
            continue
        new_height, new_width = smart_resize(int(height), int(width), 50_000, 600_000)
        assert new_height % 32 == new_width % 32 == 0
        assert 50_000 <= new_height * new_width <= 600_000
        assert abs(np.log(new_height / new_width * width / height)) < 0.4
        assert smart_resize(new_height, new_width, 50_000, 600_000) == (new_height, new_width)


def test_smart_resize_refuses_ribbons():
    with pytest.raises(UserError, match="too narrow"):
        smart_resize(10, 2_001, 3_136, 12_845_056)
    assert smart_resize(10, 2_000, 3_136, 12_845_056)


def test_open_file_is_left_open():
    buffer = io.BytesIO()
    Image.fromarray(RAMP).save(buffer, "PNG")
    load_image(buffer)
    assert not buffer.closed
