"""terminal.py COLUMNS COMMAND...: runs a command on a terminal of its own that is so many columns wide,
and prints what stands on it in the end, a line for each that was begun with a newline.

    --resize COLUMNS   once a live line was seen, the terminal gets this width
    --term NAME        what TERM says (default: xterm)

It fails where a line that was rewritten had reached a second row. Its exit code is else the
command's. Used by terminal.sh.
"""
import argparse
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

CLEAR = "\r\033[K"


class Screen:
    """Rows of a terminal as far as bovila uses one: text, newline, return, erasing to the end."""

    def __init__(self, columns):
        self.columns, self.lines, self.at = columns, [""], 0
        self.live = 0  # live lines seen

    def put(self, text):
        for part in re.split(r"(\r\033\[K|\r|\n)", text):
            if part == CLEAR:
                self.check_live()
                self.lines[-1], self.at = "", 0
            elif part == "\r":
                self.at = 0
            elif part == "\n":
                self.lines.append("")
                self.at = 0
            elif part:
                self.write(part)

    def write(self, text):
        line = self.lines[-1]
        self.lines[-1] = line[:self.at] + text + line[self.at + len(text):]
        self.at += len(text)

    def check_live(self):
        """Of a line that is about to be rewritten."""
        line = self.lines[-1]
        self.live += bool(line)
        if len(line) >= self.columns:
            sys.exit(f"{len(line)} columns of {self.columns}: {line}")


def set_columns(terminal, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--resize", type=int)
    parser.add_argument("--term", default="xterm")
    parser.add_argument("columns", type=int)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    terminal, end = pty.openpty()
    set_columns(terminal, args.columns)
    process = subprocess.Popen(args.command, stdin=subprocess.DEVNULL, stdout=end, stderr=end,
                               start_new_session=True, env=os.environ | {"TERM": args.term})
    os.close(end)
    screen, left_before = Screen(args.columns), None
    while True:
        try:
            text = os.read(terminal, 1 << 16).decode()
        except OSError:  # the other end is closed
            break
        text = text.replace("\r\n", "\n")
        if left_before is None:
            screen.put(text)
            if args.resize and screen.live:
                set_columns(terminal, args.resize)
                left_before = 2  # drawn while the size changed
        else:
            for part in re.split(r"(?=\r\033\[K)", text):
                left_before -= part.startswith(CLEAR)
                screen.put(part)
                if left_before == 0:
                    screen.columns = args.resize
    print(*screen.lines, sep="\n", end="")
    print(f"live lines: {screen.live}", file=sys.stderr)
    sys.exit(process.wait())


main()
