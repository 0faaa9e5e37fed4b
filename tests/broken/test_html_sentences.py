import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.report.html import render_report


def test_a_page_of_nothing_is_refused():
    with pytest.raises(BadInputError, match=r"^there is no result to report: give at least one$"):
        render_report([])


def test_a_page_of_ten_thousand_results_is_refused_at_once(make_result):
    with pytest.raises(BadInputError, match=r"^10,000 results make no page: give 500 or fewer$"):
        render_report([make_result()] * 10_000)
