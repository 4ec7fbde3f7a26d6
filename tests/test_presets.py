"""Every option of every group composes as it is recorded.

`tests/presets.yaml` is the record. After a change that is meant: `python -m tests.test_presets` writes it anew, and its
diff shows which presets the change reached.
"""

import functools
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from bailong import config, workspace

CONF = workspace.root() / "conf"
RECORD = Path(__file__).with_name("presets.yaml")
RENEW = "if that is meant, renew the record: python -m tests.test_presets"
OPTIONS = sorted(f"{p.parent.name}/{p.stem}" for p in CONF.glob("*/*.yaml") if p.parent.name != "local")


@pytest.fixture(scope="module", autouse=True)
def hydra():
    with hydra_at_conf():
        yield


def hydra_at_conf():
    config.register()
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
    """What the option makes of its group, interpolations as they are written."""
    group = option.split("/")[0]
    return flat(OmegaConf.to_container(compose(overrides=[f"+{option.replace('/', '=')}"])[group]))


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
    assert RECORD.stat().st_size < 80_000


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
