"""Tasks that the threads of one training share: the board on which they are posted."""

from __future__ import annotations

from mlpgrad.training.compiled.epoch import subnormal_as_zero
from mlpgrad.training.compiled.values import Index, Value
from mlpgrad.training.compiled.writing import Code

SERVE = "void @serve(ptr %board, ptr %own)"
BOARD = 32
"""The numbers of a board, in cache lines of 8: the tasks that are left, above a count of the
postings, so that nobody claims a task of an earlier posting; the tasks that are done; what to do,
and the function that a waiting thread calls; and whether the board is closed."""
DONE, TASK, TABLE, FIRST, GIVE_WAY, CLOSED = 8, 16, 17, 18, 19, 24


def write_sharing(code: Code, processor: str) -> None:
    """Write `share`, which posts tasks and works on them, and `serve`, which only works on them."""
    arguments = "ptr %board, ptr %own, ptr %table, ptr %task, i64 %first, i64 %count"
    code.function(f"internal void @share({arguments})", lambda: _share(code))
    code.function("internal void @work(ptr %board, ptr %own)", lambda: _work(code))
    code.function(SERVE, lambda: _serve(code, processor))


def _share(code: Code) -> None:
    """Write the thread that posts tasks; it waits only for those that another one has begun.

    Without a board, it makes all of them.
    """
    board, own, table, task = map(code.given, ("board", "own", "table", "task"))
    first, count = code.given("first", "n8"), code.given("count", "n8")

    def make(number: Index) -> None:
        code.do(f"call void {task.name}({table}, {number}, {own})")

    def post() -> None:
        for number, value in ((TASK, task), (TABLE, table), (FIRST, first)):
            code.store(board + 8 * number, value)
        code.store(board + 8 * DONE, code.number(0, "n8"))
        turn = code.load(board, "n8").write("and", -1 << 32) + (1 << 32)
        code.do(f"store atomic {turn + count}, {board} release, align 8")
        code.do(f"call void @work({board}, {own})")
        code.repeat(lambda: _waited(code, board, DONE).compare("ne", count))

    nothing = Value(code, "p8", 1, "null")
    code.when(board.compare("eq", nothing), lambda: code.each(first, count, make))
    code.when(board.compare("ne", nothing), post)


def _work(code: Code) -> None:
    """Write the work on the tasks that are left on the board."""
    board, own = code.given("board"), code.given("own")

    def look() -> Value:
        seen = _loaded(code, board)
        left = seen.write("and", (1 << 32) - 1)

        def claim() -> None:
            pair = code.op(f"cmpxchg {board}, {seen}, {seen - 1} acq_rel monotonic", "n8").name
            code.when(code.op(f"extractvalue {{ i64, i1 }} {pair}, 1", "b1"), make)

        def make() -> None:
            task, table = (code.load(board + 8 * number, "p8") for number in (TASK, TABLE))
            number = code.load(board + 8 * FIRST, "n8") + (left - 1)
            code.do(f"call void {task.name}({table}, {number}, {own})")
            code.op(f"atomicrmw add {board + 8 * DONE}, i64 1 acq_rel", "n8")

        some = left.compare("ne", 0)
        code.when(some, claim)
        return some

    code.repeat(look)


def _serve(code: Code, processor: str) -> None:
    """Write the thread that works for the board until it is closed."""
    board, own = code.given("board"), code.given("own")

    def work() -> Value:
        code.do(f"call void @work({board}, {own})")
        return _waited(code, board, CLOSED).compare("eq", 0)

    with subnormal_as_zero(code, processor):
        code.repeat(work)


def _loaded(code: Code, at: Value) -> Value:
    """Return a number that another thread may have written, and see all that it wrote before."""
    return code.op(f"load atomic i64, {at} acquire, align 8", "n8")


def _waited(code: Code, board: Value, number: int) -> Value:
    """Return such a number of the board after other threads could run, if they need this core.

    Otherwise a training that shares its cores with other programs takes several times as long.
    """
    give_way = code.load(board + 8 * GIVE_WAY, "p8")
    code.op(f"call i32 {give_way.name}()", "i4")
    return _loaded(code, board + 8 * number)
