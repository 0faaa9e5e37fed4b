from rtcprobe.errors import did_you_mean, nearest, same_name

ACCESSES = ("fibre", "cable", "wifi-good", "wifi-congested", "4g-good", "4g-edge", "5g", "satellite")


def test_a_name_is_the_same_whatever_its_case():
    assert same_name("WiFi-Good", ACCESSES) == "wifi-good"
    assert same_name("wifi", ACCESSES) is None


def test_the_nearest_name_is_the_one_spelt_most_alike_and_not_another_of_its_length():
    assert nearest("4g", ACCESSES) == ["4g-good", "4g-edge"]  # 5g differs in one letter of two
    assert nearest("Satelite", ACCESSES) == ["satellite"]
    assert nearest("wifi-godo", ACCESSES)[0] == "wifi-good"


def test_where_nothing_is_near_all_there_is_is_said():
    assert did_you_mean("dsl", ACCESSES) == f"use one of {', '.join(ACCESSES)}"
