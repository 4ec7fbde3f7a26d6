"""Options of a group: one lists every knob, the others say what differs from it, and all compose as they are recorded.

`tests/presets.yaml` is the record. After a change that is meant: `python -m tests.test_presets` writes it anew, and its
diff shows which presets the change reached.
"""

import functools
import re
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from bailong.app import schema, workspace
from bailong.run.provenance import root

CONF = root() / "conf"
RECORD = Path(__file__).with_name("presets.yaml")
RENEW = "if that is meant, renew the record: python -m tests.test_presets"
OPTIONS = sorted(f"{p.parent.name}/{p.stem}" for p in CONF.glob("*/*.yaml") if p.parent.name != "local")
GROUPS = sorted({option.split("/")[0] for option in OPTIONS})
SCHEMAS = [schema.schema(command) for command in schema.COMMANDS]
SETTINGS = {group: cls for known in SCHEMAS for group, cls in known.groups.items()}
CHOICES = {group for known in SCHEMAS for group in known.choices}
# lists of benchmarks, without a knob of their own
SUITES = {f"evaluation/{name}" for name in ("sample", "table6", "pud", "flores", "xquad", "mlqa")}


@pytest.fixture(scope="module", autouse=True)
def hydra():
    with hydra_at_conf():
        yield


def hydra_at_conf():
    schema.register()
    workspace.register()
    return initialize_config_dir(str(CONF), version_base="1.3")


def flat(node, prefix=""):
    """Dotted key -> value, in order; an empty dictionary is a value."""
    found = {}
    for key, value in node.items():
        inner = flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
        found |= inner
    return found


@functools.cache
def composed(option):
    """What the option makes of its group, interpolations as they are written; of a list of benchmarks their names."""
    group = option.split("/")[0]
    found = OmegaConf.to_container(compose(overrides=[f"+{option.replace('/', '=')}"])[group])
    return {"benchmarks": list(found)} if option in SUITES else flat(found)


def content(option):
    return OmegaConf.to_container(OmegaConf.load(CONF / f"{option}.yaml"))


def written(option):
    """What stands in the option's own file."""
    return flat({key: value for key, value in content(option).items() if key != "defaults"})


def parents(option):
    """Prefix and option of whatever its defaults list takes in, in order: `judge/off` has `api.` of `api/local`."""
    group = option.split("/")[0]
    for entry in content(option).get("defaults", []):
        if isinstance(entry, dict):
            ((place, name),) = entry.items()
            other, key = re.fullmatch(r"(?:override )?/(\w+)@(\w+)", place).groups()
            yield f"{key}.", f"{other}/{name}"
        elif entry != "_self_" and not entry.startswith("/schema/"):
            yield "", f"{group}/{entry.split('@')[0]}"


def inherited(option):
    """What the option would say without a line of its own."""
    found = {}
    for prefix, other in parents(option):
        found |= {prefix + key: value for key, value in (inherited(other) | written(other)).items()}
    return found


def unlisted(option):
    """Knobs that neither the option's own file nor another group's option lists."""
    own = option.split("/")[0]
    names = {"name"} if own in CHOICES else set()  # a choice is known by its file
    elsewhere = {prefix + key for prefix, other in parents(option) if prefix for key in composed(other)}
    knobs = composed(option)
    if own == "evaluation":  # a benchmark stands under its name
        knobs = [key.partition(".")[2] for key in knobs if key.startswith(f"{option.split('/')[1]}.")]
    return sorted(set(knobs) - set(written(option)) - elsewhere - names)


@functools.cache
def base(group):
    """The option that lists every knob, where the group's options share a schema."""
    options = [option for option in OPTIONS if option.startswith(f"{group}/") and option not in SUITES]
    return next((option for option in options if not unlisted(option)), None) if group not in CHOICES else None


def left_out(option):
    """For options that inherit from no other: what holds where they are silent, if their group's base says the same."""
    known = base(option.split("/")[0])
    if known in (None, option) or option in SUITES:
        return {}
    group = option.split("/")[0]
    cls = SETTINGS["benchmark" if group == "evaluation" else group]
    default = flat(OmegaConf.to_container(OmegaConf.structured(cls)))
    return {key: value for key, value in written(known).items() if key in default and default[key] == value}


@pytest.mark.parametrize("group", GROUPS)
def test_one_option_of_a_group_lists_and_explains_every_knob(group):
    lacking = {o: unlisted(o) for o in OPTIONS if o.startswith(f"{group}/") and o not in SUITES}
    listing = [option for option, knobs in lacking.items() if not knobs]
    if group == "initializer":  # rules, and what is put together of them: tests/initializer/test_contract.py
        return
    if group in CHOICES:  # each with knobs of its own
        assert listing == list(lacking), {option: knobs for option, knobs in lacking.items() if knobs}
        return
    nearest = min(lacking, key=lambda option: len(lacking[option]))
    assert listing, f"no option of {group} lists every knob: conf/{nearest}.yaml lacks {', '.join(lacking[nearest])}"
    assert len(listing) == 1, f"{' and '.join(listing)} list every knob: one does, the others inherit from it"
    lines = (CONF / f"{listing[0]}.yaml").read_text(encoding="utf-8").splitlines()
    knobs = [line for line in lines if re.match(r"(?!name|enabled|defaults)\w+: ", line)]
    bare = [line for line in knobs if " # " not in line]
    assert not bare, f"conf/{listing[0]}.yaml does not say what these mean: {bare}"


@pytest.mark.parametrize("option", OPTIONS)
def test_no_option_repeats_what_holds_without_it(option):
    above = inherited(option) or left_out(option)
    repeated = [f"{key}: {value}" for key, value in written(option).items() if key in above and above[key] == value]
    assert not repeated, f"conf/{option}.yaml repeats what holds without it: {', '.join(repeated)}"


@functools.cache
def record():
    return yaml.safe_load(RECORD.read_text(encoding="utf-8"))


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_as_it_is_recorded(option):
    recorded, found = record().get(option), composed(option)
    assert recorded is not None, f"{option} is not in tests/presets.yaml; {RENEW}"
    differing = [
        f"{key} is {found.get(key, 'not there')}, and was {recorded.get(key, 'not there')}"
        for key in {**recorded, **found}
        if key not in recorded or key not in found or repr(recorded[key]) != repr(found[key])
    ]
    assert not differing, f"{option}: {'; '.join(differing)}; {RENEW}"
    assert list(found) == list(recorded), f"{option}: the order of its keys is another; {RENEW}"


def test_nothing_else_is_recorded():
    gone = sorted(set(record()) - set(OPTIONS))
    assert not gone, f"{', '.join(gone)}: in tests/presets.yaml, and no option; {RENEW}"
    assert RECORD.stat().st_size < 128_000


class Row(dict):
    """A dictionary in a list, which is written on one line."""


class Writer(yaml.SafeDumper):
    pass


Writer.add_representer(Row, lambda writer, row: writer.represent_mapping("tag:yaml.org,2002:map", row, flow_style=True))

HEADER = """\
# What every option of every group composes to, interpolations as they are written; tests/test_presets.py compares.
# Written by `python -m tests.test_presets`, never by hand.
"""


def renew():
    with hydra_at_conf():
        found = {option: {key: rows(value) for key, value in composed(option).items()} for option in OPTIONS}
    text = yaml.dump(found, Dumper=Writer, sort_keys=False, allow_unicode=True, width=10**6)
    RECORD.write_text(HEADER + text, encoding="utf-8")


def rows(value):
    return [Row(one) if isinstance(one, dict) else one for one in value] if isinstance(value, list) else value


if __name__ == "__main__":
    renew()
