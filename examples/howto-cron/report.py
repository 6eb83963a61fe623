"""Writes the report as a new file that then replaces the old one, so nobody reads half of it."""

import os
import time
from pathlib import Path

report = Path(os.environ["DATA_ROOT"], "report.txt")
draft = report.with_suffix(".draft")
draft.write_text(
    f"Written {time.strftime('%A %H:%M %Z')} by {os.environ.get('PIKU_CRON', 'hand')}\n"
)
draft.replace(report)
print("The report is written.")
