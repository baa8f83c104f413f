"""Photos and voices as phones make them, with all that phones write into them."""

from __future__ import annotations

import subprocess
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import ExifTags, Image, ImageCms, PngImagePlugin

TOLD = "Temenuzhka of Ruse"
"""What stands in every place for words of a file, and must be found in none of ours."""
MODEL = "SM-A536B of Temenuzhka"
RED, BLUE = (220, 30, 30), (30, 30, 220)
FORMATS = {
    "webm": ("webm", "-c:a", "libopus"),
    "ogg": ("ogg", "-c:a", "libopus"),
    "m4a": ("m4a", "-c:a", "aac"),  # its index stands at the end
    "fragmented mp4": ("mp4", "-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"),
    "mp3": ("mp3",),
    "aac": ("aac",),
    "wav": ("wav",),
}


def _exif(turned: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = turned
    exif[ExifTags.Base.Make] = MODEL
    exif[ExifTags.Base.Model] = MODEL
    exif[ExifTags.Base.ImageDescription] = TOLD
    exif[ExifTags.Base.DateTime] = "2026:11:22 10:00:00"
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    place[ExifTags.GPS.GPSLatitudeRef] = "N"
    place[ExifTags.GPS.GPSLatitude] = (43.0, 51.0, 23.4)
    place[ExifTags.GPS.GPSLongitudeRef] = "E"
    place[ExifTags.GPS.GPSLongitude] = (25.0, 57.0, 12.6)
    return exif


def photo(kind: str = "JPEG", size: tuple[int, int] = (60, 40), turned: int = 1) -> bytes:
    """A picture, its left half red and its right half blue, with everything known about it.

    `turned` is the orientation of EXIF: 6 means that it is to be shown turned to the right.
    """
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    more: dict[str, object] = {"exif": _exif(turned), "icc_profile": profile}
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{TOLD}</x:xmpmeta>'.encode()
    match kind:
        case "JPEG":
            more |= {"comment": TOLD.encode(), "xmp": xmp, "quality": 95}
        case "PNG":
            notes = PngImagePlugin.PngInfo()
            notes.add_text("Author", TOLD)
            notes.add_itxt("Place", TOLD)
            more |= {"pnginfo": notes}
        case "WEBP":
            more |= {"xmp": xmp}
    out = BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


@cache
def voice(kind: str = "ogg", seconds: float = 1.0) -> bytes:
    """A tone, with a title, an artist and the name of a device."""
    suffix, *options = FORMATS[kind]
    tags = {"title": TOLD, "artist": TOLD, "comment": TOLD, "com.android.model": MODEL}
    named = [part for key, value in tags.items() for part in ("-metadata", f"{key}={value}")]
    tone = ["-f", "lavfi", "-i", f"sine=frequency=300:duration={seconds}"]
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"voice.{suffix}"
        command = ["ffmpeg", "-nostdin", "-loglevel", "error", *tone, *named, *options]
        subprocess.run([*command, str(file)], check=True)
        return file.read_bytes()


def seconds(sound: bytes) -> float:
    """How long a sound is, as ffprobe reads it."""
    return float(_probe(sound, "format=duration"))


def _probe(sound: bytes, entry: str) -> str:
    told = ["-show_entries", entry, "-of", "csv=p=0"]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "sound"
        file.write_bytes(sound)
        command = ["ffprobe", "-v", "error", *told, str(file)]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()


def stream(sound: bytes) -> str:
    """Codec, rate and channels of a sound."""
    return _probe(sound, "stream=codec_name,sample_rate,channels")


def tags(sound: bytes) -> str:
    """All that a sound says of itself."""
    return _probe(sound, "format_tags:stream_tags")
