"""The validated configuration: defaults filled in, numbers read as numbers, one line for each error."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from infwidth.adam_ntk.variants import KERNEL_OPTIMISERS
from infwidth.numerics.checks import InputError

SCHEMA = Path("workflow/schemas/config.schema.yaml")
# Figures that show what `representation` records, and the outer axis that a figure draws along.
NEED_REPRESENTATION = ("cifar_kernels", "cifar_preactivations", "cifar_alignment", "bayes_densities")
DRAWN_ALONG = {"cifar_gain": "n_target"}
# Figures of ADAM* and the studies they show; every other figure shows transfer experiments.
SHOWN_STUDIES = {
    "adamstar_width": ["language"],
    "adamstar_limit": ["limit", "language"],
    "feature_selection": ["selection"],
    "expectation": ["expectation"],
    "omega_support": ["support"],
    "optimiser_ablation": ["architecture"],
}


class ConfigError(InputError):
    """A configuration that breaks the schema; the message has one line an error."""


def load_schema(path: str | Path = SCHEMA) -> dict[str, Any]:
    """Read the JSON Schema of the configuration (YAML)."""
    with open(path, encoding="utf-8") as handle:
        return yaml.safe_load(handle)


def load_config(path: str | Path, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read and resolve a configuration file; see :func:`resolve_config`."""
    try:
        with open(path, encoding="utf-8") as handle:
            config = yaml.safe_load(handle)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; expected a configuration file (YAML)") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML ({' '.join(str(error).split())}); mend the syntax") from error
    return resolve_config(config, schema)


