"""Names of things for people elsewhere: a folder that is given away tells nothing of the machine it was made on."""

import re
from pathlib import Path
from typing import Any

from bailong.run.checks import hidden
from bailong.train.settings import Train

#: a path from the root of a machine on, of which the last name is kept
_ABSOLUTE = re.compile(r"(?<![\w.~/…-])~?/(?!/)(?:[^\s'\",;:\[\]{}()=/]+/)*(?=[^\s'\",;:\[\]{}()=/])")


def shown(value: Any) -> Any:
    """A setting or a command without what stands before the last name of an absolute path; other values as they are."""
    return _ABSOLUTE.sub("…/", hidden(value)) if isinstance(value, str) else value


def hub_id(train: Train) -> str | None:
    """The Hub id of the base; None of a folder, or where there is no base."""
    path = None if train.stage.from_scratch else train.model.path
    return None if path is None or Path(path).exists() else path


def base_name(train: Train) -> str | None:
    """The base by its Hub id or the name of its folder; None where there is none."""
    if train.stage.from_scratch:
        return None
    return hub_id(train) or Path(str(train.model.path)).name
