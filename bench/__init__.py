"""Speed, measured against what people would use instead. ``make bench`` runs it and writes docs/performance.md."""
