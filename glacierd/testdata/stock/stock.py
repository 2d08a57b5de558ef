"""What the sessions of all clients share: checks, data, the service's clock.

The test that runs a session sets these variables:
STOCK_ENDPOINT  URL of the server
STOCK_CONTROL   URL that tells the service's time (GET) and moves it on
                (POST, with the number of seconds as body)
STOCK_ACCOUNT   the account's 12 digits
and those that AWS clients read: keys, region.
"""
import datetime
import hashlib
import os
import random
import re
import urllib.request

ENDPOINT = os.environ["STOCK_ENDPOINT"]
CONTROL = os.environ["STOCK_CONTROL"]
ACCOUNT = os.environ["STOCK_ACCOUNT"]
REGION = os.environ["AWS_DEFAULT_REGION"]

MIB = 1 << 20
MINUTE, HOUR, DAY = 60, 3600, 86400


class Refused(Exception):
    """The service answered with an error."""

    def __init__(self, code, message, status=None):
        super().__init__("%s %s: %s" % (status, code, message))
        self.code, self.message, self.status = code, message, status


class Wrong(Exception):
    """An answer isn't what it should be; it ends the session."""


def now():
    """The service's time, to the millisecond."""
    with urllib.request.urlopen(CONTROL) as answer:
        return datetime.datetime.fromtimestamp(int(answer.read()) / 1000, datetime.timezone.utc)


def advance(seconds):
    """Move the service's clock on."""
    urllib.request.urlopen(CONTROL, data=str(int(seconds)).encode()).close()


def stamp(time):
    """A time as the service writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (time.microsecond // 1000)


def later(time, seconds):
    return time + datetime.timedelta(seconds=seconds)


def bytes_of(seed, size):
    """Bytes that are random, and the same in each run."""
    return random.Random(seed).randbytes(size)


def tree_hash(data):
    """The tree hash, computed from its definition: by halves."""
    leaves = [hashlib.sha256(data[i:i + MIB]).digest() for i in range(0, len(data), MIB)]

    def node(leaves):
        if len(leaves) == 1:
            return leaves[0]
        half = 1
        while 2 * half < len(leaves):
            half *= 2
        return hashlib.sha256(node(leaves[:half]) + node(leaves[half:])).digest()

    return node(leaves).hex()


def is_node(size, first, last):
    """Whether the bytes first to last of an archive of that size are one node
    of its hash tree: the whole, or a node of one of its halves."""

    def find(leaf, leaves):
        if first == leaf * MIB and last == min((leaf + leaves) * MIB, size) - 1:
            return True
        half = 1
        while 2 * half < leaves:
            half *= 2
        return leaves > 1 and (find(leaf, half) or find(leaf + half, leaves - half))

    return find(0, -(-size // MIB))


def linear_hash(data):
    return hashlib.sha256(data).hexdigest()


def matches(pattern):
    """A wanted value of which only the form is known."""
    return lambda got: isinstance(got, str) and re.fullmatch(pattern, got) is not None


ID = matches(r"[A-Za-z0-9_-]{20,200}")
ARCHIVE_ID = matches(r"[A-Za-z0-9_-]{138}")
HASH = matches(r"[0-9a-f]{64}")


def drop_nulls(value):
    """Clients leave out what is null; boto passes it on."""
    if isinstance(value, dict):
        return {k: drop_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [drop_nulls(v) for v in value]
    return value


def check(what, got, want):
    """Compare an answer with what is wanted, down to the last field."""
    got, want = drop_nulls(got), drop_nulls(want)
    if callable(want):
        if not want(got):
            raise Wrong("%s: %r isn't of the form it should have" % (what, got))
    elif isinstance(want, dict) and isinstance(got, dict):
        if set(got) != set(want):
            raise Wrong("%s: the fields are %s; want %s" % (what, sorted(got), sorted(want)))
        for key in want:
            check("%s.%s" % (what, key), got[key], want[key])
    elif isinstance(want, list) and isinstance(got, list):
        if len(got) != len(want):
            raise Wrong("%s: %d entries, want %d: %r" % (what, len(got), len(want), got))
        for i, (g, w) in enumerate(zip(got, want)):
            check("%s[%d]" % (what, i), g, w)
    elif type(got) is not type(want) or got != want:
        raise Wrong("%s: %.300r; want %.300r" % (what, got, want))


def refused(code, message, call, *args, **params):
    """The call must fail with that code and message (a pattern)."""
    try:
        answer = call(*args, **params)
    except Refused as error:
        check("code", error.code, code)
        if re.search(message, error.message) is None:
            raise Wrong("%s %s: message %r; want %r" % (args, code, error.message, message))
        return
    raise Wrong("%s %s: succeeded with %r; want %s" % (args, params, answer, code))
