"""Sphinx's settings. `make docs` builds the site into docs/_build, warnings as errors."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from infwidth.numerics.status import Status
from infwidth.plan.config_keys import key_table

project, author, copyright = "infwidth", "The infwidth authors", "The infwidth authors"
release = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]["version"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_gallery.gen_gallery"]
exclude_patterns = ["_build", "examples"]
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!infwidth\.).*|.*\.Array")]  # types of other packages, and a type variable
html_theme = "furo"
html_title = f"infwidth {release}"
html_show_copyright = False
html_static_path, html_css_files = ["static"], ["site.css"]
toc_object_entries = False
highlight_language = "none"  # an indented block is an equation or a shell's line

myst_enable_extensions = ["attrs_block", "deflist", "substitution"]
myst_heading_anchors = 3
myst_url_schemes = ("http", "https")

# Tables that the code holds, put in at build time: no page can say anything else than the code.
statuses = ["| status | what to do |", "|---|---|", *(f"| `{one.value}` | {one.remedy} |" for one in Status)]
myst_substitutions = {"keys": "{.keys}\n" + key_table(), "statuses": "\n".join(statuses)}

autodoc_typehints = "none"  # docstrings say it, with shapes and units
autodoc_member_order = "bysource"
napoleon_use_ivar = True
napoleon_use_rtype = False

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "capture_repr": (),
    "matplotlib_animations": False,
    "remove_config_comments": True,
}


def _plain(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Take the bars of |x|² and the stars of ADAM* in a docstring as they are: no markup begins there."""
    for number, line in enumerate(lines):
        parts = re.split(r"(``.*?``)", line)
        lines[number] = "".join(part if part.startswith("``") else re.sub(r"([|*])", r"\\\1", part) for part in parts)


def setup(app: Any) -> None:
    """Register what this file adds to Sphinx."""
    app.connect("autodoc-process-docstring", _plain, priority=400)  # before napoleon, whose markup stays
