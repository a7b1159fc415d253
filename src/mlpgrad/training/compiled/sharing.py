"""Tasks that the threads of one training share: the board on which they are posted."""

from __future__ import annotations

from mlpgrad.training.compiled.epoch import subnormal_as_zero
from mlpgrad.training.compiled.values import Value, select
from mlpgrad.training.compiled.writing import Code

SERVE = "void @serve(ptr %board, ptr %own)"
BOARD = 48
"""The numbers on a board. What different threads write is 128 bytes apart, since processors fetch
lines of 64 bytes in pairs."""
TASK, TABLE, FIRST, GIVE_WAY, CLOSED, LEFT, DONE = 0, 1, 2, 3, 4, 16, 32
"""The places of: what to do, with which table, and the number of the first task; the function that
a waiting thread calls; whether the board is closed; which tasks are left; and how many are done.

LEFT holds two numbers of 32 bits: the first task that is left, and the end of those that are left.
A thread claims a task first and then reads which it is. This is safe, since new tasks are posted
only when all earlier ones are done.
"""
END = 1 << 32
"""The end in LEFT counts in these."""


def write_sharing(code: Code, processor: str) -> None:
    """Write `share`, which posts tasks and works on them, and `serve`, which only works on them."""
    task = "internal void @task(ptr %table, i64 %task, ptr %own, i64 %which)"
    code.function(task, code.write_tasks)
    arguments = "ptr %board, ptr %own, ptr %table, i64 %which, i64 %first, i64 %count"
    work = "internal void @work(ptr %board, ptr %own, i64 %step)"
    code.function(f"internal void @share({arguments})", lambda: _share(code), rare=True)
    code.function(work, lambda: _work(code), rare=True)
    code.function(SERVE, lambda: _serve(code, processor), rare=True)


def _share(code: Code) -> None:
    """Write the posting of tasks, the work on them, and the wait for those that others have begun.

    This thread begins with the first task, and the others with the last, so that each finds in its
    cache what it has written before.
    """
    board, count = code.given("board"), code.given("count", "i8")

    def waiting() -> Value:
        _give_way(code, board)
        return _loaded(code, board + 8 * DONE).compare("ne", count)

    for place, value in (TASK, "which"), (FIRST, "first"):
        code.store(board + 8 * place, code.given(value, "i8"))
    code.store(board + 8 * TABLE, code.given("table"))
    code.store(board + 8 * DONE, code.number(0, "i8"))
    code.do(f"store atomic {count * END}, {board + 8 * LEFT} release, align 8")
    code.do(f"call void @work({board}, ptr %own, i64 1)")
    code.repeat(waiting)


def _work(code: Code) -> None:
    """Write the work on the tasks that are left, from the first on, or from the last one back."""
    board, step = code.given("board"), code.given("step", "i8")

    def look() -> Value:
        left = _loaded(code, board + 8 * LEFT)
        first, end = left.write("and", END - 1), left.write("lshr", 32)

        def claim() -> None:
            exchange = f"cmpxchg {board + 8 * LEFT}, {left}, {left + step} acq_rel monotonic"
            pair = code.op(exchange, "i8").name
            code.when(code.op(f"extractvalue {{ i64, i1 }} {pair}, 1", "b1"), make)

        def make() -> None:
            which, table = code.load(board + 8 * TASK, "i8"), code.load(board + 8 * TABLE, "p8")
            number = select(step.compare("eq", 1), first, end - 1)
            number += code.load(board + 8 * FIRST, "i8")
            code.do(f"call void @task({table}, {number}, ptr %own, {which})")
            code.op(f"atomicrmw add {board + 8 * DONE}, i64 1 release, align 8", "i8")

        some = first.compare("ne", end)
        code.when(some, claim)
        return some

    code.repeat(look)


def _serve(code: Code, processor: str) -> None:
    """Write the thread that works for the board until it is closed."""
    board = code.given("board")

    def work() -> Value:
        code.do(f"call void @work({board}, ptr %own, i64 -{END})")
        _give_way(code, board)
        return _loaded(code, board + 8 * CLOSED).compare("eq", 0)

    with subnormal_as_zero(code, processor):
        code.repeat(work)


def _loaded(code: Code, at: Value) -> Value:
    """Return a number that another thread may have written, and see all that it wrote before."""
    return code.op(f"load atomic i64, {at} acquire, align 8", "i8")


def _give_way(code: Code, board: Value) -> None:
    """Let other threads run, if they need this core.

    Otherwise a training that shares its cores with other programs takes several times as long.
    """
    code.op(f"call i32 {code.load(board + 8 * GIVE_WAY, 'p8').name}()", "i4")
