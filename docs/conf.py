"""The pages of this folder as a site: `make docs` builds it. They stay plain Markdown, which GitHub shows as it is."""

from __future__ import annotations

import re
from pathlib import Path

_VERSION = Path(__file__).resolve().parent.parent.joinpath("engine", "version.py").read_text(encoding="utf-8")

project = "Vibe"
html_title = "Vibe"
release = (re.findall(r'"(.+?)"', _VERSION) or ["unknown"])[-1]
extensions = ["myst_parser"]
myst_heading_anchors = 4
exclude_patterns = ["conf.py"]
html_theme = "furo"
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
nitpicky = True
