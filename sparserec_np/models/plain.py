"""Settings as JSON, for files, and back.

Numbers, texts and None are themselves. What else a setting may be stands as an object::

    {"function": name, "module": name}         a loss or a teacher that is a function
    {"estimator": name, "settings": {...}}     a teacher that is an estimator
    {"generator": name}                        a random_state whose state is not in the file

An estimator is made again of its settings. A function is not, except for those of this library: importing
what a file names would run code that a stranger chose. A `LeftOut` takes its place, by which ``fit`` says
what has to be set again. Files of earlier versions have nothing but the name for any of the three.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sparserec_np.errors import ModelFormatError, shown
from sparserec_np.losses import LOSSES
from sparserec_np.models.estimator import Estimator
from sparserec_np.teachers import AUTO_TEACHER, NO_TEACHER, TEACHERS

#: Settings that say how to train, not what: no file holds them.
OWN_TO_A_MACHINE = ("n_jobs", "verbose")

# A teacher may have a teacher; a stranger's file must not exhaust the stack.
_DEEPEST = 8


class LeftOut(str):
    """The name of what a setting was when the model was fitted, where a file could not hold it.

    Parameters
    ----------
    name : str
        The name, which is also the text.
    what : str
        What it was, for messages, such as ``"the function hinge"``.
    """

    what: str

    def __new__(cls, name: str, what: str) -> LeftOut:  # noqa: D102
        made = super().__new__(cls, name)
        made.what = what
        return made

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        return str(self), self.what


def how_to_mend(setting: str, value: Any) -> str:
    """Say what has to be set again where a file has left it out; it goes to the end of a message."""
    if not isinstance(value, LeftOut):
        return ""
    return (
        f"; the model was fitted with {value.what}, which a model file cannot hold: set it again with "
        f"set_params({setting}=...)"
    )


def to_plain(value: Any) -> Any:
    """Turn a setting into JSON."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.random.Generator):
        return {"generator": type(value.bit_generator).__name__}
    if isinstance(value, Estimator):
        return {"estimator": type(value).__name__, "settings": settings_to_plain(value.get_params())}
    named = value if hasattr(value, "__name__") else type(value)
    return {"function": named.__name__, "module": named.__module__}


def settings_to_plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the settings of an estimator into JSON, without those that are `OWN_TO_A_MACHINE`."""
    return {name: to_plain(value) for name, value in settings.items() if name not in OWN_TO_A_MACHINE}


def settings_from_plain(cls: type[Any], settings: Any, depth: int = 0) -> dict[str, Any]:
    """Turn JSON into the settings of an estimator; names that it does not have are passed over.

    Parameters
    ----------
    cls : type
        The estimator's class.
    settings : dict
        As `settings_to_plain` made it, or an earlier version.
    depth : int
        How many estimators this one is the teacher of.

    Raises
    ------
    ModelFormatError
        For what no version wrote.
    """
    if not isinstance(settings, Mapping):
        raise ModelFormatError(f"settings are {shown(settings)}; expected a JSON object")
    # A file does not decide what a machine does, such as how many threads it starts.
    known = set(cls._get_param_names()) - set(OWN_TO_A_MACHINE)
    return {name: _from_plain(cls, name, value, depth) for name, value in settings.items() if name in known}


def _from_plain(cls: type[Any], name: str, value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _from_name(cls, name, value)
    if value is None or isinstance(value, bool | int | float):
        return value
    kinds = {"function", "estimator", "generator"}
    kind = next(iter(kinds & value.keys()), None) if isinstance(value, dict) else None
    if kind is None or not isinstance(value[kind], str):
        raise ModelFormatError(f"settings say that {name} is {shown(value)}; expected a number or a text")
    if kind == "function":
        return _function(name, value["function"], value.get("module"))
    if kind == "generator":
        return LeftOut(value["generator"], "a generator")
    from sparserec_np.models import ESTIMATORS

    teacher = ESTIMATORS.get(value["estimator"])
    if teacher is None:
        return LeftOut(value["estimator"], f"an estimator of the class {value['estimator']}")
    if depth == _DEEPEST:
        raise ModelFormatError(f"settings name a teacher's teacher more than {_DEEPEST} times")
    return teacher(**settings_from_plain(teacher, value.get("settings"), depth + 1))


def _from_name(cls: type[Any], name: str, value: str) -> Any:
    """Tell a text that a setting may be from the name that an earlier version wrote in place of a value."""
    if name == "loss" and value not in cls.losses:
        return LeftOut(value, f"the function {value}")
    if name == "teacher" and value not in (*TEACHERS, AUTO_TEACHER, NO_TEACHER):
        return LeftOut(value, f"a function or an estimator, {value}")
    if name == "random_state":
        return LeftOut(value, "a generator")
    return value


def _function(setting: str, name: str, module: Any) -> Any:
    """Find a function of this library; any other is left out."""
    ours: Any = {"loss": LOSSES, "teacher": TEACHERS}.get(setting, {})
    for function in ours.values():
        if getattr(function, "__name__", None) == name and function.__module__ == module:
            return function
    return LeftOut(name, f"the function {name} of the module {module}" if module else f"the function {name}")
