"""Where a curve is going, and how well that was foreseen before."""
