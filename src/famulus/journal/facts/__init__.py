"""What runs say, without a word of HTML."""

from famulus.moved import in_its_file

__getattr__ = in_its_file(__name__, "headline")
