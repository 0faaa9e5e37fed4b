import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.result import Result
from rtcprobe.result.plain import to_plain


def refusal(data):
    with pytest.raises(BadInputError) as caught:
        Result.from_dict(data)
    return str(caught.value)


def test_a_result_of_another_schema():
    assert (
        refusal({"schema": "rtcprobe.result/3"})
        == "result schema 'rtcprobe.result/3' cannot be read: this version reads rtcprobe.result/2 and "
        "rtcprobe.result/1; measure again"
    )


@pytest.mark.parametrize("data", [[], {}, "text", None])
def test_something_that_is_no_result(data):
    assert refusal(data) == "this is not an rtcprobe result: it has no schema; rtcprobe.result/2 is expected"


def test_a_result_with_a_part_missing(make_result):
    data = make_result().to_dict()
    del data["join"]["attempts"][3]["phases"]
    assert refusal(data) == "result lacks 'phases': the file is damaged; measure again"


def test_a_result_with_an_unknown_direction(make_result):
    data = make_result().to_dict()
    data["link"]["sideways"] = data["link"].pop("caller_to_callee")
    assert (
        refusal(data)
        == "result holds a value of the wrong kind: link.sideways 'sideways' is no leg: from_to_where: ana_to_sfu: "
        "measure again"
    )


def test_a_result_with_a_value_of_the_wrong_kind(make_result):
    data = make_result().to_dict()
    data["join"]["attempts"] = 7
    assert refusal(data).startswith("result holds a value of the wrong kind: ")


def test_what_has_no_place_in_a_result(make_result):
    with pytest.raises(BadInputError, match="has no place in a result: give numbers, words, lists and mappings"):
        to_plain(make_result(parties={"caller": {"x": object()}}))
