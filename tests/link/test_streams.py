"""Seeds that are only named: what is drawn from their children is what numpy's own would draw."""

import numpy as np
import pytest

from rtcprobe.link.streams import COMPONENTS, Children, Seed


@pytest.mark.parametrize("key", [(), (3,), (0, 2, 1)])
def test_a_seed_that_is_only_named_has_the_children_that_numpy_spawns(key):
    numpys = np.random.SeedSequence(11, spawn_key=key)
    for named, child in zip(Seed.of(numpys).spawn(4), numpys.spawn(4), strict=True):
        assert np.array_equal(named.mixed().generate_state(8), child.generate_state(8))


def test_a_component_draws_the_same_of_either():
    numpys = np.random.SeedSequence(5).spawn(2)[1]
    assert Children(Seed.of(numpys))["delay"].random() == Children(numpys)["delay"].random()
    place = COMPONENTS.index("delay")
    assert Children(numpys)["delay"].random() == np.random.Generator(np.random.PCG64(numpys.spawn(9)[place])).random()
