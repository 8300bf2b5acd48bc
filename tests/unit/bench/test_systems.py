from dataclasses import replace

import numpy as np
import pytest

from tests.unit.bench.conftest import SHORT, SMALL
from thinktalk.bench.systems import OURS, System, load
from thinktalk.contracts import UserError


def test_another_process_gives_the_same_reply():
    here = load(OURS, SMALL, SHORT)()
    with System(OURS, SMALL, SHORT) as there:
        first, second = there.reply(), there.reply()
    assert first.text == here.text
    np.testing.assert_allclose(first.speech, here.speech, atol=1e-5)
    np.testing.assert_array_equal(first.speech, second.speech)
    assert 0 < first.first_audio < first.total
    assert there.ready > 0 and there.peak is not None


def test_what_goes_wrong_there_is_said_here():
    with pytest.raises(UserError, match="there is no folder 'nowhere'"):
        System(OURS, replace(SMALL, shape=None, model="nowhere"), SHORT)
