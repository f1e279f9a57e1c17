"""Exceptions sorted into the classes of failure."""

import errno

from appion.base.failures import ImageFailure, InfrastructureFailure, classifyException


def test_trouble_of_a_host_says_where_and_what_to_do():
    failure = classifyException(OSError(errno.ENOSPC, "No space left on device", "/data/x.mrc"), "node7")
    assert isinstance(failure, InfrastructureFailure)
    assert "/data/x.mrc" in failure.reason
    assert "node7" in failure.remedy


def test_anything_unknown_is_held_against_the_image():
    failure = classifyException(ZeroDivisionError("a row without pixels"))
    assert isinstance(failure, ImageFailure)
    assert "a row without pixels" in failure.log_tail
    assert classifyException(failure) is failure
