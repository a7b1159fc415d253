"""Names from other libraries, and what to write here: one line for each.

Each table maps a name to the code to write; `# ...` at its end is the reason. The code runs: with
the few variables that `tests/test_habits.py` defines, it is executed there. A line that is only a
reason means that the name has to be left out, which is tried there, too.
"""

from mlpgrad._core.habits.calls import *
from mlpgrad._core.habits.members import *
from mlpgrad._core.habits.names import *
from mlpgrad._core.habits.objects import *
from mlpgrad._core.habits.options import *
