"""Prometheus: every metric in one table, probes on schedules, the pages and doors they are looked at through."""
