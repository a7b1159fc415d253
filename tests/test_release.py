"""Version and date of a release are the same everywhere."""

import re
from datetime import datetime
from pathlib import Path

import mlpgrad as mg

ROOT = Path(__file__).parents[1]


def test_the_version_is_one():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, re.MULTILINE)[1] == mg.__version__
    released = re.findall(r"^## (\S+)", changes, re.MULTILINE)
    assert mg.__version__ in released[:2]  # the first may be unreleased


def test_the_date_is_one():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = re.search(rf"^## {re.escape(mg.__version__)} \((.*)\)$", changes, re.MULTILINE)[1]
    stated = re.search(r"^date-released: \"(.*)\"$", citation, re.MULTILINE)[1]
    assert datetime.strptime(heading, "%d %B %Y") == datetime.strptime(stated, "%Y-%m-%d")


def test_every_extra_is_told_of_where_it_is_needed():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table = project.split("[project.optional-dependencies]")[1].split("\n[")[0]
    extras = set(re.findall(r"^(\w+) = \[", table, re.MULTILINE))
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")]
    texts += [path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md")]
    texts += [path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")]
    for extra in extras:
        ways = rf"\[(\w+,)*{extra}(,\w+)*\]", rf"extra\s+`{extra}`", rf"extras?\(?.*\"{extra}\""
        pattern = re.compile("|".join(ways))
        assert any(pattern.search(text) for text in texts), extra
