"""The words that these tests look for, in one place: a page may be worded anew, then so is this.

Each is a regular expression over text on one line, in any case. All tests of this package judge
facts; these are what is left of wording.
"""

import re

# of expectations; the right-hand words of the glossary, and their forerunners
MET = r"\b(met|kept)\b"
NOT_MET = r"\b(not met|broken|missed)\b"
NOT_YET = r"\bnot (judged )?yet\b|\bjudged yet\b|\bopen\b"
CANNOT = r"\b(can['’]t|cannot) be judged\b(?! yet)"
STATES = {"can't": CANNOT, "not yet": NOT_YET, "not met": NOT_MET, "met": MET}  # in this order
AFTER = r"written after (the|its|a|their) (first )?(result|run)s?"
BEFORE = r"(?<!not )\bbefore (the|its|a|any|their) (first )?(result|run)s?"
# of comments in a file whose expectation was replaced: what was predicted, and what came
REPLACED = r"predict|(was|had been) expected|foretold"
CAME = r"\b(came|measured|turned out|was found|broke)\b"

# of the first lines of a page
BEST = r"\b(best is|best:|leads|is (the )?best|ranks first)"
NOTHING_LEARNED = r"nothing was learned|learned nothing|no better than (an|the) untrained"
OLD_VERSION = r"\b(last|earlier|previous|older) version of (this|the) file"
LENGTHS = (
    r"train(ed|ing) (for )?(twice|longer|less|different|further|as long)|different (training )?"
    r"(lengths?|budgets?|numbers? of (inputs|samples))|not (the )?(same|equal|equally|as)"
    r" (length|budget|long|number of)|\bat (other|different) (lengths?|budgets?)|(longer|shorter)"
    r" train(ed|ing)|more (inputs|samples) than|trained (on|with) (more|fewer)"
)
NOT_RANKED = r"not ranked|aren['’]t ranked|nothing is ranked|no ranking|can['’]t be ranked"
STALE = r"other code|older code|different code|code (has )?changed|\bstale\b"
COPIES = r"\b(cop(y|ies)|duplicates?)\b"
NO_REASON = r"no reason was recorded"
CONTINUED = r"cumulative|with (its|the) parent|in all|including|over the whole curve|own\b"
THE_OTHER = r"\b(other|opposite|reverse[ds]?|above|higher|worse|against|the rest)\b"
THEORETICAL = r"expected|untrained|theor|in closed form|before (any )?training"


def has(pattern: str, text: str) -> bool:
    """Does `text` say it, in any case and over line ends?"""
    return re.search(pattern, " ".join(text.split()), re.I) is not None


def state(text: str) -> str:
    """Which of `STATES` an expectation's label names; '' if none."""
    return next((name for name, pattern in STATES.items() if has(pattern, text)), "")
