"""Findings as lines for a terminal."""

from collections.abc import Iterable

from famulus.diagnosis.history import Finding


def finding_lines(findings: Iterable[Finding]) -> list[str]:
    """Severity and cause, evidence, remedy; what another finding explains is indented."""
    lines = []
    for finding in findings:
        indent, why = ("    ", f", explained by {finding.under}") if finding.under else ("", "")
        lines.append(f"{indent}{finding.severity}: {finding.cause}{why}")
        lines.append(f"{indent}  {finding.evidence}")
        if finding.remedy:
            lines.append(f"{indent}  → {finding.remedy}")
    return lines
