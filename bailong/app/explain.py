"""What Hydra and OmegaConf say over several lines, in one: the key, the value, what is accepted."""

import dataclasses
import difflib
import errno
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml
from hydra.errors import HydraException, OverrideParseException
from omegaconf import MISSING
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from bailong.app import workspace
from bailong.app.schema import known_keys, schema
from bailong.data.settings import Source
from bailong.run.checks import did_you_mean
from bailong.run.process import Interrupted, interruptible
from bailong.run.provenance import root

#: what others call a knob: their word -> ours
MEANINGS = {
    "learning_rate": "optimizer.lr",
    "weight_decay": "optimizer.weight_decay",
    "warmup": "optimizer.warmup_steps",
    "optim": "optimizer",
    "seq_len": "stage.context",
    "seq_length": "stage.context",
    "max_length": "stage.context",
    "max_seq_len": "stage.context",
    "max_seq_length": "stage.context",
    "context_length": "stage.context",
    "block_size": "stage.context",
    "bs": "stage.batch_size",
    "batch": "stage.batch_size",
    "train_batch_size": "stage.batch_size",
    "micro_batch_size": "trainer.micro_batch",
    "per_device_train_batch_size": "trainer.micro_batch",
    "num_epochs": "stage.epochs",
    "num_train_epochs": "stage.epochs",
    "epoch": "stage.epochs",
    "steps": "stage.max_steps",
    "num_steps": "stage.max_steps",
    "max_iters": "stage.max_steps",
    "lora_rank": "adapter.rank",
    "lora_r": "adapter.rank",
    "r": "adapter.rank",
    "lora_alpha": "adapter.alpha",
    "lora_dropout": "adapter.dropout",
    "random_seed": "seed",
    "output_dir": "outputs",
    "out": "to",
    "output": "to",
    "dry_run": "plan",
    "force": "overwrite",
    "gpus": "trainer.devices",
    "num_gpus": "trainer.devices",
    "tokenizer_path": "tokenizer.folder",
    "model_path": "model.path",
    "top_p": "sampling.top_p",
    "max_tokens": "sampling.max_new_tokens",
}
#: how a folder or file is given, where a bare word or a preset's name was expected
GIVEN = {
    "train": "model.path=",
    "chat": "model=",
    "evaluate": "models=",
    "compare": "runs=",
    "law": "points=",
    "audit": "run=",
    "export": "run=",
    "extend": "tokenizer.base=",
    "prepare": "data.sources=[{path: ",
}
OWN = {
    "data": "'data.sources=[{{path: {}}}]' (bailong-train and bailong-extend: with data.folder=null)",
    "model": "model.path={}",
    "tokenizer": "tokenizer.folder={}",
}
KINDS = {"Float": "a number", "Integer": "a whole number", "Boolean": "true or false", "bool": "true or false"}


#: what the system forbids, as it numbers it
BARRED = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.ENOTDIR, errno.EDQUOT)


