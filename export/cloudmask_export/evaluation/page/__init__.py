"""One HTML page of scores, with pictures of the worst samples."""

from __future__ import annotations

from cloudmask_export.evaluation.page.make import Wish, write_page

__all__ = ["Wish", "write_page"]
