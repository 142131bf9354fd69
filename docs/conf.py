"""The documentation site: `make docs` builds it into build/docs, offline, warnings are errors.

Why Sphinx, and what is switched off so that no page loads anything from elsewhere:
docs/decisions/0013-documentation.md.
"""  # noqa: INP001 - Sphinx runs this file, nobody imports it

from __future__ import annotations

import sys
from pathlib import Path

from cloudmask import __version__

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "openeo-cloudmask"
author = "The openeo-cloudmask developers"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
extensions += ["elsewhere", "plain_attributes"]  # docs/extensions
exclude_patterns = ["images", "extensions"]
nitpicky = True
# Types in signatures: those of other packages are documented on the web, from which a build reads
# nothing; those of ours that no user makes have no entry.
nitpick_ignore_regex = [
    ("py:.*", r"(collections|contextlib|pathlib|os|typing|types|abc)\..*"),
    ("py:.*", r"(np|numpy|xr|xarray|dask|openeo|rasterio|onnxruntime)\..*"),
    ("py:(class|exc)", r"\w+"),
    ("py:class", r"cloudmask\.(spec\.TestFiles|windows\.Tiling|model\.OnnxModel|memory\.Work)"),
]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

smartquotes = False  # quotation marks belong to commands here
default_role = "code"  # docstrings write `name`, as Markdown does
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = False
add_module_names = False

html_theme = "furo"
# A version between releases says nothing to a reader, and is long.
html_title = project if ".dev" in release else f"{project} {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_use_index = True
# A browser lets no page that was opened as a file read another one: results show titles only.
html_show_search_summary = False
