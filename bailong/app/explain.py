"""What Hydra and OmegaConf say over several lines, in one: the key, the value, what is accepted."""

import difflib
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from bailong.app.schema import known_keys
from bailong.run.checks import did_you_mean
from bailong.run.process import Interrupted, interruptible

PARSER_WORDS = ("no viable alternative", "mismatched input", "extraneous input", "token recognition")
KINDS = {"Float": "a number", "Integer": "a whole number", "Boolean": "true or false"}


def explain(error: Exception, keys: set[str]) -> str:
    """One line for an error of composing the config.

    Args:
        keys: every dotted key that the command accepts.
    """
    text = "\n".join(str(e) for e in (error, error.__cause__) if e is not None)
    option = re.search(
        r"Could not find '([^']+)/([^'/]+)'\s*\n\s*Available options in '[^']*':\s*\n((?:\s+\S+\n?)+)", text
    )
    if option:
        group, value, listing = option.groups()
        options = listing.split()
        return f"{group}={value} is not accepted: it must be one of {', '.join(options)}{did_you_mean(value, options)}"
    if found := re.search(r"Could not override '([^']+)'", text):
        key = found[1]
        if "Value '" in text:
            return _value(text, key)
        owner = re.search(r"object_type=(\w+)", text)
        if key in keys and owner:
            return f"unknown key {key}: {owner[1]} has no {key.split('.')[-1]}; --cfg job prints every key"
        return f"unknown key {key}{_nearest(key, keys)}"
    if "Value '" in text:
        return _value(text, "")
    if found := re.search(r"Key '([^']+)' (?:is )?not in (?:struct|'\w+')[\s\S]*?full_key: (\S+)", text):
        return f"unknown key {found[2]}{_nearest(found[2], keys)}"
    found = re.search(r"(experiments|sweeps)", text)
    if found and ("Multiple values" in text or "more than once" in text):
        return f"write {found[1]}=NAME once, without a plus sign"
    if any(words in text for words in PARSER_WORDS):
        found = re.search(r"arsing override '?([^'\n]+)", text)
        what = found[1] if found else "an override"
        return f"cannot read {what}: quote values with braces, commas or spaces, as in 'key=\"...\"'"
    return " ".join(text.split())


def _value(text: str, key: str) -> str:
    if full := re.search(r"full_key: (\S+)", text):
        key = full[1]
    kind = re.search(r"Value '([^']*)'(?: of type '[^']*')? (?:could not be converted to|is not a valid) (\w+)", text)
    if kind:
        return f"{key}={kind[1]} is not accepted: it must be {KINDS.get(kind[2], kind[2])}"
    return " ".join(text.split())


def _nearest(key: str, keys: set[str]) -> str:
    """The nearest accepted key: by its last word anywhere first (`lr` -> `optimizer.lr`), then by spelling."""
    last = key.split(".")[-1]
    same = sorted(k for k in keys if k.split(".")[-1] == last)
    near = same or difflib.get_close_matches(key, sorted(keys), n=1, cutoff=0.6)
    if not near:
        tails = {k.split(".")[-1]: k for k in sorted(keys, reverse=True)}
        near = [tails[word] for word in difflib.get_close_matches(last, tails, n=1, cutoff=0.6)]
    return f" (did you mean {' or '.join(near[:2])}?)" if near else "; --cfg job prints every key"


def guarded(work: Callable[[], Any], command: str = "train") -> None:
    """Do `work`; a user's mistake ends in one clear line, a bug in a traceback, Ctrl-C in 130, SIGTERM in 143."""
    try:
        with interruptible():
            work()
    except (HydraException, OmegaConfBaseException) as error:
        stop(explain(error, known_keys(command)))
    except (ValueError, FileNotFoundError, PermissionError, ModuleNotFoundError) as error:
        if os.environ.get("BAILONG_TRACEBACK"):
            traceback.print_exc()
        stop(" ".join(str(error).split()))
    except KeyboardInterrupt as error:
        number = error.number if isinstance(error, Interrupted) else signal.SIGINT
        stop("interrupted; the same command goes on where it stopped", 128 + number)


def stop(message: str, code: int = 2) -> NoReturn:
    """One line on standard error, then the exit code."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(code)
