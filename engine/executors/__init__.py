"""Where steps run. The local executor today; others behind the same port."""
