"""Parser in child processes: long-lived, limited in memory and time, replaced when they end."""