def resolve_config(config: Any, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the configuration with text that spells a number read as one, and every default filled in.

    Args:
        config: what a YAML file or Snakemake holds.
        schema: the JSON Schema; read from :data:`SCHEMA` if omitted.

    Raises:
        ConfigError: with one line for every key that is unknown, missing, of the wrong type or out of range:
            key, value found, what was expected, remedy.
    """
    schema = dict(schema or load_schema())
    resolved = _resolve(copy.deepcopy(config), schema, schema)
    errors = sorted(
        Draft202012Validator(schema).iter_errors(resolved),
        key=lambda error: list(map(str, error.absolute_path)),
    )
    lines = list(dict.fromkeys(line for error in errors for line in _lines(error)))
    if not lines:
        lines = list(_contradictions(resolved))
    if lines:
        raise ConfigError("\n".join(lines))
    return resolved


def _resolve(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """Fill in defaults, wrap single values where a list is wanted and read numbers spelt as text."""
    schema = dereference(schema, root)
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if "object" in types and isinstance(value, Mapping):
        value = dict(value)
        known = schema.get("properties", {})
        for name, sub in known.items():
            if name not in value and "default" in dereference(sub, root):
                value[name] = copy.deepcopy(dereference(sub, root)["default"])
        extra = schema.get("additionalProperties")
        for name in value:
            sub = known.get(name, extra if isinstance(extra, Mapping) else None)
            if sub is not None:
                value[name] = _resolve(value[name], sub, root)
        return value
    if "array" in types:
        if not isinstance(value, list | tuple) and value is not None and not isinstance(value, Mapping):
            value = [value]
        return (
            [_resolve(item, schema.get("items", {}), root) for item in value]
            if isinstance(value, list | tuple)
            else value
        )
    if isinstance(value, str) and "string" not in types:
        return _read_number(value, types)
    return value


def _read_number(text: str, types: list[str]) -> Any:
    """PyYAML reads 1e-3, and Snakemake every nested --config value, as text."""
    if "null" in types and text.lower() in ("null", "none", "~", ""):
        return None
    if "boolean" in types and text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind, read in (("integer", int), ("number", lambda t: float(t.lower().replace(".inf", "inf")))):
        if kind in types:
            try:
                return read(text)
            except ValueError:
                continue
    return text


def dereference(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a part of the schema with its ``$ref`` into ``root`` put in; its own keys win."""
    if "$ref" not in schema:
        return schema
    target: Any = root
    for part in schema["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def _lines(error: ValidationError) -> Iterator[str]:
    """One line for each thing wrong in a jsonschema error."""
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
    found, rule, limit = error.instance, error.validator, error.validator_value
    if rule == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        for name in sorted(set(found) - set(known), key=str):
            near = get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "remove it"
            yield f"{where}{'.' if where else ''}{name}: unknown key; expected one of {', '.join(known)}; {hint}"
    elif rule == "required":
        for name in sorted(set(limit) - set(found)):
            text = error.schema.get("properties", {}).get(name, {}).get("description", "")
            meaning = f" ({text})" if text else ""
            yield f"{where}{'.' if where else ''}{name}: missing; expected a value{meaning}; add it"
    else:
        yield f"{where or 'configuration'} = {found!r}: expected {_expectation(rule, limit, error)}; change it"


def _expectation(rule: str, limit: Any, error: ValidationError) -> str:
    schema = error.schema
    if rule in ("minimum", "maximum", "exclusiveMinimum"):
        if "minimum" in schema and "maximum" in schema:
            return f"{schema['minimum']} … {schema['maximum']}"
        return f"a number {dict(minimum='≥', maximum='≤', exclusiveMinimum='>')[rule]} {limit}"
    if rule == "enum":
        near = get_close_matches(str(error.instance), list(map(str, limit)), n=1)
        return f"one of {', '.join(map(str, limit))}" + (f" (did you mean {near[0]!r}?)" if near else "")
    if rule == "type":
        names = [limit] if isinstance(limit, str) else limit
        spoken = {
            "object": "keys and values",
            "array": "a list",
            "string": "text",
            "null": "nothing (null)",
            "integer": "a whole number",
            "number": "a number",
            "boolean": "true or false",
        }
        return " or ".join(spoken[name] for name in names)
    if rule in ("minItems", "minProperties"):
        return f"at least {limit} entr{'y' if limit == 1 else 'ies'}"
    if rule in ("maxItems", "maxProperties"):
        return f"at most {limit} entr{'y' if limit == 1 else 'ies'}"
    if rule == "uniqueItems":
        return "different entries"
    if rule == "pattern":
        return f"text matching {limit}"
    return f"what the schema says under {rule!r}: {limit!r}"


def _contradictions(config: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong between keys that are each right, and numbers that no range check catches."""
    for path, number in _numbers(config):
        if math.isnan(number) or (
            math.isinf(number) and not any(key in path for key in (".elastic_coupling[", ".width["))
        ):
            yield f"{path} = {number}: expected a finite number; change it"
    for name, experiment in config["experiments"].items():
        where = f"experiments.{name}"
        ((training, settings),) = experiment["training"].items()
        activation = experiment["activation"]
        if not experiment["theory"] and not experiment["width"]:
            yield f"{where}.width = []: expected at least one width where theory is false; name one or set theory: true"
        if training == "bayes" and experiment["controls"]:
            found = experiment["controls"]
            yield f"{where}.controls = {found}: expected none under bayes (δ = 0 is from scratch); remove them"
        if experiment["representation"] and activation == "linear":
            yield f"{where}.representation = True: expected false for activation linear; remove it"
        if training == "flow":
            for i, width in enumerate(experiment["width"]):
                if width % 2:
                    yield f"{where}.width[{i}] = {width}: expected an even number (neurons come in ± pairs); change it"
            times = settings["target_times"]
            if times != sorted(times):
                yield f"{where}.training.flow.target_times = {times}: expected increasing times; sort them"
    for name, study in config["adam_ntk"].items():
        if name in config["experiments"]:
            yield f"adam_ntk.{name}: expected a name that experiments does not use; rename one of them"
        if "language" in study["study"]:
            yield from _language_contradictions(f"adam_ntk.{name}.study.language", study["study"]["language"])
    for figure, experiments in config["figures"].items():
        for i in range(len(experiments)):
            yield from _unshowable(config, figure, i)
    names = [*config["experiments"], *config["adam_ntk"]]
    if not names:
        yield "experiments = {}: expected at least one entry there or in adam_ntk; add one"
    if config["images"]["dataset"] == "digits" and config["images"]["path"]:
        yield f"images.path = {config['images']['path']!r}: expected none, as digits come with scikit-learn; remove it"
    if config["only"] and not any(selected(config, section) for section in ("experiments", "adam_ntk")):
        yield f"only = {config['only']!r}: matches no experiment; choose one of {', '.join(names)}"


def _language_contradictions(where: str, settings: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong between the keys of a language study."""
    rates = settings["learning_rates"]
    if len({len(values) for values in rates.values()}) > 1:
        counts = {name: len(values) for name, values in rates.items()}
        yield f"{where}.learning_rates: {counts} values: expected as many for each, an equal budget; add or remove some"
    if settings["model_width"] % settings["heads"]:
        found = settings["heads"]
        yield f"{where}.heads = {found}: expected a divisor of model_width = {settings['model_width']}; change one"
    if math.inf in settings["width"] and not set(rates) & set(KERNEL_OPTIMISERS):
        yield f"{where}.width: inf: expected one of {', '.join(KERNEL_OPTIMISERS)} in learning_rates; add one"


def _unshowable(config: Mapping[str, Any], figure: str, i: int) -> Iterator[str]:
    """Why a figure cannot show its experiment i, if so."""
    experiment, where = config["figures"][figure][i], f"figures.{figure}[{i}]"
    names = [*config["experiments"], *config["adam_ntk"]]
    if experiment not in names:
        near = get_close_matches(experiment, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(names)}"
        yield f"{where} = {experiment!r}: no such experiment; {hint}"
        return
    kinds = list(config["adam_ntk"].get(experiment, {}).get("study", ["transfer"]))
    if not set(kinds) & set(SHOWN_STUDIES.get(figure, ["transfer"])):
        wanted = " or ".join(SHOWN_STUDIES.get(figure, ["transfer"]))
        yield f"{where} = {experiment!r}: is a {kinds[0]} study, expected {wanted}; name another"
        return
    if experiment in config["adam_ntk"]:
        return
    shown = config["experiments"][experiment]
    (task,) = shown["task"].values()
    if figure in NEED_REPRESENTATION and not shown["representation"]:
        yield f"{where} = {experiment!r}: shows kernels or preactivations; set representation: true there"
    single = {"source_strength", "n_source", "n_target"} - {DRAWN_ALONG.get(figure)}
    for key, values in {"source_strength": shown["source_strength"], **task}.items():
        if key in single and len(values) > 1:
            yield f"{where} = {experiment!r}: shows one {key}, not {values}; make an experiment of each"


def _numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number below ``value`` with its path."""
    if isinstance(value, Mapping):
        for name, sub in value.items():
            yield from _numbers(sub, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for i, sub in enumerate(value):
            yield from _numbers(sub, f"{path}[{i}]")
    elif isinstance(value, float | int):
        yield path, value


def selected(config: Mapping[str, Any], section: str) -> list[str]:
    """Names in a section, `experiments` or `adam_ntk`, that `only` lets through; all of them without it."""
    only = config["only"]
    return [name for name in config[section] if not only or name.startswith(only)]
