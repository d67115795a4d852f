"""What is measured inside a net while it trains."""
