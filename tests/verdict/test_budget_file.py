import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.verdict import read_budgets

LIST = "- join.failed mean <= 0%\n- mouth_to_ear p95 < 200ms (advisory)\n"
WRONG = "aggregate 'p95' does not exist for join.failed: use mean"
SHAPE = "write a list of lines like '- join.first_audio p95 < 600ms', or scenario names with such lists"


def lines(found, scenario):
    return [each.expression for each in found.budgets_for(scenario)]


def test_a_list_is_for_every_scenario():
    found = read_budgets(LIST, "budgets.yaml")
    assert lines(found, "any") == ["join.failed mean <= 0%", "mouth_to_ear p95 < 200ms"]
    assert [each.advisory for each in found.budgets_for("other")] == [False, True]


def test_a_mapping_adds_what_one_scenario_must_keep():
    found = read_budgets('"*": [join.failed mean <= 0%]\n1v1-social: [join.first_audio p95 < 700ms]\n', "b.yaml")
    assert lines(found, "1v1-social") == ["join.failed mean <= 0%", "join.first_audio p95 < 700ms"]
    assert lines(found, "video-support") == ["join.failed mean <= 0%"]


def test_the_shape_of_a_scenario_is_taken_and_so_is_a_scenario():
    found = read_budgets("budgets:\n" + LIST, "b.yaml")
    assert lines(found, "any") == ["join.failed mean <= 0%", "mouth_to_ear p95 < 200ms"]
    assert lines(read_budgets("name: mine\nlink: delay 3ms\nbudgets:\n" + LIST, "b.yaml"), "any") == lines(found, "any")
    assert lines(read_budgets("1V1-Social:\n" + LIST, "b.yaml"), "1v1-social") == lines(found, "any")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", f"b.yaml: nothing is no list of budgets: {SHAPE}"),
        ("[]", f"b.yaml: nothing is no list of budgets: {SHAPE}"),
        ("faster", f"b.yaml: 'faster' is no list of budgets: {SHAPE}"),
        ("social: 5", f"b.yaml: scenario social: 5 is no list of budgets: {SHAPE}"),
        ("- join.failed", "b.yaml: budget 'join.failed' cannot be read: write it like join.first_audio p95 < 600ms"),
        (
            "social: [join.failed p95 < 1%]",
            f"b.yaml: scenario social: budget 'join.failed p95 < 1%': {WRONG}",
        ),
        (
            "a: [join.failed mean <= 0%]\na: [join.failed mean <= 1%]",
            "b.yaml: line 2: a is given twice: leave one out",
        ),
    ],
)
def test_a_file_that_cannot_be_meant(text, sentence):
    with pytest.raises(BadInputError) as caught:
        read_budgets(text, "b.yaml")
    assert str(caught.value) == sentence


def test_a_file_that_is_no_yaml_is_refused():
    with pytest.raises(BadInputError, match=r"^b\.yaml: line 1: this is not YAML: "):
        read_budgets("a: [", "b.yaml")
