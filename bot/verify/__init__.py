"""The proof that nothing is lost: the real program is killed, and the platform's record judged.

`nursery` starts and kills real processes, `platform` stands in for Telegram and writes down what
it sees, `people` are the women and the consultants, `killer` chooses the moments, `judge` decides
from the record alone, and `proof` joins them for `phen verify kill`.
"""