def explain(error: Exception, keys: set[str], command: str = "train") -> str:
    """One line for an error of composing the config.

    Args:
        keys: every dotted key that the command accepts.
    """
    if isinstance(error, OverrideParseException):
        return _unread(error.override, command)
    text = "\n".join(str(e) for e in (error, error.__cause__) if e is not None)
    if said := _interpolated(error):
        return said
    listed = re.search(
        r"Could not find '([^']+)/([^'/]+)'\s*\n\s*Available options in '[^']*':\s*\n((?:\s+\S+\n?)+)", text
    )
    if listed:
        group, value, listing = listed.groups()
        options = listing.split()
        base, _, rest = f"{group}/{value}".partition("/")
        if base in OWN and ("/" in rest or "." in rest):
            own = OWN[base].format(rest)
            return f"{base}={rest} is not accepted: it must be one of {', '.join(options)}; your own is given as {own}"
        if group in workspace.GROUPS:
            places = " and ".join(str(place / group) for place in dict.fromkeys([Path.cwd().resolve(), root()]))
            searched = f"; searched: {places}"
        else:
            searched = ""
        accepted = f"{', '.join(options)}{did_you_mean(value, options)}"
        return f"{group}={value} is not accepted: it must be one of {accepted}{searched}"
    if found := re.search(r"Could not load 'schema/(\w+)[/']", text):  # of a group that only another command has
        return f"unknown key {found[1]}{_nearest(found[1], keys)}"
    if re.search(r"Key '(experiments|sweeps)' not in '\w+'", text):
        return "the first line of a file in experiments/ or sweeps/ must be `# @package _global_`, or it sets nothing"
    if found := re.search(r"Could not override '([^']+)'", text):
        key = found[1]
        if "Value '" in text:
            return _value(text, key)
        owner = re.search(r"object_type=(\w+)", text)
        inner = re.search(r"Key '([^']+)' not in 'Source'", text)
        if inner and key in keys and key.split(".")[-1] != inner[1]:  # of one of the sources in a list
            accepted = [field.name for field in dataclasses.fields(Source)]
            return f"unknown key {key}[].{inner[1]}{did_you_mean(inner[1], accepted)}; accepted: {', '.join(accepted)}"
        if key in keys and owner:
            return f"unknown key {key}: {owner[1]} has no {key.split('.')[-1]}; --cfg job prints every key"
        return f"unknown key {key}{_nearest(key, keys)}"
    if found := re.search(r"Error merging override ([^=\s]+=.*)\s+Cannot convert '(?:list|dict)' to string", text):
        return f"{found[1]} is not accepted: it must be one word or path"
    if found := re.search(r"Error merging override ([^=\s]+)=(?i:null)\s[\s\S]*(?:not Optional|not optional)", text):
        return _null(found[1], command)
    inner = r"Error merging override ([^=\s]+)=[\s\S]*Incompatible value 'None' for field[\s\S]*?full_key: (\S+)"
    if found := re.search(inner, text):  # of one of the things in a list
        key = found[2].split(".")[-1]
        without = "" if key in _needed(Source) else f"; left out, it is {getattr(Source, key, '')!r}"
        return f"{found[1]}[].{key}=null is not accepted: it needs a value{without}"
    if found := re.search(
        r"Error merging override ([^=\s]+=.*?)\s+(?:Invalid (?:type|value)|Cannot merge|field )", text
    ):
        listed = re.search(r"ListConfig, list|type=List\[|type=list", text)
        whole = "a list, as in [{path: a.jsonl, language: en}]" if listed else "{key: value, ..}, or null"
        return f"{found[1]} is not accepted: it must be {whole}"
    if found := re.search(r"Multiple values for (\w+)\. To override a value use 'override \w+: ([^']*)'", text):
        return f"write {found[1]}={found[2]} without a plus sign: one {found[1]} is chosen already"
    if found := re.search(r"Interpolation key '([^']*)' not found[\s\S]*?full_key: (\S+)", text):
        return f"{found[2]}=${{{found[1]}}} is not accepted: no setting is called {found[1]}{_nearest(found[1], keys)}"
    if found := re.search(r"Error resolving interpolation '(\$\{[^']*\})', possible interpolation keys", text):
        return f"{found[1]} is not accepted where an option is chosen: give its name, as in tokenizer=none"
    if "Value '" in text:
        return _value(text, "")
    if found := re.search(r"Key '([^']+)' (?:is )?not in (?:struct|'\w+')[\s\S]*?full_key: (\S+)", text):
        return f"unknown key {found[2]}{_nearest(found[2], keys)}"
    found = re.search(r"(experiments|sweeps)", text)
    if found and ("Multiple values" in text or "more than once" in text):
        return f"write {found[1]}=NAME once, without a plus sign"
    return " ".join(text.split())


def _null(key: str, command: str) -> str:
    """What to give in place of null where a value is needed."""
    if key in _needed(schema(command).settings):
        word = "model" if (command, key) == ("chat", "path") else key  # as its command line calls it
        return f"{word}=null is not accepted: give it as {word}=..."
    return f"{key}=null is not accepted: it needs a value; --cfg job prints the one that it has"


def _needed(settings: Any) -> list[str]:
    """Fields that have no value unless one is given."""
    return [field.name for field in dataclasses.fields(settings) if field.default == MISSING]


def _interpolated(error: Exception) -> str:
    """One line for a `${...}` that cannot be resolved, or not to what is asked for; empty for another error."""
    if not isinstance(error, InterpolationResolutionError) or not error.full_key:
        return ""
    if found := re.search(r"interpolation '(\$\{[^']*\})'[\s\S]*could not be converted to (\w+)", str(error)):
        kind = KINDS.get(found[2], found[2])
        return f"{error.full_key}={found[1]} is not accepted: it must be {kind}, which {found[1]} is not"
    if found := re.search(r"Environment variable '[^']*' not found", str(error)):
        return f"{error.full_key} is not accepted: {found[0]}; ${{oc.env:NAME,default}} does without"
    return ""


def _unread(override: str, command: str) -> str:
    """What to type in place of an argument that is no override, or one that Hydra's grammar cannot read."""
    key, equals, value = override.partition("=")
    if not equals:
        given = GIVEN[command] + override + ("}]" if command == "prepare" else "")
        return f"cannot read {override}: every argument is key=value; a path is given as {given}"
    if "," in key:
        return (
            f"cannot read {override}: {key} are several keys; given here, each takes one value, as in "
            f"{key.split(',')[0]}=.., and an axis that moves them together stands in the file of a sweep "
            "(sweeps/rank_alpha.yaml has one)"
        )
    if value[:1] in ("[", "{"):
        return f"cannot read {override}: quote what holds = or letters beyond ASCII, as in '{key}=[\"a=b\"]'"
    return f"cannot read {override}: quote the value twice, as in '{key}=\"{value}\"'"


