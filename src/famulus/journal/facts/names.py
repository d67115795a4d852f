"""File names of pages: harmless on every system, whatever a store's folder is called."""

import hashlib
import re

from famulus.journal.facts.record import Record

# a file's name may have 255 bytes, and a hash, an id and an ending join
LONGEST = 120


def file_name(text: str, suffix: str = "") -> str:
    """`text` as one harmless part of a path; a hash keeps changed names apart."""
    stem = text.removesuffix(suffix) if suffix else text
    # no leading dot or dash: hidden on some systems, an option to commands on others
    safe = re.sub(r"[^A-Za-z0-9._=+,@-]", "-", stem).lstrip(".-")[:LONGEST]
    if safe != stem or not safe:
        safe = f"{safe}{'-' if safe else ''}{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return safe + suffix


def folder(experiment: str) -> str:
    """Folder of an experiment's pages, below the journal's."""
    return "/".join(file_name(part) for part in experiment.split("/") if part) or "experiment"


def home(experiment: str) -> str:
    """From an experiment's folder back to the journal's: '../../'."""
    return "../" * (folder(experiment).count("/") + 1)


def run_page(record: Record) -> str:
    """Name of a run's page in `runs/`."""
    return file_name(f"{record.slug}-{record.id}") + ".html"
