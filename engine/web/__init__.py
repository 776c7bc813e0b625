"""Pages of the web: read with a plain GET, from addresses that were vetted, within limits."""
