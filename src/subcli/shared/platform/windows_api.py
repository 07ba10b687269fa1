"""What calls Windows (:class:`subcli.shared.platform.windows.Api`). It exists only there."""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import ctypes
import msvcrt
import os
import stat
from ctypes import wintypes
from typing import Any, Final

_FILE_OBJECT: Final = 1
_ACCESS_LIST: Final = 0x00000004
_NOT_INHERITED: Final = 0x80000000
_REVISION: Final = 1
_LINKS: Final = (stat.IO_REPARSE_TAG_SYMLINK, stat.IO_REPARSE_TAG_MOUNT_POINT)
_PER_SECOND: Final = 10_000_000


class RealApi:
    """Windows itself."""

    def __init__(self) -> None:
        self._kernel: Any = ctypes.WinDLL("kernel32", use_last_error=True)
        self._security: Any = ctypes.WinDLL("advapi32", use_last_error=True)
        self._kernel.GetConsoleMode.argtypes = [wintypes.HANDLE, wintypes.LPDWORD]
        self._kernel.SetConsoleMode.argtypes = [wintypes.HANDLE, wintypes.DWORD]
        self._kernel.LocalFree.argtypes = [wintypes.HLOCAL]
        self._kernel.QueryUnbiasedInterruptTime.argtypes = [ctypes.POINTER(ctypes.c_ulonglong)]
        pointer = ctypes.POINTER(wintypes.LPVOID)
        self._security.GetNamedSecurityInfoW.argtypes = [
            *(wintypes.LPCWSTR, ctypes.c_int, wintypes.DWORD),
            *(pointer, pointer, pointer, pointer, pointer),
        ]
        self._security.ConvertSecurityDescriptorToStringSecurityDescriptorW.argtypes = [
            *(wintypes.LPVOID, wintypes.DWORD, wintypes.DWORD),
            *(ctypes.POINTER(wintypes.LPWSTR), wintypes.LPDWORD),
        ]
        self._security.ConvertStringSecurityDescriptorToSecurityDescriptorW.argtypes = [
            *(wintypes.LPCWSTR, wintypes.DWORD, pointer, wintypes.LPDWORD),
        ]
        self._security.SetFileSecurityW.argtypes = [wintypes.LPCWSTR, wintypes.DWORD, wintypes.LPVOID]

    def console_mode(self, descriptor: int) -> int | None:
        mode = wintypes.DWORD()
        try:
            handle = msvcrt.get_osfhandle(descriptor)
        except OSError:
            return None
        return mode.value if self._kernel.GetConsoleMode(handle, ctypes.byref(mode)) else None

    def set_console_mode(self, descriptor: int, mode: int) -> bool:
        try:
            return bool(self._kernel.SetConsoleMode(msvcrt.get_osfhandle(descriptor), mode))
        except OSError:
            return False

    def key_waits(self) -> bool:
        return msvcrt.kbhit()

    def read_key(self) -> str:
        key = msvcrt.getwch()
        # An `à` that was typed stands alone.
        return key + msvcrt.getwch() if key in "\0\xe0" and msvcrt.kbhit() else key

    def access_list(self, path: str) -> str:
        found = wintypes.LPVOID()
        error = self._security.GetNamedSecurityInfoW(
            path, _FILE_OBJECT, _ACCESS_LIST, None, None, None, None, ctypes.byref(found)
        )
        if error:
            raise ctypes.WinError(error)
        text = wintypes.LPWSTR()
        try:
            convert = self._security.ConvertSecurityDescriptorToStringSecurityDescriptorW
            if not convert(found, _REVISION, _ACCESS_LIST, ctypes.byref(text), None):
                raise ctypes.WinError(ctypes.get_last_error())
            return text.value or ""
        finally:
            self._kernel.LocalFree(ctypes.cast(text, wintypes.HLOCAL))
            self._kernel.LocalFree(found)

    def set_access_list(self, path: str, descriptor: str) -> None:
        made = wintypes.LPVOID()
        convert = self._security.ConvertStringSecurityDescriptorToSecurityDescriptorW
        if not convert(descriptor, _REVISION, ctypes.byref(made), None):
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            if not self._security.SetFileSecurityW(path, _ACCESS_LIST | _NOT_INHERITED, made):
                raise ctypes.WinError(ctypes.get_last_error())
        finally:
            self._kernel.LocalFree(made)

    def is_link(self, path: str) -> bool:
        try:
            return os.lstat(path).st_reparse_tag in _LINKS
        except OSError:
            return False

    def awake_s(self) -> float:
        now = ctypes.c_ulonglong()
        self._kernel.QueryUnbiasedInterruptTime(ctypes.byref(now))
        return now.value / _PER_SECOND
