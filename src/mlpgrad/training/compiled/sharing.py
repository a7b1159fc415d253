"""Tasks that the threads of one training share: the board on which they are posted."""

from __future__ import annotations

from collections.abc import Sequence

from mlpgrad.training.compiled.epoch import subnormal_as_zero
from mlpgrad.training.compiled.values import Index, Value
from mlpgrad.training.compiled.writing import Code

SERVE = "void @serve(ptr %board, ptr %own, i64 %thread)"
BOARD, EACH = 16, 16
"""The numbers of a board that concern all threads, and those of each thread after them. What
different threads write is 128 bytes apart, since processors fetch lines of 64 bytes in pairs."""
TASK, TABLE, POSTED, THREADS, GIVE_WAY, CLOSED = range(6)
"""The places of: what to do and with which table; the number of tasks ever posted; the number of
threads; the function that a waiting thread calls; and whether the board is closed."""
LEFT, FIRST, DONE = 0, 8, 16
"""Offsets in bytes among a thread's numbers: how many of its tasks are left; the first of them; and
how many tasks the thread has done. A thread claims a task first and then reads which it is. This is
safe, since new tasks are posted only when all earlier ones are done."""


def write_sharing(code: Code, processor: str) -> None:
    """Write `share`, which posts tasks and works on them, and `serve`, which only works on them."""
    task = "ptr %table, i64 %task, ptr %own, i64 %which"
    code.function(f"internal void @loop({task})", lambda: code.write_tasks(calls=False))
    code.function(f"internal void @call({task})", lambda: code.write_tasks(calls=True), rare=True)
    arguments = "ptr %board, ptr %own, ptr %table, i64 %which, i64 %first, i64 %count"
    work = "internal void @work(ptr %board, ptr %own, i64 %thread)"
    code.function(f"internal void @share({arguments})", lambda: _share(code), rare=True)
    code.function(work, lambda: _work(code), rare=True)
    code.function(SERVE, lambda: _serve(code, processor), rare=True)


def _share(code: Code) -> None:
    """Write the posting of tasks, the work on them, and the wait for those that others have begun.

    The tasks are given out in equal parts, always the same for as many tasks, so that threads find
    in their caches what they have written before.
    """
    board, own = code.given("board"), code.given("own")
    first, count = code.given("first", "n8"), code.given("count", "n8")
    threads = code.load(board + 8 * THREADS, "n8")
    total = code.load(board + 8 * POSTED, "n8") + count

    def give(t: Index) -> None:
        line = _line(board, t)
        start, end = ((t + k) * count // threads for k in (0, 1))
        code.store(line + FIRST, first + start)
        code.do(f"store atomic {end - start}, {line + LEFT} release, align 8")

    def done(t: Index, sums: Sequence[Value]) -> list[Value]:
        return [sums[0] + _loaded(code, _line(board, t) + DONE)]

    def waiting() -> Value:
        _give_way(code, board)
        return code.loop(threads, done, [code.number(0, "n8")])[0].compare("ne", total)

    code.store(board + 8 * TASK, code.given("which", "n8"))
    code.store(board + 8 * TABLE, code.given("table"))
    code.store(board + 8 * POSTED, total)
    code.each(threads, give)
    code.do(f"call void @work({board}, {own}, i64 0)")
    code.repeat(waiting)


def _work(code: Code) -> None:
    """Write the work on the tasks that are left: first on this thread's, then on the others'."""
    board, own, thread = code.given("board"), code.given("own"), code.given("thread", "n8")
    threads, mine = code.load(board + 8 * THREADS, "n8"), _line(board, thread)

    def whose(t: Index) -> None:
        line = _line(board, (thread + t) % threads)
        word = line + LEFT

        def look() -> Value:
            left = _loaded(code, word)

            def claim() -> None:
                pair = code.op(f"cmpxchg {word}, {left}, {left - 1} acq_rel monotonic", "n8").name
                code.when(code.op(f"extractvalue {{ i64, i1 }} {pair}, 1", "b1"), make)

            def make() -> None:
                which, table = code.load(board + 8 * TASK, "n8"), code.load(board + 8 * TABLE, "p8")
                number = code.load(line + FIRST, "n8") + (left - 1)
                for function in ("loop", "call"):  # the one that has the task
                    code.do(f"call void @{function}({table}, {number}, {own}, {which})")
                done = code.load(mine + DONE, "n8") + 1
                code.do(f"store atomic {done}, {mine + DONE} release, align 8")

            some = left.compare("ne", 0)
            code.when(some, claim)
            return some

        code.repeat(look)

    code.each(threads, whose)


def _serve(code: Code, processor: str) -> None:
    """Write the thread that works for the board until it is closed."""
    board, own, thread = code.given("board"), code.given("own"), code.given("thread", "n8")

    def work() -> Value:
        code.do(f"call void @work({board}, {own}, {thread})")
        _give_way(code, board)
        return _loaded(code, board + 8 * CLOSED).compare("eq", 0)

    with subnormal_as_zero(code, processor):
        code.repeat(work)


def _loaded(code: Code, at: Value) -> Value:
    """Return a number that another thread may have written, and see all that it wrote before."""
    return code.op(f"load atomic i64, {at} acquire, align 8", "n8")


def _give_way(code: Code, board: Value) -> None:
    """Let other threads run, if they need this core.

    Otherwise a training that shares its cores with other programs takes several times as long.
    """
    code.op(f"call i32 {code.load(board + 8 * GIVE_WAY, 'p8').name}()", "i4")


def _line(board: Value, thread: Index) -> Value:
    """Return the address of a thread's numbers."""
    return board + (thread * EACH + BOARD) * 8
