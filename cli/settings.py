"""The estimators' settings as options, from signatures and docstrings, so that none is listed twice."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import click

# Options that people know under other names; and settings that the command line has its own way for.
_RENAMED = {"random_state": "seed", "n_jobs": "jobs"}
_OWN_WAY = {"verbose"}
_OWN_TYPES = {"n_jobs": click.IntRange(min=1)}


@dataclass
class _Setting:
    """A setting and, by the name of each model that has it, its default and description there."""

    name: str
    type: click.ParamType
    defaults: dict[str, Any] = field(default_factory=dict)
    help: dict[str, str] = field(default_factory=dict)

    def option(self, n_models: int) -> Callable[[Any], Any]:
        flag = _RENAMED.get(self.name, self.name).replace("_", "-")
        return click.option(
            f"--{flag}/--no-{flag}" if self.type is click.BOOL else f"--{flag}",
            self.name,
            type=None if self.type is click.BOOL else self.type,
            default=None,
            help=f"{self._text(n_models)} [{self._default(n_models)}]",
        )

    def _text(self, n_models: int) -> str:
        """Return the description; where models disagree, that of each."""
        if len(set(self.help.values())) == 1:
            return next(iter(self.help.values()))
        return " ".join(f"{model}: {text}" for model, text in self.help.items())

    def _default(self, n_models: int) -> str:
        if len(self.defaults) == n_models and len(set(map(repr, self.defaults.values()))) == 1:
            return f"default: {_shown(next(iter(self.defaults.values())))}"
        return "default: " + ", ".join(f"{model} {_shown(value)}" for model, value in self.defaults.items())


def setting_options(models: Mapping[str, Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add an option for every setting of `models`; those not given on the command line are None."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for setting in reversed(_settings(models)):
            function = setting.option(len(models))(function)
        return function

    return add


def make_estimator(model: str, models: Mapping[str, type], options: Mapping[str, Any]) -> Any:
    """Make the estimator `model` with the settings that were given.

    Raises
    ------
    click.UsageError
        One was given that this estimator does not have.
    """
    given = {name: value for name, value in options.items() if value is not None}
    known = inspect.signature(models[model]).parameters
    for name in given:
        if name not in known:
            flag = _RENAMED.get(name, name).replace("_", "-")
            raise click.UsageError(f"--{flag} is no setting of the model {model!r}")
    return models[model](**given)


def _settings(models: Mapping[str, Any]) -> list[_Setting]:
    found: dict[str, _Setting] = {}
    for model, estimator in models.items():
        described = _described(estimator)
        for name, parameter in inspect.signature(estimator).parameters.items():
            if name in _OWN_WAY:
                continue
            kind, text = described[name]
            setting = found.setdefault(name, _Setting(name, _OWN_TYPES.get(name) or _type(kind)))
            setting.type = _either(setting.type, _type(kind))
            by_amount = estimator.by_amount.get(name)
            setting.defaults[model] = (
                f"{' or '.join(dict.fromkeys(map(_shown, by_amount)))} by the amount of data"
                if by_amount
                else parameter.default
            )
            setting.help[model] = text
    return list(found.values())


def _described(estimator: type) -> dict[str, tuple[str, str]]:
    """Type and first sentence of every parameter in a numpydoc docstring."""
    doc = inspect.getdoc(estimator) or ""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-+$|\Z)", doc, re.M | re.S)
    described = {}
    for entry in re.finditer(r"^(\w[\w, ]*) : (.+)\n((?:(?: .*)?\n?)*)", section[1] if section else "", re.M):
        names, kind, text = entry.groups()
        # Markup that means nothing on a terminal.
        plain = re.sub(r":\w+:`~?([^`]*)`", r"\1", " ".join(text.split())).replace("`", "")
        sentence = re.match(r".*?[.](?=\s|$)|.*", plain)
        for name in names.split(","):
            described[name.strip()] = (kind, sentence[0] if sentence else "")
    return described


def _type(kind: str) -> click.ParamType:
    """Parameter type for a type as numpydoc writes it: ``int``, ``float or None``, ``{"a", "b"}``."""
    if choices := re.search(r"\{(.*)\}", kind):
        return click.Choice(re.findall(r"[\"']([^\"']+)[\"']", choices[1]))
    for word, type_ in (("bool", click.BOOL), ("float", click.FLOAT), ("int", click.INT)):
        if re.search(rf"\b{word}\b", kind):
            return type_
    return click.STRING


def _either(one: click.ParamType, other: click.ParamType) -> click.ParamType:
    """Join the choices of two models; the estimator refuses those that it does not have."""
    if isinstance(one, click.Choice) and isinstance(other, click.Choice):
        return click.Choice(list(dict.fromkeys([*one.choices, *other.choices])))
    return one


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else str(value)
