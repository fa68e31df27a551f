#!/usr/bin/env python3
"""Unpacks the bundle where tar has no zstd to call: python3 unpack.py BUNDLE.tar.zst [FOLDER]

Needs no package: zstd's library is there wherever dpkg, rpm or systemd is.
"""
import ctypes
import io
import sys
import tarfile

CHUNK = 1 << 20


class Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer, which look alike."""
    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_size_t), ("at", ctypes.c_size_t)]


class ZstdReader(io.RawIOBase):
    """The bytes that a compressed file stands for."""

    def __init__(self, file):
        super().__init__()
        self.file = file
        self.zstd = ctypes.CDLL("libzstd.so.1")
        self.zstd.ZSTD_createDStream.restype = ctypes.c_void_p
        self.zstd.ZSTD_decompressStream.restype = ctypes.c_size_t
        self.zstd.ZSTD_decompressStream.argtypes = (
            ctypes.c_void_p, ctypes.POINTER(Buffer), ctypes.POINTER(Buffer))
        self.zstd.ZSTD_isError.argtypes = self.zstd.ZSTD_getErrorName.argtypes = (ctypes.c_size_t,)
        self.zstd.ZSTD_getErrorName.restype = ctypes.c_char_p
        self.stream = self.zstd.ZSTD_createDStream()
        self.given = Buffer(b"", 0, 0)

    def readable(self):
        return True

    def readinto(self, target):
        space = ctypes.create_string_buffer(len(target))
        made = Buffer(ctypes.cast(space, ctypes.c_char_p), len(target), 0)
        while made.at == 0:
            if self.given.at == self.given.size:
                data = self.file.read(CHUNK)
                if not data:
                    return 0
                self.given = Buffer(data, len(data), 0)
            status = self.zstd.ZSTD_decompressStream(self.stream, made, self.given)
            if self.zstd.ZSTD_isError(status):
                raise OSError(self.zstd.ZSTD_getErrorName(status).decode())
        target[:made.at] = space.raw[:made.at]
        return made.at


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__.split("\n")[0])
    safe = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
    with open(sys.argv[1], "rb") as file, \
            tarfile.open(fileobj=io.BufferedReader(ZstdReader(file), CHUNK), mode="r|") as archive:
        archive.extractall(*sys.argv[2:], **safe)


if __name__ == "__main__":
    main()