def refuse_resolvers(overrides: Sequence[str]) -> None:
    """Refuse `${word:...}` in what is typed, but for OmegaConf's own: Hydra's know less there than they seem to.

    Raises:
        ValueError: the first such override.
    """
    for override in overrides:
        found = re.search(r"(?<!\\)\$\{(?!oc\.)(\w[\w.]*):", override)
        if found and not override.lstrip("+~").startswith("hydra."):
            raise ValueError(
                f"{override} is not accepted: ${{{found[1]}:}} cannot be given on the command line; accepted: "
                "${group.key}, the value of a setting, and ${oc.env:NAME,default}, a variable of the environment"
            )


def option(words: str, keys: set[str]) -> str:
    """One line for what begins with dashes and is none of Hydra's options."""
    if not words.startswith("unrecognized arguments: "):
        return f"{words}; settings are given as key=value"
    word = words.removeprefix("unrecognized arguments: ").split()[0]
    return f"unknown option {word}: settings are given as key=value{_nearest(word.lstrip('-').split('=')[0], keys)}"


def _value(text: str, key: str) -> str:
    if full := re.search(r"full_key: (\S+)", text):
        key = full[1]
    kind = re.search(r"Value '([^']*)'(?: of type '[^']*')? (?:could not be converted to|is not a valid) (\w+)", text)
    if kind:
        return f"{key}={kind[1]} is not accepted: it must be {KINDS.get(kind[2], kind[2])}"
    return " ".join(text.split())


def _nearest(key: str, keys: set[str]) -> str:
    """The nearest accepted key: by its last word anywhere (`lr` -> `optimizer.lr`), by meaning, then by spelling."""
    if key in keys:
        return f" (write {key}=...)"
    last = key.split(".")[-1]
    same = sorted(k for k in keys if k.split(".")[-1] == last)
    meant = MEANINGS.get(last.lower().replace("-", "_"))
    if not same and meant in keys:
        return f" (did you mean {meant}?)"
    if f"{key}s" in keys and "." not in key:
        return f" (did you mean {key}s?)"  # one letter of a short word weighs little in a ratio
    near = same or difflib.get_close_matches(key, sorted(keys), n=1, cutoff=0.6)
    if not near:
        tails = {k.split(".")[-1]: k for k in sorted(keys, reverse=True)}
        near = [tails[word] for word in difflib.get_close_matches(last, tails, n=1, cutoff=0.6)]
    return f" (did you mean {' or '.join(near[:2])}?)" if near else "; --cfg job prints every key"


def accepted_keys(command: str) -> set[str]:
    """The keys of a command and the words that stand beside them on its command line."""
    keys = known_keys(command)
    if command == "chat":
        return keys - {"path"} | {"model"}
    return keys | set(workspace.GROUPS) if command == "train" else keys


def guarded(work: Callable[[], Any], command: str = "train") -> None:
    """Do `work`; a user's mistake ends in one clear line, a bug in a traceback, Ctrl-C in 130, SIGTERM in 143."""
    try:
        with interruptible():
            work()
    except (HydraException, OmegaConfBaseException) as error:
        stop(explain(error, accepted_keys(command), command))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{mark.name}, line {mark.line + 1}" if mark else "a settings file"
        stop(f"{place} is no YAML: {error.problem or error.context}")
    except BrokenPipeError:  # `| head`: the reader has what it wanted; what is still held back goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE) from None
    except (ValueError, OSError, ModuleNotFoundError) as error:
        if isinstance(error, OSError) and error.errno not in (None, *BARRED):
            raise  # without a number it is a library's sentence, as of a model that the Hub does not give
        if os.environ.get("BAILONG_TRACEBACK"):
            traceback.print_exc()
        if isinstance(error, OSError) and error.errno is not None:
            place = f"cannot use {error.filename}" if error.filename else "cannot read or write"
            stop(f"{place}: {error.strerror}; give a path that this user may read and write")
        if str(error).startswith("Config group override must be"):  # Hydra's own, which names no group
            stop("an option is chosen by its name, as in stage=cpt: null or a number before or after = is none")
        stop(" ".join(str(error).split()))
    except KeyboardInterrupt as error:
        number = error.number if isinstance(error, Interrupted) else signal.SIGINT
        goes_on = "goes on, and loses nothing that was finished"
        if command == "audit":  # what it had compared lies in a temporary folder
            goes_on = "begins the audit anew; the run is as it was"
        stop(f"interrupted; the same command {goes_on}", 128 + number)


def stop(message: str, code: int = 2) -> NoReturn:
    """One line on standard error, then the exit code."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(code)
