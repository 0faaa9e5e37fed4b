import pytest

from rtcprobe.audio.protection import Protection
from rtcprobe.errors import BadInputError


@pytest.mark.parametrize("copies", [-1, 10])
def test_a_number_of_copies_that_cannot_be_meant(copies):
    with pytest.raises(BadInputError) as caught:
        Protection(red_copies=copies)
    assert str(caught.value) == f"{copies} RED copies are impossible: give 0 to 9"
