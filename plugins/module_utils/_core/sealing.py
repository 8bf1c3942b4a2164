# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Encryption of objects to age recipients, and names that disclose nothing about the content.

The format is that of age (https://age-encryption.org/v1), so the program age reads what is written here.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import queue
import threading
import typing as t
from dataclasses import dataclass, field

from .errors import ErrorKind, RecoveryError

try:
    import pyrage
except ImportError:
    pyrage = None  # type: ignore[assignment]

#: Up to this many bytes are processed in one call; larger objects are processed by a thread in bounded memory.
_ONE_CALL = 1024 * 1024
_WAITING_BLOCKS = 16

_Chunks = t.Iterable[bytes]


@dataclass(frozen=True)
class Sealing:
    """Encryption and decryption of the sets of a store. If recipients are unset, nothing is encrypted.

    recipients: public keys, C(age1...) or C(ssh-...). name_key: a secret that object names are keyed with, and that
    authenticates manifests. identity_file: the private keys, for those who read; who only writes has none.
    require_authentic: with a name_key, refuse manifests without a code, but for those dated before authentic_since,
    an instant.
    """

    recipients: t.Tuple[str, ...] = ()
    name_key: t.Optional[str] = field(default=None, repr=False)
    identity_file: t.Optional[str] = None
    require_authentic: bool = True
    authentic_since: t.Optional[str] = None

    @property
    def encrypts(self) -> bool:
        return bool(self.recipients)

    @property
    def can_read(self) -> bool:
        return self.identity_file is not None

    def require_usable(self) -> None:
        """Raise RecoveryError (invalid_options, library_missing or no_identity) before anything is done."""
        if self.recipients:
            _recipients(self.recipients)
        if self.identity_file:
            _identities(self.identity_file)

    def name_of(self, source: str, plain_sha256: str, generation: int = 0) -> str:
        """The name of an object, 64 hexadecimal digits: the digest itself, or keyed when it is encrypted.

        Keyed by source, recipients and name_key: the same content has another name for another owner, and for
        recipients that could not read what is stored. A generation above 0 names a replacement of a damaged one.
        """
        if not self.recipients:
            return plain_sha256
        context = "\n".join(["lifeline.recovery object names", source, *sorted(self.recipients)])
        key = hmac.new((self.name_key or "").encode(), context.encode(), hashlib.sha256).digest()
        return hmac.new(key, f"{plain_sha256}/{generation}".encode(), hashlib.sha256).hexdigest()

    def encrypt(self, chunks: _Chunks) -> t.Iterator[bytes]:
        """The chunks encrypted to the recipients, or as they are without any."""
        if not self.recipients:
            return iter(chunks)
        keys = _recipients(self.recipients)
        return _turned(
            chunks,
            lambda data: t.cast(bytes, pyrage.encrypt(data, keys)),
            lambda source, target: pyrage.encrypt_io(source, target, keys),
        )

    def decrypt(self, chunks: _Chunks) -> t.Iterator[bytes]:
        """The plain chunks. Raises RecoveryError: no_identity without a key that fits, damaged for bad data."""
        if not self.identity_file:
            raise RecoveryError(
                ErrorKind.NO_IDENTITY,
                "The set is encrypted, and no identity file was given.",
                next_step="Set store.identity_file to the file with the private key of one of its recipients.",
            )
        keys = _identities(self.identity_file)
        file = self.identity_file

        def guarded(work: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
            def call(*arguments: t.Any) -> t.Any:
                try:
                    return work(*arguments, keys)
                except (pyrage.DecryptError, OSError) as error:
                    raise _unreadable(error, file) from None

            return call

        return _turned(chunks, guarded(pyrage.decrypt), guarded(pyrage.decrypt_io))

    def seal(self, data: bytes) -> bytes:
        """A small document encrypted as a whole."""
        return b"".join(self.encrypt([data]))

    def open(self, data: bytes) -> bytes:
        """As decrypt, for what seal made."""
        return b"".join(self.decrypt([data]))


def _recipients(texts: t.Sequence[str]) -> t.List[t.Any]:
    _require_library()
    found = []
    for text in texts:
        try:
            if text.startswith("ssh-"):
                found.append(pyrage.ssh.Recipient.from_str(text))
            else:
                found.append(pyrage.x25519.Recipient.from_str(text))
        except Exception:
            shown = "a private key" if text.startswith("AGE-SECRET-KEY") else repr(text)
            raise RecoveryError(
                ErrorKind.INVALID_OPTIONS,
                f"encrypt_to holds {shown}, which is no age recipient.",
                next_step="Give public keys as age-keygen prints them (age1...), or ssh-ed25519 and ssh-rsa keys.",
            ) from None
    return found


def _identities(file: str) -> t.List[t.Any]:
    _require_library()
    try:
        with open(file, encoding="utf-8") as stream:
            text = stream.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise _bad_identity(file, f"cannot be read: {reason}") from None
    try:
        if "OPENSSH PRIVATE KEY" in text or "RSA PRIVATE KEY" in text:
            return [pyrage.ssh.Identity.from_buffer(text.encode())]
        lines = [line.strip() for line in text.splitlines()]
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except Exception:
        # The library's text may quote the key.
        raise _bad_identity(file, "holds something that is no identity") from None
    if not found:
        raise _bad_identity(file, "holds no identity")
    return found


def _bad_identity(file: str, why: str) -> RecoveryError:
    return RecoveryError(
        ErrorKind.NO_IDENTITY,
        f"The identity file {file} {why}.",
        next_step="Give the file that age-keygen wrote for one of the recipients.",
    )


def _unreadable(error: Exception, file: str) -> RecoveryError:
    if "No matching keys" in str(error):
        return RecoveryError(
            ErrorKind.NO_IDENTITY,
            f"No key in {file} belongs to a recipient of the set.",
            next_step="Give the identity file of one of the recipients that its manifest names.",
        )
    return RecoveryError(ErrorKind.DAMAGED, f"The encrypted data is damaged ({error}).", left="", next_step="")


def _require_library() -> None:
    if pyrage is None:
        raise RecoveryError(
            ErrorKind.LIBRARY_MISSING,
            "The Python library pyrage is missing on this host.",
            next_step="Install it with: pip install pyrage",
        )


def _turned(
    chunks: _Chunks, once: t.Callable[[bytes], bytes], stream: t.Callable[[t.Any, t.Any], None]
) -> t.Iterator[bytes]:
    source = iter(chunks)
    begun: t.List[bytes] = []
    size = 0
    for chunk in source:
        begun.append(bytes(chunk))
        size += len(chunk)
        if size > _ONE_CALL:
            break
    else:
        yield once(b"".join(begun))
        return
    yield from _Flow(begun, source, stream).blocks()


class _Flow:
    """A function that reads from one file and writes to another, as an iterator of what it writes."""

    def __init__(self, begun: t.List[bytes], source: t.Iterator[bytes], work: t.Callable[[t.Any, t.Any], None]) -> None:
        self._begun, self._source, self._work = begun, source, work
        self._rest = memoryview(b"")
        self._out: queue.Queue[t.Optional[bytes]] = queue.Queue(_WAITING_BLOCKS)
        self._stopped = threading.Event()
        self._error: t.Optional[BaseException] = None

    def blocks(self) -> t.Iterator[bytes]:
        thread = threading.Thread(target=self._run, name="age", daemon=True)
        thread.start()
        try:
            while True:
                block = self._out.get()
                if block is None:
                    break
                yield block
        finally:
            self._stopped.set()
            with contextlib.suppress(queue.Empty):
                while True:
                    self._out.get_nowait()
            thread.join()
        if self._error is not None:
            raise self._error

    def read(self, size: int = -1) -> bytes:
        """Called by the library for input."""
        while not self._rest:
            try:
                chunk = self._begun.pop(0) if self._begun else next(self._source, None)
            except BaseException as error:
                # The library would make another exception of it.
                self._error = error
                raise
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        taken, self._rest = self._rest[:size], self._rest[size:]
        return bytes(taken)

    def write(self, data: bytes) -> int:
        """Called by the library with output; waits until the reader takes it."""
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                self._out.put(bytes(data), timeout=0.2)
                return len(data)
        raise OSError("the reader has stopped")

    def flush(self) -> None:
        """There is nothing to flush."""

    def _run(self) -> None:
        try:
            self._work(self, self)
        except BaseException as error:
            self._error = self._error or error
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                self._out.put(None, timeout=0.2)
                return
