"""Work that is divided among threads, the one that asks for it being one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")


class Threads:
    """So many threads, of which each takes the next piece of work when it is done with one, until none is left.

    What they share costs one start for all pieces, not one for each, as an executor's `map` does.
    """

    def __init__(self, number: int):
        self._number = number
        self._others = ThreadPoolExecutor(max(1, number - 1))

    def __enter__(self) -> Threads:
        return self

    def __exit__(self, *_: object) -> None:
        self._others.shutdown()

    def map(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
        """Return function(...) of each of the arguments, in their order; raises what one of them raises."""
        pieces = list(zip(*arguments, strict=True))
        results: list[Any] = [None] * len(pieces)
        left = iter(range(len(pieces)))

        def work() -> None:
            for i in left:
                results[i] = function(*pieces[i])

        others = [self._others.submit(work) for _ in range(min(self._number, len(pieces)) - 1)]
        work()
        for other in others:
            if not other.cancel():  # it has begun
                other.result()
        return results

    def readAhead(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield what `items` yields; where there are several threads the next is made while one is used."""
        if self._number == 1:
            yield from items
            return
        with ThreadPoolExecutor(1) as reader:
            source, end = iter(items), object()
            coming = reader.submit(next, source, end)
            while (item := coming.result()) is not end:
                coming = reader.submit(next, source, end)
                yield item  # type: ignore[misc]


#: Nobody but the thread that asks.
ALONE = Threads(1)
