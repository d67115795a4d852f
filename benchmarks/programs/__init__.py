"""Small training programs, one family a file: sound variants, and the same program with a fault.

They were written from lists of faults, without reading the rules that judge them: 28 families
before these rules, halved by a hash (`frame.halves`), and 14 more after the results of the half
held out had been looked at.
"""
