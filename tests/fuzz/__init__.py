"""A fuzzer that stays: targets that take any bytes, a corpus for each, and ``make fuzz``."""
