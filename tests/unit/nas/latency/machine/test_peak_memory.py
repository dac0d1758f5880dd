from nas.latency.machine.peak_memory import peak_growth

MIB = 1 << 20


def test_the_peak_of_the_block_is_told_and_not_that_of_earlier_work() -> None:
    before = bytearray(b"x" * (96 * MIB))
    del before
    with peak_growth() as peak:
        block = bytearray(b"x" * (16 * MIB))
        del block
    if peak.growth_bytes is not None:  # where the system does not tell, it says so
        assert 15 * MIB < peak.growth_bytes < 80 * MIB
