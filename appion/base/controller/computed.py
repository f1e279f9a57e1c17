"""Results that are in the journal but must not be stored for this run: they are set aside before its loop begins."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from appion.base.records.program import Program
from appion.base.retrieve.computed import retrieveOtherResults
from appion.base.retrieve.journal import retrieveResultIds
from appion.base.store.journal import setResultAside

log = logging.getLogger(__name__)


def setOthersAside(
    rundir: Path | str,
    decodeOptions: Callable[[dict[str, Any]], Any],
    options: Any,
    keep: bool,
    ignored: Collection[str] = (),
    program: Program | None = None,
    strict: bool = False,
) -> None:
    """Have results of the run folder computed again that are not what is asked for: they must not be stored as if.

    Without `keep` (``--no-continue``) these are all of them. The rest as for
    :func:`appion.base.retrieve.computed.retrieveOtherResults`.
    """
    if keep:
        others = retrieveOtherResults(rundir, decodeOptions, options, ignored, program, strict)
    else:
        others = dict.fromkeys(retrieveResultIds(rundir), "")
    for image_id in others:
        setResultAside(rundir, image_id)
    for difference, count in Counter(filter(None, others.values())).items():
        what = "another program" if difference.startswith("program ") else "other options"
        log.warning("%d results were computed with %s (%s): they are not used", count, what, difference)
