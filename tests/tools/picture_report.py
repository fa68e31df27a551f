"""Takes the README's picture of a run's report: picture_report.py RUN PICTURE.png

RUN holds report.html, as `make demo` leaves it. The picture is what a browser's window shows of its
beginning, its first three charts and its first questions; few colours keep it small. Needs Pillow,
and Chromium (browser.py).
"""
import sys
from pathlib import Path

from browser import Browser
from PIL import Image

SIZE = (1260, 1250)
COLORS = 200
LEFT_OUT = ("header p", "header nav", "#curves figure:nth-child(n + 4)", "#answers")


def main(folder, picture):
    page = Browser(*SIZE)
    try:
        page.open(folder / "report.html")
        page.run("document.querySelectorAll(arguments[0])"
                 ".forEach((e) => { e.style.display = 'none'; })", ", ".join(LEFT_OUT))
        page.screenshot(picture)
    finally:
        page.close()
    image = Image.open(picture).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
    image.save(picture, optimize=True)
    print(f"{picture}: {picture.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
