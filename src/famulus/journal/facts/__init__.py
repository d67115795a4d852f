"""What runs say, without a word of HTML."""
