"""The forms in which tables have dates and times."""

from __future__ import annotations

import re

_MONTH = (
    r"(?:jan|feb|fév|mar|mär|mrz|mrt|apr|avr|may|mai|mei|jun|jui|jul|aug|aoû|sep|oct|okt|nov|dec"
    r"|déc|dez)[a-zéû]*"
)
_MONTH_ALONE = (
    r"(?:jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?(ember)?"
    r"|oct(ober)?|nov(ember)?|dec(ember)?)"
)
_TIME = r"\d{1,2}[:h]\d{2}.*"
DATE = re.compile(
    r"(((mon|tue|wed|thu|fri|sat|sun)[a-z]*|mo|di|mi|do|fr|sa|so)[., ]+)?("
    rf"\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}([ T]{_TIME})?"
    rf"|\d{{1,2}}[-/.]\d{{1,2}}[-/.](\d{{4}}|\d{{2}})(,? {_TIME})?"
    rf"|\d{{1,2}}[-. /]+{_MONTH}[-., /]+(\d{{4}}|\d{{2}})(,?[ :]{_TIME})?"
    rf"|{_MONTH}[. ]+\d{{1,2}} \d{{1,2}}:\d{{2}}(:\d{{2}})? .*\d{{4}}"
    rf"|\d{{4}}[-. /]{_MONTH}[-. /]\d{{1,2}}|\d{{4}}-?W\d{{2}}(-?\d)?|\d{{8}}T\d{{4}}.*"
    r"|\d{4}年\d{1,2}月(\d{1,2}日.*)?"
    rf"|{_MONTH}[. ]+\d{{1,2}}(st|nd|rd|th)?,? +\d{{4}}(,? {_TIME})?"
    rf"|{_MONTH_ALONE}[-., ]+(\d{{4}}|'?\d{{2}})"
    r"|\d{4}[-/](0[1-9]|1[0-2])|(0?[1-9]|1[0-2])[-/]\d{4}"
    r"|(-?\d+ days?,? [+-]?)?\d{1,3}:\d{2}(:\d{2}([.,]\d+)?)?( ?[ap]\.?m\.?)?)",
    re.IGNORECASE,
)
