"""Small training programs, one family a file: sound variants, and the same program with a fault.

They were written from lists of faults before the rules that judge them, by people who had not read
those rules; a hash halves the families (`frame.develop`), and the files of one half were not looked
at while rules were written.
"""
